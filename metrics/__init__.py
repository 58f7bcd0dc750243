"""Load statistics: what pods and activators report, kept in windows over a whole fleet.

`scraping` and `stat_server` do input and output. All other modules are computation only: no clock, no event
loop, no socket. An import contract checks this for the folder as a whole.

Never: decisions, replicas, Kubernetes. What Prometheus reads is telemetry, in `kpa/telemetry`.
"""
