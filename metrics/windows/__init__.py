"""Windows over a fleet: rings of seconds and their averages, a column a revision.

Never: input or output, clocks, event loops, the rest of `metrics`.
"""
