"""Work by key: one at a time for each, the newest wins, what fails is tried again."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from kpa.kube.api.errors import Conflict
from kpa.kube.revisions.priority_limiter import Superseded, Turn, Turns
from kpa.runtime.backoff import backoff
from metrics.key import Key

_log = logging.getLogger(__name__)

T = TypeVar("T")

_FIRST_RETRY, _LAST_RETRY = 0.05, 30.0
"""Seconds before a failed job is tried again: doubled each time."""


class Latest(Generic[T]):
    """Runs jobs, each in a task of its own that exists only while there is something to do.

    Parameters
    ----------
    work : callable (key, job, turn)
        Takes its turn before it writes. What it raises is logged, and the job is tried again unless a newer
        one has come; a newer one also ends it while it waits for its turn.
    turns : Turns, optional
        No more requests are in flight than an API server likes, so that none waits for others until its
        deadline.
    """

    def __init__(self, work: Callable[[Key, T, Turn], Awaitable[None]], turns: Turns | None = None) -> None:
        self._work = work
        self._turns = turns or Turns()
        self._turn_of: dict[Key, Turn] = {}
        self._waiting: dict[Key, T] = {}
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._news: dict[Key, asyncio.Event] = {}
        self._forgotten: set[Key] = set()

    def submit(self, key: Key, job: T) -> None:
        """Have a job done; one that waits for the same key is dropped."""
        self._waiting[key] = job
        if key in self._tasks:
            self._hear(key)
        else:
            self._news[key] = asyncio.Event()
            self._tasks[key] = asyncio.create_task(self._run(key))

    def forget(self, key: Key) -> None:
        """Drop a job that waits, also for its next try; one that is under way is not tried again."""
        self._waiting.pop(key, None)
        if key in self._tasks:
            self._forgotten.add(key)
            self._hear(key)

    def drop(self, key: Key) -> None:
        """Forget a job that is no longer ours to do: one that is under way is broken off.

        A request of it would be repeated until its deadline, long after somebody else has begun to write.
        """
        self._waiting.pop(key, None)
        self._forgotten.discard(key)
        task = self._tasks.pop(key, None)
        if task is not None:
            del self._news[key]
            task.cancel()

    def _hear(self, key: Key) -> None:
        """What is under way, or pauses, is of yesterday."""
        self._news[key].set()
        if key in self._turn_of:
            self._turn_of[key].supersede()

    async def close(self) -> None:
        """End all jobs."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, key: Key) -> None:
        failures, number = 0, self._turns.number()
        try:
            while key in self._waiting:
                if await self._attempt(key, number):
                    failures = 0
                else:
                    retry = backoff(failures, first=_FIRST_RETRY, factor=2.0, longest=_LAST_RETRY, jitter=0.0)
                    await self._pause(key, retry)
                    failures += 1
        finally:
            if self._tasks.get(key) is asyncio.current_task():  # it was not dropped
                del self._tasks[key], self._news[key]
                self._forgotten.discard(key)

    async def _attempt(self, key: Key, number: int) -> bool:
        """Do the newest job and tell whether that went well; if not it waits, unless there is a newer one."""
        job = self._waiting.pop(key)
        self._forgotten.discard(key)
        self._news[key].clear()
        turn = self._turn_of[key] = Turn(self._turns, number)
        try:
            await self._work(key, job, turn)
        except Superseded:
            return True
        except Exception as error:
            level = logging.INFO if isinstance(error, Conflict) else logging.WARNING
            _log.log(level, "%s: %s", key, error, exc_info=_log.isEnabledFor(logging.DEBUG))
            if key not in self._forgotten:
                self._waiting.setdefault(key, job)
            return False
        finally:
            turn.end()
            if self._turn_of.get(key) is turn:
                del self._turn_of[key]
        return True

    async def _pause(self, key: Key, seconds: float) -> None:
        """Wait before the next try, no longer than until there is a newer job."""
        try:
            async with asyncio.timeout(seconds):
                await self._news[key].wait()
        except TimeoutError:
            return
