"""Load statistics: what pods and activators report, kept in windows over a whole fleet.

Here: computing (`stat`, `buckets`, `windows`, `sampling`) and talking (`scraper`, `stat_server`,
`collector` and what they are made of).

Never: decisions, replicas, Kubernetes. The computing modules know no clock and no event loop. What Prometheus
reads of us is telemetry and lives in `kpa`.
"""
