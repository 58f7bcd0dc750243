"""Waiting for a backend and the choice of one: limits, order, changes of the table, refusals, cancellation.

Left out: HTTP (test_activator_server).
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from kpa.dataplane.activator import throttle as throttle_module
from kpa.dataplane.activator.throttle import PodTracker, RevisionGone, RevisionThrottle, Throttle
from kpa.dataplane.http.breaker import QueueFull
from kpa.dataplane.routes import Backend, Route, RoutingTable

A, B, C = (Backend(name, f"127.0.0.1:{port}") for name, port in (("a", 1), ("b", 2), ("c", 3)))


class Upstream:
    """What a place holds for its backend, as far as the throttle cares."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.closed = False

    def close(self) -> None:
        self.closed = True


def route(*backends: Backend, concurrency: int = 0, name: str = "hello-00001") -> Route:
    return Route("default", name, (f"{name}.localhost",), concurrency, 5.0, backends)


@pytest.fixture
def make() -> Any:
    made = []

    def make_throttle(*backends: Backend, concurrency: int = 0) -> RevisionThrottle[Upstream]:
        made.append(RevisionThrottle(route(*backends, concurrency=concurrency), Upstream))
        return made[-1]

    yield make_throttle
    for throttle in made:
        throttle.check_valid()


def soon() -> float:
    return asyncio.get_running_loop().time() + 30.0


async def take(throttle: RevisionThrottle[Upstream], **options: Any) -> PodTracker[Upstream]:
    return await throttle.take(soon(), **options)


async def started(coroutine: Awaitable[Any]) -> asyncio.Task[Any]:
    task = asyncio.ensure_future(coroutine)
    await asyncio.sleep(0)
    return task


async def test_a_request_goes_at_once_to_a_backend_with_room(make):
    task = await started(take(make(A, concurrency=1)))
    assert task.done()
    assert task.result().backend == A


async def test_a_request_at_zero_goes_when_the_table_gains_a_backend(make):
    throttle = make()
    task = await started(take(throttle))
    assert throttle.waiting == 1
    throttle.update(route(A))
    assert (await task).backend == A
    assert throttle.waiting == 0


async def test_no_backend_gets_more_than_the_container_concurrency(make):
    throttle = make(A, B, concurrency=2)
    tasks = [await started(take(throttle)) for _ in range(7)]
    places = [task.result() for task in tasks if task.done()]
    assert sorted(place.backend.name for place in places) == ["a", "a", "b", "b"]
    assert throttle.waiting == 3
    await cancel(*tasks)


async def test_bounded_concurrency_goes_to_the_least_loaded(make):
    throttle = make(A, B, C, concurrency=10)
    places = [await take(throttle) for _ in range(9)]
    assert sorted(place.backend.name for place in places) == [*"aaabbbccc"]
    for place in places:
        if place.backend == B:
            throttle.give_back(place)
    assert [(await take(throttle)).backend for _ in range(3)] == [B, B, B]


async def test_unbounded_concurrency_spreads_over_all_backends(make):
    throttle = make(A, B, C)
    places = [await take(throttle) for _ in range(300)]
    counts = {place.backend.name: place.in_flight for place in places}
    assert counts.keys() == {"a", "b", "c"}
    assert max(counts.values()) - min(counts.values()) < 30, "two choices keep them close, one would not"


async def test_of_two_backends_the_less_loaded_is_taken(make):
    throttle = make(A, B)
    places = [await take(throttle) for _ in range(100)]
    assert {place.in_flight for place in places} == {50}


async def test_of_several_backends_the_most_loaded_is_never_taken(make):
    """It is compared with another one each time."""
    backends = [Backend(name, f"127.0.0.1:{port}") for port, name in enumerate("abcde", 1)]
    throttle = make(backends[0])
    for _ in range(100):
        await take(throttle)
    throttle.update(route(*backends))
    taken = {(await take(throttle)).backend for _ in range(90)}
    assert taken == set(backends[1:])


async def test_first_come_first_served(make):
    throttle = make(A, concurrency=1)
    place = await take(throttle)
    order: list[int] = []

    async def request(number: int) -> None:
        mine = await take(throttle)
        order.append(number)
        await asyncio.sleep(0)
        throttle.give_back(mine)

    tasks = [await started(request(number)) for number in range(20)]
    throttle.give_back(place)
    latecomer = await started(request(20))
    await asyncio.gather(*tasks, latecomer)
    assert order == list(range(21))


async def test_capacity_follows_the_table_live(make):
    throttle = make(A, concurrency=1)
    tasks = [await started(take(throttle)) for _ in range(6)]
    throttle.update(route(A, B, concurrency=1))
    throttle.update(route(A, B, concurrency=2))
    await asyncio.sleep(0)
    assert [task.done() for task in tasks] == [True] * 4 + [False] * 2
    assert throttle.in_flight == 4
    throttle.update(route(A, B, concurrency=0))
    await asyncio.gather(*tasks)


async def test_a_lower_limit_counts_for_new_requests(make):
    throttle = make(A, concurrency=3)
    places = [await take(throttle) for _ in range(3)]
    throttle.update(route(A, concurrency=1))
    task = await started(take(throttle))
    for place in places:
        await asyncio.sleep(0)
        assert not task.done()
        throttle.give_back(place)
    assert (await task).in_flight == 1


async def test_a_backend_that_leaves_finishes_its_requests_and_gets_no_new_ones(make):
    throttle = make(A, concurrency=5)
    place = await take(throttle)
    throttle.update(route(B, concurrency=5))
    assert [(await take(throttle)).backend for _ in range(5)] == [B] * 5
    assert not place.upstream.closed
    throttle.give_back(place)
    assert place.upstream.closed


async def test_an_idle_backend_that_leaves_is_closed_at_once(make):
    throttle = make(A, concurrency=5)
    place = await take(throttle)
    throttle.give_back(place)
    throttle.update(route(concurrency=5))
    assert place.upstream.closed


async def test_a_backend_that_comes_back_still_has_its_requests(make):
    throttle = make(A, concurrency=1)
    place = await take(throttle)
    throttle.update(route(concurrency=1))
    throttle.update(route(A, concurrency=1))
    task = await started(take(throttle))
    assert not task.done()
    throttle.give_back(place)
    assert await task is place


async def test_a_backend_that_refused_is_set_aside_and_its_request_goes_first(make):
    throttle = make(A, concurrency=1)
    place = await take(throttle)
    behind = await started(take(throttle))
    throttle.set_aside(place)
    throttle.give_back(place)
    first = await started(take(throttle, again=True))
    assert not first.done()
    assert not behind.done()
    throttle.update(route(A, B, concurrency=1))
    assert (await first).backend == B
    assert not behind.done()
    await cancel(behind)


async def test_a_backend_that_was_set_aside_is_tried_again_after_a_moment(make, monkeypatch):
    monkeypatch.setattr(throttle_module, "SET_ASIDE", 0.01)
    throttle = make(A)
    place = await take(throttle)
    throttle.set_aside(place)
    throttle.give_back(place)
    assert "none of 1 backends accepts a connection" in throttle.why_waiting()
    assert (await asyncio.wait_for(take(throttle), 10)).backend == A


async def test_more_than_the_queue_holds_is_refused(make, monkeypatch):
    monkeypatch.setattr(throttle_module, "QUEUE_DEPTH", 3)
    throttle = make()
    tasks = [await started(take(throttle)) for _ in range(3)]
    with pytest.raises(QueueFull):
        await take(throttle)
    retried = await started(take(throttle, again=True))
    assert not retried.done(), "one that had a place already is not refused"
    await cancel(*tasks, retried)


async def test_a_cancelled_request_frees_its_place_in_the_queue(make, monkeypatch):
    monkeypatch.setattr(throttle_module, "QUEUE_DEPTH", 2)
    throttle = make()
    first, second = [await started(take(throttle)) for _ in range(2)]
    await cancel(first)
    third = await started(take(throttle))
    assert throttle.waiting == 2
    throttle.update(route(A))
    assert [(await task).backend for task in (second, third)] == [A, A]


async def test_a_place_given_in_the_moment_of_cancellation_goes_to_the_next(make):
    throttle = make(A, concurrency=1)
    place = await take(throttle)
    leaving, staying = [await started(take(throttle)) for _ in range(2)]
    throttle.give_back(place)  # wakes the first of the two ...
    leaving.cancel()  # ... which goes before it has run
    assert await asyncio.wait_for(staying, 10) is place
    assert throttle.in_flight == 1


async def test_a_cancelled_request_that_has_not_run_yet_is_passed_over(make):
    throttle = make(A, concurrency=1)
    place = await take(throttle)
    leaving, staying = [await started(take(throttle)) for _ in range(2)]
    leaving.cancel()
    throttle.give_back(place)
    assert await asyncio.wait_for(staying, 10) is place
    assert throttle.in_flight == 1


async def test_the_deadline_ends_the_waiting(make):
    throttle = make(A, concurrency=1)
    await take(throttle)
    with pytest.raises(TimeoutError):
        await throttle.take(asyncio.get_running_loop().time() + 0.01)
    assert throttle.waiting == 0


@pytest.mark.parametrize(
    ("backends", "reason"),
    [((), "no backend is ready"), ((A, B), "2 backends are busy with 1 requests each, 1 wait")],
    ids=["at zero", "busy"],
)
async def test_it_says_what_a_request_waits_for(make, backends: tuple[Backend, ...], reason: str):
    throttle = make(*backends, concurrency=1)
    for _ in backends:
        await take(throttle)
    waiting = await started(take(throttle))
    assert throttle.why_waiting() == reason
    await cancel(waiting)


async def cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def fleet() -> Throttle[Upstream]:
    fleet = Throttle(Upstream)
    fleet.apply(RoutingTable((route(A, concurrency=1), route(name="other-00001"))))
    return fleet


def hello(fleet: Throttle[Upstream]) -> RevisionThrottle[Upstream]:
    return fleet.of(route())


async def test_revisions_wait_apart(fleet):
    place = await take(hello(fleet))
    other = await started(take(fleet.of(route(name="other-00001"))))
    queued = await started(take(hello(fleet)))
    hello(fleet).give_back(place)
    assert (await queued).backend == A
    assert not other.done()
    await cancel(other)


async def test_a_revision_that_leaves_the_table_lets_its_requests_know(fleet):
    await take(hello(fleet))
    waiting = await started(take(hello(fleet)))
    fleet.apply(RoutingTable())
    with pytest.raises(RevisionGone):
        await waiting


async def test_a_revision_that_comes_back_still_counts_its_requests(fleet):
    table = fleet.table
    place = await take(hello(fleet))
    fleet.apply(RoutingTable())
    fleet.apply(table)
    task = await started(take(hello(fleet)))
    assert not task.done()
    hello(fleet).give_back(place)
    assert (await task) is place


async def test_a_revision_that_left_is_forgotten_with_its_last_request(fleet):
    old = hello(fleet)
    place = await take(old)
    fleet.apply(RoutingTable())
    old.give_back(place)
    assert place.upstream.closed
    fleet.apply(RoutingTable())
    fleet.apply(RoutingTable((route(A),)))
    assert hello(fleet) is not old


async def test_an_unchanged_route_is_left_alone(fleet, monkeypatch):
    def refuse(*_: Any) -> None:
        raise AssertionError("nothing has changed")

    update: Callable[..., None] = refuse
    monkeypatch.setattr(RevisionThrottle, "update", update)
    fleet.apply(RoutingTable(tuple(replace(route) for route in fleet.table.routes)))


async def test_a_storm_of_requests_and_changes_keeps_every_promise(make):
    """200 requests of which a fifth give up, backends come and go: limits hold, none is left behind."""
    throttle = make(A, concurrency=3)
    served = 0

    async def request(number: int) -> None:
        nonlocal served
        place = await take(throttle)
        assert place.in_flight <= 3
        throttle.check_valid()
        for _ in range(number % 7):
            await asyncio.sleep(0)
        throttle.give_back(place)
        served += 1

    tasks = [await started(request(number)) for number in range(200)]
    for number, task in enumerate(tasks):
        if number % 5 == 0:
            task.cancel()
        throttle.update(route(*[(A,), (A, B), (B, C), (), (A, B, C)][number % 5], concurrency=3))
        throttle.check_valid()
        await asyncio.sleep(0)
    throttle.update(route(A, concurrency=3))
    results = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 30)
    assert served == sum(result is None for result in results) >= 160
    assert throttle.waiting == throttle.in_flight == 0
