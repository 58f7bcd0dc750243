"""How far one decision may go up or down from the pods that are ready.

With a period, all decisions within it share the limit: up is the rate times the fewest pods that were ready,
down is the most pods divided by the rate. Without one each decision is limited alone, which is Knative's
rule.

Source: ConfigMap keys `max-scale-up-rate`, `max-scale-down-rate`, `scale-rate-period`;
`knative/serving pkg/autoscaler/scaling/autoscaler.go`.
"""

import numpy as np
from numpy.typing import NDArray

_MOST_PODS = float(np.iinfo(np.int32).max)
"""Pods; replicas are 32-bit numbers in Kubernetes."""


def limits(
    fewest_ready: NDArray[np.float64],
    most_ready: NDArray[np.float64],
    max_scale_up_rate: NDArray[np.float64],
    max_scale_down_rate: NDArray[np.float64],
    reachable: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the least and the most pods that a decision may ask for.

    Parameters
    ----------
    fewest_ready, most_ready : ndarray, shape (n,), float64
        Ready pods within the period, at least 1; equal without a period.
    max_scale_up_rate, max_scale_down_rate : ndarray, shape (n,), float64
        Ratios, > 1.
    reachable : ndarray, shape (n,), bool
        A revision no route points at may drop at once.

    Returns
    -------
    lower, upper : ndarray, shape (n,), float64
        Whole pods. The lower one is at least one pod below the ready ones, since rates are above 1.

    Examples
    --------
    Ten pods, rates 1.1 and 20: between 9 and 200.

    >>> one = np.ones(1)
    >>> limits(10 * one, 10 * one, 20 * one, 1.1 * one, one > 0)
    (array([9.]), array([200.]))
    """
    upper = np.minimum(np.ceil(max_scale_up_rate * fewest_ready), _MOST_PODS)
    lower = np.floor(most_ready / max_scale_down_rate) * reachable
    return lower, upper


def clamp(
    pods: NDArray[np.float64], lower: NDArray[np.float64], upper: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Keep a number of pods within the limits; where they cross, the upper one wins."""
    return np.minimum(np.maximum(pods, lower), upper)
