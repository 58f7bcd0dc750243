"""Bounds of a revision's scale: minimum, maximum, initial scale.

Source: annotations `min-scale`, `max-scale`, `initial-scale`; `knative/serving
pkg/reconciler/autoscaling/kpa/scaler.go`.
"""

from dataclasses import dataclass

UNKNOWN = -1
"""A scale that is not known yet."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Least and most pods; a most of 0 is none."""

    least: int
    most: int

    def apply(self, recommended: int) -> int:
        """Return a scale within the bounds; where they cross, the least one wins."""
        if recommended < self.least:
            return self.least
        if self.most and recommended > self.most:
            return self.most
        return recommended


def bounds(min_scale: int, max_scale: int, initial_scale: int, initialized: bool, reachable: bool) -> Bounds:
    """Return the bounds that hold now.

    A revision that no route points at has no minimum. One that has not reached its initial scale yet is not
    let below it.

    Examples
    --------
    >>> bounds(1, 5, 3, initialized=False, reachable=True)
    Bounds(least=3, most=5)
    >>> bounds(1, 5, 3, initialized=True, reachable=True)
    Bounds(least=1, most=5)
    """
    least = min_scale if reachable else 0
    if initial_scale > 1 and not initialized and reachable:
        least = max(least, initial_scale)
    return Bounds(least, max_scale)


def active_threshold(min_scale: int, initial_scale: int, initialized: bool, reachable: bool) -> int:
    """Return the ready pods from which a revision counts as active."""
    least = min_scale if reachable else 0
    return max(least, 1) if initialized else max(least, initial_scale)
