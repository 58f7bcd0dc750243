"""Who may write now: some at a time, what users wait for first.

    take(SCALE) ──> replicas ──> take(SERVICES) ──> Metric, ServerlessService ──┐
    ┌───────────────────────────────────────────────────────────────────────────┘
    └> take(STATUS) ──> status ──> take(METRIC) ──> status of the Metric

An API server with much to do answers each of many requests late. So only few writes that nobody waits for are
in flight, and those that a request waits for neither stand behind them here nor find a crowd there.
"""

import asyncio
import itertools
from collections.abc import Sequence
from enum import IntEnum
from heapq import heapify, heappop, heappush


class Rank(IntEnum):
    """What is written; the lower goes first."""

    SCALE = 0
    SERVICES = 1
    STATUS = 2
    METRIC = 3


LIMITS = (48, 8, 6, 4)
"""Of each rank: so many may write already when another one begins.

8 writes of 2 to 20 ms each keep an API server of a few cores busy; 16 took as long for all, and a scale from
zero waited twice as long among them. `STATUS` leaves room for services, `METRIC` for both. All are fewer than
the client's own limit, so that leases never wait.
"""


class Superseded(Exception):
    """There is a newer job, or none any more: what waits for its turn is not wanted."""


class Turns:
    """Gives turns.

    Parameters
    ----------
    limits : sequence of int
        For each rank; none is larger than the one before.
    """

    def __init__(self, limits: Sequence[int] = LIMITS) -> None:
        self._limits = limits
        self._running = 0
        self._given_up = 0  # of those in the queue, at least
        self._numbers = itertools.count()
        self._waiting: list[tuple[int, int, int, asyncio.Future[None]]] = []

    def number(self) -> int:
        """Return a place in the queue: among equals the lower goes first."""
        return next(self._numbers)

    def ask(self, rank: int, number: int) -> "asyncio.Future[None] | None":
        """Begin at once, or return what is done once it is our turn."""
        if self._running < self._limits[rank]:
            self._running += 1
            return None
        ticket = asyncio.get_running_loop().create_future()
        heappush(self._waiting, (rank, number, self.number(), ticket))
        return ticket

    def give_up(self, ticket: "asyncio.Future[None]") -> None:
        """Let who waits with a ticket wait no longer: Superseded is raised there."""
        ticket.set_exception(Superseded())
        self._given_up += 1
        if self._given_up > len(self._waiting) // 2:
            self._waiting = [entry for entry in self._waiting if not entry[-1].done()]
            heapify(self._waiting)
            self._given_up = 0

    def end(self) -> None:
        """Let the next ones begin."""
        self._running -= 1
        while self._waiting:
            rank, _, _, ticket = self._waiting[0]
            if not ticket.done():
                if self._running >= self._limits[rank]:
                    return
                self._running += 1
                ticket.set_result(None)
            else:
                self._given_up = max(0, self._given_up - 1)
            heappop(self._waiting)


class Turn:
    """One job's turn; it keeps its place in the queue from rank to rank.

    Parameters
    ----------
    turns : Turns
    number : int
        Its place.
    """

    def __init__(self, turns: Turns, number: int) -> None:
        self._turns = turns
        self._number = number
        self._rank: int | None = None
        self._ticket: asyncio.Future[None] | None = None
        self._superseded = False

    async def take(self, rank: Rank) -> None:
        """Wait until something of a rank may be written; what has its turn at that rank goes on.

        Raises
        ------
        Superseded
            There is a newer job, or this one is not wanted any more.
        """
        if self._superseded:
            raise Superseded
        if rank == self._rank:
            return
        self.end()
        self._ticket = self._turns.ask(rank, self._number)
        if self._ticket is not None:
            await self._wait(self._ticket)
        self._rank = rank

    async def _wait(self, ticket: "asyncio.Future[None]") -> None:
        try:
            await ticket
        except asyncio.CancelledError:
            if ticket.done() and not ticket.cancelled() and ticket.exception() is None:
                self._turns.end()  # it was our turn, and the end came at the same moment
            raise
        finally:
            self._ticket = None

    def supersede(self) -> None:
        """End the job the next time it waits for its turn, or now if it does."""
        self._superseded = True
        if self._ticket is not None and not self._ticket.done():
            self._turns.give_up(self._ticket)

    def end(self) -> None:
        """Give the turn back, if it has it."""
        if self._rank is not None:
            self._rank = None
            self._turns.end()
