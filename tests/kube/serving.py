"""`kpa serve` as a process, and what a test sees of it: log, telemetry, the activators' websocket."""

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp

from metrics.stat import Stat, StatMessage, encode_messages
from tests.go_programs import ROOT
from tests.kube.control_plane import end_with_parent
from tests.kube.serving_process import CLUSTER_DOMAIN, HOSTS
from tests.kube.stub_activator import StubActivator, activator
from tests.kube.stub_pods import StubPods

START_SECONDS = 60.0  # 2 s on an idle machine
STOP_SECONDS = 40.0
FORBIDDEN = re.compile(r"^.*forbidden.*$", re.MULTILINE)
FAULTS = re.compile(r"^.*(Traceback|never retrieved|never awaited).*$", re.MULTILINE)


class Serving:
    """One replica of the autoscaler.

    Attributes
    ----------
    host : str
        All its ports are there.
    log : Path
    process : asyncio.subprocess.Process
    identity : str
        As its leases say.
    """

    def __init__(self, host: str, log: Path, process: asyncio.subprocess.Process, identity: str) -> None:
        self.host, self.log, self.process, self.identity = host, log, process, identity
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30))
        self._reports: aiohttp.ClientWebSocketResponse | None = None

    async def ready(self) -> None:
        """Wait until it says that it is ready."""
        async with asyncio.timeout(START_SECONDS):
            while await self.readiness() != 200:
                await asyncio.sleep(0.05)

    async def readiness(self) -> int:
        """Ask whether it is ready, as soon as it can be asked; returns the HTTP status."""
        async with asyncio.timeout(START_SECONDS):
            while True:
                assert self.process.returncode is None, self.log.read_text()
                with contextlib.suppress(aiohttp.ClientError):
                    async with self._session.get(f"http://{self.host}:9090/readyz") as answer:
                        return answer.status
                await asyncio.sleep(0.05)

    async def telemetry(self) -> dict[str, float]:
        """Read all series: name with labels, and value."""
        async with self._session.get(f"http://{self.host}:9090/metrics") as answer:
            lines = (await answer.text()).splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    async def revision(self, name: str) -> dict[str, Any]:
        """Read what it says of a revision, found by its name; empty if it knows of none."""
        async with self._session.get(f"http://{self.host}:9090/api/revisions") as answer:
            revisions = (await answer.json())["revisions"]
        return next((each for each in revisions if each["name"] == name), {})

    async def revisions(self) -> list[str]:
        """Return the names of all that it looks after."""
        async with self._session.get(f"http://{self.host}:9090/api/revisions") as answer:
            return [each["name"] for each in (await answer.json())["revisions"]]

    async def explanation(self, namespace: str, name: str) -> dict[str, Any]:
        """Read why a revision has the pods it has."""
        async with self._session.get(f"http://{self.host}:9090/api/revisions/{namespace}/{name}") as answer:
            return dict(await answer.json())

    async def decided(self, name: str, recommended: int, seconds: float = 60.0) -> None:
        """Wait until it wants so many pods of a revision."""
        async with asyncio.timeout(seconds):
            while (await self.revision(name)).get("recommended") != recommended:
                await asyncio.sleep(0.05)

    async def report(self, namespace: str, name: str, concurrency: float) -> None:
        """Send one frame, as an activator that holds so many requests of a revision does."""
        if self._reports is None:
            self._reports = await self._session.ws_connect(f"ws://{self.host}:8080/")
        stat = Stat("activator-1", concurrency, request_count=concurrency, timestamp=int(time.time()))
        await self._reports.send_bytes(encode_messages([StatMessage(namespace, name, stat)]))

    async def logs(self, text: str, seconds: float = 60.0) -> None:
        """Wait until a text is in the log."""
        async with asyncio.timeout(seconds):
            while text not in self.log.read_text():
                await asyncio.sleep(0.05)

    async def stop(self, signal_number: int = signal.SIGTERM) -> float:
        """End it and return the seconds that it took; it must say that all is well unless it is killed."""
        began = time.monotonic()
        if self.process.returncode is None:
            self.process.send_signal(signal_number)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                code = await self.process.wait()
        except TimeoutError:
            self.process.kill()
            raise
        assert code == (-signal.SIGKILL if signal_number == signal.SIGKILL else 0), self.log.read_text()
        return time.monotonic() - began

    async def close(self) -> None:
        """Close what looks at it."""
        await self._session.close()


class Autoscaler:
    """Starts replicas of the autoscaler.

    Attributes
    ----------
    activator : StubActivator
        That all names of services lead to.
    folder : Path
        For the logs, and what a test writes.
    may_be_forbidden : bool
        Something is to be expected: an API server that has just started may not know its own roles yet.
    """

    def __init__(self, kubeconfig: Path, folder: Path, stubs: StubPods, activator: StubActivator) -> None:
        self.activator = activator
        self.may_be_forbidden = False
        self._kubeconfig, self.folder, self._stubs = kubeconfig, folder, stubs
        self._started: list[Serving] = []
        self._hosts: dict[str, str] = {}  # where the addresses of replicas lead

    async def start(
        self, *arguments: str, ready: bool = True, environment: Mapping[str, str] | None = None
    ) -> Serving:
        """Start a replica, and wait until it is ready; `arguments` are further ones of the command."""
        number = len(self._started) + 1
        host, log = self._stubs.free_ip(), self.folder / f"serve-{number}.log"
        target = (self.activator.address, str(self.activator.port))
        variables = self._environment(number) | (environment or {})
        self.lead(variables["POD_IP"], host)
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.kube.serving_process", *target),
                *("serve", "--host", host, "--log-format", "text", *arguments),
                env=os.environ | variables,
                stdout=output,
                stderr=output,
                cwd=ROOT,
                preexec_fn=end_with_parent(),
            )
        serving = Serving(host, log, process, f"{variables['POD_NAME']}_{variables['POD_IP']}")
        self._started.append(serving)
        if ready:
            await serving.ready()
        return serving

    def lead(self, address: str, host: str) -> None:
        """Lead an address that replicas connect to where somebody listens."""
        self._hosts[address] = host
        written = self.folder / f"{HOSTS}.new"
        written.write_text(json.dumps(self._hosts))
        written.replace(self.folder / HOSTS)  # they read at any time

    def _environment(self, number: int) -> dict[str, str]:
        return {
            "KUBECONFIG": str(self._kubeconfig),
            "POD_NAME": f"autoscaler-5d4f-{number:05d}",
            "POD_IP": f"192.0.2.{number}",
            "SYSTEM_NAMESPACE": "knative-serving",
            "CLUSTER_DOMAIN": CLUSTER_DOMAIN,
            HOSTS: str(self.folder / HOSTS),
        }

    async def end(self) -> None:
        """End all replicas; none may have been forbidden anything, or left an error unhandled."""
        running = [serving for serving in self._started if serving.process.returncode is None]
        try:
            for serving in running:
                await serving.stop(signal.SIGINT)  # nobody is to take over
        finally:
            for serving in self._started:
                await serving.close()
                print(serving.log.name, serving.log.read_text()[-6000:], sep="\n")
        for serving in self._started:
            text = serving.log.read_text()
            found = FAULTS.search(text) or (not self.may_be_forbidden and FORBIDDEN.search(text))
            assert not found, f"{serving.log.name}: {found[0]}"


@contextlib.asynccontextmanager
async def autoscaling(kubeconfig: Path, folder: Path, stubs: StubPods) -> AsyncIterator[Autoscaler]:
    """Give a cluster in which replicas can be started."""
    async with activator(stubs.free_ip()) as stub:
        autoscaler = Autoscaler(kubeconfig, folder, stubs, stub)
        try:
            yield autoscaler
        finally:
            await autoscaler.end()
