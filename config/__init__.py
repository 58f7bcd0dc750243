"""Settings and their meaning.

Here: the texts an operator writes (ConfigMap keys, annotations), their bounds, their defaults, and the one
resolved value per revision in internal units (seconds, fractions, pods).

Not here: input or output, clocks, load, decisions. This package imports no other package of kpa.
"""
