"""Knative's queue-proxy and ours as processes before one backend, with the same settings."""

import fcntl
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from tests.peer.programs import cache_folder, program
from tests.servers import Port

ROOT = Path(__file__).parents[2]
START_SECONDS = 60.0
FIXED_PORTS = {"admin": 8022, "metrics": 9090}  # constants of knative/serving pkg/networking/constants.go


@dataclass(frozen=True)
class Queue:
    """A running queue-proxy."""

    process: subprocess.Popen[bytes]
    serving: int
    metrics: int
    admin: int


@dataclass(frozen=True)
class Answer:
    """A response: headers with lower-case names, sorted."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)


def settings(user_port: int, **overrides: str) -> dict[str, str]:
    """Return the environment that both queue-proxies are given."""
    probe = {
        "httpGet": {"host": "127.0.0.1", "port": user_port, "path": "/ready", "scheme": "HTTP"},
        "periodSeconds": 1,
        "timeoutSeconds": 1,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    return {
        "CONTAINER_CONCURRENCY": "0",
        "USER_PORT": str(user_port),
        "REVISION_TIMEOUT_SECONDS": "300",
        "SERVING_NAMESPACE": "default",
        "SERVING_SERVICE": "hello",
        "SERVING_CONFIGURATION": "hello",
        "SERVING_REVISION": "hello-00001",
        "SERVING_POD": "hello-00001-pod",
        "SERVING_POD_IP": "127.0.0.1",
        "SERVING_LOGGING_CONFIG": "",
        "SERVING_LOGGING_LEVEL": "fatal",
        "SERVING_READINESS_PROBE": json.dumps(probe),
        **overrides,
    }


@contextmanager
def knative_queue(environment: dict[str, str]) -> Iterator[Queue]:
    """Run Knative's queue-proxy; two of its ports are fixed, so that there is one at a time on a machine."""
    binary = program("queue")
    with (cache_folder() / "ports.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for purpose, port in FIXED_PORTS.items():
            _wait_until_free(port, f"Knative's queue-proxy has its {purpose} port")
        serving, tls = Port("0.0.0.0"), Port("0.0.0.0")
        ports = {"QUEUE_SERVING_PORT": str(serving.number), "QUEUE_SERVING_TLS_PORT": str(tls.number)}
        process = subprocess.Popen(
            [binary], env=environment | ports, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            for port in (serving.number, *FIXED_PORTS.values()):
                _wait_until_served(port, process)
            yield Queue(process, serving.number, **FIXED_PORTS)
        finally:
            process.kill()
            process.wait()


@contextmanager
def kpa_queue(environment: dict[str, str]) -> Iterator[Queue]:
    """Run our queue-proxy on free ports."""
    reading, writing = os.pipe()
    own = {
        "QUEUE_SERVING_PORT": "0",
        "QUEUE_METRICS_PORT": "0",
        "QUEUE_ADMIN_PORT": "0",
        "QUEUE_HOST": "127.0.0.1",
        "QUEUE_EVENTS_FD": str(writing),
        "PATH": os.environ["PATH"],
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "kpa.dataplane.queue_proxy"],
        cwd=ROOT,
        env=environment | own,
        pass_fds=[writing],
        stdout=subprocess.DEVNULL,
    )
    os.close(writing)
    with os.fdopen(reading) as events:
        try:
            ports = _first_event(events, "listening")
            yield Queue(process, ports["serving"], ports["metrics"], ports["admin"])
        finally:
            process.kill()
            process.wait()


def ask(
    port: int, method: str = "GET", target: str = "/", headers: dict[str, str] | None = None, body: Any = None
) -> Answer:
    """Send one request on a connection of its own and read the whole answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, target, body, {"Host": "hello.example.com", **(headers or {})})
        response = connection.getresponse()
        received = sorted((name.lower(), value) for name, value in response.getheaders())
        return Answer(response.status, tuple(received), response.read())
    finally:
        connection.close()


def wait_until(true: Callable[[], bool], seconds: float) -> None:
    """Return when the condition holds; fail after the deadline."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not so within {seconds} s"
        time.sleep(0.05)


def wait_until_ready(queue: Queue) -> None:
    """Return when the queue-proxy's probe succeeds."""
    probe = {"User-Agent": "kube-probe/1.34", "K-Network-Probe": "queue"}
    wait_until(lambda: ask(queue.serving, headers=probe).status == 200, START_SECONDS)


def _first_event(events: TextIO, kind: str) -> dict[str, Any]:
    for line in events:
        event: dict[str, Any] = json.loads(line)
        if event["event"] == kind:
            return event
    raise AssertionError(f"kpa.dataplane.queue_proxy ended before its event {kind!r}")


def _wait_until_free(port: int, reason: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("0.0.0.0", port))
                return
            except OSError as error:
                if time.monotonic() > deadline:
                    raise AssertionError(f"port {port} is in use; {reason} there and cannot move") from error
        time.sleep(0.2)


def _wait_until_served(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        assert process.poll() is None, f"the process ended with {process.returncode}"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < deadline, f"nothing listens on port {port}"
            time.sleep(0.05)
