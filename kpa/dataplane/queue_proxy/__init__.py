"""The queue-proxy: one process before each replica, which limits and measures its requests.

Here: what is counted (`stats`), when the replica is ready (`probe`, `health`), the listeners and their end
(`server`), settings from the environment (`settings`). Names, probes and reports are those of Knative's
queue-proxy, so that either can stand in a pod.

Never: scaling. Start-up is on the way of a request that finds no replica, so nothing heavy is imported here.

Source: `knative/serving pkg/queue/sharedmain/main.go`.
"""
