"""Pods that `bench_scrape` asks: one server in a process of its own, at every address of 127.0.0.0/8."""

import asyncio
import itertools
import os
import time
from email.utils import formatdate
from multiprocessing.connection import Connection as Pipe

from metrics.stat import Stat

try:
    import uvloop
except ImportError:
    uvloop = None

POD = "hello-00001-deployment-5d9c7b6f4d-x2x7k"
"""Name in all answers."""

_BODIES = [
    Stat(POD, *loads, process_uptime=1234.5 + step).encode()
    for step in range(97)
    for loads in ((0.0, 0.0, 0.0, 0.0), (3.25 + step, 0.0, 12.0, 0.0), (3.25 + step, 0.5, 12.0, 2.0))
]
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/protobuf\r\nDate: %b\r\nContent-Length: %d\r\n\r\n"


class _Server(asyncio.Protocol):
    bodies = itertools.cycle(_BODIES)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        for _ in range(data.count(b"\r\n\r\n")):
            self.transport.write(_answer(next(self.bodies)))  # type: ignore[attr-defined]


def _answer(body: bytes) -> bytes:
    return _HEAD % (formatdate(int(time.time()), usegmt=True).encode(), len(body)) + body


def serve(pipe: Pipe) -> None:
    """Send the port, and answer until something comes through the pipe."""
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))

    async def run() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(_Server, "0.0.0.0", 0, backlog=4096)
        pipe.send(server.sockets[0].getsockname()[1])
        await loop.run_in_executor(None, pipe.poll, None)

    (uvloop or asyncio).run(run())
