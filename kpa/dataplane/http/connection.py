"""One client's connection: requests in, one after the other, each answered before the next begins."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import cast

from kpa.dataplane.http.messages import Body, Flow, head, tokens
from kpa.dataplane.http.reader import Refusal, RequestReader
from kpa.dataplane.http.request import Request, status_line

HEAD_SECONDS = 60.0
"""Seconds that a client has to send a head, against clients that keep connections busy by being slow.

Source: `knative/pkg network/server.go` (ReadHeaderTimeout).
"""

LINGER_SECONDS = 2.0
"""Seconds that an unread rest of a request is thrown away, so that the response is not lost by a reset."""

PIPELINE = 8
"""Requests that may wait on one connection behind the one being answered before no more are read."""

logger = logging.getLogger(__name__)

Handler = Callable[[Request], Awaitable[None]]
"""Answers one request, in a task of its own, which is cancelled when the client goes away."""


class Clients:
    """What the connections of one server share.

    Attributes
    ----------
    handler : Handler
        Answers their requests.
    connections : set of ServerConnection
        Those that are open.
    draining : bool
        Whether each is to be closed after its current request.
    changed : asyncio.Event
        Set when one was closed or left HTTP.
    """

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.connections: set[ServerConnection] = set()
        self.draining = False
        self.changed = asyncio.Event()


class ServerConnection(Flow):
    """One client's connection.

    Attributes
    ----------
    peer : str
        The client's IP address.
    task : asyncio.Task or None
        Answers the current request.
    tunnelled : bool
        Whether the connection has left HTTP.
    """

    def __init__(self, clients: Clients) -> None:
        self.peer = ""
        self.task: asyncio.Task[None] | None = None
        self.tunnelled = False
        self._clients = clients
        self._loop = asyncio.get_running_loop()
        self._reader = RequestReader(self, self._on_request, self._on_full)
        self._queue: deque[Request] = deque()  # heads in order; the first is being answered
        self._tunnel: Body | None = None
        self._keep_alive = True
        self._discarding = False
        self._deadline: asyncio.TimerHandle | None = None

    # --- the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.BaseProtocol`."""
        self.transport = cast(asyncio.Transport, transport)  # those of uvloop are no subclasses
        self._clients.connections.add(self)
        peer = transport.get_extra_info("peername")
        self.peer = peer[0] if peer else ""
        self._set_deadline(HEAD_SECONDS, self._head_is_late)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._tunnel is not None:
            self._tunnel.feed(data)
            return
        if self._discarding:
            return
        try:
            rest = self._reader.feed(data)
        except Refusal as refusal:
            self._refuse(refusal.status, refusal.reason)
            return
        if rest is not None:
            self._tunnel = Body(self._on_full, None)
            if rest:
                self._tunnel.feed(rest)
        elif self._reader.in_head and self._deadline is None:
            self._set_deadline(HEAD_SECONDS, self._head_is_late)

    def eof_received(self) -> bool:
        """See `asyncio.Protocol`. A client that ends its side has gone (as in Go), but for tunnels."""
        if self._tunnel is not None:
            self._tunnel.end()
            return True
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """See `asyncio.BaseProtocol`."""
        super().connection_lost(error)
        self._clients.connections.discard(self)
        self._clients.changed.set()
        self._cancel_deadline()
        if self._tunnel is not None:
            self._tunnel.fail(ConnectionResetError("client gone"))
        if self.task is not None and not self.tunnelled:
            self.task.cancel()

    def abort(self) -> None:
        """Break the connection."""
        self.transport.abort()

    def close_if_idle(self) -> None:
        """Close a connection that waits for its next request."""
        if self.task is None and not self._discarding:
            self.transport.close()

    # --- requests in

    def _on_request(self, request: Request) -> None:
        self._cancel_deadline()
        self._queue.append(request)
        if len(self._queue) == 1:
            self._begin()
        elif len(self._queue) > PIPELINE:
            self.set_reading(False)

    def _on_full(self, full: bool) -> None:
        self.set_reading(not full and len(self._queue) <= PIPELINE)

    def _head_is_late(self) -> None:
        self._deadline = None
        self._refuse(HTTPStatus.REQUEST_TIMEOUT, "request head not received in time")

    def _refuse(self, status: int, reason: str) -> None:
        """Answer what is not a request and close; break the connection while a response is on its way."""
        if self._queue:
            self.transport.abort()
            return
        text = reason.encode() + b"\n"
        fields = [(b"Content-Type", b"text/plain"), (b"Content-Length", b"%d" % len(text))]
        self.write(head(status_line(status, b""), [*fields, (b"Connection", b"close")]) + text)
        self._linger()

    def _set_deadline(self, seconds: float, then: Callable[[], None]) -> None:
        self._cancel_deadline()
        self._deadline = self._loop.call_later(seconds, then)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    # --- responses out

    def _begin(self) -> None:
        self.task = self._loop.create_task(self._answer(self._queue[0]))

    async def _answer(self, request: Request) -> None:
        try:
            await self._clients.handler(request)
            if not request.started:
                request.fail(500, "no response")
        except asyncio.CancelledError:
            self.transport.abort()
            raise
        except ConnectionError:
            self.transport.abort()
        except Exception:
            logger.exception("request failed: %s %s", request.method, request.path)
            request.fail(500, "internal error")
        finally:
            if self.tunnelled:
                self.transport.close()

    def settle_keep_alive(self, request: Request, *, framed: bool) -> bool:
        """Whether another request may follow the response that begins now."""
        self._keep_alive = (
            framed
            and request.http11
            and request.body.ended
            and not request.upgrade
            and not self._clients.draining
            and b"close" not in tokens(request.headers.get(b"connection"))
        )
        return self._keep_alive

    def finished(self, request: Request) -> None:
        """A response is complete: go on with the next request, or close."""
        self.task = None
        self._queue.popleft()
        if not self._keep_alive:
            self._linger()
        elif self._queue:
            self._begin()
            self._on_full(self._queue[-1].body.full)
        elif self._clients.draining:
            self.transport.close()

    def _linger(self) -> None:
        """Close such that what was written arrives: throw away for a while what the client still sends."""
        self._discarding = True
        if self.transport.is_closing():
            return
        self.set_reading(True)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._set_deadline(LINGER_SECONDS, self.transport.abort)

    def tunnel(self) -> Body:
        """Leave HTTP; what the client sends from here on."""
        self.tunnelled = True
        self._clients.changed.set()
        if self._tunnel is None:
            self._tunnel = Body(self._on_full, None)
        return self._tunnel
