"""One client's request and the way to answer it."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Protocol

from kpa.dataplane.http.messages import Body, Headers, Pair, chunk, head, tokens


class Connection(Protocol):
    """What a request needs of the connection that it came over."""

    peer: str

    def write(self, data: bytes) -> None:
        """Send bytes."""

    async def drain(self) -> None:
        """Wait until most of them are taken."""

    def abort(self) -> None:
        """Break the connection."""

    def settle_keep_alive(self, request: "Request", *, framed: bool) -> bool:
        """Whether another request may follow the response that begins now."""

    def finished(self, request: "Request") -> None:
        """The response is complete."""

    def tunnel(self) -> Body:
        """Leave HTTP; what the client sends from here on."""


class Request:
    """One request and the way to answer it.

    Attributes
    ----------
    method : str
        In upper case.
    target : bytes
        Path and query as the client sent them.
    http11 : bool
        False for HTTP/1.0, which knows neither chunks nor upgrades.
    headers : Headers
        The fields as sent.
    body : Body
        What the client sends after the head; the reader consumes it.
    upgrade : bool
        Whether the client wants to leave HTTP (a websocket, for one).
    started : bool
        Whether a response has begun.
    """

    __slots__ = (
        "_chunked",
        "_connection",
        "_head",
        "body",
        "headers",
        "http11",
        "method",
        "started",
        "target",
        "upgrade",
    )

    def __init__(
        self, connection: "Connection", method: str, target: bytes, headers: Headers, body: Body
    ) -> None:
        self._connection = connection
        self._head = b""
        self._chunked = False
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body
        self.http11 = True
        self.upgrade = False
        self.started = False

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.split(b"?", 1)[0].decode("latin-1")

    @property
    def peer(self) -> str:
        """The client's IP address."""
        return self._connection.peer

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for leave to send the body."""
        return self.http11 and not self.body.ready and b"100-continue" in tokens(self.headers.get(b"expect"))

    def header(self, name: str) -> str:
        """Value of a field by lower-case name; empty when absent."""
        return self.headers.get(name.encode("latin-1")).decode("latin-1")

    def respond(
        self,
        status: int,
        body: bytes = b"",
        headers: Iterable[Pair] = (),
        content_type: str = "text/plain; charset=utf-8",
    ) -> None:
        """Answer with a short body."""
        pairs = [*headers]
        if body:
            pairs.append((b"Content-Type", content_type.encode("latin-1")))
        if self.method == "HEAD":
            pairs.append((b"Content-Length", b"%d" % len(body)))
            self.start(status, b"", pairs, length=0, bodiless=True)
        else:
            self.start(status, b"", pairs, length=len(body))
            self.write(body)
        self.end()

    def fail(self, status: int, reason: str) -> None:
        """Answer with a reason, or break the connection if a response has begun; it never looks complete."""
        if self.started:
            self.abort()
        else:
            self.respond(status, reason.encode() + b"\n")

    def send_continue(self) -> None:
        """Give the client leave to send the body."""
        if not self.started:
            self._connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def start(
        self, status: int, reason: bytes, pairs: Iterable[Pair], *, length: int | None, bodiless: bool = False
    ) -> None:
        """Begin the response; it goes out with the first bytes of its body, or with `flush`.

        Parameters
        ----------
        status, reason
            The status line; an empty reason is replaced with the usual one.
        pairs : iterable of (name, value)
            The end-to-end fields without Content-Length and Transfer-Encoding.
        length : int or None
            Bytes of the body; None if unknown: sent in chunks then (to HTTP/1.0, until the connection ends).
        bodiless : bool
            The response has no body by its nature (HEAD, 204, 304), whatever its fields say.
        """
        framing: list[Pair] = []
        if not bodiless:
            self._chunked = length is None and self.http11
            if length is not None:
                framing.append((b"Content-Length", b"%d" % length))
            elif self._chunked:
                framing.append((b"Transfer-Encoding", b"chunked"))
        if not self._connection.settle_keep_alive(
            self, framed=bodiless or length is not None or self._chunked
        ):
            framing.append((b"Connection", b"close"))
        self.started = True
        self._head = head(status_line(status, reason), [*pairs, *framing])

    def flush(self) -> None:
        """Send what has begun and not gone out."""
        if self._head:
            self._connection.write(self._head)
            self._head = b""

    def write(self, data: bytes, *, last: bool = False) -> None:
        """Send a piece of the body; the framing of the body's end with the last one."""
        if self._chunked:
            data = chunk(data, last=last)
            if last:
                self._chunked = False
        if self._head:
            data = self._head + data
            self._head = b""
        self._connection.write(data)

    async def drain(self) -> None:
        """Wait until the client has taken most of what was written."""
        await self._connection.drain()

    def end(self) -> None:
        """End the response."""
        self.write(b"", last=True)
        self._connection.finished(self)

    def abort(self) -> None:
        """Break the connection: the client sees that the response is not complete."""
        self.started = True
        self._connection.abort()

    def switch(self, status: int, reason: bytes, pairs: Iterable[Pair]) -> Body:
        """Answer 101 and leave HTTP; returns what the client sends from here on.

        `write` and `drain` send to the client as before; the connection is closed when the handler returns.
        """
        self.started = True
        self._connection.write(head(status_line(status, reason), pairs))
        return self._connection.tunnel()


def status_line(status: int, reason: bytes) -> bytes:
    """First line of a response; an empty reason is replaced with the usual one."""
    if not reason:
        try:
            reason = HTTPStatus(status).phrase.encode()
        except ValueError:
            reason = b"Unknown"
    return b"HTTP/1.1 %d %b" % (status, reason)
