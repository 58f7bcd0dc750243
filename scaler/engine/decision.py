"""The last answer for one revision, and what it was read from."""

from dataclasses import dataclass

from scaler.rules.trace import DecisionTrace, Rule


@dataclass(frozen=True, slots=True)
class Decision:
    """The last answer for one revision and what it was read from.

    Attributes
    ----------
    valid : bool
        There was data; without, the answer is the one before.
    stable, panic : float
        Window values.
    recommended : int
        Pods before bounds; -1 before the first answer.
    excess : int
        Excess burst capacity.
    panic_since : float or None
        Unix seconds of the last crossing of the panic threshold.
    ready : int
        Ready pods.
    at : float or None
        Unix seconds of the decision; None without data.
    trace : DecisionTrace or None
        How it came about.
    """

    valid: bool
    stable: float
    panic: float
    recommended: int
    excess: int
    panic_since: float | None
    ready: int
    at: float | None = None
    trace: DecisionTrace | None = None

    @property
    def rule(self) -> Rule:
        """What bound the answer."""
        return Rule.NO_DATA if self.trace is None else self.trace.rule
