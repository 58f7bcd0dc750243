"""One client's connection: requests in, one after the other, each answered before the next begins."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import cast

import httptools

from kpa.proxying.messages import Body, Flow, Headers, head, tokens
from kpa.proxying.request import Request, status_line

HEAD_BYTES = 64 * 1024
"""Bytes of start line and fields that a request may have; more is answered with 431."""

HEAD_SECONDS = 60.0
"""Seconds that a client has to send them, against clients that keep connections busy by being slow.

Source: `knative/pkg network/server.go` (ReadHeaderTimeout).
"""

LINGER_SECONDS = 2.0
"""Seconds that an unread rest of a request is thrown away, so that the response is not lost by a reset."""

PIPELINE = 8
"""Requests that may wait on one connection behind the one being answered before the client is no longer read."""

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
    """One client's connection: requests in, one after the other, each answered before the next begins."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._queue: deque[Request] = deque()  # complete heads in order; the first is being answered
        self.task: asyncio.Task[None] | None = None
        self._tunnel: Body | None = None
        self._keep_alive = True
        self._discarding = False
        self._in_head = True
        self._head_bytes = 0
        self._skip_head = False
        self._resume_as = b""
        self._deadline: asyncio.TimerHandle | None = None
        self._target = b""
        self._headers = Headers()
        self.peer = ""
        self.tunnelled = False

    # --- the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.BaseProtocol`."""
        self.transport = cast(asyncio.Transport, transport)
        self._clients.connections.add(self)
        peer = transport.get_extra_info("peername")
        self.peer = peer[0] if peer else ""
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._tunnel is not None:
            self._tunnel.feed(data)
        elif not self._discarding:
            self._parse(data)

    def eof_received(self) -> bool:
        """See `asyncio.Protocol`. A client that ends its side has gone, except within a tunnel (as Go's server does)."""
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
        gone = ConnectionResetError("client gone")
        for body in [request.body for request in self._queue] + ([self._tunnel] if self._tunnel else []):
            body.fail(gone)
        if self.task is not None and not self.tunnelled:
            self.task.cancel()

    def abort(self) -> None:
        """Break the connection."""
        self.transport.abort()

    def close_if_idle(self) -> None:
        """Close a connection that waits for its next request."""
        if self.task is None:
            self.transport.close()

    # --- parsing

    def _parse(self, data: bytes) -> None:
        try:
            if self._in_head:
                self._count_head(len(data))
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as left:
            self._leave_parser(data[left.args[0] :])
        except httptools.HttpParserError:
            if self._head_bytes > HEAD_BYTES:
                self._refuse(
                    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"request head above {HEAD_BYTES} bytes"
                )
            else:
                self._refuse(HTTPStatus.BAD_REQUEST, "malformed request")
            return
        if self._in_head and self._deadline is None:
            self._expect_head()

    def on_message_begin(self) -> None:
        """See httptools."""
        if self._skip_head:
            return
        self._in_head = True
        self._head_bytes = 0
        self._target = b""
        self._headers = Headers()

    def on_url(self, url: bytes) -> None:
        """See httptools."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """See httptools. Trailers, which come after the head, are ignored."""
        if self._in_head:
            self._count_head(len(name) + len(value))
            self._headers.add(name, value)

    def on_headers_complete(self) -> None:
        """See httptools."""
        if self._skip_head:
            self._skip_head = False
            return
        self._in_head = False
        self._cancel_deadline()
        request = self._make_request()
        self._queue.append(request)
        if len(self._queue) == 1:
            self._begin()
        elif len(self._queue) > PIPELINE:
            self.set_reading(False)

    def on_body(self, data: bytes) -> None:
        """See httptools."""
        self._queue[-1].body.feed(data)

    def on_message_complete(self) -> None:
        """See httptools."""
        if not self._resume_as:
            self._queue[-1].body.end()

    def _count_head(self, size: int) -> None:
        """Bound the head; a head that comes in many pieces is counted twice at most."""
        self._head_bytes += size
        if self._head_bytes > 2 * HEAD_BYTES:
            raise httptools.HttpParserError("head too large")

    def _make_request(self) -> Request:
        headers, method = self._headers, self._parser.get_method().decode("latin-1")
        length = headers.get(b"content-length")
        chunked = b"transfer-encoding" in headers
        body = Body(self._on_full, None if chunked else int(length or 0))
        request = Request(self, method, _origin_form(self._target), headers, body)
        request.http11 = self._parser.get_http_version() != "1.0"
        if self._parser.should_upgrade():
            # Clients that offer HTTP/2 on every request (h2c), even with a body, are answered in HTTP/1.1.
            has_body = chunked or body.length != 0
            if has_body or b"h2c" in tokens(headers.get(b"upgrade")):
                framing = (
                    (b"Transfer-Encoding", b"chunked") if chunked else (b"Content-Length", length or b"0")
                )
                self._resume_as = head(b"POST / HTTP/1.1", [framing])
            else:
                request.upgrade = True
        return request

    def _leave_parser(self, rest: bytes) -> None:
        """The parser has come to an upgrade: go on without it, or with a new one in the body of this request."""
        if self._resume_as:
            seed, self._resume_as, self._skip_head = self._resume_as, b"", True
            self._parser = httptools.HttpRequestParser(self)
            self._parse(seed + rest)
            return
        self._tunnel = Body(self._on_full, None)
        if rest:
            self._tunnel.feed(rest)

    def _on_full(self, full: bool) -> None:
        self.set_reading(not full and len(self._queue) <= PIPELINE)

    def _expect_head(self) -> None:
        self._deadline = self._loop.call_later(HEAD_SECONDS, self._head_is_late)

    def _head_is_late(self) -> None:
        self._deadline = None
        self._refuse(HTTPStatus.REQUEST_TIMEOUT, "request head not received in time")

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, status: int, reason: str) -> None:
        """Answer what is not a request, unless a response is on its way, and close."""
        self._keep_alive = False
        self._discarding = True
        if self._queue:
            self.transport.abort()
            return
        text = reason.encode() + b"\n"
        fields = [
            (b"Content-Type", b"text/plain"),
            (b"Content-Length", b"%d" % len(text)),
            (b"Connection", b"close"),
        ]
        self.write(head(status_line(status, b""), fields) + text)
        self._linger()

    # --- answering

    def _begin(self) -> None:
        self.task = self._loop.create_task(self._answer(self._queue[0]))

    async def _answer(self, request: Request) -> None:
        reason = _objection(request)
        try:
            if reason:
                request.respond(reason[0], reason[1].encode() + b"\n")
            else:
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
            if self._tunnel is not None:
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
        if not self._keep_alive or self._tunnel is not None:
            self._linger() if not request.body.ended else self.transport.close()
            return
        self._queue.popleft()
        if self._queue:
            self._begin()
            self._on_full(self._queue[-1].body.full)
        elif self._clients.draining:
            self.transport.close()

    def _linger(self) -> None:
        """Close such that what was written arrives: throw away what the client still sends for a while."""
        self._discarding = True
        if self.transport.is_closing():
            return
        self.set_reading(True)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._cancel_deadline()
        self._deadline = self._loop.call_later(LINGER_SECONDS, self.transport.abort)

    def tunnel(self) -> Body:
        """Leave HTTP."""
        self.tunnelled = True
        self._clients.changed.set()
        if self._tunnel is None:
            self._tunnel = Body(self._on_full, None)
        return self._tunnel


def _origin_form(target: bytes) -> bytes:
    """Path and query of a target that names the server as well, as clients of a proxy send it."""
    if not target.startswith((b"http://", b"https://")):
        return target
    rest = target.split(b"://", 1)[1]
    slash = rest.find(b"/")
    return rest[slash:] if slash >= 0 else b"/"


def _objection(request: Request) -> tuple[int, str] | None:
    """Status and reason for what cannot be served in HTTP/1.1."""
    if request.method == "CONNECT":
        return 405, "CONNECT is not served"
    if tokens(request.headers.get(b"transfer-encoding")) not in ([], [b"chunked"]):
        return 501, "only the transfer encoding chunked is served"
    if request.http11 and request.headers.count(b"host") != 1:
        return 400, "exactly one Host field is needed"
    return None
