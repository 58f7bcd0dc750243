"""One run of a replica's two processes, from their start until one of them ends or both are stopped."""

import asyncio
import json
import logging
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from kpa.local.manifests.spec import Probe, Template
from kpa.local.processes.environment import HOST, QUEUE_PROXY, Identity, proxy_environment, user_command
from kpa.local.processes.liveness import until_silent
from kpa.local.processes.process import LineListener, LineReader, Process

log = logging.getLogger(__name__)

LATE = 5.0
"""Seconds that a queue-proxy gets beyond the longest request to end its drain, before it is killed."""


class Ports(NamedTuple):
    """Where a queue-proxy answers."""

    serving: int
    metrics: int


class Attempt:
    """A queue-proxy and its process, of one start.

    Parameters
    ----------
    port : int
        Free port for the process.
    on_change : callable
        Called when `ready` or `ended` may have changed.
    output : LineListener
        Gets the lines of the process.
    """

    def __init__(
        self,
        template: Template,
        identity: Identity,
        port: int,
        on_change: Callable[[], None],
        output: LineListener,
        queue_proxy: Sequence[str] = QUEUE_PROXY,
    ) -> None:
        self._template = template
        self._on_change = on_change
        self._proxy_ready = False
        self._command_succeeded = not template.probe.command
        self._listening = asyncio.Event()
        self.ports: Ports | None = None
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._identity, self._port, self._output = identity, port, output
        self._queue_proxy = queue_proxy

    async def start(self) -> None:
        """Start both processes.

        Raises
        ------
        OSError
            One of the two cannot be started; nothing is left of the other.
        """
        argv, environment = user_command(self._template, self._identity, self._port)
        self._proxy = self._start_proxy()  # first: it takes longer to start
        try:
            self._process = Process(argv, environment, self._output, self._template.working_dir or None)
        except OSError:
            await self._clear_proxy()
            raise
        self._process.ended.add_done_callback(self._process_ended)
        self._proxy.ended.add_done_callback(self._proxy_ended)
        self._watches = [
            asyncio.create_task(self._probe(self._template.probe, environment)),
            asyncio.create_task(self._watch_proxy()),
        ]

    @property
    def ready(self) -> bool:
        """Both processes live, and the readiness probe succeeds."""
        return (
            self._proxy_ready and self._command_succeeded and self.ports is not None and not self.ended.done()
        )

    async def drain(self, hurry: asyncio.Event) -> None:
        """Let the queue-proxy finish its requests, then stop the process; no longer once `hurry` is set.

        The order is that of Knative's pods, whose process gets SIGTERM only when the queue-proxy has drained
        (`knative/serving pkg/queue/drain`).
        """
        self._cancel_watches()
        if not self._proxy.ended.done():
            self._proxy.terminate()
            await _until(self._proxy.ended, hurry, self._template.timeout + LATE)
        if not self._process.ended.done():
            self._process.terminate()
            await _until(self._process.ended, hurry, self._template.grace)
        await self.clear()

    async def retire(self, hurry: asyncio.Event) -> None:
        """End what is left after one of the two ended: the queue-proxy may still answer its open requests."""
        self._cancel_watches()
        self._process.kill()
        self._proxy.terminate()
        await _until(self._proxy.ended, hurry, LATE)
        await self.clear()

    async def clear(self) -> None:
        """Kill whatever is left."""
        self._cancel_watches()
        await asyncio.gather(self._clear_proxy(), self._process.clear(), asyncio.wait(self._watches))

    def _cancel_watches(self) -> None:
        for watch in self._watches:
            watch.cancel()

    async def _clear_proxy(self) -> None:
        await self._proxy.clear()
        self._events.close()

    def _start_proxy(self) -> Process:
        reading, writing = os.pipe()
        self._events = LineReader(reading, self._hear)
        environment = proxy_environment(self._template, self._identity, self._port, writing)
        try:
            return Process(self._queue_proxy, environment, self._hear_text, pass_fds=(writing,))
        except OSError:
            self._events.close()
            raise
        finally:
            os.close(writing)

    def _hear_text(self, line: str) -> None:
        self._output(f"queue-proxy: {line}")

    def _hear(self, line: str) -> None:
        """Take one event of the queue-proxy; one that cannot be understood is logged and changes nothing."""
        try:
            event = json.loads(line)
            kind = event["event"]
            if kind == "listening":
                self.ports = Ports(int(event["serving"]), int(event["metrics"]))
                self._listening.set()
        except (ValueError, KeyError, TypeError):
            log.warning("%s: unreadable event from the queue-proxy: %.200s", self._identity.pod, line)
            return
        if kind in ("ready", "unready"):
            self._proxy_ready = kind == "ready"
            if kind == "unready":
                log.warning("%s is not ready: %s", self._identity.pod, event.get("reason", "no reason given"))
        self._on_change()

    def _process_ended(self, ended: "asyncio.Future[int]") -> None:
        self._end(f"process ended with {describe(ended.result())}")

    def _proxy_ended(self, ended: "asyncio.Future[int]") -> None:
        self._end(f"queue-proxy ended with {describe(ended.result())}")

    def _end(self, reason: str) -> None:
        if not self.ended.done():
            self.ended.set_result(reason)
            self._on_change()

    async def _watch_proxy(self) -> None:
        """End the attempt when the queue-proxy hangs."""
        await self._listening.wait()
        assert self.ports is not None
        await until_silent(HOST, self.ports.serving)
        self._end("queue-proxy hangs")

    async def _probe(self, probe: Probe, environment: dict[str, str]) -> None:
        """Run an exec probe as the kubelet does, period after period."""
        if not probe.command:
            return
        await asyncio.sleep(probe.initial_delay)
        successes = failures = 0
        while True:
            good = await _run_probe(probe, environment, self._template.working_dir or None)
            successes, failures = (successes + 1, 0) if good else (0, failures + 1)
            if successes >= probe.success_threshold or failures >= (probe.failure_threshold or 3):
                self._command_succeeded = good
                self._on_change()
            await asyncio.sleep(probe.period or (10 if self._command_succeeded else 0.2))


async def _run_probe(probe: Probe, environment: dict[str, str], directory: str | None) -> bool:
    with suppress(OSError):
        process = Process(probe.command, environment, lambda _line: None, directory)
        try:
            await asyncio.wait([process.ended], timeout=probe.timeout or 1)
            in_time = process.ended.done()
        finally:
            code = await process.clear()
        return in_time and code == 0
    return False


async def _until(ended: "asyncio.Future[int]", hurry: asyncio.Event, seconds: float) -> None:
    """Wait until a process ended, somebody is in a hurry, or the time is over."""
    hurried = asyncio.create_task(hurry.wait())
    waiting: list[asyncio.Future[Any]] = [ended, hurried]
    try:
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        hurried.cancel()


def describe(code: int) -> str:
    """Write an exit code for people: `exit code 3`, `signal 9`."""
    return f"signal {-code}" if code < 0 else f"exit code {code}"
