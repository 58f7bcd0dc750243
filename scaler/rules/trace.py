"""Which rule bound a decision: the last one on the way from load to pods that changed the number.

    load ──> rates ──> activation scale ──> panic ──> delay ──> bounds ──> way to zero

The names are the keys an operator would set to get another answer, where there is one; telemetry shows them
as a label.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Rule(StrEnum):
    """What bound a decision."""

    LOAD = "load"
    """The stable window asks for it."""

    PANIC = "panic"
    """The panic window asks for it."""

    PANIC_HOLD = "panic-hold"
    """This panic asked for it before, and takes nothing away."""

    MAX_SCALE_UP_RATE = "max-scale-up-rate"
    MAX_SCALE_DOWN_RATE = "max-scale-down-rate"
    ACTIVATION_SCALE = "activation-scale"
    SCALE_DOWN_DELAY = "scale-down-delay"
    MIN_SCALE = "min-scale"
    MAX_SCALE = "max-scale"
    INITIAL_SCALE = "initial-scale"

    ENABLE_SCALE_TO_ZERO = "enable-scale-to-zero"
    """Zero is not allowed."""

    STABLE_WINDOW = "stable-window"
    """It has not been active for a stable window yet, so one pod stays."""

    GRACE_PERIOD = "scale-to-zero-grace-period"
    RETENTION_PERIOD = "scale-to-zero-pod-retention-period"

    ACTIVATOR = "activator"
    """No activator answers for it yet, so its last pod stays."""

    PROGRESS_DEADLINE = "progress-deadline"
    """It is not ready yet and has that long to become so."""

    NO_TRAFFIC = "no-traffic"
    """Neither a ready pod nor any report for a whole stable window."""

    NO_DATA = "no-data"
    """Its load is not known; the last answer stays."""


@dataclass(frozen=True, slots=True)
class DecisionTraces:
    """Pods on the way from load to decision, for some revisions.

    Attributes
    ----------
    ready : ndarray, shape (n,), float64
        Ready pods, at least 1.
    stable_asks, panic_asks : ndarray, shape (n,), float64
        What the windows ask for.
    lower, upper : ndarray, shape (n,), float64
        What the rates allow.
    stable_wants, panic_wants : ndarray, shape (n,), float64
        After rates and activation scale.
    panicking : ndarray, shape (n,), bool
    held : ndarray, shape (n,), float64
        After panic mode.
    recommended : ndarray, shape (n,), float64
        After the scale-down delay.
    """

    ready: NDArray[np.float64]
    stable_asks: NDArray[np.float64]
    panic_asks: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    stable_wants: NDArray[np.float64]
    panic_wants: NDArray[np.float64]
    panicking: NDArray[np.bool_]
    held: NDArray[np.float64]
    recommended: NDArray[np.float64]

    def of(self, place: int) -> "DecisionTrace":
        """Return those of one revision."""
        return DecisionTrace(*(int(getattr(self, name)[place]) for name in DecisionTrace._fields))


class DecisionTrace(NamedTuple):
    """`DecisionTraces` of one decision, in whole pods; `panicking` is 0 or 1."""

    ready: int
    stable_asks: int
    panic_asks: int
    lower: int
    upper: int
    stable_wants: int
    panic_wants: int
    panicking: int
    held: int
    recommended: int

    @property
    def by_panic(self) -> bool:
        """The panic window's answer is the larger one, and counts."""
        return bool(self.panicking) and self.panic_wants >= self.stable_wants

    @property
    def asks(self) -> int:
        """Pods that the window which counts asks for."""
        return self.panic_asks if self.by_panic else self.stable_asks

    @property
    def wants(self) -> int:
        """The same after rates and activation scale."""
        return self.panic_wants if self.by_panic else self.stable_wants

    @property
    def rule(self) -> Rule:
        """What bound the decision."""
        if self.recommended > self.held:
            return Rule.SCALE_DOWN_DELAY
        if self.held > self.wants:
            return Rule.PANIC_HOLD
        return self.window_rule

    @property
    def window_rule(self) -> Rule:
        """What bound the answer of the window that counts."""
        if self.wants < self.asks:
            return Rule.MAX_SCALE_UP_RATE
        if self.wants > self.asks:
            beyond = self.wants > self.lower
            return Rule.ACTIVATION_SCALE if beyond else Rule.MAX_SCALE_DOWN_RATE
        return Rule.PANIC if self.by_panic else Rule.LOAD
