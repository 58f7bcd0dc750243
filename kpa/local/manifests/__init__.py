"""Manifests of services, read into specs; each problem is named with its document and field.

Never: a process.
"""
