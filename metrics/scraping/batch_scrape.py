"""Scrapes a sample of a revision's pods in one batch; nearly every round does.

Most of a scrape's cost is waiting for memory: the objects that handle a pod's failures have left the caches
since the second before. While nothing fails they are not needed. A batch holds the sockets, requests and
names of a revision whose pods are all at rest, and touches nothing else until a response is late or unusual.
Then it falls back: each pod continues as if it had been asked alone, and takes what was read.

    Round ── ask ──> BatchScrape ── next turn: all usual ──> Round.batch_answered(sums)
                           └── one is not ──> Round.fall_back ──> PodScraper.was_asked, ScrapeConnection.take

Only the round records that it is open; a pod that is asked in a batch is not marked as waiting.
"""

import random
import socket
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from metrics.sampling.pod_target import Scraper
from metrics.scraping.connection import ScrapeConnection, read_all, send_all
from metrics.scraping.poller import Poller
from metrics.scraping.response import add_up
from metrics.stat import Loads, Stat


class BatchListener(Protocol):
    """The round that asks."""

    def batch_answered(self, sums: Loads) -> None:
        """Take the sums of all pods that were asked."""

    def fall_back(self) -> None:
        """Continue with single pods; must call `BatchScrape.fall_back`."""


class BatchPod(Scraper, Protocol):
    """A pod that a batch can ask."""

    def was_asked(self) -> None:
        """Mark a request as sent."""


class _Columns(NamedTuple):
    pods: Sequence[BatchPod]
    connections: Sequence[ScrapeConnection]
    names: Sequence[bytes]
    sockets: Sequence[socket.socket]
    requests: Sequence[bytes]


class BatchScrape:
    """One revision's pods, each with a connection and none with a response outstanding.

    Parameters
    ----------
    listener : BatchListener
    pods : sequence of BatchPod
        All of the same rank: each represents all as well as any other.
    connections : sequence of ScrapeConnection
        Of each pod.
    sample : int
        How many of them are asked in a round.
    poller : Poller
    """

    __slots__ = ("_asked", "_lines", "_listener", "_poller", "_sample", "_unread")

    def __init__(
        self,
        listener: BatchListener,
        pods: Sequence[BatchPod],
        connections: Sequence[ScrapeConnection],
        sample: int,
        poller: Poller,
    ) -> None:
        self._listener = listener
        self._poller = poller
        self._sample = sample
        names = [Stat(pod.target.name).encode() for pod in pods]
        sockets = [connection.sock for connection in connections]
        requests = [connection.request for connection in connections]
        self._asked = _Columns(pods, connections, names, sockets, requests)
        self._lines = tuple(zip(*self._asked, strict=True)) if sample < len(pods) else ()
        self._unread = False

    @property
    def asked(self) -> Sequence[BatchPod]:
        """The pods that the last round asked."""
        return self._asked.pods

    def ask(self) -> None:
        """Ask a sample; the responses to the one before must have been read."""
        if self._lines:
            self._asked = _Columns(*zip(*random.sample(self._lines, self._sample), strict=True))
        self._unread = True
        send_all(self._asked.sockets, self._asked.requests)
        self._poller.asked.append(self)

    def ready(self) -> None:
        """Read all answers; called by the poller."""
        if not self._unread:
            return
        self._unread = False
        answers = read_all(self._asked.sockets)
        sums = add_up(answers, self._asked.names)
        if sums is not None:
            self._listener.batch_answered(sums)
            return
        self._listener.fall_back()
        for connection, data in zip(self._asked.connections, answers, strict=True):
            connection.take(data)

    def fall_back(self) -> None:
        """Mark pods and connections as asked; connections not read yet are read one by one."""
        for pod in self._asked.pods:
            pod.was_asked()
        if self._unread:
            self._unread = False
            self._poller.asked.extend(self._asked.connections)
