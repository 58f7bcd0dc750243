"""One connection to an upstream: a request out, its response in, and again."""

import asyncio
from typing import cast

import httptools

from kpa.dataplane.http.messages import Body, Flow, Headers, tokens


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
            self._response.exception()  # there may be no waiter
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
