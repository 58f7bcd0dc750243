"""What other replicas know of the buckets that they lead, kept so that we can go on from there.

A holder is asked every few seconds. One that is away, or has nothing to tell (Knative's autoscaler answers
400), is asked ever more rarely, and that is said once.
"""

import asyncio
import logging
import random

import aiohttp

from kpa.kube.forwarder import PORT
from kpa.kube.handover_pages import CONTENT_TYPE, PATH
from kpa.kube.identity import address_in, url_host

_EVERY = 5.0
"""Seconds between two questions: what is known of a holder that dies is at most as old."""

_SHARE = 20
"""A snapshot that took long is asked for again after so many times that: it costs its holder a twentieth."""

_LONGEST_PAUSE = 60.0
"""Seconds; what has nothing to tell now may be replaced by what has."""

_CONNECT, _WHOLE = 0.5, 10.0
"""Seconds for a connection and for all of an answer."""

_MOST = 2**27
"""Bytes of an answer: some 90,000 busy revisions."""

_log = logging.getLogger(__name__)


class Follower:
    """Asks the holders of buckets for snapshots.

    Parameters
    ----------
    identity : str
        Ours, `<POD_NAME>_<POD_IP>`.
    port : int
        Of all replicas.
    """

    def __init__(self, identity: str, port: int = PORT) -> None:
        self._identity = identity
        self._port = port
        self._session: aiohttp.ClientSession | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._followed: dict[str, str] = {}
        self._kept: dict[str, bytes] = {}
        self._under_way: dict[str, asyncio.Task[bytes | None]] = {}
        self._silent: dict[str, str] = {}  # who told us nothing of a bucket, as we have said

    def set_holder(self, bucket: str, identity: str) -> None:
        """Take what the Lease of a bucket says; when it is released, or ours, the last word is kept."""
        if identity == self._followed.get(bucket):
            return
        self._stop(bucket)
        if identity and identity != self._identity:
            self._followed[bucket] = identity
            self._tasks[bucket] = asyncio.create_task(self._follow(bucket, identity))

    async def last_word(self, bucket: str, predecessor: str, seconds: float) -> list[bytes]:
        """Return what is known of a bucket that becomes ours, its last holder asked once more.

        Parameters
        ----------
        bucket : str
        predecessor : str
            Who held it; empty if nobody did.
        seconds : float
            That an answer may take.
        """
        self._stop(bucket)
        told = [self._kept.pop(bucket, None)]
        under_way = self._under_way.pop(bucket, None)
        try:
            async with asyncio.timeout(seconds):
                if under_way is not None:  # what it says may be counted as told: nobody would repeat it
                    told.append(await under_way)
                if predecessor and predecessor != self._identity:
                    told.append(await self._fetch(bucket, predecessor))
        except TimeoutError:
            _log.info("replica %s told us nothing in %g s", predecessor, seconds)
        return [data for data in told if data is not None]

    async def close(self) -> None:
        """Ask no more."""
        tasks = [*self._tasks.values(), *self._under_way.values()]
        for task in self._under_way.values():
            task.cancel()
        for bucket in list(self._tasks):
            self._stop(bucket)
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def _stop(self, bucket: str) -> None:
        self._followed.pop(bucket, None)
        task = self._tasks.pop(bucket, None)
        if task is not None:
            task.cancel()

    async def _follow(self, bucket: str, identity: str) -> None:
        loop = asyncio.get_running_loop()
        pause = _EVERY
        while True:
            began = loop.time()
            fetching = self._under_way[bucket] = asyncio.create_task(self._fetch(bucket, identity))
            data = await asyncio.shield(fetching)
            self._under_way.pop(bucket, None)
            if data is not None:
                self._kept[bucket] = data
                pause = min(max(_EVERY, _SHARE * (loop.time() - began)), _LONGEST_PAUSE)
            else:
                pause = min(2 * pause, _LONGEST_PAUSE) if bucket in self._silent else _EVERY
            await asyncio.sleep(pause * random.uniform(0.9, 1.1))

    async def _fetch(self, bucket: str, identity: str) -> bytes | None:
        """Ask a replica; None if it has nothing for us."""
        try:
            host = url_host(address_in(identity))
            if self._session is None:
                timeout = aiohttp.ClientTimeout(total=_WHOLE, connect=_CONNECT)
                self._session = aiohttp.ClientSession(timeout=timeout)
            url = f"http://{host}:{self._port}{PATH}"
            async with self._session.get(url, params={"bucket": bucket}) as answer:
                if answer.status == 200 and answer.content_type == CONTENT_TYPE:
                    if (answer.content_length or 0) > _MOST:
                        raise ValueError(f"{answer.content_length} bytes are too many")
                    data = await answer.read()
                    self._silent.pop(bucket, None)
                    return data
                if answer.status == 404:  # one of us, which is about to take over itself
                    self._silent.pop(bucket, None)
                    return None
                reason = f"HTTP status {answer.status}"
        except (aiohttp.ClientError, OSError, ValueError) as error:  # a TimeoutError is an OSError
            reason = str(error) or "no answer in time"
        if self._silent.get(bucket) != identity:
            self._silent[bucket] = identity
            _log.info("bucket %s: replica %s has nothing to hand over: %s", bucket, identity, reason)
        return None
