"""Which buckets are ours: an elector for each lease, who holds the others, and whose turn a free one is."""

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
from kpa.kube.election.lease import WANTED, annotation, holder_of
from kpa.kube.election.lease_store import LeaseStore, StoredLeases
from kpa.kube.election.rebalancing import gives, lender, turns
from kpa.kube.objects.kinds import LEASES
from metrics.key import Key

_log = logging.getLogger(__name__)

_CALM = 2.0
"""Retry periods in which no replica may come or go before anybody asks for a bucket: in a rollout each new
one is about to get what an old one releases."""

_REPLACED = 0.1
"""Retry periods for which a free bucket is left to one that may have come in the place of who is gone: while
it leads nothing nobody knows of it."""

_DEAF = 10.0
"""Lease durations for which a replica is not asked again that gave nothing: Knative's never does."""


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
        Told when a bucket has become ours, or no longer is.
    on_holder : callable (bucket, identity)
        Told who holds a bucket; empty if nobody does.
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
        self._deaf: dict[str, float] = {}  # replicas that gave nothing, and until when they are not asked
        store = StoredLeases(client, namespace)
        self._electors = {name: self._elector(store, name) for name in self.buckets.names}
        self._informer = Informer(
            client, LEASES, self._ours, namespace=namespace, on_change=self._lease_changed
        )

    def leads(self, bucket: str) -> bool:
        """Tell whether a bucket is ours; buckets that do not exist are not."""
        return bucket in self._electors and self._electors[bucket].leading

    def predecessor(self, bucket: str) -> str:
        """Return who held a bucket of ours before us; empty if nobody did."""
        return self._electors[bucket].predecessor

    async def run(self) -> None:
        """Take part until cancelled; then all that is ours is released at once."""
        async with asyncio.TaskGroup() as group:  # a second cancellation would end the release
            for elector in self._electors.values():
                group.create_task(elector.run())
            for part in (self._informer.run(), self._give(), self._level()):
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
            asker = annotation(lease, WANTED)
            if asker and elector.leading:
                self._asked.put_nowait((key.name, asker))

    # Shares.

    def _count(self) -> dict[str, int]:
        """Return how many buckets each replica leads that is there; who let one go is not."""
        leases = [elector.seen for elector in self._electors.values()]
        gone = {seen.last_holder for seen in leases if seen.free} - {self._identity}
        led = Counter(seen.last_holder for seen in leases if not seen.free)
        return {replica: led[replica] for replica in (led.keys() | {self._identity}) - gone}

    def _patience(self, bucket: str) -> float:
        """Return the seconds for which a free bucket is left to the replica whose turn it is."""
        free = [elector for elector in self._electors.values() if elector.seen.free]
        free.sort(key=lambda elector: (elector.seen.free_from, elector.name))
        led = self._count()
        if turns([elector.name for elector in free], led).get(bucket) != self._identity:
            return self._timing.retry_period
        gone = {elector.seen.last_holder for elector in free} - led.keys() - {""}
        full = led[self._identity] * (len(led) + len(gone)) >= len(self._electors)
        return _REPLACED * self._timing.retry_period if full else 0.0

    async def _give(self) -> None:
        """Give buckets to replicas that ask for them and lead fewer, one after the other."""
        while True:
            bucket, asker = await self._asked.get()
            if self.leads(bucket) and gives(self._count(), self._identity, asker):
                _log.info("lease %s: given to %s, which leads fewer", bucket, asker)
                try:
                    await self._before_giving(bucket)
                except Exception:
                    _log.exception("lease %s: given without what is known", bucket)
                await self._electors[bucket].give(asker)

    async def _level(self) -> None:
        """Whenever the replicas have been the same for a while, ask for our share."""
        period = self._timing.retry_period
        present, since = frozenset[str](), self._clock()
        while True:
            await asyncio.sleep(period * random.uniform(0.4, 0.6))
            led, before = self._count(), present
            present = frozenset(led)
            joined = present > before and led[self._identity]  # who leads nothing has yet to join itself
            if joined or before - present or any(elector.seen.free for elector in self._electors.values()):
                since = self._clock()
            elif self._clock() - since >= _CALM * period:
                await self._ask_for_share()
                since = self._clock()

    async def _ask_for_share(self) -> None:
        """Ask until we lead our share, or are given nothing; once if nobody can have known of us."""
        now = self._clock()
        self._deaf = {replica: until for replica, until in self._deaf.items() if until > now}
        unknown = not self._count()[self._identity]
        while giver := self._lender():
            answered = await self._ask(giver)
            if not answered:
                self._deaf[giver] = now + _DEAF * self._timing.lease_duration
            if unknown or not answered:
                return

    def _lender(self) -> str | None:
        led = {replica: count for replica, count in self._count().items() if replica not in self._deaf}
        return lender(led, self._identity)

    async def _ask(self, giver: str) -> bool:
        """Ask for a bucket, and wait until somebody who asked has it; tells whether that may go on."""
        electors = self._electors.values()
        theirs = [each for each in electors if each.seen.last_holder == giver and not each.seen.free]
        elector = random.choice(theirs)
        try:
            async with asyncio.timeout(self._timing.retry_period):
                await elector.ask()
                while not elector.leading and elector.seen.last_holder in (giver, self._identity):
                    self._moved.clear()
                    await self._moved.wait()
        except (KubeError, TimeoutError) as error:
            _log.info("lease %s: not given by %s: %s", elector.name, giver, error or "no answer in time")
        return elector.seen.last_holder != giver or self._lender() != giver
