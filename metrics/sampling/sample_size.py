"""How many pods to ask: enough that the mean of the sample stands for the mean of all.

Source: `knative/serving pkg/autoscaler/metrics/sample_size.go`.
"""

import math

_SMALL = 3
"""Pods; up to this many all are asked, a sample would save nothing."""

_UNLIMITED = 1.96**2 * 100 / 25
"""Sample size for endless pods: 95 % confidence (z = 1.96), variance 100, error margin 5."""


def sample_size(pods: int) -> int:
    """Return how many of the ready pods are asked in one round.

    Parameters
    ----------
    pods : int
        Ready pods, >= 0.

    Returns
    -------
    int
        All of up to 3; beyond, the finite-population sample, never above 16.

    Examples
    --------
    >>> [sample_size(pods) for pods in (0, 3, 5, 10, 25, 100, 1000)]
    [0, 3, 4, 7, 10, 14, 16]
    """
    if pods <= _SMALL:
        return pods
    return math.ceil(pods * _UNLIMITED / (pods + _UNLIMITED - 1))
