"""Kubernetes: what is said to an API server, and what its objects mean to us.

Here: the client and its caches, the objects we read and write, leases, and the cluster made of them.

Never: a rule of the decision (`scaler`) or a setting's meaning (`config`). Nothing outside imports this
package but `kpa serve`; only `credentials` imports the package `kubernetes`.
"""
