"""The state of our revisions in a file, for a container that restarts in its pod."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from kpa.runtime.files import write_whole
from kpa.runtime.outage_logger import OutageLogger

_NAME = "snapshot"

_log = logging.getLogger(__name__)


class StateFile:
    """A file that is replaced as a whole, or not at all.

    Parameters
    ----------
    folder : Path
        That outlives the container: an emptyDir of its pod.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / _NAME
        self._outage = OutageLogger(_log, str(self._path), "cannot be written", "written again")

    async def read(self) -> bytes | None:
        """Return what was written last; None if there is no file."""
        try:
            return await asyncio.to_thread(self._path.read_bytes)
        except FileNotFoundError:
            return None
        except OSError as error:
            _log.warning("%s: cannot read the stored state: %s", self._path, error)
            return None

    async def write(self, data: bytes) -> None:
        """Replace the file; a failure is logged, once until it succeeds again."""
        try:
            await asyncio.to_thread(write_whole, self._path, data)
            self._outage.succeeded()
        except OSError as error:
            self._outage.failed(error)

    async def keep(self, take: Callable[[], Awaitable[bytes]], seconds: float) -> None:
        """Write what `take` returns, unless empty, at this interval until cancelled."""
        while True:
            await asyncio.sleep(seconds)
            if data := await take():
                await self.write(data)
