"""Work queue by key: one job at a time for each key, the newest wins, failures are retried."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from kpa.kube.api.errors import Conflict
from kpa.kube.revisions.priority_limiter import Permit, PriorityLimiter, Superseded
from kpa.runtime.backoff import backoff
from metrics.key import Key

_log = logging.getLogger(__name__)

T = TypeVar("T")

_FIRST_RETRY, _LAST_RETRY = 0.05, 30.0
"""Seconds before a failed job is retried: doubled each time."""


class WorkQueue(Generic[T]):
    """Runs jobs, each in a task of its own that exists only while its key has work.

    Parameters
    ----------
    work : callable (key, job, permit)
        Acquires the permit before it writes. What it raises is logged, and the job is retried unless a newer
        one has come; a newer one also ends it while it waits for the permit.
    limiter : PriorityLimiter, optional
        Keeps the requests in flight so few that none waits for others until its deadline.
    """

    def __init__(
        self, work: Callable[[Key, T, Permit], Awaitable[None]], limiter: PriorityLimiter | None = None
    ) -> None:
        self._work = work
        self._limiter = limiter or PriorityLimiter()
        self._permits: dict[Key, Permit] = {}
        self._waiting: dict[Key, T] = {}
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._news: dict[Key, asyncio.Event] = {}
        self._forgotten: set[Key] = set()

    def submit(self, key: Key, job: T) -> None:
        """Do a job; it replaces one that waits for the same key."""
        self._waiting[key] = job
        if key in self._tasks:
            self._supersede(key)
        else:
            self._news[key] = asyncio.Event()
            self._tasks[key] = asyncio.create_task(self._run(key))

    def forget(self, key: Key) -> None:
        """Drop a job that waits, also for its retry; one that is under way is not retried."""
        self._waiting.pop(key, None)
        if key in self._tasks:
            self._forgotten.add(key)
            self._supersede(key)

    def drop(self, key: Key) -> None:
        """Forget a job of a key that is no longer ours: one that is under way is cancelled.

        Its requests would be repeated until their deadline, long after another replica has begun to write.
        """
        self._waiting.pop(key, None)
        self._forgotten.discard(key)
        task = self._tasks.pop(key, None)
        if task is not None:
            del self._news[key]
            task.cancel()

    def _supersede(self, key: Key) -> None:
        """End the pause before a retry, and the job if it waits for its permit."""
        self._news[key].set()
        if key in self._permits:
            self._permits[key].supersede()

    async def close(self) -> None:
        """Cancel all jobs."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, key: Key) -> None:
        failures, number = 0, self._limiter.number()
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
        """Do the newest job and tell whether it succeeded; if not it waits, unless there is a newer one."""
        job = self._waiting.pop(key)
        self._forgotten.discard(key)
        self._news[key].clear()
        permit = self._permits[key] = Permit(self._limiter, number)
        try:
            await self._work(key, job, permit)
        except Superseded:
            return True
        except Exception as error:
            level = logging.INFO if isinstance(error, Conflict) else logging.WARNING
            _log.log(level, "%s: %s", key, error, exc_info=_log.isEnabledFor(logging.DEBUG))
            if key not in self._forgotten:
                self._waiting.setdefault(key, job)
            return False
        finally:
            permit.release()
            if self._permits.get(key) is permit:
                del self._permits[key]
        return True

    async def _pause(self, key: Key, seconds: float) -> None:
        """Wait before a retry, until there is a newer job at the latest."""
        try:
            async with asyncio.timeout(seconds):
                await self._news[key].wait()
        except TimeoutError:
            return
