"""The client of an API server: credentials, transport, requests, errors, caches that watch.

Never: what an object means to autoscaling; that is `kpa.kube.objects`.
"""
