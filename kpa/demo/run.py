"""The demonstration from start to end: service up, trace played, service back at zero, everything stopped."""

import asyncio
import contextlib
import math
import signal
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import aiohttp
from rich.console import Console

from kpa.demo.child import COMMAND, Local
from kpa.demo.closing import close
from kpa.demo.history import ServiceHistory, take_sample
from kpa.demo.player import Player
from kpa.demo.scenario import DemoScenario
from kpa.demo.trace import ArrivalTrace
from kpa.demo.view import View, ViewFrame, clock
from kpa.web.api.api import fleet_from_json

POLL_SECONDS = 0.5
"""Between two looks at the service; replicas change at most once a tick."""

PATIENCE_SECONDS = 45.0
"""Beyond the rules' own time the way back to zero may take this long."""


class Watch:
    """Looks at the service and keeps what it saw."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, scenario: DemoScenario, player: Player
    ) -> None:
        self._session, self._url = session, url
        self._scenario, self._player = scenario, player
        self._seen_at = 0.0
        self.history = ServiceHistory()

    @property
    def now(self) -> float:
        """Seconds since the start of the trace."""
        return self._player.now

    @property
    def patience(self) -> float:
        """Seconds that the way back to zero may take."""
        return self._scenario.to_zero_seconds + PATIENCE_SECONDS

    @property
    def silent(self) -> float:
        """Seconds since the API last answered."""
        return self.now - self._seen_at

    async def look(self) -> None:
        """Take a sample; without an answer nothing is added, for the next look may have one."""
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, LookupError):
            async with self._session.get(self._url) as answer:
                fleet = fleet_from_json(await answer.read())
            self._seen_at = self.now
            numbers = (self._seen_at, self._player.in_flight, self._player.sent)
            self.history.add(take_sample(fleet, self._scenario.service, *numbers))


async def demonstrate(
    scenario: DemoScenario, trace: ArrivalTrace, console: Console, command: Sequence[str] = COMMAND
) -> int:
    """Run the demonstration; return its exit code, 128 + n when signal n ended it.

    SIGINT, SIGTERM and SIGHUP end it early, and however it ends, `kpa local` has ended before.

    Raises
    ------
    LocalError
        `kpa local` did not start or ended before its time.
    """
    signals: list[int] = []
    task = asyncio.create_task(_demonstrate(scenario, trace, console, command))

    def stop(number: int) -> None:
        signals.append(number)
        if len(signals) == 1:  # the first one starts the stop, which is bounded; further ones change nothing
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop, number)
    try:
        return await task
    except asyncio.CancelledError:
        if not signals:
            raise
        console.print("stopped before the end; nothing is left running")
        return 128 + signals[0]


async def _demonstrate(
    scenario: DemoScenario, trace: ArrivalTrace, console: Console, command: Sequence[str]
) -> int:
    with tempfile.TemporaryDirectory(prefix="kpa-demo-") as name:
        folder = Path(name)
        manifest, config = scenario.write(folder)
        console.print(
            f"{trace.name}: {len(trace.arrivals)} requests in {clock(trace.length)}", highlight=False
        )
        local = await Local.start(manifest, config, folder, command)
        try:
            console.print(
                f"sent to http://127.0.0.1:{local.port}/ with Host: {scenario.host}", highlight=False
            )
            return await _play(scenario, trace, local, console)
        finally:
            await local.stop()


async def _play(scenario: DemoScenario, trace: ArrivalTrace, local: Local, console: Console) -> int:
    player = Player(f"http://127.0.0.1:{local.port}/", scenario.host)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2.0)) as session:
        url = f"http://127.0.0.1:{local.telemetry_port}/api/revisions"
        watch = Watch(session, url, scenario, player)
        playing = asyncio.create_task(player.play(trace.arrivals))
        try:
            with View(console) as view:
                async for doing in _follow(trace, local, watch, playing):
                    seen = (watch.history, player.outcomes, watch.silent)
                    view.show(ViewFrame(scenario, trace.name, doing, *seen, trace.coming(watch.now)))
        finally:
            playing.cancel()
            await asyncio.wait([playing])
    return close(console, scenario, watch.history, player.outcomes)


async def _follow(
    trace: ArrivalTrace, local: Local, watch: Watch, playing: asyncio.Task[None]
) -> AsyncIterator[str]:
    """Look at the service until it is back at zero, or patience ends; yield what goes on."""
    until = math.inf
    while watch.now < until:
        await watch.look()
        local.check_running()
        if not playing.done():
            yield trace.phase(watch.now) if watch.now <= trace.length else "last answers"
        else:
            playing.result()  # raises what went wrong in the player itself
            until = min(until, watch.now + watch.patience)
            yield "back to zero"
            if watch.history.is_at_zero and watch.silent < 1:
                return
        await asyncio.sleep(POLL_SECONDS - watch.now % POLL_SECONDS)  # on the beat: charts count by seconds
