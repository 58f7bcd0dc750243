"""Answers without an end: they end when the client goes, or when the server closes."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

from aiohttp import web

Send = Callable[[web.StreamResponse], Coroutine[Any, Any, None]]


class Streams:
    """Keeps the endless answers of a kind, so that they can be ended."""

    def __init__(self) -> None:
        self._open: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._open)

    async def serve(self, request: web.Request, content_type: str, send: Send) -> web.StreamResponse:
        """Answer with what is sent, until the client goes or `end` is called.

        Parameters
        ----------
        request : Request
        content_type : str
        send : coroutine function (response)
            Writes to the response again and again.
        """
        response = web.StreamResponse(headers={"Content-Type": content_type, "Cache-Control": "no-store"})
        await response.prepare(request)
        stream = asyncio.create_task(_until_gone(send, response))
        self._open.add(stream)
        try:
            await asyncio.wait([stream])
        finally:
            stream.cancel()
            self._open.discard(stream)
        return response

    def end(self) -> None:
        """End all of them."""
        for stream in self._open:
            stream.cancel()


async def _until_gone(send: Send, response: web.StreamResponse) -> None:
    with contextlib.suppress(ConnectionError):
        await send(response)
