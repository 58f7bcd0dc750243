"""A sample of a revision's pods asked, and the answers read, in one go: the way of nearly every round.

Most of a scrape's cost is waiting for memory: the objects that know what may go wrong with a pod have left
the caches since the second before. While nothing goes wrong nobody needs them. Here are the sockets, requests
and names of a revision none of whose pods has more to say; nothing else is touched until something is late or
not as usual. Then each pod goes on as if it had been asked by itself, and takes what was read:

    Round ── ask ──> BatchScrape ── next turn: all usual ──> Round.batch_answered(sums)
                       └── one is not ──> Round.disclose ──> PodScraper.was_asked, Connection.take(data)

Only the round knows that it is open: a pod that was asked in this way does not know that it owes an answer.
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
        """Take what all that were asked have together."""

    def fall_back(self) -> None:
        """Go on with pods that were asked one by one, beginning with a call of `BatchScrape.fall_back`."""


class BatchPod(Scraper, Protocol):
    """A pod that can be asked by others."""

    def was_asked(self) -> None:
        """Take note of a request that was sent."""


class _Columns(NamedTuple):
    pods: Sequence[BatchPod]
    connections: Sequence[ScrapeConnection]
    names: Sequence[bytes]
    sockets: Sequence[socket.socket]
    requests: Sequence[bytes]


class BatchScrape:
    """One revision's pods, each with a connection and none with an answer to come.

    Parameters
    ----------
    listener : BatchListener
    pods : sequence of BatchPod
        All of the same rank: by chance each stands for all as well as any other.
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
        """Whom the last round asked."""
        return self._asked.pods

    def ask(self) -> None:
        """Ask a sample; the one before must have been read."""
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
        """Let pods and connections know that they were asked; who was not read yet is read by itself."""
        for pod in self._asked.pods:
            pod.was_asked()
        if self._unread:
            self._unread = False
            self._poller.asked.extend(self._asked.connections)
