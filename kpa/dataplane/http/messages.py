"""What messages of both directions are made of: header fields, bodies with bounded memory, framing.

Source: RFC 9110 (fields, hop-by-hop rules) and RFC 9112 (framing); the peer uses Go's `net/http/httputil`.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterable

HIGH_WATER = 256 * 1024
"""Bytes of one body held before its sender is no longer read, until they are taken."""

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Fields that speak of one connection only, in lower case."""

Pair = tuple[bytes, bytes]


class Headers:
    """Header fields of one message, in their order and spelling, found by lower-case name."""

    __slots__ = ("_values", "pairs")

    def __init__(self) -> None:
        self.pairs: list[Pair] = []
        self._values: dict[bytes, bytes] = {}

    def add(self, name: bytes, value: bytes) -> None:
        """Append one field line."""
        self.pairs.append((name, value))
        key = name.lower()
        earlier = self._values.get(key)
        self._values[key] = value if earlier is None else earlier + b", " + value

    def get(self, name: bytes) -> bytes:
        """Value of a field by lower-case name, repeated lines joined by commas; empty when absent."""
        return self._values.get(name, b"")

    def __contains__(self, name: bytes) -> bool:
        return name in self._values

    def count(self, name: bytes) -> int:
        """Number of lines of a field."""
        return sum(pair[0].lower() == name for pair in self.pairs)

    def end_to_end(self, dropped: Collection[bytes] = ()) -> list[Pair]:
        """Fields that a proxy passes on: neither hop-by-hop, nor named in Connection, nor in `dropped`."""
        named = set(tokens(self.get(b"connection"))) - {b"host"}
        drop = HOP_BY_HOP.union(dropped, named)
        return [pair for pair in self.pairs if pair[0].lower() not in drop]


def tokens(value: bytes) -> list[bytes]:
    """Comma-separated words of a field value in lower case."""
    return [word.strip().lower() for word in value.split(b",")] if value else []


def head(start_line: bytes, pairs: Iterable[Pair]) -> bytes:
    """Start line and fields as they go over the wire, with the empty line at their end."""
    lines = [start_line]
    lines += [b"%b: %b" % pair for pair in pairs]
    lines.append(b"\r\n")
    return b"\r\n".join(lines)


def chunk(data: bytes, *, last: bool = False) -> bytes:
    """One chunk of a chunked body, and the body's end if it is the last. Empty data gives no chunk."""
    start = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
    return start + b"0\r\n\r\n" if last else start


class Body:
    """Bytes of a message on their way: fed by a connection, read by one coroutine.

    Parameters
    ----------
    on_full : callable
        Told True when `HIGH_WATER` bytes wait, so that no more are read, and False when they are taken.

    Attributes
    ----------
    length : int or None
        Bytes to come in all; None when the end shows only when it is reached.
    ended : bool
        Whether the sender has sent all.
    untouched : bool
        Whether nothing was taken yet, so that it can be sent to someone else.
    """

    __slots__ = ("_error", "_full", "_on_full", "_pieces", "_size", "_waiter", "ended", "length", "untouched")

    def __init__(self, on_full: Callable[[bool], None], length: int | None) -> None:
        self.length = length
        self.ended = False
        self.untouched = True
        self._on_full = on_full
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._full = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def full(self) -> bool:
        """Whether the sender should pause."""
        return self._full

    @property
    def ready(self) -> bool:
        """Whether `read` would return at once."""
        return bool(self._pieces) or self.ended or self._error is not None

    @property
    def at_end(self) -> bool:
        """Whether everything has arrived and was read."""
        return self.ended and not self._pieces

    def feed(self, data: bytes) -> None:
        """Take bytes from the connection."""
        self._pieces.append(data)
        self._size += len(data)
        if self._size >= HIGH_WATER:
            self._set_full(True)
        self._wake()

    def end(self) -> None:
        """Take the message's end from the connection."""
        self.ended = True
        self._set_full(False)  # what follows is another message
        self._wake()

    def fail(self, error: Exception) -> None:
        """Take note that the rest will never come; what came before can still be read."""
        if not self.ended and self._error is None:
            self._error = error
            self._wake()

    def peek(self) -> bytes:
        """Everything that waits, without taking it."""
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)

    def take(self) -> bytes:
        """Everything that waits, possibly nothing."""
        data = self.peek()
        self._pieces.clear()
        self._size = 0
        self.untouched = False
        self._set_full(False)
        return data

    async def read(self) -> bytes:
        """Everything that waits, at least a byte; empty at the end.

        Raises
        ------
        Exception
            What `fail` was given, once all bytes before it are read.
        """
        while not self.ready:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if not self._pieces and self._error is not None:
            raise self._error
        return self.take()

    def _set_full(self, full: bool) -> None:
        if full != self._full:
            self._full = full
            self._on_full(full)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Flow(asyncio.Protocol):
    """A connection whose writers can wait until the other side has taken what was written."""

    transport: asyncio.Transport
    _drained: asyncio.Future[None] | None = None
    _lost = False

    def pause_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""
        self._drained = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None

    def set_reading(self, reading: bool) -> None:
        """Read from the other side, or let it wait. Allowed in every state of the connection."""
        if self.transport.is_closing() or self.transport.is_reading() == reading:
            return
        if reading:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()

    def write(self, data: bytes) -> None:
        """Send at once what the other side can take and keep the rest; dropped on a lost connection."""
        if data and not self.transport.is_closing():
            self.transport.write(data)

    async def drain(self) -> None:
        """Wait until little is kept for the other side.

        Raises
        ------
        ConnectionResetError
            The connection is lost.
        """
        if self._lost:
            raise ConnectionResetError("connection lost")
        if self._drained is not None:
            await asyncio.shield(self._drained)

    def connection_lost(self, error: Exception | None) -> None:
        """See `asyncio.BaseProtocol`."""
        self._lost = True
        if self._drained is not None and not self._drained.done():
            self._drained.set_exception(error or ConnectionResetError("connection lost"))
            self._drained.exception()  # there may be no waiter
        self._drained = None
