"""Weights and rounding of averages over a window: the same as Knative's, to the last decimal.

Source: `knative/serving pkg/autoscaler/aggregation/bucketing.go`.
"""

import numpy as np
from numpy.typing import NDArray

_SMALLEST_DECAY = 0.2
_WEIGHT_LEFT_OUT = 1e-4
"""A weighted window holds all but this much of the weight, unless the smallest decay is steeper."""


def smoothing(slots: int) -> float:
    """Return the weight of the newest second in a weighted average over a window.

    Examples
    --------
    >>> smoothing(60), round(smoothing(6), 3)
    (0.2, 0.785)
    """
    steep: float = 1 - _WEIGHT_LEFT_OUT ** (1 / slots)
    return max(steep, _SMALLEST_DECAY)


def round6(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round to 6 decimals, halves away from zero (as Go does; numpy rounds them to even)."""
    rest = values * 1e6
    whole = np.trunc(rest)
    rest -= whole
    rest *= 2
    whole += np.trunc(rest, out=rest)
    whole /= 1e6
    return whole
