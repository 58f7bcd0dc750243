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

from kpa.dataplane.routes import Backend, Route, RoutingTable
from metrics.key import Key

QUEUE_DEPTH = 10_000
"""Requests that may wait for one revision (knative/serving `pkg/activator/net/throttler.go`)."""

SET_ASIDE = 0.5
"""Seconds in which a backend that refused a connection gets no request; the table mostly drops it before."""


class QueueFull(Exception):
    """So many requests wait for the revision that this one cannot."""


class RevisionGone(Exception):
    """The revision left the routing table while the request waited; its host may lead elsewhere now."""


class Closable(Protocol):
    """What a place holds for its backend."""

    def close(self) -> None:
        """Let go of what is idle."""


U = TypeVar("U", bound=Closable)


class Place(Generic[U]):
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
        self._places: dict[Backend, Place[U]] = {}
        self._usable: list[Place[U]] = []
        self._waiting: OrderedDict[asyncio.Future[Place[U]], None] = OrderedDict()
        self.update(route)

    @property
    def waiting(self) -> int:
        """Requests without a backend."""
        return len(self._waiting)

    @property
    def in_flight(self) -> int:
        """Requests at backends, those that left the table included."""
        return sum(place.in_flight for place in self._places.values())

    def update(self, route: Route) -> None:
        """Follow the table; requests that can go now go at once."""
        self._concurrency = route.container_concurrency
        listed = set(route.backends)
        for backend in route.backends:
            if backend not in self._places:
                self._places[backend] = Place(backend, self._connect(backend))
        for place in list(self._places.values()):
            place.listed = place.backend in listed
            self._drop_if_done(place)
        self._find_usable()

    def vanish(self) -> None:
        """The revision left the table: those who wait raise `RevisionGone`."""
        waiting, self._waiting = self._waiting, OrderedDict()
        for future in waiting:
            if not future.done():
                future.set_exception(RevisionGone)
        for place in list(self._places.values()):
            place.listed = False
            self._drop_if_done(place)
        self._find_usable()

    async def take(self, deadline: float, *, again: bool = False) -> Place[U]:
        """A place for one request, which `give_back` must return.

        Parameters
        ----------
        deadline : float
            Time of the event loop until which the request may wait.
        again : bool
            It had a place that refused it: it goes before all others.

        Raises
        ------
        QueueFull
            `QUEUE_DEPTH` requests wait already.
        TimeoutError
            The deadline passed.
        RevisionGone
            The revision left the table meanwhile.
        """
        place = self._pick()  # there is none while others wait, see check_valid
        if place is not None:
            place.in_flight += 1
            return place
        if len(self._waiting) >= QUEUE_DEPTH and not again:
            raise QueueFull
        future: asyncio.Future[Place[U]] = asyncio.get_running_loop().create_future()
        self._waiting[future] = None
        if again:
            self._waiting.move_to_end(future, last=False)
        async with asyncio.timeout_at(deadline):
            return await self._wait(future)

    async def _wait(self, future: "asyncio.Future[Place[U]]") -> Place[U]:
        try:
            return await future
        except asyncio.CancelledError:
            self._waiting.pop(future, None)
            if future.done() and not future.cancelled() and future.exception() is None:
                self.give_back(future.result())  # it got its place in the moment in which it gave up
            raise

    def give_back(self, place: Place[U]) -> None:
        """A request has left its place; the next one takes it."""
        place.in_flight -= 1
        self._drop_if_done(place)
        if self._waiting:
            self._serve_waiting()

    def set_aside(self, place: Place[U]) -> None:
        """A backend refused a connection: give it nothing for a moment."""
        if place.listed and not place.aside:
            place.aside = True
            self._find_usable()
            asyncio.get_running_loop().call_later(SET_ASIDE, self._take_up, place)

    def why_waiting(self) -> str:
        """What a request that waits is waiting for."""
        listed = sum(place.listed for place in self._places.values())
        if not listed:
            return "no backend is ready"
        if not self._usable:
            return f"none of {listed} backends accepts a connection"
        return f"{listed} backends are busy with {self._concurrency} requests each, {self.waiting} wait"

    def check_valid(self) -> None:
        """Assert what holds at any time."""
        for place in self._places.values():
            assert place.in_flight >= 0, f"{place.backend} has {place.in_flight} requests"
            assert place.listed or place.in_flight, f"{place.backend} is done and still here"
        free = [
            place for place in self._usable if not self._concurrency or place.in_flight < self._concurrency
        ]
        assert not (self._waiting and free), (
            f"{self.waiting} requests wait although {free[0].backend} has room"
        )

    def _take_up(self, place: Place[U]) -> None:
        place.aside = False
        self._find_usable()

    def _find_usable(self) -> None:
        self._usable = [place for place in self._places.values() if place.listed and not place.aside]
        self._serve_waiting()

    def _serve_waiting(self) -> None:
        while self._waiting:
            place = self._pick()
            if place is None:
                return
            future, _ = self._waiting.popitem(last=False)
            if not future.done():  # else its request was cancelled in this very moment
                place.in_flight += 1
                future.set_result(place)

    def _pick(self) -> Place[U] | None:
        usable = self._usable
        if self._concurrency:
            best, least = None, self._concurrency
            for place in usable:
                if place.in_flight < least:
                    best, least = place, place.in_flight
            return best
        if len(usable) < 2:
            return usable[0] if usable else None
        first = int(random.random() * len(usable))
        one, other = usable[first], usable[first - 1 - int(random.random() * (len(usable) - 1))]
        return one if one.in_flight <= other.in_flight else other

    def _drop_if_done(self, place: Place[U]) -> None:
        if not place.listed and not place.in_flight and self._places.get(place.backend) is place:
            del self._places[place.backend]
            place.upstream.close()


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
