"""From the bytes of a client's connection to requests."""

from collections.abc import Callable
from http import HTTPStatus
from typing import NoReturn

import httptools

from kpa.dataplane.http.messages import Body, Headers, tokens
from kpa.dataplane.http.request import Connection, Request

HEAD_BYTES = 64 * 1024
"""Bytes of start line and fields that a request may have; more is answered with 431."""


class Refusal(Exception):
    """What came is not a request that can be answered; with the status and reason for the client."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class RequestReader:
    """Makes requests of bytes, in their order, and feeds their bodies.

    Parameters
    ----------
    connection : Connection
        Where the requests are answered.
    on_request : callable
        Told of each request when its head is complete.
    on_full : callable
        Given to the bodies, see `Body`.

    Attributes
    ----------
    in_head : bool
        Whether a head is expected now and not complete.
    """

    def __init__(
        self, connection: Connection, on_request: Callable[[Request], None], on_full: Callable[[bool], None]
    ) -> None:
        self.in_head = True
        self._connection = connection
        self._on_request = on_request
        self._on_full = on_full
        self._parser = httptools.HttpRequestParser(self)
        self._headers = Headers()
        self._target = b""
        self._heads = 0
        self._head_bytes = 0
        self._refusal: Refusal | None = None
        self._body: Body | None = None
        self._resume_as = b""
        self._skip_head = False

    def feed(self, data: bytes) -> bytes | None:
        """Take bytes; returns those behind a request to leave HTTP, None if there was none.

        Raises
        ------
        Refusal
            The bytes are not HTTP, or a head is too large.
        """
        heads = self._heads
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as left:
            rest = data[left.args[0] :]
            return self._resume(rest) if self._resume_as else rest
        except httptools.HttpParserError as error:
            if self._refusal is not None:
                raise self._refusal from None
            raise Refusal(HTTPStatus.BAD_REQUEST, "malformed request") from error
        if self.in_head and heads == self._heads:
            self._count_head(len(data))  # which has no beginning or end of a head in it
        return None

    def on_message_begin(self) -> None:
        """See httptools."""
        if not self._skip_head:
            self.in_head = True
            self._heads += 1
            self._head_bytes = 0
            self._target = b""
            self._headers = Headers()

    def on_url(self, url: bytes) -> None:
        """See httptools."""
        self._count_head(len(url))
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """See httptools. Trailers, which come after the head, are ignored."""
        if self.in_head:
            self._count_head(len(name) + len(value))
            self._headers.add(name, value)

    def on_headers_complete(self) -> None:
        """See httptools."""
        if self._skip_head:
            self._skip_head = False
            return
        self.in_head = False
        request = self._make_request()
        self._check(request)
        self._body = request.body
        self._on_request(request)

    def on_body(self, data: bytes) -> None:
        """See httptools."""
        if self._body is not None:
            self._body.feed(data)

    def on_message_complete(self) -> None:
        """See httptools."""
        if self._body is not None and not self._resume_as:
            self._body.end()

    def _count_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > HEAD_BYTES:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"request head above {HEAD_BYTES} bytes")

    def _check(self, request: Request) -> None:
        """Refuse what cannot be served."""
        if request.method == "CONNECT":
            self._refuse(HTTPStatus.METHOD_NOT_ALLOWED, "CONNECT is not served")
        if tokens(request.headers.get(b"transfer-encoding")) not in ([], [b"chunked"]):
            self._refuse(HTTPStatus.NOT_IMPLEMENTED, "only the transfer encoding chunked is served")
        if request.http11 and request.headers.count(b"host") != 1:
            self._refuse(HTTPStatus.BAD_REQUEST, "exactly one Host field is needed")

    def _refuse(self, status: HTTPStatus, reason: str) -> NoReturn:
        self._refusal = Refusal(status, reason)  # the parser does not pass exceptions on
        raise self._refusal

    def _make_request(self) -> Request:
        headers, method = self._headers, self._parser.get_method().decode("latin-1")
        length = headers.get(b"content-length")
        chunked = b"transfer-encoding" in headers
        body = Body(self._on_full, None if chunked else int(length or 0))
        request = Request(self._connection, method, _origin_form(self._target), headers, body)
        request.http11 = self._parser.get_http_version() != "1.0"
        if self._parser.should_upgrade():
            # Clients that offer HTTP/2 with every request (h2c), even with a body, are answered in HTTP/1.1.
            # The parser stops at such a head; a second parser that expects just that body goes on.
            request.upgrade = body.length == 0 and b"h2c" not in tokens(headers.get(b"upgrade"))
            if not request.upgrade:
                framing = (
                    b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % (body.length or 0)
                )
                self._resume_as = b"POST / HTTP/1.1\r\n%b\r\n\r\n" % framing
        return request

    def _resume(self, rest: bytes) -> bytes | None:
        seed, self._resume_as, self._skip_head = self._resume_as, b"", True
        self._parser = httptools.HttpRequestParser(self)
        return self.feed(seed + rest)


def _origin_form(target: bytes) -> bytes:
    """Path and query of a target that names the server as well, as clients of a proxy send it."""
    if not target.startswith((b"http://", b"https://")):
        return target
    rest = target.split(b"://", 1)[1]
    slash = rest.find(b"/")
    return rest[slash:] if slash >= 0 else b"/"
