"""Who may write: some at a time, what users wait for first, and what is of yesterday not at all."""

import asyncio

import pytest

from kpa.kube.revisions.priority_limiter import LIMITS, Rank, Superseded, Turn, Turns


class Queue:
    """Jobs that take their turn at one rank and keep it until they are ended."""

    def __init__(self, limits: tuple[int, ...]) -> None:
        self.turns = Turns(limits)
        self.begun: list[str] = []
        self.jobs: dict[str, Turn] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def add(self, name: str, rank: Rank) -> None:
        turn = self.jobs[name] = Turn(self.turns, self.turns.number())

        async def run() -> None:
            await turn.take(rank)
            self.begun.append(name)

        self.tasks[name] = asyncio.create_task(run())
        await asyncio.sleep(0)

    async def end(self, name: str) -> None:
        self.jobs[name].end()
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def test_what_a_request_waits_for_begins_while_others_wait() -> None:
    queue = Queue((4, 3, 2, 1))
    for number in range(4):
        await queue.add(f"metric-{number}", Rank.METRIC)
    for number in range(4):
        await queue.add(f"status-{number}", Rank.STATUS)
    for number in range(3):
        await queue.add(f"services-{number}", Rank.SERVICES)
    for number in range(3):
        await queue.add(f"scale-{number}", Rank.SCALE)
    assert queue.begun == ["metric-0", "status-0", "services-0", "scale-0"]


async def test_the_next_is_the_most_urgent_then_the_one_that_waits_longest() -> None:
    queue = Queue((1, 1, 1, 1))
    await queue.add("first", Rank.SCALE)
    for name, rank in [
        ("metric", Rank.METRIC),
        ("status", Rank.STATUS),
        ("services", Rank.SERVICES),
        ("scale-1", Rank.SCALE),
        ("scale-2", Rank.SCALE),
    ]:
        await queue.add(name, rank)
    for name in ("first", "scale-1", "scale-2", "services", "status", "metric"):
        assert queue.begun[-1] == name
        await queue.end(name)
    assert len(queue.begun) == 6


async def test_one_that_goes_on_at_another_rank_stands_by_its_first_place() -> None:
    queue = Queue((1, 1, 1))
    await queue.add("early", Rank.SERVICES)
    await queue.add("blocker", Rank.SCALE)
    await queue.add("late", Rank.STATUS)
    going_on = asyncio.create_task(queue.jobs["early"].take(Rank.STATUS))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert queue.begun == ["early", "blocker"]
    await queue.end("blocker")
    assert going_on.done()
    assert queue.begun == ["early", "blocker"]


async def test_a_turn_at_hand_is_no_new_one() -> None:
    turns = Turns((1, 1, 1))
    turn = Turn(turns, turns.number())
    await turn.take(Rank.SERVICES)
    await turn.take(Rank.SERVICES)
    turn.end()
    turn.end()
    async with asyncio.timeout(30):
        await Turn(turns, turns.number()).take(Rank.SERVICES)


async def test_what_is_superseded_waits_no_longer_and_takes_nobodys_turn() -> None:
    queue = Queue((1, 1, 1))
    await queue.add("first", Rank.SERVICES)
    for number in range(50):
        await queue.add(f"old-{number}", Rank.SERVICES)
    await queue.add("last", Rank.SERVICES)
    for number in range(50):
        queue.jobs[f"old-{number}"].supersede()
        with pytest.raises(Superseded):
            await queue.tasks[f"old-{number}"]
    await queue.end("first")
    assert queue.begun == ["first", "last"]


async def test_what_is_superseded_while_it_has_its_turn_gets_no_other() -> None:
    turns = Turns()
    turn = Turn(turns, turns.number())
    await turn.take(Rank.SCALE)
    turn.supersede()
    with pytest.raises(Superseded):
        await turn.take(Rank.STATUS)


async def test_a_task_that_is_cancelled_as_its_turn_comes_gives_it_on() -> None:
    queue = Queue((1, 1, 1))
    for name in ("first", "cancelled", "last"):
        await queue.add(name, Rank.SCALE)
    queue.jobs["first"].end()
    queue.tasks["cancelled"].cancel()
    await asyncio.gather(queue.tasks["cancelled"], return_exceptions=True)
    await asyncio.sleep(0)
    assert queue.begun == ["first", "last"]


def test_the_less_urgent_never_have_more_room() -> None:
    assert list(LIMITS) == sorted(LIMITS, reverse=True)
    assert len(LIMITS) == len(Rank)
