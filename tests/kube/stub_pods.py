"""Queue-proxies of pods at addresses in 127.0.0.0/8: port 9090 answers with a stat, or misbehaves.

Every pod has a listener of its own, so that test runs side by side do not meet: each claims a block
127.N.0.0/16. Needs Linux, where all of 127.0.0.0/8 is this machine.
"""

import asyncio
import contextlib
import itertools
import random
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, cast

from metrics.stat import Stat

METRICS_PORT = 9090  # Knative: networking.AutoscalingQueueMetricsPort
BLOCKS = range(16, 255)  # 127.N; the lower ones are left to whoever thinks that they are free
HUGE_BYTES = 1 << 30
Mode = Literal["ok", "hang", "garbage", "huge", "unavailable"]


@dataclass
class StubPod:
    """One pod as the scraper sees it; change it at any time.

    Attributes
    ----------
    stat : Stat
        What the pod reports.
    mode : str
        `ok` reports; `hang` accepts and never answers; `garbage` is no stat; `huge` is 1 GiB; `unavailable`
        is status 503. A pod that refuses connections is one that was removed.
    scrapes : int
        Requests received.
    """

    ip: str
    stat: Stat
    mode: Mode = "ok"
    scrapes: int = 0
    server: asyncio.Server | None = field(default=None, repr=False)
    connections: set[asyncio.Transport] = field(default_factory=set, repr=False)


class StubPods:
    """All stub pods of a test run, served by a thread of their own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._claim, self._block = claim_block()
        self._numbers = itertools.cycle(range(250 * 250))
        self._pods: dict[str, StubPod] = {}
        self._thread = threading.Thread(target=self._loop.run_forever, name="stub-pods", daemon=True)
        self._thread.start()

    def add(
        self, name: str, concurrency: float = 0.0, uptime: float = 3600.0, ip: str | None = None
    ) -> StubPod:
        """Start a pod, at a free address unless one is given, and return it."""
        pod = StubPod(ip or self.free_ip(), Stat(name, concurrency, process_uptime=uptime))
        self._pods[pod.ip] = pod
        asyncio.run_coroutine_threadsafe(self._listen(pod), self._loop).result()
        return pod

    def free_ip(self) -> str:
        """Return an address of our block at which nobody listens."""
        numbers = (divmod(number, 250) for number in self._numbers)
        ips = (f"127.{self._block}.{high}.{low + 1}" for high, low in numbers)
        return next(ip for ip in ips if ip not in self._pods)

    def remove(self, pod: StubPod) -> None:
        """End a pod: its connections break, new ones are refused."""
        if self._pods.pop(pod.ip, None):
            asyncio.run_coroutine_threadsafe(self._end(pod), self._loop).result()

    def close(self) -> None:
        """End all pods and the thread."""
        for pod in list(self._pods.values()):
            self.remove(pod)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._claim.close()

    async def _listen(self, pod: StubPod) -> None:
        server = await self._loop.create_server(lambda: QueueProxy(pod), pod.ip, METRICS_PORT)
        pod.server = server

    async def _end(self, pod: StubPod) -> None:
        if pod.server:
            pod.server.close()
        for connection in list(pod.connections):
            connection.abort()
        await asyncio.sleep(0)  # lets connections say that they are lost


class QueueProxy(asyncio.Protocol):
    """A connection to a pod's metrics port."""

    def __init__(self, pod: StubPod) -> None:
        self._pod = pod
        self._buffer = b""
        self._left = 0
        self._paused = False
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._pod.connections.add(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._pod.connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        *requests, self._buffer = (self._buffer + data).split(b"\r\n\r\n")
        for _ in requests:
            self._pod.scrapes += 1
            self._answer()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._write_rest()

    def _answer(self) -> None:
        match self._pod.mode:
            case "ok":
                self._respond("200 OK", self._pod.stat.encode())
            case "garbage":
                self._respond("200 OK", b"\xff" * 64)
            case "unavailable":
                self._respond("503 Service Unavailable", b"")
            case "huge":
                self._left = HUGE_BYTES
                self._transport.write(head("200 OK", HUGE_BYTES))
                self._write_rest()
            case "hang":
                pass

    def _respond(self, status: str, body: bytes) -> None:
        self._transport.write(head(status, len(body)) + body)

    def _write_rest(self) -> None:
        while self._left > 0 and not self._paused and not self._transport.is_closing():
            size = min(self._left, 1 << 20)
            self._left -= size
            self._transport.write(bytes(size))


def head(status: str, length: int) -> bytes:
    """Return the head of a queue-proxy's answer."""
    headers = f"Content-Type: application/protobuf\r\nContent-Length: {length}"
    return f"HTTP/1.1 {status}\r\n{headers}\r\n\r\n".encode()


def claim_block() -> tuple[socket.socket, int]:
    """Claim a block 127.N.0.0/16 for this process, by listening at its last address."""
    for block in random.sample(BLOCKS, len(BLOCKS)):
        claim = socket.socket()
        with contextlib.suppress(OSError):
            claim.bind((f"127.{block}.255.254", METRICS_PORT))
            claim.listen()
            return claim, block
        claim.close()
    raise RuntimeError(f"no block of addresses is free: does something listen at 0.0.0.0:{METRICS_PORT}?")


@contextlib.contextmanager
def stub_pods() -> Iterator[StubPods]:
    """Serve stub pods for a while."""
    pods = StubPods()
    try:
        yield pods
    finally:
        pods.close()
