"""Scrapes one pod: its connection, its outstanding response, its failures.

Time is counted in rounds, about one a second, so a change of the clock has no effect.
"""

from collections import Counter

from metrics.sampling.failures import Failure
from metrics.sampling.pod_target import PodTarget, ScrapeListener, back_off
from metrics.scraping.connection import ScrapeConnection, request_bytes
from metrics.scraping.connector import Connector
from metrics.stat import Stat

_LONGEST_WAIT = 3
"""Rounds for which a response may be outstanding; the peer's scrape timeout is 3 s
(`knative/serving pkg/autoscaler/metrics/http_scrape_client.go`)."""

_LONGEST_REST = 60
"""Rounds after which the connection of a pod that was not in any sample is closed."""


class PodScraper:
    """Requests stats from one pod and passes them on to its revision's round.

    Parameters
    ----------
    target : PodTarget
    listener : ScrapeListener
        Receives stats and failures, but never within a call of `ask` or `rest`.
    connector : Connector
        Opens connections.
    failures : Counter of Failure
        Counts them, for the whole fleet.

    Attributes
    ----------
    connection : ScrapeConnection or None
    """

    __slots__ = (
        "_age", "_connector", "_failures", "_gone", "_in_a_row", "_listener", "_rest", "_skip", "asked_in",
        "awaited", "connection", "failure", "late", "target", "trusted", "waiting",
    )  # fmt: skip

    def __init__(
        self, target: PodTarget, listener: ScrapeListener, connector: Connector, failures: Counter[Failure]
    ) -> None:
        self.target = target
        self.trusted = True
        self.waiting = False
        self.asked_in = 0
        self.awaited = False
        self.late: Stat | None = None
        self.failure: Failure | None = None
        self._listener = listener
        self._connector = connector
        self._failures = failures
        self.connection: ScrapeConnection | None = None
        self._gone = False
        self._in_a_row = 0  # failures since the last answer
        self._skip = 0  # rounds to let pass
        self._age = 0  # rounds since the request was sent
        self._rest = 0  # rounds since it was asked

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of `/metrics`."""
        return self.target.host, self.target.port

    @property
    def request(self) -> bytes:
        """What to send for a stat."""
        return request_bytes(*self.address, through=self.target.through)

    @property
    def wants_connection(self) -> bool:
        """A request waits to be sent."""
        return self.waiting and self.connection is None and not self._gone

    @property
    def at_rest(self) -> bool:
        """It has answered every request, and every stat has been used."""
        return self.trusted and not self.waiting and self.late is None

    def ask(self) -> bool:
        """Request a stat, unless a response is outstanding; False while backing off."""
        if self.waiting and not self._overdue():
            return True
        if self._skip or self._gone:
            self._skip = max(0, self._skip - 1)
            self.late = None
            return False
        self._owe()
        if self.connection is not None:
            self.connection.ask()
        else:
            self._connector.want(self, later=self._in_a_row > 0)
        return True

    def was_asked(self) -> None:
        """Mark a request as sent by a batch; if the connection was closed before, connect again."""
        self._owe()
        if self.connection is not None:
            self.connection.was_asked()
        else:
            self._connector.want(self, later=False)

    def rest(self) -> None:
        """Count a round in which the pod is not asked."""
        self.late = None
        if self.waiting:
            self._overdue()
            return
        self._skip = max(0, self._skip - 1)
        self._rest += 1
        if self._rest >= _LONGEST_REST:
            self._close_connection()

    def close(self) -> None:
        """The pod is gone: close its connection; a round that waits for it continues without."""
        self._gone = True
        self._close_connection()
        if self.waiting:
            self.waiting = False
            self._listener.failed(self)

    def connected(self, connection: ScrapeConnection) -> None:
        """Take the connection and send the waiting request."""
        if self.wants_connection:
            self.connection = connection
            connection.ask()
        else:
            connection.close()

    def connect_failed(self) -> None:
        """The connection was not accepted."""
        if self.wants_connection:
            self.failed(Failure.CONNECT)

    def answered(self, stat: Stat) -> None:
        """Pass a stat on; a stat of another pod counts as a failure.

        Knative accepts it: an address that is reused during an outage of watches brings a revision the load
        of another one.
        """
        if stat.pod_name not in ("", self.target.name):
            self._count(Failure.OTHER_POD)
            self._listener.failed(self)
            return
        self.waiting = False
        self.trusted = True
        self.failure = None
        self._in_a_row = 0
        self._listener.answered(self, stat)

    def failed(self, failure: Failure) -> None:
        """Pass a failure on; the connection is closed."""
        self.connection = None
        self._count(failure)
        self._listener.failed(self)

    def lost(self, connection: ScrapeConnection, retry: bool) -> None:
        """Reconnect; a request on a connection that was just being closed is sent once more."""
        if connection is not self.connection:
            return
        self.connection = None
        if not self.waiting:
            return
        if retry:
            self._connector.want(self, later=False)
        else:
            self.failed(Failure.CLOSED)

    def _owe(self) -> None:
        self.waiting = True
        self.trusted = False
        self._age = self._rest = 0

    def _overdue(self) -> bool:
        """Give up a response that is outstanding for too long; return whether it did."""
        if self.connection is None:
            return False  # not even sent yet
        self._age += 1
        if self._age < _LONGEST_WAIT:
            return False
        self._close_connection()
        self._count(Failure.TIMEOUT)
        return True

    def _count(self, failure: Failure) -> None:
        self._failures[failure] += 1
        self.failure = failure
        self.waiting = self.trusted = False
        self._in_a_row += 1
        self._skip = back_off(self._in_a_row)

    def _close_connection(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None
