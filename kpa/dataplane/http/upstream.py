"""The side that serves: kept-alive connections to one address."""

import asyncio
import errno
import os
import socket
import struct
from collections.abc import Iterable

from kpa.dataplane.http.exchange import UpstreamConnection, UpstreamFailed
from kpa.dataplane.http.messages import Headers, Pair, head

__all__ = ["Upstream", "UpstreamFailed", "UpstreamUnreachable", "fetch"]

CONNECT_SECONDS = 5.0
"""Seconds to wait for a connection; a refused one fails at once."""

IDLE_SECONDS = 1.0
"""Seconds that an unused connection is kept.

Short, because a server that closes one in the moment when a request is sent over it loses the request, and
servers close theirs after 2 seconds (gunicorn) or more. A new one within a machine takes 0.1 milliseconds.
"""


class UpstreamUnreachable(Exception):
    """No connection: nothing was sent, so the same request may go elsewhere."""


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
            No idle connection exists and a new one fails.
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
                transport, connection = await loop.create_connection(UpstreamConnection, self.host, self.port)
                refuse_self(transport)
                return connection
        except TimeoutError as error:
            text = f"{self.host}:{self.port}: no connection within {CONNECT_SECONDS:g} seconds"
            raise UpstreamUnreachable(text) from error
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise UpstreamUnreachable(f"{self.host}:{self.port}: {reason}") from error

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


def refuse_self(transport: asyncio.BaseTransport) -> None:
    """Break a connection that ended up at itself, and leave its port free at once.

    Ports for servers are often taken from the range of those for clients. Who asks such a port again and
    again while it is free is given it as its own in the end; the connection is made, and the server
    can start no more.

    Raises
    ------
    ConnectionRefusedError
        The connection was one with itself.
    """
    if transport.get_extra_info("sockname") == transport.get_extra_info("peername"):
        unread = transport.get_extra_info("socket")
        unread.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.close()
        raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))


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
