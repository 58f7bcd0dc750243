"""The fleet as arrays: blocks of revisions, a tick as one pass over each.

Never: a rule of the decision (`scaler.rules`).
"""
