"""What requests pass through: the queue-proxy of a pod and the activator in front of revisions.

Here: HTTP as both speak it (`http`), `queue_proxy`, `activator`, routing tables (`routes`).

Never: a number of pods. Both are processes of their own, quick to start, and know nothing of the controller.
"""
