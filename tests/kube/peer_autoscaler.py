"""Either autoscaler, Knative's own or ours, in charge of the revisions of a cluster, as a test sees both.

Knative's binary is built by `tests/peer`; only the address at which it takes activators' reports is another
than port 8080 of the whole machine.
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Protocol

import aiohttp

from metrics.stat import Stat, StatMessage, encode_messages
from tests.kube.control_plane import end_with_parent, free_ports
from tests.kube.serving import Autoscaler
from tests.kube.stub_activator import StubActivator
from tests.peer.programs import STAT_ADDRESS, program

START_SECONDS = 60.0  # 3 s on an idle machine
STOP_SECONDS = 40.0
REPORT_SECONDS = 1.0  # of an activator


class Running(Protocol):
    """A process in charge.

    Attributes
    ----------
    reports : str
        Where activators report, as HOST:PORT.
    process : asyncio.subprocess.Process
    log : Path
    """

    @property
    def reports(self) -> str: ...

    @property
    def process(self) -> asyncio.subprocess.Process: ...

    @property
    def log(self) -> Path: ...

    async def stop(self) -> float:
        """End it."""


class KnativeAutoscaler:
    """Knative's own autoscaler as a process."""

    def __init__(self, reports: str, log: Path, process: asyncio.subprocess.Process) -> None:
        self.reports, self.log, self.process = reports, log, process

    async def ready(self) -> None:
        """Wait until its kubelet would call it ready."""
        probe = {"User-Agent": "kube-probe/1.34"}
        async with asyncio.timeout(START_SECONDS), aiohttp.ClientSession(headers=probe) as session:
            while True:
                assert self.process.returncode is None, self.log.read_text()
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(f"http://{self.reports}/") as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(0.05)

    async def stop(self) -> float:
        """End it by SIGTERM and return the seconds that it took."""
        began = time.monotonic()
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            raise
        return time.monotonic() - began


async def start_knative(
    kubeconfig: Path, log: Path, host: str, activator: StubActivator
) -> KnativeAutoscaler:
    """Start Knative's autoscaler with the rights of a kubeconfig and wait until it is ready.

    Names of services do not exist in a test: what it asks of them goes through a proxy, which is the
    activator that all of them lead to. Pods, at addresses of this machine, are asked directly.
    """
    reports = f"{host}:8080"
    environment = {
        "KUBECONFIG": str(kubeconfig),
        "POD_NAME": "autoscaler-7c9d-abcde",
        "POD_IP": "192.0.2.1",
        "SYSTEM_NAMESPACE": "knative-serving",
        "CONFIG_LOGGING_NAME": "config-logging",
        "CONFIG_OBSERVABILITY_NAME": "config-observability",
        "PROFILING_PORT": str(free_ports(1)[0]),
        "HTTP_PROXY": f"http://{activator.address}:{activator.port}",
        STAT_ADDRESS: reports,
    }
    binary = program("autoscaler")
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            binary,
            env=os.environ | environment,
            stdout=output,
            stderr=output,
            preexec_fn=end_with_parent(),
        )
    running = KnativeAutoscaler(reports, log, process)
    await running.ready()
    return running


class KpaAutoscaler:
    """`kpa serve` as a process."""

    def __init__(self, autoscaler: Autoscaler) -> None:
        self._autoscaler = autoscaler

    async def start(self) -> "KpaAutoscaler":
        """Start it and wait until it is ready."""
        self._serving = await self._autoscaler.start()
        self.process, self.log = self._serving.process, self._serving.log
        self.reports = f"{self._serving.host}:8080"
        return self

    async def stop(self) -> float:
        """End it as a terminal does, so that it waits for no successor; return the seconds that it took."""
        return await self._serving.stop(signal.SIGINT)


class ActivatorReports:
    """What an activator reports once a second of all revisions that it has requests for.

    A revision's first request is reported at once, the end of all requests once.

    Source: `knative/serving pkg/activator/handler/concurrency_reporter.go`
    """

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._holds: dict[str, float] = {}
        self._changed = asyncio.Event()

    def hold(self, revision: str, concurrency: float) -> None:
        """Have so many requests of a revision from now on."""
        self._holds[revision] = concurrency
        self._changed.set()

    async def run(self, running: Callable[[], Running | None]) -> None:
        """Report to whatever runs until cancelled."""
        while True:
            current = running()
            if current is not None:
                with contextlib.suppress(aiohttp.ClientError, ConnectionError):
                    async with (
                        aiohttp.ClientSession() as session,
                        session.ws_connect(f"ws://{current.reports}/") as socket,
                    ):
                        while running() is current and not socket.closed:
                            await self._report(socket)
            await asyncio.sleep(0.1)

    async def _report(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        messages = [
            StatMessage(self._namespace, name, Stat("activator-1", held, request_count=held))
            for name, held in self._holds.items()
        ]
        if messages:
            await socket.send_bytes(encode_messages(messages))
        self._holds = {name: held for name, held in self._holds.items() if held > 0}
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REPORT_SECONDS):
                await self._changed.wait()


@contextlib.asynccontextmanager
async def in_charge(start: Callable[[], Awaitable[Running]]) -> AsyncIterator["Charge"]:
    """Have an autoscaler in charge for a while."""
    charge = Charge(start)
    try:
        await charge.begin()
        yield charge
    finally:
        await charge.end()


class Charge:
    """The process in charge, which can be restarted.

    Attributes
    ----------
    running : Running or None
        None while one takes the place of another.
    cpu_seconds : float
        Processor time of those that ended.
    """

    def __init__(self, start: Callable[[], Awaitable[Running]]) -> None:
        self._start = start
        self.running: Running | None = None
        self.cpu_seconds = 0.0

    async def begin(self) -> None:
        """Start one."""
        self.running = await self._start()

    async def end(self) -> None:
        """End it."""
        running, self.running = self.running, None
        if running is not None:
            self.cpu_seconds += cpu_seconds(running.process.pid)
            await running.stop()

    async def restart(self) -> None:
        """End it and start another."""
        await self.end()
        await self.begin()


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
