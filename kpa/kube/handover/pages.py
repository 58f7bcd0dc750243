"""Serves snapshots of our revisions: GET /handover?bucket=NAME&bucket=NAME...

On the port of stats, which every replica can reach: stats are forwarded there, whatever network policies
say, and the port is the same for all. Knative's autoscaler answers 400 to a plain GET there.

    200  snapshots (`scaler.snapshot.snapshot`) of buckets that we lead, or that we have just released, one
         after the other; the header `Kpa-Lengths` gives the bytes of each one requested, 0 for others
    404  we have no snapshot of any of them
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from aiohttp import web

from kpa.controller.reconciler import Reconciler
from kpa.kube.handover.pace import Pace
from metrics.key import Key
from scaler.snapshot.encoding import seal

PATH = "/handover"
CONTENT_TYPE = "application/vnd.kpa.snapshot"
LENGTHS = "Kpa-Lengths"

_SHARE, _OLDEST = 20, 30.0
"""Where snapshots of all buckets take long, each is given for so many times that, at most so many seconds:
they cost a twentieth of a core, however many replicas send requests."""

_JUST_NOW = 1.0
"""Seconds for which a snapshot is as good as the last one: it is made before a bucket is given away."""

_RELEASED = 60.0
"""Seconds after which a bucket that we released is no longer served."""

_log = logging.getLogger(__name__)


class _Taken(NamedTuple):
    at: float
    seconds: float  # that it took
    data: bytes


class HandoverPages:
    """Answers requests for snapshots.

    Parameters
    ----------
    reconciler : Reconciler
    owner : callable (key) -> str
        The bucket of a revision.
    leads : callable (str) -> bool
        Whether a bucket is ours.
    pace : Pace
        How often requests come; one snapshot is made for all of them.
    """

    def __init__(
        self,
        reconciler: Reconciler,
        owner: Callable[[Key], str],
        leads: Callable[[str], bool],
        pace: Pace,
    ) -> None:
        self._pace = pace
        self._reconciler = reconciler
        self._owner = owner
        self._leads = leads
        self._taken: dict[str, _Taken] = {}
        self._final: dict[str, bytes] = {}
        self._fetched = asyncio.Event()
        self._lock = asyncio.Lock()

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one request."""
        buckets = request.query.getall("bucket", [])
        parts = [await self.snapshot(bucket) for bucket in buckets]
        if all(part is None for part in parts):
            return web.Response(status=404, text=f"{', '.join(buckets) or 'no bucket'} is not ours\n")
        bodies = [part or b"" for part in parts]
        headers = {LENGTHS: ",".join(str(len(part)) for part in bodies)}
        response = web.Response(body=b"".join(bodies), content_type=CONTENT_TYPE, headers=headers)
        last = [bucket for bucket in buckets if self._final.pop(bucket, None) is not None]
        if last and not self._final:
            _log.info("all buckets handed over")
            asyncio.get_running_loop().call_later(0.1, self._fetched.set)  # after the response is written
        return response

    async def snapshot(self, bucket: str, oldest: float | None = None) -> bytes | None:
        """Return a snapshot of a bucket; None if it is not ours.

        Parameters
        ----------
        bucket : str
        oldest : float, optional
            Seconds that it may be old; by default as for followers.
        """
        if bucket in self._final:
            return self._final[bucket]
        async with self._lock:
            known = self._taken.get(bucket)
            age = float("inf") if known is None else time.monotonic() - known.at
            if self._leads(bucket) and age > (self._given_for() if oldest is None else oldest):
                taken = await self._take(bucket)
                if self._leads(bucket):
                    known, age = taken, 0.0
                    self._taken[bucket] = taken
        return known.data if known is not None and age < _RELEASED else None

    async def lost(self, bucket: str) -> bytes:
        """Return a snapshot of a bucket that has just been lost; its next holder gets the same."""
        async with self._lock:
            known = self._taken.get(bucket)
            if known is None or time.monotonic() - known.at > _JUST_NOW:
                known = self._taken[bucket] = await self._take(bucket)
        return known.data

    async def _take(self, bucket: str) -> _Taken:
        began = time.monotonic()
        data = await take(
            self._reconciler, [key for key in self._reconciler.revisions() if self._owner(key) == bucket]
        )
        return _Taken(time.monotonic(), time.monotonic() - began, data)

    def _given_for(self) -> float:
        """Return the seconds for which snapshots are given."""
        return min(
            max(self._pace.fresh, _SHARE * sum(taken.seconds for taken in self._taken.values())), _OLDEST
        )

    async def refresh(self, bucket: str) -> bytes | None:
        """Return a snapshot of now, which is given to others as well."""
        return await self.snapshot(bucket, oldest=0.0)

    async def everything(self) -> bytes:
        """Return a snapshot of all our revisions now; followers of a bucket get the same."""
        followed = {bucket for bucket in self._taken if self._leads(bucket)}
        parts = [await self.refresh(bucket) or b"" for bucket in followed]
        rest = [key for key in self._reconciler.revisions() if self._owner(key) not in followed]
        return b"".join([*parts, await take(self._reconciler, rest)])

    async def finish(self, buckets: Iterable[str]) -> None:
        """Keep a snapshot of our buckets, to be served after they are released."""
        began = time.monotonic()
        for bucket in buckets:
            if self._leads(bucket) and (data := await self.refresh(bucket)):
                self._final[bucket] = data
        size = sum(map(len, self._final.values()))
        if size:
            _log.info("last snapshot of %d bytes made in %.2f s", size, time.monotonic() - began)

    async def fetched(self, seconds: float) -> None:
        """Wait until each bucket that was kept has been fetched, up to a limit in seconds."""
        if not self._final:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._fetched.wait()
        except TimeoutError:
            _log.info("no successor within %g s", seconds)


async def take(reconciler: Reconciler, keys: list[Key]) -> bytes:
    """Return a snapshot of some revisions.

    Notes
    -----
    The event loop is held up for some milliseconds at a time: 480 revisions with windows of 60 s. What costs
    most runs in a thread.
    """
    parts: list[bytes] = []
    for batch in reconciler.resumption.batches(keys):
        for payload in reconciler.payloads(batch):
            parts.append(await asyncio.to_thread(seal, payload))
    return b"".join(parts)
