"""When which revision is due: the earliest time is at hand, whatever the size of the fleet."""

import heapq

from metrics.key import Key

_SPARE = 64
"""Entries of replaced times that are kept however few revisions there are."""


class Deadlines:
    """At most one time per revision; setting one replaces the one before."""

    def __init__(self) -> None:
        self._at: dict[Key, float] = {}
        self._heap: list[tuple[float, Key]] = []

    def set(self, key: Key, at: float | None) -> None:
        """Make a revision due at a unix time, or never."""
        if at is None:
            self._at.pop(key, None)
        elif self._at.get(key) != at:
            self._at[key] = at
            heapq.heappush(self._heap, (at, key))
            if len(self._heap) > _SPARE + 2 * len(self._at):  # mostly replaced ones, which may be far ahead
                self._heap = [(at, key) for key, at in self._at.items()]
                heapq.heapify(self._heap)

    def earliest(self) -> float | None:
        """Return the time of the revision that is due first."""
        while self._heap and self._at.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take_due(self, now: float) -> list[Key]:
        """Remove and return the revisions whose time has come."""
        due = []
        while (earliest := self.earliest()) is not None and earliest <= now:
            due.append(heapq.heappop(self._heap)[1])
            del self._at[due[-1]]
        return due
