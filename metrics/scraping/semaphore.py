"""Lets a bounded number of scrapes go on at a time, in the order in which they came."""

from collections import deque
from typing import Protocol

_AT_ONCE = 64
"""Scrapes of services at a time, with at most 16 connections each."""


class Entrant(Protocol):
    """Who waits at a gate."""

    def begin(self) -> None:
        """Go through; called at once or later."""


class Gate:
    """Lets a bounded number of scrapes go on at a time, in the order in which they came.

    Parameters
    ----------
    at_once : int
    """

    def __init__(self, at_once: int = _AT_ONCE) -> None:
        self._at_once = at_once
        self._inside: set[Entrant] = set()
        self._waiting: deque[Entrant] = deque()

    def enter(self, entrant: Entrant) -> None:
        """Have one begin as soon as there is room."""
        self._waiting.append(entrant)
        self._admit()

    def leave(self, entrant: Entrant) -> None:
        """Make room for the next; one that still waits waits no longer."""
        if entrant in self._inside:
            self._inside.remove(entrant)
            self._admit()
        else:
            self._waiting.remove(entrant)

    def _admit(self) -> None:
        while self._waiting and len(self._inside) < self._at_once:
            entrant = self._waiting.popleft()
            self._inside.add(entrant)
            entrant.begin()
