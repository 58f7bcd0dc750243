"""What Prometheus reads: series under the names of Knative's autoscaler, made when they are asked for.

Never: a page or an API; those are in `kpa.web`.
"""
