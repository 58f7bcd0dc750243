"""An activator that answers probes, or misbehaves."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Literal

from aiohttp import web

Mode = Literal["ok", "pieces", "hang", "unavailable", "pod", "longer"]


class StubActivator:
    """What the autoscaler asks before the last pod of a revision goes.

    Attributes
    ----------
    address, port : str, int
        Where it listens.
    mode : str
        `ok` answers, `pieces` byte by byte; `hang` accepts and never answers; `unavailable` is status 503;
        `pod` answers as a pod's queue-proxy would; `longer` says more than it should.
    probes : list of (str, str)
        Host and path of each request.
    headers : dict
        Of the last request.
    """

    def __init__(self, address: str) -> None:
        self.address, self.port = address, 0
        self.mode: Mode = "ok"
        self.probes: list[tuple[str, str]] = []
        self.headers: dict[str, str] = {}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one probe."""
        self.probes.append((request.host, request.raw_path))
        self.headers = dict(request.headers)
        match self.mode:
            case "hang":
                await asyncio.Event().wait()
            case "unavailable":
                return web.Response(status=503)
            case "pod":
                return web.Response(text="queue")
            case "longer":
                return web.Response(text="activator and more")
            case "pieces":
                return await self._in_pieces(request)
        return web.Response(text="activator")

    async def _in_pieces(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for byte in b"activator":
            await response.write(bytes([byte]))
            await asyncio.sleep(0.002)
        return response


@contextlib.asynccontextmanager
async def activator(address: str = "127.0.0.1") -> AsyncIterator[StubActivator]:
    """Run an activator."""
    stub = StubActivator(address)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", stub.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, address, 0).start()
        stub.port = runner.addresses[0][1]
        yield stub
    finally:
        await runner.cleanup()
