"""Whether the replica is ready, kept up to date."""

import asyncio
from collections.abc import Awaitable, Callable

from kpa.dataplane.queue_proxy.probe import ReadinessProbe, ask

POLL_SECONDS = 0.025
"""Between two probes of a replica that starts: what a request at zero waits too long for at most."""

POLL_SHARE = 0.05
"""Of the time waited so far, when that is more: what loads for long is asked less often."""

POLL_LIMIT_SECONDS = 0.25
"""Most seconds between two probes of a replica that starts; always for those that run a command."""


class Health:
    """Asks the replica until it is ready, and then whether it still is.

    A starting replica is asked in quick succession, whatever its period, as Knative does when the period is
    0. A ready one is asked once a period, and at once when a request could not be delivered (`suspect`).

    Parameters
    ----------
    probe : ReadinessProbe
        How to ask.
    on_change : callable
        Told of each change: whether the replica is ready, and the reason if it is not.
    asking : callable, optional
        Carries the probe out.
    """

    def __init__(
        self,
        probe: ReadinessProbe,
        on_change: Callable[[bool, str], None],
        asking: Callable[[ReadinessProbe], Awaitable[str]] = ask,
    ) -> None:
        self.ready = False
        self._probe = probe
        self._on_change = on_change
        self._ask = asking
        self._suspected = asyncio.Event()

    def suspect(self) -> None:
        """Ask at once: a connection was refused, the process is probably gone."""
        self._suspected.set()

    async def run(self) -> None:
        """Ask until cancelled."""
        await asyncio.sleep(self._probe.initial_delay)
        while True:
            await self._become_ready()
            self.ready = True
            self._on_change(True, "")
            reason = await self._stay_ready()
            self.ready = False
            self._on_change(False, reason)

    async def _become_ready(self) -> None:
        loop = asyncio.get_running_loop()
        start, successes = loop.time(), 0
        while True:
            successes = 0 if await self._ask(self._probe) else successes + 1
            if successes >= self._probe.success_threshold:
                return
            await asyncio.sleep(self._pause(loop.time() - start))

    async def _stay_ready(self) -> str:
        """The reason why the replica is ready no more."""
        failures = 0
        while True:
            suspected = await self._wait()
            reason = await self._ask(self._probe)
            failures = failures + 1 if reason else 0
            if reason and (suspected or failures >= self._probe.failure_threshold):
                return reason

    async def _wait(self) -> bool:
        """One period, or less if the replica is suspected; whether it is."""
        self._suspected.clear()
        try:
            async with asyncio.timeout(self._probe.period):
                return await self._suspected.wait()
        except TimeoutError:
            return False

    def _pause(self, waited: float) -> float:
        if self._probe.kind == "exec":
            return POLL_LIMIT_SECONDS
        return min(max(POLL_SECONDS, POLL_SHARE * waited), POLL_LIMIT_SECONDS)
