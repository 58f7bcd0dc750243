"""Limits the writes in flight by priority: what users wait for goes first.

    acquire(SCALE) ──> replicas ──> acquire(SERVICES) ──> Metric, ServerlessService ──┐
    ┌─────────────────────────────────────────────────────────────────────────────────┘
    └> acquire(STATUS) ──> status ──> acquire(METRIC) ──> status of the Metric

A busy API server answers each of many requests late. So only a few writes without a waiting user are in
flight, and a write that a request waits for neither queues behind them here nor competes with them there.
"""

import asyncio
import itertools
from collections.abc import Sequence
from enum import IntEnum
from heapq import heapify, heappop, heappush


class Priority(IntEnum):
    """What is written; the lower goes first."""

    SCALE = 0
    SERVICES = 1
    STATUS = 2
    METRIC = 3


LIMITS = (48, 8, 6, 4)
"""Of each priority: writes in flight, of any priority, below which another one begins.

8 writes of 2 to 20 ms each keep an API server of a few cores busy; 16 took as long for all, and a scale from
zero waited twice as long among them. `STATUS` leaves room for services, `METRIC` for both. All are fewer than
the client's own limit, so that leases never wait.
"""


class Superseded(Exception):
    """The job is obsolete: there is a newer one, or none any more."""


class PriorityLimiter:
    """Hands out permits to write.

    Parameters
    ----------
    limits : sequence of int
        For each priority; none is larger than the one before.
    """

    def __init__(self, limits: Sequence[int] = LIMITS) -> None:
        self._limits = limits
        self._running = 0
        self._cancelled = 0  # of those in the queue, at least
        self._numbers = itertools.count()
        self._waiting: list[tuple[int, int, int, asyncio.Future[None]]] = []

    def number(self) -> int:
        """Return a place in the queue: of equal priorities the lower goes first."""
        return next(self._numbers)

    def request(self, priority: int, number: int) -> "asyncio.Future[None] | None":
        """Begin at once and return None, or return a future that is done once the write may begin."""
        if self._running < self._limits[priority]:
            self._running += 1
            return None
        ticket = asyncio.get_running_loop().create_future()
        heappush(self._waiting, (priority, number, self.number(), ticket))
        return ticket

    def cancel(self, ticket: "asyncio.Future[None]") -> None:
        """End the wait for a future: Superseded is raised there."""
        ticket.set_exception(Superseded())
        self._cancelled += 1
        if self._cancelled > len(self._waiting) // 2:
            self._waiting = [entry for entry in self._waiting if not entry[-1].done()]
            heapify(self._waiting)
            self._cancelled = 0

    def release(self) -> None:
        """Count one write less, and let the next ones begin."""
        self._running -= 1
        while self._waiting:
            priority, _, _, ticket = self._waiting[0]
            if not ticket.done():
                if self._running >= self._limits[priority]:
                    return
                self._running += 1
                ticket.set_result(None)
            else:
                self._cancelled = max(0, self._cancelled - 1)
            heappop(self._waiting)


class Permit:
    """One job's permit to write; the job keeps its place in the queue from priority to priority.

    Parameters
    ----------
    limiter : PriorityLimiter
    number : int
        Its place.
    """

    def __init__(self, limiter: PriorityLimiter, number: int) -> None:
        self._limiter = limiter
        self._number = number
        self._priority: int | None = None
        self._ticket: asyncio.Future[None] | None = None
        self._superseded = False

    async def acquire(self, priority: Priority) -> None:
        """Wait until a write of a priority may begin; a permit of that priority is kept.

        Raises
        ------
        Superseded
            There is a newer job, or this one is obsolete.
        """
        if self._superseded:
            raise Superseded
        if priority == self._priority:
            return
        self.release()
        self._ticket = self._limiter.request(priority, self._number)
        if self._ticket is not None:
            await self._wait(self._ticket)
        self._priority = priority

    async def _wait(self, ticket: "asyncio.Future[None]") -> None:
        try:
            await ticket
        except asyncio.CancelledError:
            if ticket.done() and not ticket.cancelled() and ticket.exception() is None:
                self._limiter.release()  # granted and cancelled at the same moment
            raise
        finally:
            self._ticket = None

    def supersede(self) -> None:
        """End the job the next time it acquires, or now if it waits."""
        self._superseded = True
        if self._ticket is not None and not self._ticket.done():
            self._limiter.cancel(self._ticket)

    def release(self) -> None:
        """Give the permit back, if there is one."""
        if self._priority is not None:
            self._priority = None
            self._limiter.release()
