"""A bound on concurrency with a bounded queue in front of it.

Source: `knative/serving pkg/queue/breaker.go`. Here the queue is first in, first out; Go's channel wakes
whoever comes first.
"""

import asyncio
from types import TracebackType


class QueueFull(Exception):
    """As many requests wait as may; the caller answers 503."""

    def __init__(self) -> None:
        super().__init__("pending request queue full")


class Breaker:
    """Admits a number of requests at once and lets a number of others wait their turn.

    Parameters
    ----------
    concurrency : int
        Requests admitted at once; 0 is unlimited.
    queue_depth : int
        Requests that may wait. Matters only while concurrency is limited.

    Example
    -------
    >>> breaker = Breaker(concurrency=1, queue_depth=10)
    >>> async def limited():
    ...     async with breaker:
    ...         return breaker.active
    >>> asyncio.run(limited())
    1
    """

    def __init__(self, concurrency: int, queue_depth: int) -> None:
        if concurrency < 0 or queue_depth < 0:
            raise ValueError(f"concurrency {concurrency} and queue depth {queue_depth} must not be negative")
        self._concurrency = concurrency
        self._queue_depth = queue_depth
        self._active = 0
        self._queue: dict[asyncio.Future[None], None] = {}  # in the order of arrival

    @property
    def active(self) -> int:
        """Requests admitted now."""
        return self._active

    @property
    def waiting(self) -> int:
        """Requests that wait now."""
        return len(self._queue)

    @property
    def concurrency(self) -> int:
        """Requests admitted at once; 0 is unlimited."""
        return self._concurrency

    async def acquire(self) -> None:
        """Wait for admission.

        Raises
        ------
        QueueFull
            At once, when the queue is full.
        """
        if self._has_room():
            self._active += 1
            return
        if len(self._queue) >= self._queue_depth:
            raise QueueFull
        turn = asyncio.get_running_loop().create_future()
        self._queue[turn] = None
        try:
            await turn
        except asyncio.CancelledError:
            self._queue.pop(turn, None)
            if not turn.cancelled():
                self.release()  # the turn came in the same moment: hand it on
            raise

    def release(self) -> None:
        """End what `acquire` began."""
        if self._active == 0:
            raise RuntimeError("release without acquire")
        self._active -= 1
        self._admit()

    async def __aenter__(self) -> "Breaker":
        await self.acquire()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _has_room(self) -> bool:
        return self._concurrency == 0 or self._active < self._concurrency

    def _admit(self) -> None:
        """Give room to those who wait, in their order, so that no request waits while there is room."""
        while self._queue and self._has_room():
            turn = next(iter(self._queue))
            del self._queue[turn]
            if not turn.done():
                self._active += 1
                turn.set_result(None)
