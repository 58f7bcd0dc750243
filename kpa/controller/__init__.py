"""The control loop: which revisions there are, when each is looked at, what is asked of the cluster.

Here: the fleet of tracked revisions, the reconciler that ticks, the seam to the place where pods run
(`cluster`), the status of a revision and its explanation.

Never: a rule of the decision (`scaler`), Kubernetes or processes (`kpa.kube`, `kpa.local`), HTTP.
"""
