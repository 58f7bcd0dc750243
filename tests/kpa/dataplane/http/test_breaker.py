"""The bound on concurrency.

Covered: order, overflow, live changes, cancellation at every moment, bounds under random histories.
"""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpa.dataplane.http.breaker import Breaker, QueueFull


async def admitted(breaker: Breaker, count: int) -> list["asyncio.Task[None]"]:
    """Tasks that ask for admission, in order, each as far as it comes now."""
    tasks = [asyncio.create_task(breaker.acquire()) for _ in range(count)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


def done(tasks: list["asyncio.Task[None]"]) -> list[bool]:
    return [task.done() and not task.cancelled() and task.exception() is None for task in tasks]


async def end(tasks: list["asyncio.Task[None]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_requests_are_admitted_up_to_the_bound_and_then_in_their_order() -> None:
    breaker = Breaker(2, 3)
    tasks = await admitted(breaker, 5)
    assert (done(tasks), breaker.active, breaker.waiting) == ([True, True, False, False, False], 2, 3)
    for number in range(3, 6):
        breaker.release()
        await asyncio.sleep(0)
        assert done(tasks) == [True] * number + [False] * (5 - number)
    assert (breaker.active, breaker.waiting) == (2, 0)


async def test_a_full_queue_refuses_at_once() -> None:
    breaker = Breaker(1, 2)
    tasks = await admitted(breaker, 3)
    with pytest.raises(QueueFull, match="pending request queue full"):
        await breaker.acquire()
    await end(tasks)
    assert breaker.waiting == 0


async def test_without_bound_everything_is_admitted() -> None:
    breaker = Breaker(0, 0)
    assert all(done(await admitted(breaker, 1000)))
    assert breaker.active == 1000


async def test_a_request_that_gives_up_waiting_leaves_its_place() -> None:
    breaker = Breaker(1, 2)
    tasks = await admitted(breaker, 3)
    tasks[1].cancel()
    await asyncio.sleep(0)
    more = await admitted(breaker, 1)
    breaker.release()
    await asyncio.sleep(0)
    assert done(tasks) == [True, False, True]
    await end(more)


async def test_a_turn_that_comes_with_the_cancellation_is_handed_on() -> None:
    breaker = Breaker(1, 2)
    tasks = await admitted(breaker, 3)
    breaker.release()  # gives the turn to the second, which has not run yet
    tasks[1].cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert done(tasks) == [True, False, True]
    assert breaker.active == 1


async def test_an_error_within_gives_the_room_back() -> None:
    breaker = Breaker(1, 0)
    with pytest.raises(ZeroDivisionError):
        async with breaker:
            raise ZeroDivisionError
    assert breaker.active == 0


async def test_a_release_too_many_is_an_error() -> None:
    with pytest.raises(RuntimeError):
        Breaker(1, 1).release()


@pytest.mark.parametrize("bounds", [(-1, 0), (0, -1)], ids=str)
def test_negative_bounds_are_refused(bounds: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        Breaker(*bounds)


@given(st.lists(st.sampled_from(["arrive", "leave", "cancel", "pass"]), max_size=60))
def test_bounds_hold_and_nobody_waits_while_there_is_room(steps: list[str]) -> None:
    async def history() -> None:
        breaker, tasks, released = Breaker(2, 3), list[asyncio.Task[None]](), 0
        for number, step in enumerate(steps):
            waiting = [task for task in tasks if not task.done()]
            if step == "arrive":
                tasks.append(asyncio.create_task(breaker.acquire()))
            elif step == "leave" and sum(done(tasks)) > released:
                breaker.release()
                released += 1
            elif step == "cancel" and waiting:
                waiting[number % len(waiting)].cancel()
            else:
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            assert breaker.waiting <= 3
            assert breaker.waiting == 0 or breaker.active >= breaker.concurrency
        await end(tasks)
        assert breaker.waiting == 0
        assert breaker.active == sum(done(tasks)) - released

    asyncio.run(history())
