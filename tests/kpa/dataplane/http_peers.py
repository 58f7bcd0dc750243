"""Both sides of a proxy under test: scripted servers, raw clients, and both event loops."""

import asyncio
import functools
import inspect
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple

import pytest
from aiohttp import web

from kpa.dataplane.http.forward import forward
from kpa.dataplane.http.request import Request
from kpa.dataplane.http.server import ProxyServer
from kpa.dataplane.http.upstream import Upstream, UpstreamUnreachable
from tests.servers import scripted

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
with suppress(ImportError):
    import uvloop

    LOOPS["uvloop"] = uvloop.new_event_loop

DEADLINE = 30.0
"""Seconds after which a test is taken to hang."""

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def on_both_loops(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test on asyncio's event loop and on uvloop, which differ in the end of connections."""

    @functools.wraps(test)
    def run(*, new_loop: Callable[[], asyncio.AbstractEventLoop], **fixtures: Any) -> None:
        async def within_deadline() -> None:
            async with asyncio.timeout(DEADLINE):
                await test(**fixtures)

        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(within_deadline())

    parameters = [*inspect.signature(test).parameters.values()]
    parameters.append(inspect.Parameter("new_loop", inspect.Parameter.KEYWORD_ONLY))
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # for pytest
    del run.__wrapped__  # type: ignore[attr-defined]  # which would be taken for the test
    return pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS.keys())(run)


@asynccontextmanager
async def replies(*answers: bytes) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that reads one request a connection, and sends the next of some answers, the last for ever."""
    seen: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        for line in request.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                request += await reader.readexactly(int(line.split(b":")[1]))
        if b"transfer-encoding: chunked" in request.lower():
            request += await reader.readuntil(b"0\r\n\r\n")
        seen.append(request)
        writer.write(answers[min(len(seen), len(answers)) - 1])
        await writer.drain()

    async with scripted(script) as port:
        yield port, seen


@asynccontextmanager
async def application(**routes: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[int]:
    """An aiohttp server with a handler per first word of the path."""
    app = web.Application(client_max_size=2**30)
    for name, handler in routes.items():
        app.router.add_route("*", f"/{name}", handler)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def serving(handler: Callable[[Request], Awaitable[None]]) -> AsyncIterator[tuple[int, ProxyServer]]:
    """Our server with a handler."""
    server = ProxyServer(handler)
    try:
        yield await server.start("127.0.0.1", 0), server
    finally:
        await server.close()


@asynccontextmanager
async def proxying(port: int, **options: Any) -> AsyncIterator[int]:
    """A proxy before a port, which answers as both our processes do."""
    upstream = Upstream("127.0.0.1", port)

    async def handle(request: Request) -> None:
        try:
            await forward(request, upstream, **options)
        except UpstreamUnreachable as error:
            request.fail(502, str(error))
        except TimeoutError:
            request.fail(504, "request timeout")

    async with serving(handle) as (bound, _):
        yield bound
    upstream.close()


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Stream]:
    """A client's connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def ask(port: int, request: bytes) -> bytes:
    """Send bytes and return all that comes until the other side closes or breaks the connection."""
    async with connected(port) as (reader, writer):
        writer.write(request)
        return await rest_of(reader)


async def rest_of(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the end, however it comes."""
    pieces = []
    with suppress(ConnectionError):
        while piece := await reader.read(65536):
            pieces.append(piece)
    return b"".join(pieces)


def get(path: str = "/", *fields: str, method: str = "GET", close: bool = True) -> bytes:
    """A request without a body."""
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: hello.localhost",
        *fields,
        *(["Connection: close"] if close else []),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def post(body: bytes, *fields: str, close: bool = True) -> bytes:
    """A request with a body of known length."""
    return get("/", f"Content-Length: {len(body)}", *fields, method="POST", close=close) + body


class Child(NamedTuple):
    """A queue-proxy in a process of its own, and its events."""

    process: asyncio.subprocess.Process
    events: asyncio.StreamReader
    hang_up: Callable[[], None]
    serving: int
    metrics: int
    admin: int

    async def event(self) -> dict[str, Any]:
        """The next event."""
        event: dict[str, Any] = json.loads(await self.events.readline())
        return event


@asynccontextmanager
async def queue_proxy(user_port: int, **environment: str) -> AsyncIterator[Child]:
    """A queue-proxy before a port; killed at the end if it still runs."""
    ours, theirs = os.pipe()
    settings = {
        "USER_PORT": str(user_port),
        "SERVING_POD": "hello-00001-abc",
        "QUEUE_SERVING_PORT": "0",
        "QUEUE_METRICS_PORT": "0",
        "QUEUE_ADMIN_PORT": "0",
        "QUEUE_DRAIN_QUIET_SECONDS": "0.2",
        "QUEUE_EVENTS_FD": str(theirs),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "kpa.dataplane.queue_proxy",
        env={**os.environ, **settings, **environment},
        pass_fds=[theirs],
    )
    os.close(theirs)
    events = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(events), os.fdopen(ours, "rb")
    )
    try:
        first = json.loads(await events.readline())
        assert first.pop("event") == "listening"
        yield Child(process, events, transport.close, **first)
    finally:
        transport.close()
        if process.returncode is None:
            process.kill()
        await process.wait()
