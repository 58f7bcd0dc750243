"""The decision for many revisions at once: `decide` reads like the list of its rules.

Source: `knative/serving pkg/autoscaler/scaling/autoscaler.go`, whose answers are reproduced, the scale-rate
period and the scale-down delay of live revisions excepted (`rates`, `delay`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from metrics.windows.ring import Columns
from metrics.windows.windows import Observation
from scaler.rules import burst, panic, rates
from scaler.rules.delay import is_delayed, step_at
from scaler.rules.sliding_max import SlidingMax
from scaler.rules.specs import DeciderSpecs
from scaler.rules.trace import DecisionTraces


@dataclass(slots=True)
class DeciderStates:
    """What decisions remember, a column a revision.

    Attributes
    ----------
    panic_since : ndarray, shape (n,), float64
        Unix seconds of the last crossing of the panic threshold, or `panic.NOT_PANICKING`.
    panic_pods : ndarray, shape (n,), float64
        Most pods that the present panic has asked for.
    answers : SlidingMax
        Answers of the scale-down delay.
    most_ready, fewest_ready : SlidingMax
        Ready pods, and ready pods negated, by the second.
    """

    panic_since: NDArray[np.float64]
    panic_pods: NDArray[np.float64]
    answers: SlidingMax
    most_ready: SlidingMax
    fewest_ready: SlidingMax

    @classmethod
    def room_for(cls, columns: int, delay_slots: int, rate_slots: int) -> "DeciderStates":
        """Return states of revisions about which nothing is remembered.

        The slots are the steps of the longest scale-down delay and the longest scale-rate period.
        """
        return cls(
            np.full(columns, panic.NOT_PANICKING),
            np.zeros(columns),
            SlidingMax(columns, delay_slots),
            SlidingMax(columns, rate_slots),
            SlidingMax(columns, rate_slots),
        )

    def start(self, column: int, ready_pods: int, now: float, hold: bool) -> None:
        """Begin with a revision; with more than one ready pod in panic, so that a restart takes none away.

        With `hold` a single one is held likewise.
        """
        for window in (self.answers, self.most_ready, self.fewest_ready):
            window.clear(column)
        self.panic_since[column] = now if ready_pods > (0 if hold else 1) else panic.NOT_PANICKING
        self.panic_pods[column] = ready_pods

    def change_windows(self, column: int, answer: float | None, now: float) -> None:
        """Let a changed scale-down delay or scale-rate period take effect.

        Parameters
        ----------
        answer : float or None
            The last answer, if a delay begins now: it is the first one to be held.
        """
        if answer is not None:
            self.answers.restore(column, [(step_at(now), int(answer))])
        for window in (self.answers, self.most_ready, self.fewest_ready):
            window.search_again(column)

    def copy(self, column: int, target: "DeciderStates", target_column: int) -> None:
        """Copy what is remembered of a revision to another place."""
        target.panic_since[target_column] = self.panic_since[column]
        target.panic_pods[target_column] = self.panic_pods[column]
        for name in ("answers", "most_ready", "fewest_ready"):
            getattr(target, name).restore(target_column, getattr(self, name).extract(column))


@dataclass(frozen=True, slots=True)
class Decisions:
    """Answers for some revisions, and what they were made of.

    Attributes
    ----------
    recommended : ndarray, shape (n,), float64
        Whole pods, before bounds.
    excess : ndarray, shape (n,), float64
        Excess burst capacity; negative keeps the activator in path.
    traces : DecisionTraces
        How the answers came about.
    """

    recommended: NDArray[np.float64]
    excess: NDArray[np.float64]
    traces: DecisionTraces


def decide(
    specs: DeciderSpecs,
    states: DeciderStates,
    columns: Columns,
    observation: Observation,
    ready_pods: NDArray[np.float64],
    now: float,
) -> Decisions:
    """Decide for some columns, all of which have data, and bring their states up to date in place.

    Parameters
    ----------
    specs : DeciderSpecs
        Of these columns only.
    states : DeciderStates
        Of all columns.
    columns : Columns
    observation : Observation
        Of these columns only.
    ready_pods : ndarray, shape (n,), float64
        Of these columns only.
    now : float
        Unix seconds.
    """
    ready = np.maximum(ready_pods, 1.0)
    fewest, most = _ready_within_period(specs, states, columns, ready, now)
    lower, upper = rates.limits(
        fewest, most, specs.max_scale_up_rate, specs.max_scale_down_rate, specs.reachable
    )
    stable_asks = np.ceil(observation.stable / specs.target_value)
    panic_asks = np.ceil(observation.panic / specs.target_value)
    stable_wants = activate(stable_asks, rates.clamp(stable_asks, lower, upper), specs.activation_scale)
    panic_wants = activate(panic_asks, rates.clamp(panic_asks, lower, upper), specs.activation_scale)

    over = panic_asks / ready >= specs.panic_threshold
    since = panic.panic_since(states.panic_since[columns], over, specs.stable_window, now)
    panicking = since != panic.NOT_PANICKING
    held, most_pods = panic.hold_up(stable_wants, panic_wants, panicking, states.panic_pods[columns])
    states.panic_since[columns] = since
    states.panic_pods[columns] = most_pods

    recommended = _delayed(specs, states, columns, held, now)
    excess = burst.excess_burst_capacity(
        ready_pods, specs.total_value, specs.target_burst_capacity, observation.panic
    )
    traces = DecisionTraces(
        ready, stable_asks, panic_asks, lower, upper, stable_wants, panic_wants, panicking, held, recommended
    )
    return Decisions(recommended, excess, traces)


def activate(
    asked: NDArray[np.float64], within: NDArray[np.float64], activation_scale: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Raise pods within rates to the activation scale where load asks for any pod; up to 1 is no such scale.

    Source: annotation `activation-scale`.
    """
    if not activation_scale.any():
        return within
    return np.where((activation_scale > 1) & (asked > 0), np.maximum(within, activation_scale), within)


def _ready_within_period(
    specs: DeciderSpecs, states: DeciderStates, columns: Columns, ready: NDArray[np.float64], now: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the fewest and the most ready pods within each revision's scale-rate period."""
    if not specs.rate_steps.any():
        return ready, ready
    second, window = int(now // 1), np.maximum(specs.rate_steps, 1)
    most = states.most_ready.record(columns, second, ready, window)
    fewest = -states.fewest_ready.record(columns, second, -ready, window)
    alone = specs.rate_steps == 0
    return np.where(alone, ready, fewest), np.where(alone, ready, most)


def _delayed(
    specs: DeciderSpecs, states: DeciderStates, columns: Columns, wants: NDArray[np.float64], now: float
) -> NDArray[np.float64]:
    """Hold the largest answer within each revision's scale-down delay."""
    delayed = is_delayed(specs.delay_steps, specs.reachable)
    if not delayed.any():
        return wants
    if delayed.all():
        return states.answers.record(columns, step_at(now), wants, specs.delay_steps)
    index = np.arange(len(states.panic_since))[columns]
    where = np.flatnonzero(delayed)
    answers = wants.copy()
    answers[where] = states.answers.record(index[where], step_at(now), wants[where], specs.delay_steps[where])
    return answers
