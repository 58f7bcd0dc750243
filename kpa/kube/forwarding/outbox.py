"""Stats queued for another replica, in their wire form, limited by age and size."""

import asyncio
from collections import Counter, deque
from typing import NamedTuple

from metrics.stat import StatMessage, encode_messages

FRESH = 15.0
"""Seconds that a stat is worth sending. Its timestamp keeps it in its own second, so that a late one does no
harm: the limit bounds the cost of a holder that cannot be reached. Knative's aim is 30 tries, 0.5 s apart."""

_MOST = 4 * 2**20
"""Bytes in an outbox: about 40,000 stats, 15 s of 2,500 revisions."""

_CHUNK = 500
"""Stats that are sent, or dropped, together."""


class Frame(NamedTuple):
    """Stats as one `WireStatMessages`.

    Attributes
    ----------
    stats : int
    data : bytes
    """

    stats: int
    data: bytes


class Outbox:
    """The stats of one bucket, in order.

    Parameters
    ----------
    outcomes : Counter of str
        Counts stats that are dropped: the "stale", and the oldest of an "overflow".
    most : int
        Bytes.
    """

    def __init__(self, outcomes: Counter[str], most: int = _MOST) -> None:
        self._outcomes = outcomes
        self._most = most
        self._chunks: deque[tuple[float, Frame]] = deque()
        self._size = 0

    def put(self, messages: list[StatMessage]) -> None:
        """Append stats."""
        now = asyncio.get_running_loop().time()
        for start in range(0, len(messages), _CHUNK):
            chunk = messages[start : start + _CHUNK]
            data = encode_messages(chunk)
            self._chunks.append((now, Frame(len(chunk), data)))
            self._size += len(data)
        while self._size > self._most:
            self._drop("overflow")
        self._expire(now)

    def take(self, most: int = _MOST) -> Frame:
        """Remove the oldest stats that are fresh, up to some bytes but at least a chunk.

        Lists of messages in protobuf add up by concatenation.
        """
        self._expire(asyncio.get_running_loop().time())
        parts: list[bytes] = []
        stats = size = 0
        while self._chunks and (not parts or size + len(self._chunks[0][1].data) <= most):
            frame = self._pop()
            stats += frame.stats
            size += len(frame.data)
            parts.append(frame.data)
        return Frame(stats, b"".join(parts))

    def _expire(self, now: float) -> None:
        while self._chunks and self._chunks[0][0] < now - FRESH:
            self._drop("stale")

    def _drop(self, reason: str) -> None:
        self._outcomes[reason] += self._pop().stats

    def _pop(self) -> Frame:
        _, frame = self._chunks.popleft()
        self._size -= len(frame.data)
        return frame
