"""Opens connections to pods at a bounded rate, so that a restart or a broken network causes no storm.

Pods that answered before, or were never asked, go before those that keep failing. Names are resolved first,
in a task each; addresses cost no task.
"""

import asyncio
import select
import socket
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Protocol

from metrics.scraping.connection import Client, ScrapeConnection
from metrics.scraping.poller import Poller

_RATE = 2000.0
"""Connections a second. 3,000 pods are reached in 1.5 s after a restart."""

_BURST = 40.0
"""Connections that may be opened at once after a pause."""

_TIMEOUT = 1.0
"""Seconds for one to be accepted."""


class Connectable(Client, Protocol):
    """A pod to connect to."""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""

    @property
    def request(self) -> bytes:
        """What to send for a stat."""

    @property
    def wants_connection(self) -> bool:
        """A connection is still needed."""

    def connect_failed(self) -> None:
        """No address accepted a connection."""


Address = tuple[socket.AddressFamily, tuple[object, ...]]
"""Family, and what `socket.connect` takes."""


class _Opening:
    """A connection being opened, to the first of some addresses that accepts it."""

    __slots__ = ("_addresses", "_poller", "_socket", "pod")

    def __init__(self, pod: Connectable, addresses: Iterable[Address], poller: Poller) -> None:
        self.pod = pod
        self._addresses: Iterator[Address] = iter(addresses)
        self._poller = poller
        self._socket: socket.socket | None = None

    @property
    def open(self) -> bool:
        """Neither accepted nor given up."""
        return self._socket is not None

    def begin(self) -> None:
        """Try the next address; after the last one, report a failure."""
        for family, address in self._addresses:
            with suppress(OSError, ValueError, OverflowError):
                self._socket = _connecting(family, address)
                self._poller.wait(self._socket.fileno(), self, select.POLLOUT)
                return
        self.pod.connect_failed()

    def ready(self) -> None:
        """Check whether the connection was accepted; called by the poller."""
        sock, self._socket = self._socket, None
        if sock is None:
            return
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            sock.close()
            self.begin()
        else:
            self.pod.connected(ScrapeConnection(self.pod, self.pod.request, sock, self._poller))

    def close(self) -> None:
        """Give up without a call to the pod."""
        sock, self._socket = self._socket, None
        if sock is not None:
            self._poller.stop_waiting(sock.fileno())
            sock.close()


def _connecting(family: socket.AddressFamily, address: tuple[object, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        with suppress(BlockingIOError):
            sock.connect(address)
    except (OSError, ValueError, OverflowError):
        sock.close()
        raise
    return sock


def _numeric(host: str, port: int) -> list[Address]:
    """Return the address that a text without a name means; nothing for a name."""
    for family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError, ValueError):
            socket.inet_pton(family, host.partition("%")[0])
            return [(family, (host, port))]
    return []


class Connector:
    """A queue of pods that want a connection, and the poller of those that have one.

    Parameters
    ----------
    rate, burst : float
        Connections a second, and at once.

    Attributes
    ----------
    poller : Poller
        The caller calls its turns.
    """

    def __init__(self, rate: float = _RATE, burst: float = _BURST) -> None:
        self.poller = Poller()
        self._rate = rate
        self._burst = burst
        self._allowance = burst
        self._turned_at: float | None = None
        self._first: deque[Connectable] = deque()
        self._later: deque[Connectable] = deque()
        self._resolving: set[asyncio.Task[None]] = set()
        self._opening: deque[tuple[float, _Opening]] = deque()

    def want(self, pod: Connectable, *, later: bool) -> None:
        """Queue a pod; `later` puts it behind all that are not."""
        (self._later if later else self._first).append(pod)

    @property
    def busy(self) -> bool:
        """Pods are queued, connections being opened or answers late: `turn` has to be called soon."""
        return self._queued or self.poller.waits

    @property
    def _queued(self) -> bool:
        return bool(self._first or self._later)

    def turn(self, now: float) -> None:
        """Open as many connections as the rate allows by `now`, in seconds; give up old attempts.

        Needs a running event loop only for pods that have names.
        """
        while self._opening and not (self._opening[0][1].open and self._is_young(self._opening[0][0], now)):
            _, opening = self._opening.popleft()
            if opening.open:
                opening.close()
                opening.pod.connect_failed()
        elapsed = 0.0 if self._turned_at is None else max(0.0, now - self._turned_at)
        self._turned_at = now
        self._allowance = min(self._burst, self._allowance + elapsed * self._rate)
        while self._queued and self._allowance >= 1:
            pod = (self._first or self._later).popleft()
            if pod.wants_connection:
                self._allowance -= 1
                self._open(pod, now)

    async def close(self) -> None:
        """Give up all that is queued or being opened."""
        self._first.clear()
        self._later.clear()
        while self._opening:
            self._opening.popleft()[1].close()
        for task in self._resolving:
            task.cancel()
        await asyncio.gather(*self._resolving, return_exceptions=True)

    def _open(self, pod: Connectable, now: float) -> None:
        numeric = _numeric(*pod.address)
        if numeric:
            self._begin(pod, numeric, now)
        else:
            task = asyncio.get_running_loop().create_task(self._resolve(pod, now))
            self._resolving.add(task)
            task.add_done_callback(self._resolving.discard)

    async def _resolve(self, pod: Connectable, now: float) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT):
                found = await asyncio.get_running_loop().getaddrinfo(*pod.address, type=socket.SOCK_STREAM)
        except (OSError, ValueError, OverflowError):  # TimeoutError is an OSError; a name may not even be one
            pod.connect_failed()
        else:
            self._begin(pod, [(family, address) for family, _, _, _, address in found], now)

    def _begin(self, pod: Connectable, addresses: list[Address], now: float) -> None:
        opening = _Opening(pod, addresses, self.poller)
        self._opening.append((now, opening))
        opening.begin()

    @staticmethod
    def _is_young(began: float, now: float) -> bool:
        return began <= now < began + _TIMEOUT
