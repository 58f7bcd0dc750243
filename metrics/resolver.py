"""Addresses of services by name, looked up in a few threads: a slow DNS delays only who waits for it.

An address that was found is good for some seconds. After that it is still used while it is looked up again,
and as long as that fails: the address of a service outlives many an outage of DNS.
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
    """Looks names up for whoever asks, each once at a time.

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

    def find(self, name: str, then: Callable[[Sequence[str]], None]) -> None:
        """Have `then` called with the addresses of a name, none if it has none; never before this returns."""
        loop = asyncio.get_running_loop()
        known = self._found.get(name)
        if known is not None:
            loop.call_soon(then, known[0])
        if known is None or self._clock() >= known[1]:
            self._begin(name, loop)
            if known is None:
                self._waiting[name].append(then)

    def forget(self, name: str) -> None:
        """Drop what is known of a name; who waits for it is not called any more."""
        self._found.pop(name, None)
        self._waiting.pop(name, None)

    def close(self) -> None:
        """Let the threads end; nobody is called any more. None is waited for: a look-up may take minutes."""
        self._waiting.clear()
        for _ in self._threads:
            self._names.put(None)

    def _begin(self, name: str, loop: asyncio.AbstractEventLoop) -> None:
        if name in self._waiting:
            return
        self._waiting[name] = []
        self._names.put(name)
        if len(self._threads) < min(_THREADS, len(self._waiting)):
            thread = threading.Thread(target=self._serve, args=(loop,), name="resolver", daemon=True)
            self._threads.append(thread)
            thread.start()

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
