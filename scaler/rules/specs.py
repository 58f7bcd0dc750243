"""What the decision needs to know of a revision's settings: arrays with a place a revision.

Source: `knative/serving pkg/reconciler/autoscaling/kpa/resources/decider.go`.
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from config.resolve import RevisionSettings
from metrics.windows.ring import Columns
from scaler.rules.delay import delay_steps


@dataclass(slots=True)
class DeciderSpecs:
    """Settings of many revisions.

    Attributes
    ----------
    target_value, total_value : ndarray, shape (n,), float64
        What a pod is aimed at and what it takes, in the unit of the metric.
    panic_threshold : ndarray, shape (n,), float64
        Pods asked for per ready pod from which it is a panic; 2.0 is twice.
    stable_window : ndarray, shape (n,), float64
        Seconds; a panic lasts that long after its last crossing.
    max_scale_up_rate, max_scale_down_rate : ndarray, shape (n,), float64
        Ratios.
    rate_steps : ndarray, shape (n,), int64
        Seconds that share the rates; 0 limits each decision alone.
    delay_steps : ndarray, shape (n,), int64
        Scale-down delay in steps of `scaler.rules.delay.STEP`; 0 is none.
    target_burst_capacity, activation_scale : ndarray, shape (n,), float64
    reachable : ndarray, shape (n,), bool
    """

    target_value: NDArray[np.float64]
    total_value: NDArray[np.float64]
    panic_threshold: NDArray[np.float64]
    stable_window: NDArray[np.float64]
    max_scale_up_rate: NDArray[np.float64]
    max_scale_down_rate: NDArray[np.float64]
    rate_steps: NDArray[np.int64]
    delay_steps: NDArray[np.int64]
    target_burst_capacity: NDArray[np.float64]
    activation_scale: NDArray[np.float64]
    reachable: NDArray[np.bool_]

    @classmethod
    def room_for(cls, columns: int) -> "DeciderSpecs":
        """Return specs of revisions that ask for nothing, to be set one by one."""
        ones, zeros = np.ones(columns), np.zeros(columns, np.int64)
        return cls(
            target_value=ones.copy(),
            total_value=ones.copy(),
            panic_threshold=2.0 * ones,
            stable_window=ones.copy(),
            max_scale_up_rate=2.0 * ones,
            max_scale_down_rate=2.0 * ones,
            rate_steps=zeros.copy(),
            delay_steps=zeros.copy(),
            target_burst_capacity=0.0 * ones,
            activation_scale=0.0 * ones,
            reachable=np.ones(columns, np.bool_),
        )

    def put(self, column: int, settings: RevisionSettings) -> None:
        """Set one revision."""
        self.delay_steps[column] = delay_steps(settings.scale_down_delay)
        self.rate_steps[column] = int(np.ceil(settings.scale_rate_period))
        for name in _SAME_NAMES:
            getattr(self, name)[column] = getattr(settings, name)

    def at(self, columns: Columns) -> "DeciderSpecs":
        """Return the specs of some revisions (views for a slice, copies for indices)."""
        return DeciderSpecs(*(getattr(self, name)[columns] for name in _NAMES))


_NAMES = tuple(field.name for field in fields(DeciderSpecs))
_SAME_NAMES = tuple(name for name in _NAMES if not name.endswith("_steps"))
