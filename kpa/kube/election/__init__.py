"""Which replica leads which bucket of revisions: Leases, their holders, and the buckets' endpoints.

Never: what a leader does with its revisions.
"""
