"""Follows the holders of buckets: keeps their last snapshots, from which we go on if a bucket becomes ours.

A holder gets a request every few seconds, for all its buckets at once. One that cannot be reached, or has no
snapshots (Knative's autoscaler answers 400), gets requests less and less often, and that is logged once.
"""

import asyncio
import logging
import random
from collections.abc import Sequence
from itertools import accumulate

import aiohttp

from kpa.kube.election.identity import PORT, address_in, url_host
from kpa.kube.handover.pace import Pace
from kpa.kube.handover.pages import CONTENT_TYPE, LENGTHS, PATH
from kpa.runtime.backoff import backoff
from kpa.runtime.outage_logger import OutageLogger

_AT_ONCE = 64
"""Buckets in a request: their names must fit into a line."""

_SHARE = 20
"""A slow snapshot is requested again after so many times its duration: it costs its holder a twentieth of a
core."""

_LONGEST_PAUSE = 60.0
"""Seconds; a replica without snapshots may be replaced by one that has some."""

_CONNECT, _WHOLE = 0.5, 10.0
"""Seconds for a connection and for a whole response."""

_MOST = 2**27
"""Bytes of a response: some 90,000 busy revisions."""

_log = logging.getLogger(__name__)


class Follower:
    """Requests snapshots from the holders of buckets.

    Parameters
    ----------
    identity : str
        Ours, `<POD_NAME>_<POD_IP>`.
    port : int
        Of all replicas.
    pace : Pace, optional
        How often requests are sent.
    """

    def __init__(self, identity: str, port: int = PORT, pace: Pace | None = None) -> None:
        self._pace = pace or Pace()
        self._identity = identity
        self._port = port
        self._session: aiohttp.ClientSession | None = None
        self._followed: dict[str, str] = {}  # holders by bucket
        self._tasks: dict[str, asyncio.Task[None]] = {}  # by holder, as the rest
        self._under_way: dict[str, asyncio.Task[bool]] = {}
        self._outages: dict[str, OutageLogger] = {}
        self._kept: dict[str, bytes] = {}  # by bucket

    def set_holder(self, bucket: str, identity: str) -> None:
        """Take the holder of a bucket from its Lease; without one, or if it is us, the snapshot stays."""
        if identity == self._followed.get(bucket):
            return
        self._stop(bucket)
        if identity and identity != self._identity:
            self._followed[bucket] = identity
            self._cancel(identity)  # the new bucket is requested at once
            self._tasks[identity] = asyncio.create_task(self._follow(identity))

    async def last_word(self, bucket: str, predecessor: str, seconds: float) -> list[bytes]:
        """Return the snapshots of a bucket that becomes ours, with a last one from its holder.

        Parameters
        ----------
        bucket : str
        predecessor : str
            Its last holder; empty if there was none.
        seconds : float
            Limit for the request.
        """
        under_way = self._under_way.get(self._followed.get(bucket, predecessor))
        self._stop(bucket)
        last = None
        try:
            async with asyncio.timeout(seconds):
                if under_way is not None:  # its snapshot may count as fetched, and would not be sent again
                    await asyncio.shield(under_way)
                if predecessor and predecessor != self._identity:
                    last = (await self._fetch(predecessor, [bucket])).get(bucket)
        except TimeoutError:
            _log.info("replica %s: hand-over request timed out after %g s", predecessor, seconds)
        return [data for data in (self._kept.pop(bucket, None), last) if data is not None]

    def keep(self, bucket: str, data: bytes) -> None:
        """Keep our own snapshot of a bucket, unless there is one of its next holder by now."""
        self._kept.setdefault(bucket, data)

    async def close(self) -> None:
        """Stop all requests."""
        tasks = [*self._tasks.values(), *self._under_way.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def _stop(self, bucket: str) -> None:
        """Stop following a bucket, and its holder if that was its last one."""
        identity = self._followed.pop(bucket, None)
        if identity is not None and identity not in self._followed.values():
            self._cancel(identity)

    def _cancel(self, identity: str) -> None:
        task = self._tasks.pop(identity, None)
        if task is not None:
            task.cancel()

    async def _follow(self, identity: str) -> None:
        loop = asyncio.get_running_loop()
        pace, failures = self._pace.every, 0
        while True:
            if identity in self._under_way:
                await asyncio.shield(self._under_way[identity])
            began = loop.time()
            request = self._under_way[identity] = asyncio.create_task(self._request(identity))
            if await asyncio.shield(request):
                pace, failures = max(self._pace.every, _SHARE * (loop.time() - began)), 0
            elif self._outage(identity).lasts:
                failures += 1
            else:
                pace, failures = self._pace.every, 0
            pause = backoff(failures, first=pace, factor=2.0, longest=_LONGEST_PAUSE, jitter=0.0)
            await asyncio.sleep(pause * random.uniform(0.9, 1.1))

    async def _request(self, identity: str) -> bool:
        """Keep the snapshots that a holder has of its buckets; tells whether there were any."""
        buckets = [bucket for bucket, holder in self._followed.items() if holder == identity]
        found: dict[str, bytes] = {}
        try:
            for start in range(0, len(buckets), _AT_ONCE):
                found |= await self._fetch(identity, buckets[start : start + _AT_ONCE])
        finally:
            del self._under_way[identity]
        for bucket, data in found.items():
            if self._followed.get(bucket, identity) == identity:
                self._kept[bucket] = data
        return bool(found)

    async def _fetch(self, identity: str, buckets: Sequence[str]) -> dict[str, bytes]:
        """Request the snapshots of some buckets from a replica, and return those that it has."""
        try:
            host = url_host(address_in(identity))
            if self._session is None:
                timeout = aiohttp.ClientTimeout(total=_WHOLE, connect=_CONNECT)
                self._session = aiohttp.ClientSession(timeout=timeout)
            url = f"http://{host}:{self._port}{PATH}"
            params = [("bucket", bucket) for bucket in buckets]
            async with self._session.get(url, params=params) as response:
                if response.status == 200 and response.content_type == CONTENT_TYPE:
                    if (response.content_length or 0) > _MOST:
                        raise ValueError(f"{response.content_length} bytes are too many")
                    found = _parted(await response.read(), response.headers.get(LENGTHS), buckets)
                    self._outage(identity).succeeded()
                    return found
                if response.status == 404:  # one of us, which is about to take over itself
                    self._outage(identity).succeeded()
                    return {}
                reason = f"HTTP status {response.status}"
        except (aiohttp.ClientError, OSError, ValueError) as error:  # a TimeoutError is an OSError
            reason = str(error) or "request timed out"
        self._outage(identity).failed(reason)
        return {}

    def _outage(self, identity: str) -> OutageLogger:
        """Return the logger for one replica; that Knative's autoscaler hands nothing over is expected."""
        if identity not in self._outages:
            self._outages[identity] = OutageLogger(
                _log,
                f"replica {identity}",
                "has nothing to hand over",
                "hands over again",
                level=logging.INFO,
            )
        return self._outages[identity]


def _parted(data: bytes, lengths: str | None, buckets: Sequence[str]) -> dict[str, bytes]:
    """Return the part of each bucket in a response, without the empty ones."""
    sizes = [len(data)] if lengths is None else [int(length) for length in lengths.split(",")]
    if len(sizes) != len(buckets) or min(sizes) < 0 or sum(sizes) != len(data):
        raise ValueError(f"{len(data)} bytes do not fit {len(buckets)} buckets: {lengths}")
    ends = list(accumulate(sizes))
    parts = (data[end - size : end] for size, end in zip(sizes, ends, strict=True))
    return {bucket: part for bucket, part in zip(buckets, parts, strict=True) if part}
