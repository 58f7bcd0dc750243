"""What happens when: a heap of future events."""

import heapq
from collections.abc import Callable
from typing import Any


class EventQueue:
    """Future events in order of time; those of one time in the order in which they were added.

    Attributes
    ----------
    heap : list
        Of (seconds, number, action, argument); the model's loop reads its head.
    """

    __slots__ = ("_number", "heap")

    def __init__(self) -> None:
        self.heap: list[tuple[float, int, Callable[[float, Any], None], Any]] = []
        self._number = 0

    def add(self, at: float, action: Callable[[float, Any], None], argument: Any = None) -> None:
        """Have `action(at, argument)` called."""
        self._number += 1
        heapq.heappush(self.heap, (at, self._number, action, argument))
