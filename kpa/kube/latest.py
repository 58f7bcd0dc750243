"""Work by key: one at a time for each, the newest wins, what fails is tried again."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

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
    """

    def __init__(self, work: Callable[[Key, T], Awaitable[None]]) -> None:
        self._work = work
        self._waiting: dict[Key, T] = {}
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._news: dict[Key, asyncio.Event] = {}

    def submit(self, key: Key, job: T) -> None:
        """Have a job done; one that waits for the same key is dropped."""
        self._waiting[key] = job
        if key in self._tasks:
            self._news[key].set()
        else:
            self._news[key] = asyncio.Event()
            self._tasks[key] = asyncio.create_task(self._run(key))

    def forget(self, key: Key) -> None:
        """Drop a job that waits, also for its next try."""
        if self._waiting.pop(key, None) is not None:
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
                job = self._waiting.pop(key)
                try:
                    await self._work(key, job)
                    retry = _FIRST_RETRY
                except Exception as error:
                    _log.warning("%s: %s", key, error, exc_info=_log.isEnabledFor(logging.DEBUG))
                    self._waiting.setdefault(key, job)
                    await self._pause(key, retry)
                    retry = min(2 * retry, _LAST_RETRY)
        finally:
            del self._tasks[key], self._news[key]

    async def _pause(self, key: Key, seconds: float) -> None:
        """Wait before the next try, no longer than until a newer job comes."""
        news = self._news[key]
        news.clear()
        try:
            async with asyncio.timeout(seconds):
                await news.wait()
        except TimeoutError:
            return
