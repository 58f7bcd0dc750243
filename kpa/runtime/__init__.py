"""What a process of ours needs whatever it does: logs, event loop, files, time budgets, version.

Never: a revision, HTTP, Kubernetes. Of ours, this folder imports `config` alone.
"""
