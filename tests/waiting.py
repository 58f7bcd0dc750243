"""The one way in which tests wait: until something holds, with a deadline, and with words for the failure.

`until` waits in a coroutine and lets the event loop go on, `wait_until` blocks. Both look at once, then again
and again, and return what they saw. A wait in virtual time (`tests.virtual_time`) takes no real time.

    await until(lambda: len(pods) == 3, "three pods")
    status = await until(client.status, "a status with two pods", holds=lambda status: status.ready == 2)
    wait_until(lambda: port.is_open(), "the port is open", detail=lambda: process.log)
"""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")

DEADLINE = 30.0
"""Seconds until a wait fails; generous, since only what is broken takes so long."""

EVERY = 0.005
"""Seconds between two looks at what this process does."""

SHOWN = 300
"""Characters of what was seen last that a failure shows."""


async def until(
    look: Callable[[], T | Awaitable[T]],
    what: str,
    seconds: float = DEADLINE,
    *,
    holds: Callable[[T], object] = bool,
    every: float = EVERY,
    detail: Callable[[], object] | None = None,
) -> T:
    """Wait until what is seen is as it should be, and return it.

    Parameters
    ----------
    look : callable
        Plain or a coroutine function. One that takes longer than is left is cancelled.
    what : str
        What is awaited, for the failure.
    seconds : float
    holds : callable
        Whether what is seen is as it should be; by default it has to be true.
    every : float
        Seconds between two looks.
    detail : callable, optional
        What else the failure should say, such as a log.

    Raises
    ------
    AssertionError
        It was not so within `seconds`.
    """
    __tracebackhide__ = True
    seen: Any = None
    deadline = asyncio.timeout(seconds)
    try:
        async with deadline:
            while True:
                found = look()
                seen = await found if inspect.isawaitable(found) else found
                if holds(seen):
                    return seen
                await asyncio.sleep(every)
    except TimeoutError:
        if not deadline.expired():
            raise
    raise AssertionError(_failure(what, seconds, seen, detail))


def wait_until(
    look: Callable[[], T],
    what: str,
    seconds: float = DEADLINE,
    *,
    holds: Callable[[T], object] = bool,
    every: float = EVERY,
    detail: Callable[[], object] | None = None,
) -> T:
    """Block until what is seen is as it should be, and return it; see `until`."""
    __tracebackhide__ = True
    ends_at = time.monotonic() + seconds
    while not holds(seen := look()):
        if time.monotonic() > ends_at:
            raise AssertionError(_failure(what, seconds, seen, detail))
        time.sleep(every)
    return seen


def _failure(what: str, seconds: float, seen: object, detail: Callable[[], object] | None) -> str:
    text = f"not within {seconds:g} s: {what}; seen last: {repr(seen)[:SHOWN]}"
    return text if detail is None else f"{text}\n{detail()}"
