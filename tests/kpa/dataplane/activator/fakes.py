"""What stands around an activator in its tests, all of it on real sockets of this machine."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aiohttp import WSMsgType, web

from kpa.dataplane.routes import Backend, Route, RoutingTable
from metrics.key import Key
from metrics.stat import Stat, decode_messages

DEADLINE = 30.0  # seconds; generous, as it ends a wait that has failed


async def until(holds: Callable[[], Any]) -> Any:
    """Wait until something holds and return what it is."""
    async with asyncio.timeout(DEADLINE):
        while not (value := holds()):
            await asyncio.sleep(0.002)
    return value


class Site:
    """An aiohttp application that can stop hearing and come back at the same port."""

    def __init__(self) -> None:
        self.port = 0
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        application = web.Application(client_max_size=0)
        application.router.add_route("*", "/{path:.*}", self.answer)
        self._runner = web.AppRunner(  # 0 would mean to wait for ever
            application, access_log=None, shutdown_timeout=0.001, handler_cancellation=True
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def answer(self, request: web.Request) -> web.StreamResponse:
        raise NotImplementedError


class Autoscaler(Site):
    """A stat server that keeps what it hears."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[Key, Stat]] = []
        self.connections: set[web.WebSocketResponse] = set()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def stats(self, key: Key) -> list[tuple[float, float]]:
        """Concurrency and count of each stat of a revision."""
        return [
            (stat.average_concurrent_requests, stat.request_count) for who, stat in self.heard if who == key
        ]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        websocket = web.WebSocketResponse()
        await websocket.prepare(request)
        self.connections.add(websocket)
        try:
            async for frame in websocket:
                assert frame.type is WSMsgType.BINARY
                for namespace, name, stat in decode_messages(frame.data):
                    self.heard.append((Key(namespace, name), stat))
        finally:
            self.connections.discard(websocket)
        return websocket


class RoutesSource(Site):
    """Streams the current table to whoever asks, and every later one."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.streams = 0
        self._changed = asyncio.Condition()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/routes"

    async def publish(self, *routes: Route) -> None:
        await self.publish_text(RoutingTable(routes).to_json())

    async def publish_text(self, text: str) -> None:
        async with self._changed:
            self.text = text
            self._changed.notify_all()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        self.streams += 1
        sent = ""
        try:
            while True:
                async with self._changed:
                    while self.text == sent:
                        await self._changed.wait()
                    sent = self.text
                await response.write(b"\n" + sent.encode() + b"\n")
        finally:
            self.streams -= 1


class Pod(Site):
    """A backend that counts what it has in flight and answers when it is let to.

    `/stream` sends server-sent events one by one, `/ws` echoes websocket messages, all else answers its name.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.in_flight = self.most_in_flight = 0
        self.requests: list[web.BaseRequest] = []
        self.bodies: list[bytes] = []
        self.go = asyncio.Event()
        self.go.set()
        self.seconds = 0.0

    @property
    def backend(self) -> Backend:
        return Backend(self.name, f"127.0.0.1:{self.port}")

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            if request.path == "/ws":
                return await self._echo(request)
            if request.path == "/stream":
                return await self._stream(request)
            self.bodies.append(b"".join([piece async for piece in request.content.iter_any()]))
            await self.go.wait()
            await asyncio.sleep(self.seconds)
            return web.Response(text=self.name)
        finally:
            self.in_flight -= 1

    async def _echo(self, request: web.Request) -> web.WebSocketResponse:
        websocket = web.WebSocketResponse()
        await websocket.prepare(request)
        async for frame in websocket:
            await websocket.send_str(f"{self.name}: {frame.data}")
        return websocket

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: 1\n\n")
        await self.go.wait()  # the client must have the first event before the second is sent
        await response.write(b"data: 2\n\n")
        return response


@contextlib.asynccontextmanager
async def running(*sites: Site) -> AsyncIterator[None]:
    """All of them listening, and none any more."""
    async with contextlib.AsyncExitStack() as stack:
        for site in sites:
            await site.start()
            stack.push_async_callback(site.stop)
        yield


async def gathered(*requests: Awaitable[Any]) -> list[Any]:
    """All results, within the deadline."""
    async with asyncio.timeout(DEADLINE):
        return await asyncio.gather(*requests)
