"""Conditions: how an object says what holds, and since when.

A set of conditions has a summary, `Ready`, and dependents that it is derived from. During a pass conditions
are marked one after another, and each mark may move `Ready`: what moves when is part of what others see. At
the end a condition's time moves only if the condition is another than before the pass.

Source: `knative/pkg apis/condition_set.go` and `reconciler/reconcile_common.go`.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from sys import intern
from typing import Any, Self

from kpa.kube.api.metadata import Json, from_time, to_time

READY = "Ready"
TRUE, FALSE, UNKNOWN = "True", "False", "Unknown"

UNOBSERVED = "NewObservedGenFailure"
"""Reason of `Ready` in a pass over a new generation that ends before any condition is marked."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition.

    Attributes
    ----------
    type, status : str
        The status is `True`, `False` or `Unknown`.
    reason, message : str
    severity : str
        Empty is an error, the gravest.
    since : float or None
        Unix seconds of its last transition; None if not known.
    """

    type: str
    status: str
    reason: str = ""
    message: str = ""
    severity: str = ""
    since: float | None = None

    @classmethod
    def from_json(cls, body: Json) -> Self:
        """Read an element of `status.conditions`."""
        return cls(
            type=intern(body.get("type", "")),
            status=intern(body.get("status", "")),
            reason=intern(body.get("reason", "")),
            message=body.get("message", ""),
            severity=intern(body.get("severity", "")),
            since=from_time(body.get("lastTransitionTime")),
        )

    def to_json(self) -> dict[str, Any]:
        """As the API writes it, without what is empty."""
        written = {
            "type": self.type,
            "status": self.status,
            "severity": self.severity,
            "lastTransitionTime": "" if self.since is None else to_time(self.since),
            "reason": self.reason,
            "message": self.message,
        }
        return {name: value for name, value in written.items() if value}

    @property
    def said(self) -> tuple[str, str, str, str, str]:
        """All but its time, in the order of the attributes."""
        return self.type, self.status, self.reason, self.message, self.severity

    def says(self, other: "Condition | None") -> bool:
        """It is the same but for its time."""
        return other is not None and self.said == other.said


def read_conditions(status: Json) -> tuple[Condition, ...]:
    """Return the conditions of a `status`, in their order."""
    return tuple(Condition.from_json(each) for each in status.get("conditions") or ())


def condition(conditions: Iterable[Condition], type_: str) -> Condition | None:
    """Return the condition of a type, if there is one."""
    return next((each for each in conditions if each.type == type_), None)


def same_but_for_times(before: Iterable[Condition], after: Iterable[Condition]) -> bool:
    """Return whether conditions say the same, whenever they began to."""
    return sorted(each.said for each in before) == sorted(each.said for each in after)


class ConditionPass:
    """The conditions of one object in the course of one pass.

    Conditions that are missing begin `Unknown`, or `True` if `Ready` is; over a generation that was not
    observed before, `Ready` says so until something else is known.

    Parameters
    ----------
    stored : sequence of Condition
        As the object has them.
    dependents : sequence of str
        Types that `Ready` is derived from.
    observed : bool
        The present generation was seen by an earlier pass.
    now : float
        Unix seconds; the time of all that changes.
    """

    def __init__(
        self, stored: Sequence[Condition], dependents: Sequence[str], observed: bool, now: float
    ) -> None:
        self._stored = {each.type: each for each in reversed(stored)}
        self._current = dict(self._stored)
        self._marks = 0
        self._marked: dict[str, int] = {}  # in which of the marks a condition was changed last
        self._dependents = tuple(dependents)
        self._now = float(math.floor(now))
        self._initialize()
        if not observed:
            self.mark_unknown(READY, UNOBSERVED, "unsuccessfully observed a new generation")

    def status(self, type_: str) -> str:
        """Return the present status of a condition, which is `Unknown` where there is none."""
        found = self._current.get(type_)
        return UNKNOWN if found is None else found.status

    def mark_true(self, type_: str) -> None:
        """Make a condition True and derive `Ready` anew."""
        self._set(Condition(type_, TRUE))
        unhappy = self._unhappy()
        if unhappy is not None:
            self._set(replace(unhappy, type=READY, since=None))
        elif type_ != READY:
            self._set(Condition(READY, TRUE))

    def mark_unknown(self, type_: str, reason: str, message: str) -> None:
        """Make a condition Unknown, and with a dependent also `Ready`, unless some dependent is False."""
        self._set(Condition(type_, UNKNOWN, reason, message))
        if any(self.status(each) == FALSE for each in self._dependents):
            if self.status(READY) != FALSE:
                self._set(Condition(READY, FALSE, reason, message))
        elif type_ in self._dependents:
            self._set(Condition(READY, UNKNOWN, reason, message))

    def mark_false(self, type_: str, reason: str, message: str) -> None:
        """Make a condition False, and with a dependent also `Ready`."""
        self._set(Condition(type_, FALSE, reason, message))
        if type_ in self._dependents:
            self._set(Condition(READY, FALSE, reason, message))

    def result(self) -> tuple[Condition, ...]:
        """Return the conditions by type, each since now if it changed, else since when it was."""
        return tuple(self._dated(each) for _, each in sorted(self._current.items()))

    def _dated(self, each: Condition) -> Condition:
        before = self._stored.get(each.type)
        return before if before is not None and each.says(before) else Condition(*each.said, self._now)

    def _initialize(self) -> None:
        if READY not in self._current:
            self._set(Condition(READY, UNKNOWN))
        begin = TRUE if self.status(READY) == TRUE else UNKNOWN
        for each in self._dependents:
            if each not in self._current:
                self._set(Condition(each, begin))

    def _set(self, new: Condition) -> None:
        if not new.says(self._current.get(new.type)):
            self._marks += 1
            self._marked[new.type] = self._marks
            self._current[new.type] = new

    def _unhappy(self) -> Condition | None:
        """Find what speaks against readiness: the newest that is False, else the newest Unknown."""
        grave = [each for each in self._current.values() if not each.severity and each.type != READY]
        grave.sort(key=self._age)
        for status in (FALSE, UNKNOWN):
            for each in grave:
                if each.status == status:
                    return each
        return None

    def _age(self, each: Condition) -> tuple[int, float, str]:
        """Sort key, newest first: what this pass changed is newer than all that it found."""
        return -self._marked.get(each.type, 0), -(each.since or 0.0), each.type
