"""When rounds begin: spread over the first part of each second, and each with a second of its own.

Values recorded for one second add up in the windows, and a second without one reads as zero. So a round that
begins a little late must neither count for the next second nor leave its own empty. Here a round belongs
to the second in which it is planned, whenever it really runs:

    plan      10.00 a   10.01 b   10.02 c   | 11.00 a   11.01 b ...
    runs on time: a 10   b 10   c 10   a 11   b 11 ...
    loop late by 300 ms at 10.00: a, b, c begin at 10.30 and still belong to 10
    loop stops from 10.005 to 14.015: b 14, a 14 and c 13 begin then (each item once), c 14 at 14.02
"""

import math
from collections.abc import Hashable
from typing import Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)


class Schedule(Generic[Item]):
    """A ring of slots within the second; every item has one and falls due there once a second.

    Parameters
    ----------
    per_second : int
        Slots a second.
    used : int
        How many of them, from the start of the second, take items; the rest leaves time to answer.
    crowd : int
        Items that a slot takes before the next one is used: few items need few slots.

    Notes
    -----
    Adding and removing cost O(used) and O(1), `advance` O(slots passed + items due).
    """

    def __init__(self, per_second: int = 100, used: int = 50, crowd: int = 1) -> None:
        if not 0 < used <= per_second:
            raise ValueError(f"used slots must be within 1..{per_second}, not {used}")
        self._per_second = per_second
        self._crowd = crowd
        self._ring: list[dict[Item, None]] = [{} for _ in range(used)]
        self._slot_of: dict[Item, dict[Item, None]] = {}
        self._position: int | None = None

    def add(self, item: Item) -> None:
        """Give an item the first slot below `crowd` items; without one, the emptiest slot."""
        slot = min(self._ring, key=lambda slot: max(len(slot), self._crowd - 1))
        slot[item] = None
        self._slot_of[item] = slot

    def remove(self, item: Item) -> None:
        """Remove an item.

        Raises
        ------
        KeyError
            The item is unknown.
        """
        del self._slot_of.pop(item)[item]

    def advance(self, now: float) -> list[tuple[int, Item]]:
        """Return the rounds that are due by now and were not returned before, with their seconds.

        An item's seconds only ever rise, and by one each time as long as calls are less than a second
        apart. After a longer stall each item is due once, not once for every second missed.

        Parameters
        ----------
        now : float
            Unix time in seconds. While it is earlier than in a call before, nothing is due.
        """
        position = math.floor(now * self._per_second)
        last = position - 1 if self._position is None else self._position
        last = max(last, position - self._per_second)
        self._position = max(position, last)
        due = []
        for passed in range(last + 1, position + 1):
            second, slot = divmod(passed, self._per_second)
            if slot < len(self._ring):
                due += [(second, item) for item in self._ring[slot]]
        return due

    def restart_if_stepped_back(self, now: float) -> bool:
        """Restart at `now` if the clock was set back by more than a second; return whether it was.

        After a smaller step nothing is due until the clock catches up: those seconds have had their rounds.
        """
        if self._position is None or now * self._per_second >= self._position - self._per_second:
            return False
        self._position = None
        return True

    def next_due(self) -> float | None:
        """Return the unix time at which the next item falls due; None without items or before `advance`."""
        if self._position is None or not self._slot_of:
            return None
        for position in range(self._position + 1, self._position + 1 + self._per_second):
            slot = position % self._per_second
            if slot < len(self._ring) and self._ring[slot]:
                return position / self._per_second
        return None
