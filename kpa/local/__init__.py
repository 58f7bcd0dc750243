"""Services as processes of this machine.

Here: manifests read into service specs, one OS process kept as a container would be, a replica (queue-proxy
and process), revisions and their rollout, the guardian that leaves no process behind.

Never: a decision how many replicas to run, HTTP requests of users.
"""
