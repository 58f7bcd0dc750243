"""Where a request waits, and which backend takes it.

Of one revision, requests wait in one queue, first come first served, until a backend has room. Every ready
backend of the routing table is used as it stands there: the peer's activator probes pods before it sends to
them because it learns addresses and not readiness; this table lists ready backends only, so a probe would
only add its time.
"""

import asyncio
import random
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from kpa.dataplane.http.breaker import QueueFull
from kpa.dataplane.routes import Backend, Route, RoutingTable
from metrics.key import Key

QUEUE_DEPTH = 10_000
"""Requests that may wait for one revision (knative/serving `pkg/activator/net/throttler.go`)."""

SET_ASIDE = 0.5
"""Seconds in which a backend that refused a connection gets no request; the table mostly drops it before."""


class RevisionGone(Exception):
    """The revision left the routing table while the request waited; its host may lead elsewhere now."""


class Closable(Protocol):
    """What a tracker holds for its backend."""

    def close(self) -> None:
        """Let go of what is idle."""


U = TypeVar("U", bound=Closable)


class PodTracker(Generic[U]):
    """One backend and the requests that this activator has in flight there."""

    __slots__ = ("aside", "backend", "in_flight", "listed", "upstream")

    def __init__(self, backend: Backend, upstream: U) -> None:
        self.backend = backend
        self.upstream = upstream
        self.in_flight = 0
        self.listed = True
        self.aside = False


class RevisionThrottle(Generic[U]):
    """Queue and backends of one revision.

    A backend takes at most `container_concurrency` requests of this activator at a time (0: any number).
    One that leaves the table finishes its requests and gets no new ones; one that refuses a connection is
    set aside for `SET_ASIDE` seconds. Requests of other activators are not known here: the queue-proxy
    counts all of them and keeps the hard limit.

    Parameters
    ----------
    route : Route
        The revision's entry in the table.
    connect : Callable[[Backend], U]
        Makes what requests of one backend go through.

    Notes
    -----
    Bounded concurrency goes to the least loaded backend, unbounded to the less loaded of two at random. The
    peer takes the first free one up to a concurrency of 3 and goes round above (knative/serving
    `pkg/activator/net/lb_policy.go`); the least loaded serves both, as requests to a model differ in
    length. A choice costs one look at each backend.
    """

    def __init__(self, route: Route, connect: Callable[[Backend], U]) -> None:
        self._connect = connect
        self._concurrency = 0
        self._trackers: dict[Backend, PodTracker[U]] = {}
        self._usable: list[PodTracker[U]] = []
        self._waiting: OrderedDict[asyncio.Future[PodTracker[U]], None] = OrderedDict()
        self.update(route)

    @property
    def waiting(self) -> int:
        """Requests without a backend."""
        return len(self._waiting)

    @property
    def in_flight(self) -> int:
        """Requests at backends, those that left the table included."""
        return sum(tracker.in_flight for tracker in self._trackers.values())

    def update(self, route: Route) -> None:
        """Follow the table; requests that can go now go at once."""
        self._concurrency = route.container_concurrency
        listed = set(route.backends)
        for backend in route.backends:
            if backend not in self._trackers:
                self._trackers[backend] = PodTracker(backend, self._connect(backend))
        for tracker in list(self._trackers.values()):
            tracker.listed = tracker.backend in listed
            self._drop_if_done(tracker)
        self._find_usable()

    def vanish(self) -> None:
        """The revision left the table: those who wait raise `RevisionGone`."""
        waiting, self._waiting = self._waiting, OrderedDict()
        for future in waiting:
            if not future.done():
                future.set_exception(RevisionGone)
        for tracker in list(self._trackers.values()):
            tracker.listed = False
            self._drop_if_done(tracker)
        self._find_usable()

    async def take(self, deadline: float, *, again: bool = False) -> PodTracker[U]:
        """A tracker for one request, which `give_back` must return.

        Parameters
        ----------
        deadline : float
            Time of the event loop until which the request may wait.
        again : bool
            It had a tracker that refused it: it goes before all others.

        Raises
        ------
        QueueFull
            `QUEUE_DEPTH` requests wait already.
        TimeoutError
            The deadline passed.
        RevisionGone
            The revision left the table meanwhile.
        """
        tracker = self._pick()  # None while others wait, see check_valid
        if tracker is not None:
            tracker.in_flight += 1
            return tracker
        if len(self._waiting) >= QUEUE_DEPTH and not again:
            raise QueueFull
        future: asyncio.Future[PodTracker[U]] = asyncio.get_running_loop().create_future()
        self._waiting[future] = None
        if again:
            self._waiting.move_to_end(future, last=False)
        async with asyncio.timeout_at(deadline):
            return await self._wait(future)

    async def _wait(self, future: "asyncio.Future[PodTracker[U]]") -> PodTracker[U]:
        try:
            return await future
        except asyncio.CancelledError:
            self._waiting.pop(future, None)
            if future.done() and not future.cancelled() and future.exception() is None:
                self.give_back(future.result())  # it got its tracker in the moment in which it gave up
            raise

    def give_back(self, tracker: PodTracker[U]) -> None:
        """A request has left its tracker; the next one takes it."""
        tracker.in_flight -= 1
        self._drop_if_done(tracker)
        if self._waiting:
            self._serve_waiting()

    def set_aside(self, tracker: PodTracker[U]) -> None:
        """A backend refused a connection: give it nothing for a moment."""
        if tracker.listed and not tracker.aside:
            tracker.aside = True
            self._find_usable()
            asyncio.get_running_loop().call_later(SET_ASIDE, self._take_up, tracker)

    def why_waiting(self) -> str:
        """What a request that waits is waiting for."""
        listed = sum(tracker.listed for tracker in self._trackers.values())
        if not listed:
            return "no backend is ready"
        if not self._usable:
            return f"none of {listed} backends accepts a connection"
        return f"{listed} backends are busy with {self._concurrency} requests each, {self.waiting} wait"

    def check_valid(self) -> None:
        """Assert what holds at any time."""
        for tracker in self._trackers.values():
            assert tracker.in_flight >= 0, f"{tracker.backend} has {tracker.in_flight} requests"
            assert tracker.listed or tracker.in_flight, f"{tracker.backend} is done and still here"
        free = [
            tracker
            for tracker in self._usable
            if not self._concurrency or tracker.in_flight < self._concurrency
        ]
        assert not (self._waiting and free), (
            f"{self.waiting} requests wait although {free[0].backend} has room"
        )

    def _take_up(self, tracker: PodTracker[U]) -> None:
        tracker.aside = False
        self._find_usable()

    def _find_usable(self) -> None:
        self._usable = [
            tracker for tracker in self._trackers.values() if tracker.listed and not tracker.aside
        ]
        self._serve_waiting()

    def _serve_waiting(self) -> None:
        while self._waiting:
            tracker = self._pick()
            if tracker is None:
                return
            future, _ = self._waiting.popitem(last=False)
            if not future.done():  # else its request was cancelled in this very moment
                tracker.in_flight += 1
                future.set_result(tracker)

    def _pick(self) -> PodTracker[U] | None:
        usable = self._usable
        if self._concurrency:
            best, least = None, self._concurrency
            for tracker in usable:
                if tracker.in_flight < least:
                    best, least = tracker, tracker.in_flight
            return best
        if len(usable) < 2:
            return usable[0] if usable else None
        first = int(random.random() * len(usable))
        one, other = usable[first], usable[first - 1 - int(random.random() * (len(usable) - 1))]
        return one if one.in_flight <= other.in_flight else other

    def _drop_if_done(self, tracker: PodTracker[U]) -> None:
        if not tracker.listed and not tracker.in_flight and self._trackers.get(tracker.backend) is tracker:
            del self._trackers[tracker.backend]
            tracker.upstream.close()


class Throttle(Generic[U]):
    """The throttles of all revisions of a routing table.

    Parameters
    ----------
    connect : Callable[[Backend], U]
        Makes what requests of one backend go through.
    """

    def __init__(self, connect: Callable[[Backend], U]) -> None:
        self._connect = connect
        self._revisions: dict[Key, RevisionThrottle[U]] = {}
        self.table = RoutingTable()

    def apply(self, table: RoutingTable) -> None:
        """Follow a new table; a revision that it lacks is forgotten once its last request is done."""
        before, self.table = self.table, table
        for key, route in table.by_key.items():
            if key not in self._revisions:
                self._revisions[key] = RevisionThrottle(route, self._connect)
            elif before.by_key.get(key) != route:
                self._revisions[key].update(route)
        for key in self._revisions.keys() - table.by_key.keys():
            self._revisions[key].vanish()
            if not self._revisions[key].in_flight:
                del self._revisions[key]

    def of(self, route: Route) -> RevisionThrottle[U]:
        """The throttle of a route of the current table."""
        return self._revisions[route.key]
