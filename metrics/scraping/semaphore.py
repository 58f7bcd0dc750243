"""Limits how many scrapes run at a time; the others wait in order."""

from collections import deque
from typing import Protocol

_AT_ONCE = 64
"""Scrapes of services at a time, with at most 16 connections each."""


class Waiter(Protocol):
    """Waits at a semaphore."""

    def begin(self) -> None:
        """Start; called at once or later."""


class ScrapeSemaphore:
    """Limits how many scrapes run at a time; the others wait in order.

    Parameters
    ----------
    at_once : int
    """

    def __init__(self, at_once: int = _AT_ONCE) -> None:
        self._at_once = at_once
        self._inside: set[Waiter] = set()
        self._waiting: deque[Waiter] = deque()

    def enter(self, waiter: Waiter) -> None:
        """Start a waiter as soon as there is room."""
        self._waiting.append(waiter)
        self._admit()

    def leave(self, waiter: Waiter) -> None:
        """Make room for the next waiter, or stop waiting."""
        if waiter in self._inside:
            self._inside.remove(waiter)
            self._admit()
        else:
            self._waiting.remove(waiter)

    def _admit(self) -> None:
        while self._waiting and len(self._inside) < self._at_once:
            waiter = self._waiting.popleft()
            self._inside.add(waiter)
            waiter.begin()
