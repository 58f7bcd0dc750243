"""Edits of files, seen while we run.

Files are looked at four times a second, not subscribed to: a look costs microseconds, follows symbolic links
however they are swapped, works where notifications do not (network and container mounts), and cannot miss a
change. An edit counts once two looks in a row agree, so that a half-written file is not read.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterable
from pathlib import Path

INTERVAL = 0.25
"""Seconds between two looks."""

GONE_AFTER = 2.0
"""Seconds for which a file must be missing to count as removed: editors and version control replace files by
way of a moment without them."""

Prints = dict[Path, str]


class Watcher:
    """Tells when some files have changed, were removed or have come back.

    Parameters
    ----------
    paths : iterable of Path
        Files; they need not exist.
    on_change : callable
        Called on the event loop with the files that exist, in the order given. What it raises ends `run`.
    """

    def __init__(
        self,
        paths: Iterable[Path],
        on_change: Callable[[tuple[Path, ...]], None],
        interval: float = INTERVAL,
        gone_after: float = GONE_AFTER,
    ) -> None:
        self._paths = tuple(paths)
        self._on_change = on_change
        self._interval = interval
        self._gone_after = gone_after
        self._told = self._seen = _prints(self._paths)
        self._missing_since: dict[Path, float] = {}

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            found = await asyncio.to_thread(_prints, self._paths)
            self._compare(found, time.monotonic())

    def _compare(self, found: Prints, now: float) -> None:
        settled, self._seen = found == self._seen, found
        missing = [path for path in self._told if path not in found]
        self._missing_since = {path: self._missing_since.get(path, now) for path in missing}
        may_return = any(now - since < self._gone_after for since in self._missing_since.values())
        if settled and not may_return and found != self._told:
            self._told = found
            self._on_change(tuple(path for path in self._paths if path in found))


def _prints(paths: Iterable[Path]) -> Prints:
    """Fingerprints of the contents of the files that can be read."""
    prints = {}
    for path in paths:
        try:
            prints[path] = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError:
            continue
    return prints
