"""The side that serves: kept-alive connections to one address, and the responses that come over them."""

import asyncio
from collections.abc import Iterable
from typing import cast

import httptools

from kpa.proxying.messages import Body, Flow, Headers, Pair, head, tokens

CONNECT_SECONDS = 5.0
"""Seconds to wait for a connection; a refused one fails at once."""

IDLE_SECONDS = 1.0
"""Seconds that an unused connection is kept.

Short, because a server that closes one in the moment when a request is sent over it loses the request, and servers
close theirs after 2 seconds (gunicorn) or more; a new connection within a machine costs a tenth of a millisecond.
"""


class UpstreamUnreachable(Exception):
    """No connection: nothing was sent, so the same request may go elsewhere."""


class UpstreamFailed(Exception):
    """The connection broke, or what came over it was not HTTP."""


class Response:
    """The head of a response, and its body as it comes.

    Attributes
    ----------
    bodiless : bool
        Has no body by its nature (HEAD, 204, 304), whatever its fields say.
    body : Body
        Its `length` is None when the end shows only when it is reached.
    """

    __slots__ = ("bodiless", "body", "headers", "reason", "status")

    def __init__(self, status: int, reason: bytes, headers: Headers, body: Body, bodiless: bool) -> None:
        self.status = status
        self.reason = reason
        self.headers = headers
        self.body = body
        self.bodiless = bodiless


class UpstreamConnection(Flow):
    """One connection: a request out, its response in, and again.

    Attributes
    ----------
    reused : bool
        Whether an earlier request went over it, so that the other side may have been about to close it.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.reused = False
        self._method = ""
        self._reset()

    # --- one exchange

    def begin(self, method: str, data: bytes) -> None:
        """Send the head of a request, or all of it. Its body may follow with `write`."""
        self._reset()
        self._method = method
        self.write(data)
        if self.transport.is_closing():
            self._break(UpstreamFailed("connection lost"))

    async def response(self) -> Response:
        """Wait for the head of the response.

        Raises
        ------
        UpstreamFailed
            The connection broke before, or what came was not HTTP.
        """
        return await self._response

    async def leave_to_send(self, seconds: float) -> bool:
        """Wait for leave to send the body (100 Continue); False if the response came instead.

        A server that does not know the mechanism gives no sign, so that after a while leave is taken.
        """
        await asyncio.wait(
            (self._leave, self._response), timeout=seconds, return_when=asyncio.FIRST_COMPLETED
        )
        return not self._response.done()

    @property
    def reusable(self) -> bool:
        """Whether the response is complete and another request may follow."""
        return self._complete and self._keep_alive and not self.transport.is_closing()

    def _reset(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._reason = b""
        self._headers = Headers()
        self._in_head = True
        self._interim = False
        self._body: Body | None = None
        self._tunnelled = False
        self._complete = False
        self._keep_alive = False
        self._until_closed = False
        self._response: asyncio.Future[Response] = self._loop.create_future()
        self._leave: asyncio.Future[None] = self._loop.create_future()

    # --- the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.BaseProtocol`."""
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._tunnelled:
            assert self._body is not None
            self._body.feed(data)
            return
        if self._complete or not self._method:
            self.transport.abort()  # nothing was asked
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as left:
            self._tunnelled = True
            if rest := data[left.args[0] :]:
                self.data_received(rest)
        except httptools.HttpParserError as error:
            self._break(UpstreamFailed(f"malformed response: {error}"))
            self.transport.abort()

    def eof_received(self) -> bool:
        """See `asyncio.Protocol`."""
        if self._body is not None and (self._tunnelled or self._until_closed):
            self._body.end()
            self._complete = True
        return self._tunnelled

    def connection_lost(self, error: Exception | None) -> None:
        """See `asyncio.BaseProtocol`."""
        super().connection_lost(error)
        self._break(UpstreamFailed("connection closed before the response was complete"))

    def _break(self, error: UpstreamFailed) -> None:
        self._keep_alive = False
        if not self._response.done():
            self._response.set_exception(error)
            self._response.exception()  # nobody may be waiting
        if self._body is not None:
            self._body.fail(error)

    # --- parsing

    def on_message_begin(self) -> None:
        """See httptools."""
        self._reason = b""
        self._headers = Headers()
        self._in_head = True

    def on_status(self, reason: bytes) -> None:
        """See httptools."""
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """See httptools. Trailers, which come after the head, are ignored."""
        if self._in_head:
            self._headers.add(name, value)

    def on_headers_complete(self) -> None:
        """See httptools."""
        self._in_head = False
        status, headers = self._parser.get_status_code(), self._headers
        self._interim = 100 <= status < 200 and status != 101
        if self._interim:
            if status == 100 and not self._leave.done():
                self._leave.set_result(None)
            return
        if self._body is not None:
            raise httptools.HttpParserError("a second response")
        bodiless = self._method == "HEAD" or status in (204, 304)
        chunked = tokens(headers.get(b"transfer-encoding"))[-1:] == [b"chunked"]
        length = None if chunked or b"content-length" not in headers else int(headers.get(b"content-length"))
        self._until_closed = not (bodiless or chunked or length is not None)
        self._keep_alive = (
            not self._until_closed
            and self._parser.get_http_version() == "1.1"
            and b"close" not in tokens(headers.get(b"connection"))
        )
        self._body = Body(self._on_full, 0 if bodiless else length)
        if bodiless:
            self._end()
        if not self._response.done():
            self._response.set_result(Response(status, self._reason, headers, self._body, bodiless))

    def on_body(self, data: bytes) -> None:
        """See httptools."""
        if self._body is not None and not self._complete:
            self._body.feed(data)

    def on_message_complete(self) -> None:
        """See httptools."""
        if not self._interim and self._parser.get_status_code() != 101:
            self._end()

    def _end(self) -> None:
        self._complete = True
        if self._body is not None:
            self._body.end()

    def _on_full(self, full: bool) -> None:
        self.set_reading(not full)


class Upstream:
    """Connections to one address.

    Parameters
    ----------
    host, port
        The address; an IP address, as names are not looked up again.
    """

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._idle: list[tuple[float, UpstreamConnection]] = []  # with the time of its release; newest last
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False

    async def acquire(self, *, fresh: bool = False) -> UpstreamConnection:
        """A connection, preferably the one used last; a new one if asked.

        Raises
        ------
        UpstreamUnreachable
            There is none and none can be made.
        """
        loop = asyncio.get_running_loop()
        while self._idle and not fresh:
            released, connection = self._idle.pop()
            if not connection.transport.is_closing() and loop.time() - released < IDLE_SECONDS:
                connection.reused = True
                return connection
            connection.transport.close()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return (await loop.create_connection(UpstreamConnection, self.host, self.port))[1]
        except (OSError, TimeoutError) as error:
            text = str(error) or f"no connection within {CONNECT_SECONDS:g} seconds"
            raise UpstreamUnreachable(f"{self.host}:{self.port}: {text}") from error

    def release(self, connection: UpstreamConnection) -> None:
        """Take a connection back, to keep it if another request may follow."""
        if not connection.reusable or self._closed:
            if not connection.transport.is_closing():
                connection.transport.abort()
            return
        loop = asyncio.get_running_loop()
        self._idle.append((loop.time(), connection))
        if self._sweeper is None:
            self._sweeper = loop.call_later(IDLE_SECONDS, self._sweep)

    def close(self) -> None:
        """Close the unused connections, and those in use when they are released."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for _, connection in self._idle:
            connection.transport.close()
        self._idle.clear()

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        limit = loop.time() - IDLE_SECONDS
        for _, connection in (old := [entry for entry in self._idle if entry[0] <= limit]):
            connection.transport.close()
        del self._idle[: len(old)]
        self._sweeper = loop.call_later(IDLE_SECONDS, self._sweep) if self._idle else None


async def fetch(
    host: str, port: int, path: str, headers: Iterable[Pair] = (), *, seconds: float, limit: int = 4096
) -> tuple[int, Headers, bytes]:
    """GET a small thing over a connection of its own; status, fields and at most `limit` bytes of the body.

    Raises
    ------
    UpstreamUnreachable
        No connection.
    UpstreamFailed
        Anything else that is not a response.
    TimeoutError
        Not within so many seconds.
    """
    async with asyncio.timeout(seconds):
        upstream = Upstream(host, port)
        connection = await upstream.acquire()
        try:
            fields = [*headers, (b"Connection", b"close")]
            if not any(name.lower() == b"host" for name, _ in fields):
                fields.insert(0, (b"Host", f"{host}:{port}".encode("latin-1")))
            connection.begin("GET", head(f"GET {path} HTTP/1.1".encode("latin-1"), fields))
            response = await connection.response()
            body = b""
            while len(body) < limit and (piece := await response.body.read()):
                body += piece
            return response.status, response.headers, body[:limit]
        finally:
            connection.transport.abort()
