"""Who may write: some at a time, what users wait for first, and what is superseded not at all."""

import asyncio

import pytest

from kpa.kube.revisions.priority_limiter import LIMITS, Permit, Priority, PriorityLimiter, Superseded


class Queue:
    """Jobs that acquire a permit of one priority and keep it until they are ended."""

    def __init__(self, limits: tuple[int, ...]) -> None:
        self.limiter = PriorityLimiter(limits)
        self.begun: list[str] = []
        self.jobs: dict[str, Permit] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def add(self, name: str, priority: Priority) -> None:
        permit = self.jobs[name] = Permit(self.limiter, self.limiter.number())

        async def run() -> None:
            await permit.acquire(priority)
            self.begun.append(name)

        self.tasks[name] = asyncio.create_task(run())
        await asyncio.sleep(0)

    async def end(self, name: str) -> None:
        self.jobs[name].release()
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def test_what_a_request_waits_for_begins_while_others_wait() -> None:
    queue = Queue((4, 3, 2, 1))
    for number in range(4):
        await queue.add(f"metric-{number}", Priority.METRIC)
    for number in range(4):
        await queue.add(f"status-{number}", Priority.STATUS)
    for number in range(3):
        await queue.add(f"services-{number}", Priority.SERVICES)
    for number in range(3):
        await queue.add(f"scale-{number}", Priority.SCALE)
    assert queue.begun == ["metric-0", "status-0", "services-0", "scale-0"]


async def test_the_next_is_the_most_urgent_then_the_one_that_waits_longest() -> None:
    queue = Queue((1, 1, 1, 1))
    await queue.add("first", Priority.SCALE)
    for name, priority in [
        ("metric", Priority.METRIC),
        ("status", Priority.STATUS),
        ("services", Priority.SERVICES),
        ("scale-1", Priority.SCALE),
        ("scale-2", Priority.SCALE),
    ]:
        await queue.add(name, priority)
    for name in ("first", "scale-1", "scale-2", "services", "status", "metric"):
        assert queue.begun[-1] == name
        await queue.end(name)
    assert len(queue.begun) == 6


async def test_one_that_goes_on_at_another_priority_stands_by_its_first_place() -> None:
    queue = Queue((1, 1, 1))
    await queue.add("early", Priority.SERVICES)
    await queue.add("blocker", Priority.SCALE)
    await queue.add("late", Priority.STATUS)
    going_on = asyncio.create_task(queue.jobs["early"].acquire(Priority.STATUS))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert queue.begun == ["early", "blocker"]
    await queue.end("blocker")
    assert going_on.done()
    assert queue.begun == ["early", "blocker"]


async def test_a_permit_at_hand_is_not_acquired_twice() -> None:
    limiter = PriorityLimiter((1, 1, 1))
    permit = Permit(limiter, limiter.number())
    await permit.acquire(Priority.SERVICES)
    await permit.acquire(Priority.SERVICES)
    permit.release()
    permit.release()
    async with asyncio.timeout(30):
        await Permit(limiter, limiter.number()).acquire(Priority.SERVICES)


async def test_what_is_superseded_waits_no_longer_and_takes_no_permit() -> None:
    queue = Queue((1, 1, 1))
    await queue.add("first", Priority.SERVICES)
    for number in range(50):
        await queue.add(f"old-{number}", Priority.SERVICES)
    await queue.add("last", Priority.SERVICES)
    for number in range(50):
        queue.jobs[f"old-{number}"].supersede()
        with pytest.raises(Superseded):
            await queue.tasks[f"old-{number}"]
    await queue.end("first")
    assert queue.begun == ["first", "last"]


async def test_what_is_superseded_while_it_has_a_permit_gets_no_other() -> None:
    limiter = PriorityLimiter()
    permit = Permit(limiter, limiter.number())
    await permit.acquire(Priority.SCALE)
    permit.supersede()
    with pytest.raises(Superseded):
        await permit.acquire(Priority.STATUS)


async def test_a_task_that_is_cancelled_as_it_gets_a_permit_gives_it_on() -> None:
    queue = Queue((1, 1, 1))
    for name in ("first", "cancelled", "last"):
        await queue.add(name, Priority.SCALE)
    queue.jobs["first"].release()
    queue.tasks["cancelled"].cancel()
    await asyncio.gather(queue.tasks["cancelled"], return_exceptions=True)
    await asyncio.sleep(0)
    assert queue.begun == ["first", "last"]


def test_the_less_urgent_never_have_more_room() -> None:
    assert list(LIMITS) == sorted(LIMITS, reverse=True)
    assert len(LIMITS) == len(Priority)
