"""Kept-alive connections to an API server, one request under way on each: HTTP/1.1 and nothing around it.

Why not aiohttp's client: after a pause a write takes it 1.0 ms of CPU, this 0.65 ms, and a request waits for
its pod meanwhile; in a crowd 0.22 and 0.13 ms. Streams, and what goes through a proxy, are aiohttp's.
"""

import asyncio
import socket
import ssl
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias, cast
from urllib.parse import urlsplit

from aiohappyeyeballs import start_connection
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from kpa.kube.credentials import Access

CONNECT_TIMEOUT = 5.0  # seconds

_IDLE = 60.0
"""Seconds; API servers close what is idle for 90 s."""

_NEXT_ADDRESS = 0.25
"""Seconds until another address of a name is tried beside the first one (RFC 8305)."""

_DEAD_PEER = 30_000
"""Milliseconds that bytes may go unacknowledged; keep-alive probes find out when none are on their way."""


class Answer(NamedTuple):
    """A whole answer; `retry_after` is the header of that name."""

    status: int
    retry_after: str | None
    body: bytes


Way: TypeAlias = tuple[str, ssl.SSLContext | None, str | None]
"""Address, TLS and name of a server: connections are kept by these."""


class Broken(ConnectionError):
    """A connection ended, or went wrong, before there was a whole answer."""


def make_socket(address: Any) -> socket.socket:
    """Open a socket that notices within half a minute that its peer is gone, so that watches do not hang."""
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", 15),
        ("TCP_KEEPINTVL", 5),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", _DEAD_PEER),
    ):
        if hasattr(socket, name):  # absent outside Linux
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return made


class Connections:
    """As many connections as there are requests at a time."""

    def __init__(self) -> None:
        self._idle: dict[Way, list[_Connection]] = {}  # the one that was used last comes last
        self._open: set[_Connection] = set()

    async def ask(
        self, access: Access, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        """Send a request and return its answer.

        Parameters
        ----------
        access : Access
            Where to; who we are is said by a header.
        method, target : str
            As HTTP wants them; the target is below the address.
        headers : Mapping
            But for the host and the length.
        body : bytes
            May be empty.

        Raises
        ------
        OSError
            There is no connection to be had, or it broke.
        """
        way = (access.address, access.tls, access.server_name)
        host, prefix = _host_and_path(access.address)
        lines = [f"{method} {prefix}{target} HTTP/1.1", f"Host: {host}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        request = "\r\n".join([*lines, "", ""]).encode() + body
        connection = self._take(way) or await self._connect(way)
        try:
            answer = await connection.ask(request)
        except BaseException:  # also if nobody waits any more: the answer may come yet
            connection.abort()
            raise
        if connection.usable:
            self._idle.setdefault(way, []).append(connection)
        return answer

    async def close(self) -> None:
        """Close all; requests under way fail."""
        _abort(self._open)
        await asyncio.gather(*(connection.gone for connection in self._open))

    def _take(self, way: Way) -> "_Connection | None":
        """Return an idle connection; those that nobody needed for long, and old ways, are closed."""
        for other in [each for each in self._idle if each != way]:
            _abort(self._idle.pop(other))
        idle = self._idle.setdefault(way, [])
        long_ago = asyncio.get_running_loop().time() - _IDLE
        fresh = next((place for place, each in enumerate(idle) if each.used_at > long_ago), len(idle))
        _abort(idle[:fresh])
        del idle[:fresh]
        while idle:
            connection = idle.pop()
            if connection.usable:
                return connection
        return None

    async def _connect(self, way: Way) -> "_Connection":
        address, tls, server_name = way
        parts = urlsplit(address)
        port = parts.port or (443 if tls else 80)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_TIMEOUT):
            found = await loop.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
            sock = await start_connection(
                found, happy_eyeballs_delay=_NEXT_ADDRESS, socket_factory=make_socket
            )
            _, connection = await loop.create_connection(
                lambda: _Connection(self._open),
                sock=sock,
                ssl=tls,
                server_hostname=(server_name or parts.hostname) if tls else None,
            )
        return connection


def _abort(connections: "Iterable[_Connection]") -> None:
    for connection in connections:
        connection.abort()


@lru_cache(maxsize=4)
def _host_and_path(address: str) -> tuple[str, str]:
    """Return what the header `Host` says, and what all paths begin with."""
    parts = urlsplit(address)
    return parts.netloc, parts.path


class _Connection(asyncio.Protocol):
    """One connection.

    Parameters
    ----------
    among : set
        Where it is while it is open.

    Attributes
    ----------
    usable : bool
        It can take a request.
    used_at : float
        When the last answer came, by the event loop's clock.
    gone : Future
        Done once it is closed.
    """

    gone: asyncio.Future[None]

    def __init__(self, among: "set[_Connection]") -> None:
        self.usable = False
        self.used_at = 0.0
        self._among = among
        self._transport: asyncio.Transport | None = None
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        self._answer: asyncio.Future[Answer] | None = None
        self._body: list[bytes] = []
        self._retry_after: str | None = None
        self._has_end = False
        self._ends_with_connection = False

    def ask(self, request: bytes) -> "asyncio.Future[Answer]":
        """Send a request; nothing else is under way."""
        assert self._transport is not None
        assert self._answer is None
        self.usable = False
        self._answer = self._loop.create_future()
        self._transport.write(request)
        return self._answer

    def abort(self) -> None:
        """Close it at once."""
        self.usable = False
        if self._transport is not None:
            self._transport.abort()

    # What the event loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        self._loop = asyncio.get_running_loop()
        self.gone = self._loop.create_future()
        self._transport = cast(asyncio.Transport, transport)
        self._among.add(self)
        self.usable = True

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        assert self._parser is not None
        try:
            if self._answer is None:
                raise Broken("an answer to nothing")
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade, Broken) as error:
            self._fail(f"the answer is no HTTP: {error}")
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop."""
        self.usable = False
        self._among.discard(self)
        if self._ends_with_connection and exc is None:
            self.on_message_complete()
        self._fail(str(exc) if exc else "the server closed the connection")
        self._parser = None  # it holds our methods: without it no cycle is left to the collector
        self.gone.set_result(None)

    # What the parser tells.

    def on_message_begin(self) -> None:
        """Called by the parser."""
        self._body, self._retry_after, self._has_end = [], None, False
        if self._answer is None:
            self.abort()  # a second answer to one request

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        name = name.lower()
        if name in (b"content-length", b"transfer-encoding"):
            self._has_end = True
        elif name == b"retry-after":
            self._retry_after = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        self._ends_with_connection = not self._has_end

    def on_body(self, body: bytes) -> None:
        """Called by the parser."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Called by the parser; what comes before an answer (1xx) is none."""
        assert self._parser is not None
        self._ends_with_connection = False
        status = self._parser.get_status_code()
        answer = self._answer
        if status < 200 or answer is None:
            return
        self._answer = None
        self.usable, self.used_at = self._parser.should_keep_alive(), self._loop.time()
        if not answer.done():  # whoever waited may have been cancelled
            answer.set_result(Answer(status, self._retry_after, b"".join(self._body)))

    def _fail(self, reason: str) -> None:
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_exception(Broken(reason))
