"""All pods of a revision asked, and their answers read, in one go: the way of nearly every round.

Most of a scrape's cost is waiting for memory: the objects that know what may go wrong with a pod have left
the caches since the second before. While nothing goes wrong nobody needs them. Here are the sockets, requests
and names of a revision whose pods all answered the last time; nothing else is touched until something is
late or not as usual. Then each pod goes on as if it had been asked by itself, and takes what was read:

    Round ── ask ──> Quiet ── next turn: all usual ──> Round.heard(sums)
                       └── one is not ──> Round.disclose ──> PodScraper.was_asked, Connection.take(data)

Only the round knows that it is open: a pod that was asked in this way does not know that it owes an answer.
"""

from collections.abc import Sequence
from typing import Protocol

from metrics.answer import add_up
from metrics.poller import Poller
from metrics.scraper import Connection, read_all, send_all
from metrics.stat import Loads, Stat


class Listener(Protocol):
    """The round that asks."""

    def heard(self, sums: Loads) -> None:
        """Take what all pods have together."""

    def disclose(self) -> None:
        """Go on with pods that were asked one by one, beginning with a call of `Quiet.disclose`."""


class QuietPod(Protocol):
    """What is needed of a pod."""

    def was_asked(self) -> None:
        """Take note of a request that was sent."""


class Quiet:
    """One revision's pods, each with a connection and none with an answer to come.

    Parameters
    ----------
    listener : Listener
    pods : sequence of (str, QuietPod)
        With their names.
    connections : sequence of Connection
        Of each pod.
    poller : Poller
    """

    __slots__ = (
        "_connections", "_listener", "_names", "_pods", "_poller", "_requests", "_sockets", "_unread",
    )  # fmt: skip

    def __init__(
        self,
        listener: Listener,
        pods: Sequence[tuple[str, QuietPod]],
        connections: Sequence[Connection],
        poller: Poller,
    ) -> None:
        self._listener = listener
        self._poller = poller
        self._connections = connections
        self._pods = tuple(pod for _, pod in pods)
        self._names = tuple(Stat(name).encode() for name, _ in pods)
        self._sockets = tuple(connection.sock for connection in connections)
        self._requests = tuple(connection.request for connection in connections)
        self._unread = False

    def ask(self) -> None:
        """Ask all; the one before must have been read."""
        self._unread = True
        send_all(self._sockets, self._requests)
        self._poller.asked.append(self)

    def ready(self) -> None:
        """Read all answers; called by the poller."""
        if not self._unread:
            return
        self._unread = False
        answers = read_all(self._sockets)
        sums = add_up(answers, self._names)
        if sums is not None:
            self._listener.heard(sums)
            return
        self._listener.disclose()
        for connection, data in zip(self._connections, answers, strict=True):
            connection.take(data)

    def disclose(self) -> None:
        """Let pods and connections know that they were asked; who was not read yet is read by itself."""
        for pod in self._pods:
            pod.was_asked()
        if self._unread:
            self._unread = False
            self._poller.asked.extend(self._connections)
