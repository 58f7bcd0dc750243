"""The decision: from windows and settings to the number of pods. Computation only.

Here: a module for each rule, `decider` that composes them for a whole fleet at once, `engine` that keeps the
fleet's arrays, and `zero`, the way to zero and back as a function of times and states.

Never: input or output, clocks (`now` is an argument), event loops, Kubernetes.
"""
