"""Room for a burst: whether the activator stays in the request path, and how many activators a revision gets.

Source: ConfigMap keys `target-burst-capacity`, `activator-capacity`;
`knative/serving pkg/autoscaler/scaling/autoscaler.go`, `pkg/reconciler/autoscaling/kpa/kpa.go`.
"""

import numpy as np
from numpy.typing import NDArray

UNLIMITED = -1.0
"""Target burst capacity with which the activator never leaves the path."""

_FEWEST_ACTIVATORS = 2


def excess_burst_capacity(
    ready_pods: NDArray[np.float64],
    total_value: NDArray[np.float64],
    target_burst_capacity: NDArray[np.float64],
    panic_value: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the capacity left beyond the present load and the burst to be prepared for.

    Negative keeps the activator in path. A target of 0 takes it out (0), -1 keeps it in (-1).

    Parameters
    ----------
    ready_pods : ndarray, shape (n,), float64
        As they are; 0 is possible.
    total_value : ndarray, shape (n,), float64
        What one pod takes, in the unit of the metric.
    target_burst_capacity, panic_value : ndarray, shape (n,), float64
    """
    excess = np.floor(ready_pods * total_value - target_burst_capacity - panic_value)
    excess[target_burst_capacity == 0] = 0.0
    excess[target_burst_capacity == UNLIMITED] = UNLIMITED
    return excess


def initial_excess(initial_scale: float, total_value: float, target_burst_capacity: float) -> float:
    """Return the excess burst capacity assumed before the first decision."""
    if target_burst_capacity in (0.0, UNLIMITED):
        return target_burst_capacity
    return float(np.trunc(initial_scale * total_value - target_burst_capacity))


def number_of_activators(
    ready_pods: NDArray[np.float64],
    total_value: NDArray[np.float64],
    target_burst_capacity: NDArray[np.float64],
    activator_capacity: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return how many activators can carry the pods' capacity and the burst, at least 2."""
    carried = ready_pods * total_value + np.maximum(target_burst_capacity, 0.0)
    needed = np.maximum(np.ceil(carried / activator_capacity), _FEWEST_ACTIVATORS)
    return np.where(target_burst_capacity == 0, _FEWEST_ACTIVATORS, needed)
