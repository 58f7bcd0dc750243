"""The service: what talks to clusters, processes, people and dashboards.

Here: the reconciler, the places where pods run, the data plane (queue-proxy, activator), telemetry, commands.

Never: a rule of the decision; those are in `scaler`, their settings in `config`.
"""
