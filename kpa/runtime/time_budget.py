"""Long work in slices, so that the event loop is never held up for long."""

import math
import time

LENGTH = 0.003
"""Seconds of a budget; several kinds of work may each have one in a turn of the event loop."""


class TimeBudget:
    """Time for part of the work; by default without an end.

    Parameters
    ----------
    seconds : float
    """

    __slots__ = ("_ends_at",)

    def __init__(self, seconds: float = math.inf) -> None:
        self._ends_at = time.perf_counter() + seconds

    @property
    def over(self) -> bool:
        """The rest is for another budget."""
        return time.perf_counter() >= self._ends_at
