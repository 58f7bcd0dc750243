"""All connections to pods, looked at in turns: who was asked, who is slow, who is idle.

An event loop would wake up, and look for callbacks, for every answer. Nearly all answers are there one turn
after their requests, so that reading whatever was asked costs two calls of the system for each scrape and
nothing else. A connection that has nothing to read yet waits in a poll object. An idle one is looked at every
few seconds: what it says unasked belongs to no request, and must not for ever be taken for the next one's
answer.

    asked in this turn ── next turn: read ──> answered
                              │ nothing there
                              └──> waiting ── poll, each turn ──> read
"""

import select
from collections import deque
from typing import Protocol

_MOST = 128
"""Of those asked, read and found readable in one turn: others wait for at most 5 ms or so."""

_RINGS = 16
"""Idle connections are looked at in as many parts, one after the other."""

_SWEEP = 4.0
"""Seconds for all of them. Looking costs 0.3 microseconds a connection."""


class Connected(Protocol):
    """What waits for its socket."""

    def ready(self) -> None:
        """The socket may have something to read, or can be written; it may also be closed by now."""


class Idle(Connected, Protocol):
    """What has a socket for long."""

    def check_idle(self) -> None:
        """The socket is readable or closed; if nothing was asked, that is the end of the connection."""


class Poller:
    """The sockets of a fleet."""

    def __init__(self) -> None:
        self.asked: deque[Connected] = deque()
        self._left = 0
        self._waiting: dict[int, Connected] = {}
        self._poll = select.poll()
        self._idle: list[dict[int, Idle]] = [{} for _ in range(_RINGS)]
        self._idle_polls = [select.poll() for _ in range(_RINGS)]
        self._ring = 0
        self._swept_at = 0

    @property
    def waits(self) -> bool:
        """Somebody had nothing to read or could not be written to when it was looked at."""
        return bool(self._waiting)

    @property
    def full(self) -> bool:
        """So many were asked since the last turn that the rest should be asked after the next."""
        return len(self.asked) - self._left >= _MOST

    @property
    def behind(self) -> bool:
        """The last turn left something to read."""
        return self._left > 0

    def turn(self, now: float) -> None:
        """Let all that can go on do so.

        Parameters
        ----------
        now : float
            Seconds; only tells how often idle connections are looked at.
        """
        asked = self.asked
        self._left = max(0, len(asked) - _MOST)
        for _ in range(len(asked) - self._left):
            asked.popleft().ready()
        if self._waiting:
            for connection in [self.stop_waiting(fd) for fd, _ in self._poll.poll(0)[:_MOST]]:
                connection.ready()
        part = int(now * _RINGS / _SWEEP)
        if part != self._swept_at and not asked:  # a batch scrape sweeps for itself
            self._swept_at = part
            self._sweep()

    def wait(self, fd: int, connection: Connected, event: int) -> None:
        """Call `ready` once, when the event (POLLIN or POLLOUT) or an error has come."""
        self._waiting[fd] = connection
        self._poll.register(fd, event)

    def stop_waiting(self, fd: int) -> Connected:
        """Forget about a connection that waits."""
        self._poll.unregister(fd)
        return self._waiting.pop(fd)

    def add(self, fd: int, connection: Idle) -> None:
        """Look after a connection while it is idle, until `remove`."""
        self._idle[fd % _RINGS][fd] = connection
        self._idle_polls[fd % _RINGS].register(fd, select.POLLIN)

    def remove(self, fd: int) -> None:
        """Forget a connection, whether it waits or not; must be called before its socket is closed."""
        del self._idle[fd % _RINGS][fd]
        self._idle_polls[fd % _RINGS].unregister(fd)
        if fd in self._waiting:
            self.stop_waiting(fd)

    def _sweep(self) -> None:
        self._ring = (self._ring + 1) % _RINGS
        ring = self._idle[self._ring]
        for connection in [ring[fd] for fd, _ in self._idle_polls[self._ring].poll(0)] if ring else ():
            connection.check_idle()
