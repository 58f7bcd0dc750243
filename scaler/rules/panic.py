"""Panic mode: a surge in the short window is followed at once, and nothing is taken away until it has passed.

Source: ConfigMap keys `panic-threshold-percentage`, `panic-window-percentage`;
`knative/serving pkg/autoscaler/scaling/autoscaler.go`.
"""

import numpy as np
from numpy.typing import NDArray

NOT_PANICKING = -np.inf
"""The time of the last crossing where there is no panic."""


def panic_since(
    since: NDArray[np.float64],
    over_threshold: NDArray[np.bool_],
    stable_window: NDArray[np.float64],
    now: float,
) -> NDArray[np.float64]:
    """Return the time of the last crossing of the threshold, or NOT_PANICKING.

    Panic begins with a crossing, is extended by each further one, and ends when more than a stable window has
    passed without.

    Parameters
    ----------
    since : ndarray, shape (n,), float64
        Unix seconds of the last crossing so far, or NOT_PANICKING.
    over_threshold : ndarray, shape (n,), bool
        The pods that the panic window asks for, per ready pod, reach the threshold now.
    stable_window : ndarray, shape (n,), float64
        Seconds.
    now : float
        Unix seconds.
    """
    lasting = np.where(since + stable_window < now, NOT_PANICKING, since)
    return np.where(over_threshold, now, lasting)


def hold_up(
    stable_wants: NDArray[np.float64],
    panic_wants: NDArray[np.float64],
    panicking: NDArray[np.bool_],
    most_pods: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the pods to ask for, in panic or not, and the most that this panic asked for (0 without)."""
    most = np.maximum(most_pods, np.maximum(stable_wants, panic_wants)) * panicking
    return np.where(panicking, most, stable_wants), most
