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

    def find(self, name: str, then: Callable[[Sequence[str]], None]) -> Sequence[str]:
        """Return the addresses of a name, if they are known already.

        Otherwise there are none yet, and `then` is called with them later; with none if the name has none.
        """
        addresses, until = self._found.get(name, ((), 0.0))
        if not addresses:
            self._begin(name).append(then)
        elif self._clock() >= until:
            self._begin(name)
        return addresses

    def forget(self, name: str) -> None:
        """Drop what is known of a name; who waits for it is not called any more."""
        self._found.pop(name, None)
        self._waiting.pop(name, None)

    def close(self) -> None:
        """Let the threads end; nobody is called any more. None is waited for: a look-up may take minutes."""
        self._waiting.clear()
        for _ in self._threads:
            self._names.put(None)

    def _begin(self, name: str) -> list[Callable[[Sequence[str]], None]]:
        """Have a name looked up, and return who waits for it."""
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
