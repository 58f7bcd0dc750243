"""The activator: takes requests of all revisions, holds those without capacity, reports, forwards.

Here: the load it reports (`load`, `reporter`), the waiting and the choice of a backend (`throttle`), the
routing table's way in (`source`), the public port (`server`). `python -m kpa.dataplane.activator` runs it.

Never: how many replicas there should be, or how they start. It knows a table of ready backends, and nothing
else.
"""
