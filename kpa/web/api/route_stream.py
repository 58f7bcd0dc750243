"""The routing table as a stream: activators read it, and know by its signs of life that we live."""

import asyncio
from typing import Protocol

from aiohttp import web

from kpa.web.api.streams import Streams

SIGN_OF_LIFE = 5.0
"""Seconds between empty lines of a silent stream."""


class RouteSource(Protocol):
    """A text that changes, such as the routing table."""

    def current(self) -> str:
        """The newest text, one line of JSON."""

    async def changed(self, seen: str) -> None:
        """Return once `current()` is not `seen`; at once if it is not."""


class RouteFeed:
    """The simplest `RouteSource`: whoever has a new text publishes it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._change = asyncio.Event()

    def publish(self, text: str) -> None:
        """Replace the text and wake everyone who waits."""
        if text != self._text:
            self._text = text
            self._change.set()
            self._change = asyncio.Event()

    def current(self) -> str:
        """The text published last."""
        return self._text

    async def changed(self, seen: str) -> None:
        """Return once the text is not `seen`."""
        while self._text == seen:
            await self._change.wait()


class RouteStream:
    """Answers `GET /api/routes` with JSON lines: the text now, and again whenever it changes."""

    def __init__(self, source: RouteSource) -> None:
        self._source = source
        self._streams = Streams()
        self.end = self._streams.end

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer until the client goes."""
        return await self._streams.serve(request, "application/x-ndjson", self._send)

    async def _send(self, response: web.StreamResponse) -> None:
        """Send the newest text again and again; a slow client misses the ones in between."""
        while True:
            seen = self._source.current()
            await response.write(seen.encode() + b"\n")
            while not await self._has_changed(seen):
                await response.write(b"\n")

    async def _has_changed(self, seen: str) -> bool:
        try:
            async with asyncio.timeout(SIGN_OF_LIFE):
                await self._source.changed(seen)
        except TimeoutError:
            return False
        return True
