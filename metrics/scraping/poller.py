"""Polls all connections to pods in turns: those just asked, those waiting, and those idle.

An event loop would wake up and run callbacks for every response. Nearly all responses are there one turn
after their requests, so reading every connection that was asked takes two system calls per scrape and nothing
else. A connection without data waits in a poll object. An idle one is checked every few seconds: bytes that
come without a request must not be read as the response to the next one.

    asked in this turn ── next turn: read ──> answered
                              │ nothing there
                              └──> waiting ── poll, each turn ──> read
"""

import select
from collections import deque
from typing import Protocol

_MOST = 128
"""Connections read in one turn; others wait for at most about 5 ms."""

_RINGS = 16
"""Parts in which idle connections are checked, one after the other."""

_SWEEP = 4.0
"""Seconds for all of them. A check costs 0.3 microseconds a connection."""


class Connected(Protocol):
    """An object that waits for its socket."""

    def ready(self) -> None:
        """The socket may have something to read, or can be written; it may also be closed by now."""


class Idle(Connected, Protocol):
    """An object with a long-lived socket."""

    def check_idle(self) -> None:
        """The socket is readable or closed; without a request the connection ends."""


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
        """A connection had no data, or was not writable, when it was last checked."""
        return bool(self._waiting)

    @property
    def full(self) -> bool:
        """The requests since the last turn fill the next one; further ones should follow after it."""
        return len(self.asked) - self._left >= _MOST

    @property
    def behind(self) -> bool:
        """The last turn left something to read."""
        return self._left > 0

    def turn(self, now: float) -> None:
        """Read all connections that have data.

        Parameters
        ----------
        now : float
            Seconds; sets only how often idle connections are checked.
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
        """Stop waiting for a connection."""
        self._poll.unregister(fd)
        return self._waiting.pop(fd)

    def add(self, fd: int, connection: Idle) -> None:
        """Check a connection while it is idle, until `remove`."""
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
