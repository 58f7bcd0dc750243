"""Services, waiting and looking at processes, shared by the tests of local processes."""

import asyncio
import http.client
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from config.autoscaler import AutoscalerConfig
from config.resolve import resolve
from kpa.controller.cluster import Outcome
from kpa.local.cluster import LocalCluster
from kpa.local.manifests.spec import Probe, ServiceSpec, Template
from metrics.key import Key
from scaler.engine.decision import Decision
from scaler.rules.plan import Plan
from scaler.rules.scale_to_zero import Activity, LifecycleState

STUB = (sys.executable, "-E", "-S", str(Path(__file__).with_name("stub_queue_proxy.py")))
"""Command line of the stub queue-proxy."""

DEADLINE = 30.0
"""Seconds after which a condition counts as never met; generous, for slow machines."""

SERVER = """
import http.server, os, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        wish, _, value = self.path.partition("?")[2].partition("=")
        if wish == "sleep":
            time.sleep(float(value))
        if wish == "hold":
            with open(value + ".arrived", "a") as file: file.write("x")
            while not os.path.exists(value): time.sleep(0.01)
        if self.path == "/exit":
            os._exit(3)
        body = os.environ["HOSTNAME"].encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
class Server(http.server.ThreadingHTTPServer):
    def server_bind(self): self.socket.setsockopt(1, 2, 1); self.socket.bind(self.server_address)
Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
"""A user's server: answers with the pod's name; `?sleep=S` takes S seconds, `/exit` ends the process.

`Hold` holds requests as long as a test wants.
"""

SERVER_ARGV = (sys.executable, "-E", "-S", "-c", SERVER)


class Hold:
    """Requests to `path` of a user's server are in flight until they are let go.

    Parameters
    ----------
    folder : Path
        Gets files by which server and test understand each other.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "let-go"
        self._arrived = folder / "let-go.arrived"
        self.path = f"/?hold={self._file}"

    @property
    def arrived(self) -> int:
        """Requests that the server got."""
        return len(self._arrived.read_text()) if self._arrived.exists() else 0

    def let_go(self) -> None:
        """Have all answered."""
        self._file.touch()


def service(
    name: str = "hello",
    argv: tuple[str, ...] = SERVER_ARGV,
    annotations: dict[str, str] | None = None,
    concurrency: int = 0,
    grace: float = 30.0,
    probe: Probe | None = None,
) -> ServiceSpec:
    """Spec of a service in namespace default."""
    template = Template(argv, probe=probe or Probe(), container_concurrency=concurrency, grace=grace)
    return ServiceSpec("default", name, name, annotations or {}, template)


async def until(condition: Callable[[], object], what: str) -> None:
    """Wait until a condition holds; fails with what was waited for."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"never came true: {what}"
        await asyncio.sleep(0.01)


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Wait, outside of an event loop, until a condition holds."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"never came true: {what}"
        time.sleep(0.01)


def get(address: str, path: str = "/") -> tuple[int, str]:
    """Ask a backend; returns status and body."""
    connection = http.client.HTTPConnection(address, timeout=DEADLINE)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def marked(mark: str) -> list[int]:
    """Living processes with a text in the environment or command line they were started with."""
    found = []
    for pid in [int(name) for name in os.listdir("/proc") if name.isdigit()]:
        try:
            state = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
            texts = Path(f"/proc/{pid}/environ").read_bytes() + Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if mark.encode() in texts and state not in "ZX":
            found.append(pid)
    return found


def scale(cluster: LocalCluster, key: Key, replicas: int) -> None:
    """Ask a cluster for replicas, as the reconciler does."""
    plan = Plan(replicas, replicas, None, True, LifecycleState(Activity.ACTIVE, 0.0))
    decision = Decision(True, 0.0, 0.0, replicas, 0, None, 0)
    cluster.carry_out(key, Outcome(plan, decision, resolve(AutoscalerConfig(), {}, 10)))
