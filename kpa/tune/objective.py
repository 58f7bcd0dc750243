"""What an operator wants: limits, and one number to be as small as possible.

p99 < 2s, rejected < 0.1%, min replica-minutes
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from config.durations import format_duration, parse_duration
from kpa.simulate.errors import InputError

Unit = Literal["time", "share", "count"]
Metrics = Mapping[str, NDArray[np.float64]]
"""Values by metric, a place a candidate."""

UNITS: Mapping[str, Unit] = {
    "p50": "time",
    "p95": "time",
    "p99": "time",
    "queue-p50": "time",
    "queue-p95": "time",
    "queue-p99": "time",
    "rejected": "share",
    "cold-starts": "count",
    "scale-actions": "count",
    "replica-minutes": "count",
}
"""Metrics an objective may name: latency, time in the queue, requests that got 503 or 504, and so on."""

_USAGE = f"limits and one goal, such as 'p99 < 2s, min replica-minutes'; metrics are {', '.join(UNITS)}"


class Limit(NamedTuple):
    """A metric must be below a value: seconds, a part of all requests, or a number."""

    metric: str
    below: float

    def __str__(self) -> str:
        return f"{self.metric} < {text_of(self.metric, self.below)}"


class Objective(NamedTuple):
    """Limits that must hold, and the metric to be as small as possible where they do."""

    limits: tuple[Limit, ...]
    goal: str

    def __str__(self) -> str:
        return ", ".join([*map(str, self.limits), f"min {self.goal}"])

    @property
    def quality(self) -> str:
        """Metric that is shown against the goal: that of the first limit."""
        others = [limit.metric for limit in self.limits if limit.metric != self.goal]
        return others[0] if others else "p99" if self.goal != "p99" else "replica-minutes"

    def excess(self, metrics: Metrics, margin: float = 0.0) -> NDArray[np.float64]:
        """Return by which part of themselves limits are exceeded, summed up; 0 where all hold.

        Parameters
        ----------
        metrics : Metrics
        margin : float
            Part by which each limit is tightened.
        """
        total = np.zeros_like(metrics[self.goal])
        for metric, below in self.limits:
            tight = below * (1 - margin)
            total += np.maximum(metrics[metric] - tight, 0.0) / max(tight, 1e-9)
        return total

    def holds(self, values: Mapping[str, float]) -> bool:
        """Tell whether all limits hold for one candidate."""
        return all(values[metric] < below for metric, below in self.limits)

    def order(self, metrics: Metrics, margin: float = 0.0) -> NDArray[np.intp]:
        """Return the candidates, best first: limits before the goal, less of it before more."""
        excess = self.excess(metrics, margin)
        return np.lexsort((metrics[self.goal], excess))


def parse_objective(text: str) -> Objective:
    """Read an objective.

    Raises
    ------
    InputError
        A part cannot be read, or there is not exactly one goal.

    Examples
    --------
    >>> parse_objective("queue p99 < 500ms, rejected < 0.1%, min replica-minutes").limits[1]
    Limit(metric='rejected', below=0.001)
    """
    limits: list[Limit] = []
    goals: list[str] = []
    for part in text.split(","):
        words = part.replace("<=", "<").split("<")
        if len(words) == 2:
            limits.append(_limit(part, words[0], words[1].strip()))
        elif part.split()[:1] == ["min"]:
            goals.append(_metric(part, part.strip().removeprefix("min")))
        else:
            raise InputError(f"objective: {part.strip()!r} must be METRIC < VALUE or min METRIC; {_USAGE}")
    if len(goals) != 1:
        raise InputError(f"objective {text!r} has {len(goals)} goals, must have one; {_USAGE}")
    return Objective(tuple(limits), goals[0])


def text_of(metric: str, value: float) -> str:
    """Write a value of a metric for people.

    Examples
    --------
    >>> text_of("p99", 2.04), text_of("rejected", 0.0123), text_of("replica-minutes", 151.42)
    ('2.04s', '1.23%', '151.4')
    """
    if np.isnan(value):
        return "-"
    if UNITS[metric] == "time":
        return format_duration(float(f"{value:.3g}"))
    if UNITS[metric] == "share":
        return f"{100 * value:.3g}%"
    return f"{value:.1f}".removesuffix(".0")


def _metric(part: str, words: str) -> str:
    metric = "-".join(words.split())
    if metric not in UNITS:
        raise InputError(f"objective: {part.strip()!r}: unknown metric {metric!r}; {_USAGE}")
    return metric


def _limit(part: str, name: str, text: str) -> Limit:
    metric = _metric(part, name)
    unit = UNITS[metric]
    try:
        if unit == "time":
            value = parse_duration(text)
        else:
            value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        expected = {"time": "time such as 2s", "share": "part such as 0.1%", "count": "number such as 5"}[
            unit
        ]
        raise InputError(f"objective: {part.strip()!r}: {text!r} must be a {expected}, more than 0")
    return Limit(metric, value)
