"""Forwards stats that came to the wrong replica to the one that holds their bucket.

    stat server ──> forward(bucket, stats) ──> outbox ─┬─ holder known: its connection takes from all
                                               outbox ─┘  outboxes of its buckets, one frame at a time
                                               outbox ─── no holder: stats wait, and expire

A bucket has an outbox, a holder has a connection with a task of its own, and neither waits for another: a
peer that is dead, or that reads slowly, delays its own buckets only. What waits follows the bucket to its
next holder. Knative's forwarder has one queue and one worker for all, dials for up to a second in it, and
never drops a stat.

Source: `knative/serving pkg/autoscaler/statforwarder`.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable

from kpa.kube.election.identity import PORT, Address, address_in, url_host
from kpa.kube.forwarding.outbox import FRESH, Outbox
from kpa.kube.forwarding.peer import Peer
from metrics.stat import StatMessage, decode_messages

_log = logging.getLogger(__name__)


class Forwarder:
    """Sends stats to the holders of their buckets.

    Parameters
    ----------
    identity : str
        Ours, `<POD_NAME>_<POD_IP>`.
    domain_suffix : str
        Of the cluster's names, such as `cluster.local`.
    namespace : str
        Where the buckets have their Services: the system namespace.
    port : int
        Of all peers.
    clock : callable
        Unix time in seconds.

    Attributes
    ----------
    outcomes : Counter of str
        Stats since the start: "sent", too old ("stale"), the oldest of an "overflow", or "lost" with a
        connection.
    """

    def __init__(
        self,
        identity: str,
        domain_suffix: str,
        namespace: str,
        *,
        port: int = PORT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.outcomes: Counter[str] = Counter()
        self._ip = _ip_of(identity)
        self._services = f"{namespace}.svc.{domain_suffix}:{port}"
        self._port = port
        self._clock = clock
        self._outboxes: dict[str, Outbox] = {}
        self._holders: dict[str, Peer] = {}
        self._tasks: dict[Peer, asyncio.Task[None]] = {}

    def set_holder(self, bucket: str, identity: str) -> None:
        """Take the holder of a bucket from its Lease; stats that wait for the bucket go to it.

        Without a holder stats wait, and also if we are the holder: until `reclaim`. A holder with our address
        counts as us: a lease may outlive the pod that had the address before.

        Parameters
        ----------
        bucket : str
        identity : str
            `<POD_NAME>_<POD_IP>`; empty when the lease is released or gone.
        """
        ip = _ip_of(identity)
        if identity and ip is None:
            _log.warning("bucket %s: holder %r is not <POD_NAME>_<POD_IP>", bucket, identity)
        if ip is None or ip == self._ip:
            self._leave(bucket)
        elif bucket not in self._holders or self._holders[bucket].identity != identity:
            self._leave(bucket)
            self._join(bucket, identity, ip)

    def forward(self, bucket: str, messages: list[StatMessage]) -> None:
        """Queue stats for the holder of their bucket, in order; never waits.

        Those with a timestamp that is too old are dropped: two replicas that take each other for the holder
        would send them back and forth.
        """
        oldest = self._clock() - FRESH
        fresh = [message for message in messages if message.stat.timestamp >= oldest]
        self.outcomes["stale"] += len(messages) - len(fresh)
        self._outbox(bucket).put(fresh)
        if bucket in self._holders:
            self._holders[bucket].wake.set()

    def reclaim(self, bucket: str) -> list[StatMessage]:
        """Take back the stats that wait for a bucket, which is ours now."""
        return decode_messages(self._outbox(bucket).take().data)

    async def close(self) -> None:
        """Close all connections; takes less than a second."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _outbox(self, bucket: str) -> Outbox:
        if bucket not in self._outboxes:
            self._outboxes[bucket] = Outbox(self.outcomes)
        return self._outboxes[bucket]

    def _join(self, bucket: str, identity: str, ip: Address) -> None:
        peer = next((known for known in self._holders.values() if known.identity == identity), None)
        if peer is None:
            peer = Peer(identity, f"ws://{url_host(ip)}:{self._port}", self.outcomes)
            task = self._tasks[peer] = asyncio.create_task(peer.run())
            task.add_done_callback(lambda _: self._tasks.pop(peer))
        self._holders[bucket] = peer
        peer.outboxes[f"ws://{bucket}.{self._services}"] = self._outbox(bucket)
        peer.wake.set()

    def _leave(self, bucket: str) -> None:
        """Take a bucket from its holder; a holder of nothing needs no connection."""
        peer = self._holders.pop(bucket, None)
        if peer is None:
            return
        del peer.outboxes[f"ws://{bucket}.{self._services}"]
        if not peer.outboxes:
            self._tasks[peer].cancel()


def _ip_of(identity: str) -> Address | None:
    try:
        return address_in(identity)
    except ValueError:
        return None
