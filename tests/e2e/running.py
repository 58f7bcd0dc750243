"""A running `kpa local`, manifests for it, and the load and the looks that tests give it."""

import asyncio
import http.client
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import yaml

from kpa.controller.status import RevisionStatus
from kpa.web.api.api import FleetResponse, fleet_from_json
from tests.kpa.local.helpers import SERVER, marked

REPOSITORY = Path(__file__).parents[2]
DEADLINE = 60.0
"""Seconds after which a condition counts as never met; generous, for slow machines."""

MODEL = ("$(KPA_PYTHON)", "-m", "kpa.demo.model_server")
"""The sample model: the time of a request by SERVICE_SECONDS or `?sleep=MS`."""

NAMED = ("$(KPA_PYTHON)", "-E", "-S", "-c", SERVER)
"""A server that answers with its pod's name; `?sleep=S` takes S seconds, `Hold` holds its requests."""


def service(
    name: str,
    annotations: Mapping[str, object] | None = None,
    *,
    command: Sequence[str] = MODEL,
    concurrency: int = 0,
    timeout: int = 60,
    env: Mapping[str, object] | None = None,
    probe: Mapping[str, object] | None = None,
) -> dict[str, Any]:
    """A Knative Service; annotations without their prefix."""
    container: dict[str, Any] = {"command": list(command)}
    container["env"] = [{"name": key, "value": str(value)} for key, value in (env or {}).items()]
    if probe:
        container["readinessProbe"] = dict(probe)
    prefixed = {f"autoscaling.knative.dev/{key}": str(value) for key, value in (annotations or {}).items()}
    spec = {"containerConcurrency": concurrency, "timeoutSeconds": timeout, "containers": [container]}
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"template": {"metadata": {"annotations": prefixed}, "spec": spec}},
    }


def config_map(settings: Mapping[str, object]) -> dict[str, Any]:
    """The ConfigMap of the autoscaler with some keys."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "config-autoscaler", "namespace": "knative-serving"},
        "data": {key: str(value) for key, value in settings.items()},
    }


class Answer(NamedTuple):
    """What became of one request: unix times of its start and end, status (0: no answer), body."""

    start: float
    end: float
    status: int
    body: str


class Kpa:
    """`kpa local` in a folder of its own, on free ports; nothing of it may outlive `end`.

    Parameters
    ----------
    folder : Path
        Gets manifest, ConfigMap and log.
    services : sequence of mappings
        Manifests.
    settings : mapping
        Data of the ConfigMap.
    environment : mapping
        Added to ours.
    """

    def __init__(
        self,
        folder: Path,
        services: Sequence[Mapping[str, Any]],
        settings: Mapping[str, object] | None = None,
        environment: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        self.mark = uuid.uuid4().hex
        self.manifest, self.config = folder / "services.yaml", folder / "config.yaml"
        self._log, self._ready = folder / "log", folder / "ready.json"
        self.write(services)
        self.configure(settings or {})
        self.port = self.telemetry_port = 0
        command = [
            sys.executable,
            "-m",
            "kpa",
            "local",
            "-f",
            str(self.manifest),
            "--config",
            str(self.config),
        ]
        command += ["--port", "0", "--telemetry-port", "0", "--ready-file", str(self._ready), *arguments]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=REPOSITORY,
                env={**os.environ, **(environment or {}), "KPA_TEST_MARK": self.mark},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def write(self, services: Iterable[Mapping[str, Any]]) -> None:
        """Replace the manifest."""
        self.write_text(yaml.safe_dump_all(services))

    def write_text(self, text: str) -> None:
        """Replace the manifest by a text, which need not be good."""
        _replace(self.manifest, text)

    def configure(self, settings: Mapping[str, object]) -> None:
        """Replace the ConfigMap."""
        _replace(self.config, yaml.safe_dump(config_map(settings)))

    def wait_ready(self) -> None:
        """Wait until requests are taken."""
        self.wait(lambda: self._ready.exists() or self.process.poll() is not None, "requests are taken")
        assert self.process.poll() is None, self.log
        ports = json.loads(self._ready.read_text())
        self.port, self.telemetry_port = ports["port"], ports["telemetry_port"]

    @property
    def log(self) -> str:
        """All lines so far."""
        return self._log.read_text(errors="replace")

    def log_of(self, name: str) -> str:
        """Lines that mention something."""
        return "\n".join(line for line in self.log.splitlines() if name in line)

    # Looks.

    def look(self, path: str) -> tuple[int, str]:
        """Ask the telemetry server."""
        return _get(self.telemetry_port, path, {})

    def revisions(self) -> dict[str, RevisionStatus]:
        """All revisions by name."""
        return {
            status.key.name: status for status in fleet_from_json(self.look("/api/revisions")[1]).revisions
        }

    def get(self, name: str, path: str = "/") -> tuple[int, str]:
        """Ask a service."""
        return _get(self.port, path, {"Host": f"{name}.localhost"})

    def wait(self, condition: Callable[[], object], what: str, seconds: float = DEADLINE) -> None:
        """Wait until a condition holds; fails with what was waited for and the log."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"never came true: {what}\n{self.log[-8000:]}"
            time.sleep(0.02)

    def wait_status(
        self,
        revision: str,
        condition: Callable[[RevisionStatus], object],
        what: str,
        seconds: float = DEADLINE,
    ) -> RevisionStatus:
        """Wait until a revision's status fulfils a condition; returns it."""
        found: list[RevisionStatus] = []

        def holds() -> bool:
            status = self.revisions().get(revision)
            if status is not None and condition(status):
                found.append(status)
            return bool(found)

        self.wait(holds, f"{revision}: {what}", seconds)
        return found[0]

    def wait_replicas(self, revision: str, replicas: int, seconds: float = DEADLINE) -> RevisionStatus:
        """Wait until so many replicas are asked for and ready, and no others are left."""
        return self.wait_status(
            revision,
            lambda status: (status.replicas, status.ready, status.not_ready) == (replicas, replicas, 0),
            f"{replicas} replicas",
            seconds,
        )

    def metric(self, name: str, **labels: str) -> float:
        """Value of a series at /metrics."""
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        for line in self.look("/metrics")[1].splitlines():
            series, _, value = line.rpartition(" ")
            if series.partition("{")[0] == name and all(label in series for label in wanted):
                return float(value)
        raise AssertionError(f"no series {name} with {labels}")

    # Processes.

    def pids(self, variable: str) -> list[int]:
        """Processes with a variable (`NAME=value`) in the environment they were started with."""
        return [pid for pid in marked(self.mark) if variable in environment(pid)]

    def process_of(self, pod: str) -> int:
        """The user process of a pod."""
        return self._only([pid for pid in self.pids(f"HOSTNAME={pod}") if "PORT" in names(pid)])

    def queue_proxy_of(self, pod: str) -> int:
        """The queue-proxy of a pod."""
        return self._only(self.pids(f"SERVING_POD={pod}"))

    @property
    def service_process(self) -> int:
        """The process that decides: the child of the second guardian."""
        return self._only(
            [pid for pid in marked(self.mark) if "kpa local" in arguments(pid) and os.getsid(pid) == pid][-1:]
        )

    @property
    def activator(self) -> int:
        """The activator's process."""
        return self._only([pid for pid in marked(self.mark) if "kpa.dataplane.activator" in arguments(pid)])

    def pods(self, name: str) -> list[str]:
        """Names of a service's ready pods, as the activator is told."""
        with _stream(self.telemetry_port, "/api/routes") as table:
            routes = json.loads(table.readline())["routes"]
        return [
            backend["name"]
            for route in routes
            if f"{name}.localhost" in route["hosts"]
            for backend in route["backends"]
        ]

    def _only(self, pids: list[int]) -> int:
        assert len(pids) == 1, f"not one process but {pids}\n{self.log[-4000:]}"
        return pids[0]

    # The end.

    def stop(self, number: int = signal.SIGTERM, seconds: float = DEADLINE) -> int:
        """Send a signal and wait for the end; returns the exit code."""
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def end(self) -> None:
        """End it, if it still runs, and make sure that nothing is left."""
        try:
            if self.process.poll() is None:
                self.stop()
        finally:
            self.process.kill()
            self.process.wait()
            left = wait_gone(self.mark, 20.0)
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        assert not left, f"processes were left: {left}\n{self.log[-4000:]}"


def wait_gone(mark: str, seconds: float) -> list[int]:
    """Wait until no process has a mark; returns those left at the end."""
    deadline = time.monotonic() + seconds
    while (left := marked(mark)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


def environment(pid: int) -> list[str]:
    """Variables that a process was started with."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def names(pid: int) -> list[str]:
    """Names of these variables."""
    return [variable.partition("=")[0] for variable in environment(pid)]


def arguments(pid: int) -> str:
    """Command line of a process."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
    except OSError:
        return ""


class Client:
    """Requests to services, by Host; use it on one event loop."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self.url = session, url

    async def ask(self, name: str, path: str = "/", method: str = "GET") -> Answer:
        """One request; a connection that breaks is an answer with status 0 and the reason."""
        start, url, headers = time.time(), self.url + path, {"Host": f"{name}.localhost"}
        try:
            async with self._session.request(method, url, headers=headers) as response:
                body, status = await response.text(), response.status
        except (aiohttp.ClientError, OSError) as error:
            body, status = f"{type(error).__name__}: {error}", 0
        return Answer(start, time.time(), status, body)

    async def fleet(self, telemetry_port: int) -> FleetResponse:
        """All revisions."""
        async with self._session.get(f"http://127.0.0.1:{telemetry_port}/api/revisions") as response:
            return fleet_from_json(await response.read())

    async def load(
        self,
        name: str,
        clients: int,
        seconds: float,
        path: str = "/",
        method: str = "GET",
        enough: Callable[[], object] = lambda: True,
    ) -> list[Answer]:
        """Keep some requests in flight, each client one after the other; all answers.

        Parameters
        ----------
        seconds : float
            They go on for so long at least, and for `DEADLINE` more at most.
        enough : callable
            Says whether they may end then.
        """
        answers: list[Answer] = []
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds

        async def one() -> None:
            while (now := loop.time()) < end or (now < end + DEADLINE and not enough()):
                answers.append(await self.ask(name, path, method))

        await asyncio.gather(*(one() for _ in range(clients)))
        return answers


@asynccontextmanager
async def client(kpa: Kpa) -> AsyncIterator[Client]:
    """A client of a running kpa."""
    timeout = aiohttp.ClientTimeout(total=DEADLINE)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        yield Client(session, f"http://127.0.0.1:{kpa.port}")


def failures(answers: Iterable[Answer]) -> list[Answer]:
    """Those that are not 200."""
    return [answer for answer in answers if answer.status != 200]


def _get(port: int, path: str, headers: Mapping[str, str]) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    try:
        connection.request("GET", path, headers=dict(headers))
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


class _stream:
    """The beginning of an answer that does not end."""

    def __init__(self, port: int, path: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
        self._connection.request("GET", path)

    def __enter__(self) -> http.client.HTTPResponse:
        self._response = self._connection.getresponse()
        return self._response

    def __exit__(self, *_: object) -> None:
        self._response.close()
        self._connection.close()


def _replace(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(text)
    part.replace(path)
