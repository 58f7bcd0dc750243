"""The websocket on which activators, and other autoscalers, report loads.

A binary frame is one `WireStatMessages`. Other frames are dropped and the connection is
kept, so an activator of another version does not lose its other reports. No subprotocol, no compression, no
authentication; pings are answered; every path upgrades. A plain GET gets a page if there is one at its path;
else 200 if a kubelet asks, and 400 otherwise.

Protection of memory, where Knative has none: a message may have 16 MiB, some 150,000 revisions, more ends its
connection (1009), and there are at most 256 connections, more get 503. Peers that vanished without a word are
found by a ping after 10 s of silence.

Source: `knative/serving pkg/autoscaler/statserver/server.go`.
"""

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias
from urllib.parse import urlsplit

from aiohttp import WSCloseCode, WSMsgType, web

from metrics.stat import StatMessage, decode_messages
from metrics.validation import is_plausible

_LONGEST_MESSAGE = 16 * 2**20
"""Bytes; a revision takes about 100."""

_MOST_CONNECTIONS = 256
"""Activators and peers; a large cluster has some dozens."""

_SILENCE = 10.0
"""Seconds; Knative's activators ping every 3.3 s, and drop a connection without an answer after 10 s."""

_GRACE = 3.0
"""Seconds for peers to answer the close frame; with what follows the shutdown stays below 5 s."""

_FURTHEST_AHEAD = 60
"""Seconds, Knative's default stable window. A timestamp further ahead comes from a wrong clock."""

_COMPLAINT_EVERY = 10.0
"""Seconds between two log messages about dropped input."""

_log = logging.getLogger(__name__)


Page: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]
"""Handler of a plain GET."""


class StatServer:
    """Receives stats and passes them on.

    Parameters
    ----------
    on_stats : callable (list of StatMessage)
        Called with the messages of one frame, at least one; all are valid and have a timestamp.
    clock : callable
        Unix time in seconds.
    accepts : callable (str) -> bool
        Says whether stats are accepted for a host name. Other names get a plain 200 and no websocket, so a
        peer that looks for another replica tries the next one.
    pages : Mapping of str to callable (Request) -> Response, optional
        By path. A client that may send stats may read them.

    Attributes
    ----------
    dropped : Counter of str
        What was dropped since the start: frames that are "text" or "undecodable", and single messages
        that are "implausible".

    Notes
    -----
    A timestamp of 0 becomes the second of arrival. So does one more than 60 s ahead of our clock. Knative
    keeps such a timestamp, and the window stands still until that time has come. A timestamp in the past is
    kept: the window decides whether it is too old.
    """

    def __init__(
        self,
        on_stats: Callable[[list[StatMessage]], None],
        clock: Callable[[], float] = time.time,
        accepts: Callable[[str], bool] = lambda host: True,
        pages: Mapping[str, Page] | None = None,
    ) -> None:
        self.dropped: Counter[str] = Counter()
        self._on_stats = on_stats
        self._clock = clock
        self._accepts = accepts
        self._pages = pages or {}
        self._leaving = False
        self._sockets: set[web.WebSocketResponse] = set()
        self._runner: web.AppRunner | None = None
        self._complained_at = float("-inf")

    async def start(self, host: str | None, port: int) -> int:
        """Listen, without a host on all addresses; returns the port, which port 0 leaves to the system.

        Raises
        ------
        OSError
            The address is in use or not available.
        """
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError:
            await self.close()
            raise
        bound: int = self._runner.addresses[0][1]
        return bound

    async def close(self) -> None:
        """Send "Restarting" (1012) to all peers and stop, within 5 s whatever they answer."""
        if self._runner is None:
            return
        runner, self._runner = self._runner, None
        for site in list(runner.sites):
            await site.stop()
        await self.farewell()
        await runner.cleanup()

    async def farewell(self) -> None:
        """Send "Restarting" (1012) to all peers and accept no new ones; pages are still served."""
        self._leaving = True
        farewells = [
            socket.close(code=WSCloseCode.SERVICE_RESTART, message=b"Restarting") for socket in self._sockets
        ]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GRACE):
                await asyncio.gather(*farewells, return_exceptions=True)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        page = self._pages.get(request.path)
        if page is not None and request.method == "GET" and not _upgrades(request):
            return await page(request)
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        socket = web.WebSocketResponse(
            timeout=_GRACE, heartbeat=_SILENCE, compress=False, max_msg_size=_LONGEST_MESSAGE
        )
        self._sockets.add(socket)
        try:
            await socket.prepare(request)
            async for message in socket:
                if message.type is WSMsgType.BINARY:
                    self._take(message.data)
                elif message.type is WSMsgType.TEXT:
                    self._drop("text")
        except ConnectionError:  # the client left before the response
            return web.Response()
        finally:
            self._sockets.discard(socket)
        return socket

    def _refusal(self, request: web.Request) -> web.Response | None:
        """Return the answer to a request that gets no websocket."""
        headers = request.headers
        if not self._accepts(request.host):
            return web.Response()
        if not _upgrades(request):
            kubelet = headers.get("User-Agent", "").startswith("kube-probe/") or "K-Kubelet-Probe" in headers
            return web.Response(status=200 if kubelet else 400)
        if headers.get("Upgrade", "").lower().strip() != "websocket":
            return web.Response(status=426, headers={"Upgrade": "websocket"})
        if request.method != "GET":
            return web.Response(status=405, headers={"Allow": "GET"})
        origin = headers.get("Origin")
        if origin is not None and _host_of(origin) != request.host.lower():
            return web.Response(status=403)
        if self._leaving or len(self._sockets) >= _MOST_CONNECTIONS:
            return web.Response(status=503)
        return None

    def _take(self, frame: bytes) -> None:
        try:
            messages = decode_messages(frame)
        except ValueError:
            self._drop("undecodable")
            return
        now = int(self._clock())
        taken = []
        for message in messages:
            stat = message.stat
            if not is_plausible(stat):
                self._drop("implausible")
                continue
            if stat.timestamp == 0 or stat.timestamp > now + _FURTHEST_AHEAD:
                message = message._replace(stat=stat._replace(timestamp=now))
            taken.append(message)
        if taken:
            self._on_stats(taken)

    def _drop(self, reason: str) -> None:
        self.dropped[reason] += 1
        now = time.monotonic()
        if now - self._complained_at >= _COMPLAINT_EVERY:
            self._complained_at = now
            counts = ", ".join(f"{reason} {count}" for reason, count in sorted(self.dropped.items()))
            _log.warning("dropped invalid reports; totals since start: %s", counts)


def _upgrades(request: web.Request) -> bool:
    return "upgrade" in request.headers.get("Connection", "").lower()


def _host_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None
