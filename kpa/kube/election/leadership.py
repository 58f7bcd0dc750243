"""Which buckets are ours: an elector for each lease, the holders of the others, who gets a free bucket."""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from config.leader_election import Timing
from kpa.kube.api.client import KubeClient
from kpa.kube.api.errors import KubeError
from kpa.kube.api.informer import Informer
from kpa.kube.election.buckets import BucketSet, bucket_names
from kpa.kube.election.elector import Elector
from kpa.kube.election.lease import WANTED_BY, annotation, holder_of
from kpa.kube.election.lease_store import LeaseStore, StoredLeases
from kpa.kube.election.rebalancing import assign, donor, evens_out
from kpa.kube.objects.kinds import LEASES
from metrics.key import Key

_log = logging.getLogger(__name__)

_STABLE = 2.0
"""Retry periods in which no replica may come or go before one requests a bucket: in a rollout each new one
is about to get what an old one releases."""

_REPLACED = 0.1
"""Retry periods for which a free bucket is left to a replica that may have replaced the one that is gone: it
is unknown while it leads nothing."""

_REFUSING = 10.0
"""Lease durations before the next request to a replica that gave nothing: Knative's never gives."""


class Leadership:
    """Our part in looking after all revisions.

    Parameters
    ----------
    client : KubeClient
    namespace : str
        Of the leases.
    identity : str
        `<POD_NAME>_<POD_IP>`.
    buckets : int
        How many share the revisions.
    timing : Timing
    on_change : callable (bucket, leading)
        Called when a bucket has become ours, or no longer is.
    on_holder : callable (bucket, identity)
        Called with the holder of a bucket; empty if there is none.
    before_giving : async callable (bucket)
        Awaited before a bucket of ours goes to a replica that leads fewer.
    clock : callable
        Seconds that only go forward.
    """

    def __init__(
        self,
        client: KubeClient,
        namespace: str,
        identity: str,
        buckets: int,
        timing: Timing,
        on_change: Callable[[str, bool], None],
        on_holder: Callable[[str, str], None],
        before_giving: Callable[[str], Awaitable[object]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.buckets = BucketSet(bucket_names(buckets))
        self._identity = identity
        self._timing = timing
        self._on_change = on_change
        self._on_holder = on_holder
        self._before_giving = before_giving
        self._clock = clock
        self._asked: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self._moved = asyncio.Event()  # set when a bucket may have changed hands
        self._refusing: dict[str, float] = {}  # replicas that gave nothing, until when
        store = StoredLeases(client, namespace)
        self._electors = {name: self._elector(store, name) for name in self.buckets.names}
        self._informer = Informer(
            client, LEASES, self._ours, namespace=namespace, on_change=self._lease_changed
        )

    def leads(self, bucket: str) -> bool:
        """Tell whether a bucket is ours; buckets that do not exist are not."""
        return bucket in self._electors and self._electors[bucket].leading

    def predecessor(self, bucket: str) -> str:
        """Return the previous holder of a bucket of ours; empty if there was none."""
        return self._electors[bucket].predecessor

    async def run(self) -> None:
        """Take part until cancelled; then all that is ours is released at once."""
        async with asyncio.TaskGroup() as group:  # a second cancellation would end the release
            for elector in self._electors.values():
                group.create_task(elector.run())
            for part in (self._informer.run(), self._give(), self._rebalance()):
                group.create_task(part)

    def _elector(self, store: LeaseStore, name: str) -> Elector:
        def changed(leading: bool) -> None:
            self._moved.set()
            self._on_change(name, leading)

        def patience() -> float:
            return self._patience(name)

        return Elector(store, name, self._identity, self._timing, changed, self._clock, patience)

    def _ours(self, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """Keep the leases of our buckets only."""
        return dict(body) if body["metadata"]["name"] in self._electors else None

    def _lease_changed(self, key: Key, lease: dict[str, Any] | None) -> None:
        elector = self._electors.get(key.name)
        if elector is not None:
            elector.observe(lease)
            self._moved.set()
            self._on_holder(key.name, holder_of(lease))
            asker = annotation(lease, WANTED_BY)
            if asker and elector.leading:
                self._asked.put_nowait((key.name, asker))

    # Rebalancing.

    def _count(self) -> dict[str, int]:
        """Return how many buckets each live replica leads; one that released a lease is gone."""
        leases = [elector.observed for elector in self._electors.values()]
        gone = {seen.last_holder for seen in leases if seen.free} - {self._identity}
        led = Counter(seen.last_holder for seen in leases if not seen.free)
        return {replica: led[replica] for replica in (led.keys() | {self._identity}) - gone}

    def _patience(self, bucket: str) -> float:
        """Return the seconds for which a free bucket is left to the replica that it is assigned to."""
        free = [elector for elector in self._electors.values() if elector.observed.free]
        free.sort(key=lambda elector: (elector.observed.free_from, elector.name))
        led = self._count()
        if assign([elector.name for elector in free], led).get(bucket) != self._identity:
            return self._timing.retry_period
        gone = {elector.observed.last_holder for elector in free} - led.keys() - {""}
        full = led[self._identity] * (len(led) + len(gone)) >= len(self._electors)
        return _REPLACED * self._timing.retry_period if full else 0.0

    async def _give(self) -> None:
        """Give buckets to replicas that request them and lead fewer, one after the other."""
        while True:
            bucket, asker = await self._asked.get()
            if self.leads(bucket) and evens_out(self._count(), self._identity, asker):
                _log.info("lease %s: given to %s, which leads fewer", bucket, asker)
                try:
                    await self._before_giving(bucket)
                except Exception:
                    _log.exception("lease %s: given without a snapshot", bucket)
                await self._electors[bucket].give(asker)

    async def _rebalance(self) -> None:
        """Request our share whenever the replicas have been the same for a while."""
        period = self._timing.retry_period
        present, since = frozenset[str](), self._clock()
        while True:
            await asyncio.sleep(period * random.uniform(0.4, 0.6))
            led, before = self._count(), present
            present = frozenset(led)
            joined = present > before and led[self._identity]  # one that leads nothing has yet to join itself
            free = any(elector.observed.free for elector in self._electors.values())
            if joined or before - present or free:
                since = self._clock()
            elif self._clock() - since >= _STABLE * period:
                await self._request_share()
                since = self._clock()

    async def _request_share(self) -> None:
        """Request until we lead our share, or get nothing; once while we are unknown to the others."""
        now = self._clock()
        self._refusing = {replica: until for replica, until in self._refusing.items() if until > now}
        unknown = not self._count()[self._identity]
        while giver := self._donor():
            answered = await self._request(giver)
            if not answered:
                self._refusing[giver] = now + _REFUSING * self._timing.lease_duration
            if unknown or not answered:
                return

    def _donor(self) -> str | None:
        led = {replica: count for replica, count in self._count().items() if replica not in self._refusing}
        return donor(led, self._identity)

    async def _request(self, giver: str) -> bool:
        """Request a bucket, and wait until a replica that requested it has it; tells whether to go on."""
        electors = self._electors.values()
        theirs = [each for each in electors if each.observed.last_holder == giver and not each.observed.free]
        elector = random.choice(theirs)
        try:
            async with asyncio.timeout(self._timing.retry_period):
                await elector.request()
                while not elector.leading and elector.observed.last_holder in (giver, self._identity):
                    self._moved.clear()
                    await self._moved.wait()
        except (KubeError, TimeoutError) as error:
            _log.info("lease %s: not given by %s: %s", elector.name, giver, error or "request timed out")
        return elector.observed.last_holder != giver or self._donor() != giver
