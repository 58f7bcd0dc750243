"""Queue-proxies that behave, and that do not: real servers on 127.0.0.1 whose next answers a test chooses."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from metrics.scraping.collector import PodTarget
from metrics.stat import Stat
from tests.servers import ScriptedServer

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/protobuf\r\n"

Behaviour = Callable[["FakePod", asyncio.StreamWriter], Awaitable[None]]
"""Answers one request; closing the writer ends the connection."""


def sized(body: bytes, head: bytes = HEAD) -> bytes:
    return head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


async def healthy(pod: "FakePod", writer: asyncio.StreamWriter) -> None:
    writer.write(sized(pod.stat.encode()))


async def silent(pod: "FakePod", writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


def says(answer: bytes) -> Behaviour:
    async def behave(pod: "FakePod", writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    return behave


def says_and_closes(answer: bytes) -> Behaviour:
    async def behave(pod: "FakePod", writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()

    return behave


async def endless(pod: "FakePod", writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    with contextlib.suppress(ConnectionError):
        while not writer.is_closing():
            writer.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
            pod.bytes_sent += 4096
            await writer.drain()


class FakePod(ScriptedServer):
    """A server that answers each request with its `behaviour`."""

    def __init__(self, concurrency: float = 1.0, behaviour: Behaviour = healthy) -> None:
        super().__init__(self._converse)
        self.stat = Stat("", concurrency, 0.0, concurrency * 2, 0.0, 10.0)
        self.behaviour = behaviour
        self.requests: list[bytes] = []
        self.connections = 0
        self.bytes_sent = 0

    def hang_up(self) -> None:
        """Close all connections, as a server does that found them idle for too long."""
        for writer in self.open:
            writer.close()

    def target(self, name: str = "pod", started_at: float = 0.0) -> PodTarget:
        return PodTarget(name, self.host, self.port, started_at)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while not writer.is_closing():
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            await self.behaviour(self, writer)


async def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait for a condition that the event loop brings about by itself."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.002)
