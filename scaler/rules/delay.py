"""Scale-down delay: the largest answer of the last while wins.

Source: ConfigMap key and annotation `scale-down-delay`; `knative/serving pkg/autoscaler/scaling`. There the
delay is fixed when the decider is created; here a changed one holds from the next decision on: a longer one
finds the answers given while a shorter one was in force, and where there was none the last answer is held.
"""

import numpy as np
from numpy.typing import NDArray

STEP = 2.0
"""Seconds; answers are kept by this step, Knative's tick."""


def delay_steps(delay: float) -> int:
    """Return the window of a delay in steps; 0 for none."""
    return int(np.ceil(delay / STEP))


def step_at(now: float) -> int:
    """Return the step that a unix time in seconds lies in."""
    return int(now // STEP)


def is_delayed(steps: NDArray[np.int64], reachable: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which revisions wait: those with a delay that some route points at."""
    return (steps > 0) & reachable
