"""What a load would have cost under some settings: the production engine in simulated time.

What belongs here: loads (files, Prometheus, phases), a discrete-event model of one service around the same
reconciler, engine and plan that run in production, what came of it, and how it is shown. What never does: a
rule of the autoscaler; the model asks the reconciler, as a cluster does.

    load ──> Model ── stats, pods ──> Reconciler (kpa.controller.reconciler, its clock is the model's)
               ^                          │
               └──── pods, path ── SimulatedCluster
"""
