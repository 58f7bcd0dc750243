"""An event loop that does not wait: when nothing is ready, its clock jumps to the next timer.

Mark a coroutine test, or a whole module, with `virtual_time`, and its event loop is a `VirtualTimeLoop`; the
fixtures of the test run on it as well. `run` does the same for a coroutine inside a plain function, such as a
property. The clock is `loop.time()`. It moves by exact amounts, so that times can be compared with `==`:

    @pytest.mark.virtual_time
    async def test_a_lease_lasts_a_minute() -> None:
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(60.0)
        assert asyncio.get_running_loop().time() - began == 60.0

Sockets between parties on this loop work: what has arrived is handled before the clock moves. While functions
run in threads of the loop (`asyncio.to_thread`, `getaddrinfo`), the clock goes at its usual pace.

Limits
------
- Only `loop.time()` is virtual. `time.monotonic()` and `datetime.now()` go on as usual, and so does
  `time.time()` unless the test has the fixture `virtual_wall_clock`.
- Computing takes no time: whatever can go on without a timer does so within one moment. Tests of what happens
  meanwhile, such as changes under load, need the real clock, or work that takes a while on this one.
- What another process, or a thread that the loop does not know, is about to send is waited for no longer than
  `ARRIVAL`. Tests with either need the real clock.
- A wait without any timer is a real wait. It fails after `NOTHING_COMES` seconds, or at once where there is
  no socket either.
"""

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

START = 1000.0
"""Seconds that the clock of a new loop shows."""

ARRIVAL = 0.0002
"""Real seconds in which what one socket of this process has sent arrives at another one."""

NOTHING_COMES = 10.0
"""Real seconds after which a wait for sockets alone is given up."""


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer instead of waiting for it."""

    def __init__(self) -> None:
        self._now = START
        self._threads: set[asyncio.Future[Any]] = set()
        super().__init__(_JumpingSelector(self._pass_time))

    def time(self) -> float:
        """Seconds on the virtual clock."""
        return self._now

    def stand_still(self, seconds: float) -> None:
        """Let time pass in which the loop does nothing, as if a function had blocked it."""
        self._now += seconds

    def run_in_executor(self, *arguments: Any) -> asyncio.Future[Any]:
        """Run a function in a thread, during which the clock goes at its usual pace."""
        future = super().run_in_executor(*arguments)
        self._threads.add(future)
        future.add_done_callback(self._threads.discard)
        return future

    async def shutdown_default_executor(self, *arguments: Any, **options: Any) -> None:
        """Wait until the threads of the loop have ended."""
        ending = self.create_future()
        self._threads.add(ending)
        try:
            await super().shutdown_default_executor(*arguments, **options)
        finally:
            self._threads.discard(ending)

    def _pass_time(self, selector: "_JumpingSelector", timeout: float | None) -> list[Any]:
        """Do what the loop does between two turns in which nothing is ready."""
        others = len(selector.get_map()) > 1  # than the pipe by which threads wake the loop
        if self._threads or timeout is None:
            if not self._threads and not others:
                raise RuntimeError(
                    "nothing is ready, no timer is set, no socket is open: this wait never ends"
                )
            return self._wait(selector, timeout)
        if others:
            time.sleep(ARRIVAL)  # a selector waits for whole milliseconds
            if events := selector.real_select(0):
                return events
        self._now += timeout
        return []

    def _wait(self, selector: "_JumpingSelector", timeout: float | None) -> list[Any]:
        began = time.monotonic()
        events = selector.real_select(NOTHING_COMES if timeout is None else timeout)
        self._now += time.monotonic() - began
        if timeout is None and not events and not self._threads:
            raise RuntimeError(
                f"no timer is set, and no socket became ready in {NOTHING_COMES:g} real seconds"
            )
        return events


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self, pass_time: Callable[["_JumpingSelector", float | None], list[Any]]) -> None:
        super().__init__()
        self._pass_time = pass_time

    def real_select(self, timeout: float) -> list[Any]:
        return super().select(timeout)

    def select(self, timeout: float | None = None) -> list[Any]:
        events = super().select(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        return self._pass_time(self, timeout)


def run(play: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in virtual time, on a loop of its own."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(play)
