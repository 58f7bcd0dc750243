"""Work by key: one at a time for each, the newest wins, what fails is tried again."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from kpa.kube.errors import Conflict
from kpa.revisions import Key

_log = logging.getLogger(__name__)

T = TypeVar("T")

_FIRST_RETRY, _LAST_RETRY = 0.05, 30.0
"""Seconds before a failed job is tried again: doubled each time."""


class Latest(Generic[T]):
    """Runs jobs, each in a task of its own that exists only while there is something to do.

    Parameters
    ----------
    work : callable (key, job)
        What it raises is logged, and the job is tried again unless a newer one has come.
    at_a_time : int
        Jobs that run at most; no more requests are in flight than an API server likes, so that none waits
        for others until its deadline.
    """

    def __init__(self, work: Callable[[Key, T], Awaitable[None]], at_a_time: int = 64) -> None:
        self._work = work
        self._slots = asyncio.Semaphore(at_a_time)
        self._waiting: dict[Key, T] = {}
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._news: dict[Key, asyncio.Event] = {}
        self._forgotten: set[Key] = set()

    def submit(self, key: Key, job: T) -> None:
        """Have a job done; one that waits for the same key is dropped."""
        self._waiting[key] = job
        if key in self._tasks:
            self._news[key].set()
        else:
            self._news[key] = asyncio.Event()
            self._tasks[key] = asyncio.create_task(self._run(key))

    def forget(self, key: Key) -> None:
        """Drop a job that waits, also for its next try; one that is under way is not tried again."""
        self._waiting.pop(key, None)
        if key in self._tasks:
            self._forgotten.add(key)
            self._news[key].set()

    @property
    def busy(self) -> int:
        """Keys with a job."""
        return len(self._tasks)

    async def close(self) -> None:
        """End all jobs."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, key: Key) -> None:
        retry = _FIRST_RETRY
        try:
            while key in self._waiting:
                if await self._attempt(key):
                    retry = _FIRST_RETRY
                else:
                    await self._pause(key, retry)
                    retry = min(2 * retry, _LAST_RETRY)
        finally:
            del self._tasks[key], self._news[key]
            self._forgotten.discard(key)

    async def _attempt(self, key: Key) -> bool:
        """Do the newest job and tell whether that went well; if not it waits, unless there is a newer one."""
        async with self._slots:
            if key not in self._waiting:
                return True  # forgotten meanwhile
            job = self._waiting.pop(key)
            self._forgotten.discard(key)
            self._news[key].clear()
            try:
                await self._work(key, job)
            except Exception as error:
                level = logging.INFO if isinstance(error, Conflict) else logging.WARNING
                _log.log(level, "%s: %s", key, error, exc_info=_log.isEnabledFor(logging.DEBUG))
                if key not in self._forgotten:
                    self._waiting.setdefault(key, job)
                return False
        return True

    async def _pause(self, key: Key, seconds: float) -> None:
        """Wait before the next try, no longer than until there is a newer job."""
        try:
            async with asyncio.timeout(seconds):
                await self._news[key].wait()
        except TimeoutError:
            return
