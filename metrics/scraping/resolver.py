"""Resolves names of services in a few threads: slow DNS delays only the scrapes that wait for it.

An address is fresh for some seconds. After that it is still used while it is looked up again, and as long as
the look-up fails: the address of a service usually outlives an outage of DNS.
"""

import asyncio
import contextlib
import queue
import socket
import threading
import time
from collections.abc import Callable, Sequence

LookUp = Callable[[str], Sequence[str]]
"""Finds addresses of a name, in a thread; raises an OSError or returns none if it has none."""

_FRESH = 10.0
"""Seconds for which an address is not looked up again."""

_THREADS = 4
"""Look-ups at a time; in a cluster each takes about a millisecond."""


def look_up(name: str, suffix: str = "") -> Sequence[str]:
    """Return the addresses of a name with a suffix, in the order of preference of this machine.

    Raises
    ------
    OSError
        There are none.
    """
    found = socket.getaddrinfo(name + suffix, None, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class Resolver:
    """Resolves names, each by one look-up at a time.

    Parameters
    ----------
    look_up : callable
    clock : callable
        Seconds.
    """

    def __init__(self, look_up: LookUp = look_up, clock: Callable[[], float] = time.monotonic) -> None:
        self._look_up = look_up
        self._clock = clock
        self._found: dict[str, tuple[Sequence[str], float]] = {}
        self._waiting: dict[str, list[Callable[[Sequence[str]], None]]] = {}
        self._names: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    def find(self, name: str, then: Callable[[Sequence[str]], None]) -> Sequence[str]:
        """Return the addresses of a name, if they are known already.

        Otherwise return none and call `then` with them later; with none if the name has none.
        """
        addresses, until = self._found.get(name, ((), 0.0))
        if not addresses:
            self._begin(name).append(then)
        elif self._clock() >= until:
            self._begin(name)
        return addresses

    def forget(self, name: str) -> None:
        """Drop the addresses of a name; waiting callbacks are not called any more."""
        self._found.pop(name, None)
        self._waiting.pop(name, None)

    def close(self) -> None:
        """Stop the threads without waiting for them, as a look-up may take minutes; no callback is called."""
        self._waiting.clear()
        for _ in self._threads:
            self._names.put(None)

    def _begin(self, name: str) -> list[Callable[[Sequence[str]], None]]:
        """Start a look-up of a name and return its waiting callbacks."""
        if name not in self._waiting:
            self._waiting[name] = []
            self._names.put(name)
            if len(self._threads) < min(_THREADS, len(self._waiting)):
                loop = asyncio.get_running_loop()
                thread = threading.Thread(target=self._serve, args=(loop,), name="resolver", daemon=True)
                self._threads.append(thread)
                thread.start()
        return self._waiting[name]

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look names up, in a thread."""
        while (name := self._names.get()) is not None:
            addresses: Sequence[str] = ()
            with contextlib.suppress(OSError, UnicodeError):  # a name too long for DNS is no text for it
                addresses = self._look_up(name)
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._ended, name, addresses)

    def _ended(self, name: str, addresses: Sequence[str]) -> None:
        waiting = self._waiting.pop(name, None)
        if waiting is None:
            return
        if addresses:
            self._found[name] = addresses, self._clock() + _FRESH
        for then in waiting:
            then(addresses)
