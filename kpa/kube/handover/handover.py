"""Hands the state of revisions over from one replica to the next.

    leader                                            standby
      HandoverPages ── GET /handover, periodically ───> Follower ── keeps the last snapshot of each bucket
      StateFile <── every 10 s                            │
        │                                                 │ becomes leader
        │ its container restarts                      │ requests it from the last holder
        └──────────────────> Handover.inherit <───────────┘
                                 │ newest of each revision
                                 v
                         Resumption.offer: windows, panic, delays, lifecycle

A leader that ends makes a last snapshot, releases its leases, and waits for a while until its successor has
fetched it; the Lease names the last holder, for a successor that starts only then. A leader that loses a
lease, as in an outage of the API server, keeps its last snapshot: it may be the next leader itself.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from kpa.controller.reconciler import Reconciler
from kpa.kube.election.identity import PORT
from kpa.kube.handover.follower import Follower
from kpa.kube.handover.pace import Pace
from kpa.kube.handover.pages import HandoverPages
from kpa.kube.handover.state_file import StateFile
from metrics.key import Key
from scaler.engine.snapshot_record import SnapshotRecord
from scaler.snapshot import snapshot

_REQUEST = 1.0
"""Seconds for the request to the last holder; its successor waits with its first decision."""

_WRITE_EVERY = 10.0

_LINGER = 10.0
"""Seconds that a leader which ends waits for a successor: a pod that replaces it starts within them."""

_FINISH = 2.0
"""Seconds for the last snapshot, before leases are released."""

_log = logging.getLogger(__name__)


class Handover:
    """Gets and gives the state of revisions when buckets change hands.

    Parameters
    ----------
    reconciler : Reconciler
    identity : str
        Ours, `<POD_NAME>_<POD_IP>`.
    owner : callable (key) -> str
        The bucket of a revision.
    leads : callable (str) -> bool
        Whether a bucket is ours.
    state_folder : Path or None
        Where the state is kept for the next container of our pod.
    port : int
        Of all replicas.

    Attributes
    ----------
    pace : Pace
        How often followers send requests; it has to follow the duration of leases.
    """

    def __init__(
        self,
        reconciler: Reconciler,
        identity: str,
        owner: Callable[[Key], str],
        leads: Callable[[str], bool],
        state_folder: Path | None = None,
        port: int = PORT,
    ) -> None:
        self._reconciler = reconciler
        self._file = None if state_folder is None else StateFile(state_folder)
        self.pace = Pace()
        self.follower = Follower(identity, port, self.pace)
        self.pages = HandoverPages(reconciler, owner, leads, self.pace)

    async def run(self) -> None:
        """Keep the state file up to date, until cancelled."""
        if self._file is not None:
            await self._file.keep(self.pages.everything, _WRITE_EVERY)

    async def inherit(self, bucket: str, predecessor: str) -> None:
        """Restore the revisions of a bucket that becomes ours from the snapshots of others."""
        sources = await self.follower.last_word(bucket, predecessor, _REQUEST)
        if self._file is not None and (stored := await self._file.read()) is not None:
            sources.append(stored)
        for source in sources:
            try:
                saved = await asyncio.to_thread(snapshot.read, source)
            except ValueError as error:
                _log.warning("bucket %s: cannot use a snapshot: %s", bucket, error)
                continue
            self._reconciler.resumption.offer(saved)
            _log.info("bucket %s: %s", bucket, _summary(saved, len(source)))

    async def lost(self, bucket: str) -> None:
        """Keep the state of a bucket that was ours: it may become ours again before another takes it."""
        self.follower.keep(bucket, await self.pages.lost(bucket))

    async def finish(self, buckets: Iterable[str]) -> None:
        """Make the last snapshot, while the buckets are still ours."""
        try:
            async with asyncio.timeout(_FINISH):
                await self.pages.finish(buckets)
                if self._file is not None and (data := await self.pages.everything()):
                    await self._file.write(data)
        except TimeoutError:
            _log.warning("last snapshot timed out after %g s; it is incomplete", _FINISH)

    async def linger(self) -> None:
        """Wait for the successor, if there is a snapshot to fetch."""
        await self.pages.fetched(_LINGER)

    async def close(self) -> None:
        """Stop following."""
        await self.follower.close()


def _summary(saved: dict[str, SnapshotRecord], size: int) -> str:
    newest = max((one.time for one in saved.values()), default=0.0)
    return f"restored {len(saved)} revisions as of {newest:.1f} from {size} bytes"
