"""Work by key: the newest wins, failures are tried again, what was dropped stays dropped."""

import asyncio
import logging

import pytest

from kpa.kube.api.errors import Conflict, Unreachable
from kpa.kube.revisions import work_queue
from kpa.kube.revisions.priority_limiter import Permit, Priority, PriorityLimiter
from kpa.kube.revisions.work_queue import WorkQueue
from metrics.key import Key
from tests.waiting import until

pytestmark = pytest.mark.virtual_time

A, B = Key("shop", "a"), Key("shop", "b")


class Work:
    """Jobs done; `fails` makes the next ones fail, `gate` holds them."""

    def __init__(self) -> None:
        self.done: list[tuple[Key, int]] = []
        self.fails: list[Exception] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.begun = asyncio.Event()

    async def __call__(self, key: Key, job: int, permit: Permit) -> None:
        self.begun.set()
        await self.gate.wait()
        if self.fails:
            raise self.fails.pop(0)
        self.done.append((key, job))


async def idle(queue: WorkQueue[int]) -> None:
    """Wait until nothing is to do."""
    await until(lambda: not queue._tasks, "nothing is left to do")


async def test_a_job_is_done_once_and_leaves_no_task() -> None:
    work = Work()
    queue = WorkQueue(work)
    queue.submit(A, 1)
    assert len(queue._tasks) == 1
    await idle(queue)
    assert work.done == [(A, 1)]


async def test_of_jobs_that_wait_the_newest_is_done() -> None:
    work = Work()
    work.gate.clear()
    queue = WorkQueue(work)
    queue.submit(A, 1)
    await work.begun.wait()
    queue.submit(A, 2)
    queue.submit(A, 3)
    work.gate.set()
    await idle(queue)
    assert work.done == [(A, 1), (A, 3)]


async def test_one_key_waits_for_no_other() -> None:
    hanging = asyncio.Event()
    done = []

    async def work(key: Key, job: int, permit: Permit) -> None:
        if key == A:
            await hanging.wait()
        done.append(key)

    queue = WorkQueue(work)
    queue.submit(A, 1)
    queue.submit(B, 1)
    await until(lambda: done, "a job is done")
    assert done == [B]
    await queue.close()


async def test_so_many_jobs_have_a_permit_at_a_time_and_no_more() -> None:
    running, most = 0, 0

    async def work(key: Key, job: int, permit: Permit) -> None:
        nonlocal running, most
        await permit.acquire(Priority.STATUS)
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1

    queue = WorkQueue(work, PriorityLimiter((5, 4, 3)))
    for number in range(20):
        queue.submit(Key("shop", str(number)), number)
    await idle(queue)
    assert most == 3


async def test_a_failed_job_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    work = Work()
    work.fails = [RuntimeError("no luck"), RuntimeError("no luck")]
    queue = WorkQueue(work)
    queue.submit(A, 1)
    await idle(queue)
    assert work.done == [(A, 1)]
    assert [record.message for record in caplog.records] == ["shop/a: no luck"] * 2


async def test_a_failed_job_gives_way_to_a_newer_one_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work_queue, "_FIRST_RETRY", 60.0)
    work = Work()
    work.fails = [RuntimeError("no luck")]
    queue = WorkQueue(work)
    queue.submit(A, 1)
    await asyncio.sleep(0.05)
    queue.submit(A, 2)
    await idle(queue)
    assert work.done == [(A, 2)]


async def failing() -> tuple[Work, WorkQueue[int]]:
    """A job that is under way, and fails once its gate opens."""
    work = Work()
    work.gate.clear()
    work.fails = [RuntimeError("no luck")]
    queue = WorkQueue(work)
    queue.submit(A, 1)
    await work.begun.wait()
    return work, queue


async def test_a_newer_job_that_came_during_a_failing_one_waits_for_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(work_queue, "_FIRST_RETRY", 60.0)
    work, queue = await failing()
    queue.submit(A, 2)
    work.gate.set()
    await idle(queue)
    assert work.done == [(A, 2)]


async def test_a_forgotten_job_is_not_tried_again_although_it_was_under_way() -> None:
    work, queue = await failing()
    queue.forget(A)
    work.gate.set()
    await idle(queue)
    assert work.done == []


async def test_a_job_after_a_forgotten_one_is_done() -> None:
    work, queue = await failing()
    queue.forget(A)
    queue.submit(A, 2)
    work.gate.set()
    await idle(queue)
    assert work.done == [(A, 2)]


async def test_a_forgotten_job_that_waits_for_its_next_try_is_dropped() -> None:
    work = Work()
    work.fails = [RuntimeError("no luck")] * 3
    queue = WorkQueue(work)
    queue.submit(A, 1)
    await until(lambda: len(work.fails) < 3, "the job has failed")
    queue.forget(A)
    await idle(queue)
    assert work.done == []


async def test_a_dropped_job_is_broken_off_and_a_later_one_is_done() -> None:
    work = Work()
    work.gate.clear()
    queue = WorkQueue(work)
    queue.submit(A, 1)
    await work.begun.wait()
    queue.drop(A)
    assert not queue._tasks
    queue.submit(A, 2)
    queue.submit(A, 3)
    work.gate.set()
    await idle(queue)
    assert work.done == [(A, 3)]


async def test_a_job_can_be_dropped_before_it_began_and_while_it_waits_for_its_next_try() -> None:
    work = Work()
    work.fails = [RuntimeError("no luck")]
    queue = WorkQueue(work)
    queue.submit(A, 1)
    queue.drop(A)
    queue.submit(B, 1)
    await until(lambda: not work.fails, "the job has failed")
    queue.drop(B)
    queue.drop(B)
    await asyncio.sleep(0.1)  # the next try would have been 0.05 s later
    assert work.done == []


@pytest.mark.parametrize(
    ("error", "level"),
    [(Conflict("it changed"), logging.INFO), (Unreachable("no answer"), logging.WARNING)],
    ids=["conflict", "other"],
)
async def test_a_conflict_is_no_warning(
    caplog: pytest.LogCaptureFixture, error: Exception, level: int
) -> None:
    caplog.set_level(logging.DEBUG)
    work = Work()
    work.fails = [error]
    queue = WorkQueue(work)
    queue.submit(A, 1)
    await idle(queue)
    assert [
        record.levelno for record in caplog.records if record.name == "kpa.kube.revisions.work_queue"
    ] == [level]


async def test_the_end_leaves_no_task() -> None:
    work = Work()
    work.gate.clear()
    queue = WorkQueue(work)
    queue.submit(A, 1)
    queue.submit(B, 1)
    await work.begun.wait()
    await queue.close()
    assert not queue._tasks
    assert work.done == []
