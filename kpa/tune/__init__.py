"""Which settings a load would have liked best.

What belongs here: objectives, the settings that may be changed, a time-stepped model of many candidates as
one fleet (queues and decisions as arrays, the decisions by the production engine's block and plan), the
search, and what is recommended. What never does: the last word about a candidate; that is `kpa.simulate`'s.
"""
