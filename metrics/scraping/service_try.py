"""One request to a service, on a connection of its own, so that the service can choose another pod."""

from typing import Protocol

from metrics.sampling.failures import Failure
from metrics.scraping.connection import ScrapeConnection
from metrics.stat import Stat


class TryListener(Protocol):
    """Receives the outcome of a try."""

    def try_ended(self, worker: int, outcome: Stat | Failure) -> None:
        """Take the outcome."""


class Try:
    """One request; a `metrics.scraping.connector.Connectable`.

    Parameters
    ----------
    listener : TryListener
    worker : int
        Number of the worker; passed on with the outcome.
    address : tuple of str and int
    request : bytes

    Attributes
    ----------
    rounds : int
        Rounds since the start of the try; counted by the listener.
    """

    __slots__ = ("_connection", "_listener", "_worker", "address", "request", "rounds")

    def __init__(self, listener: TryListener, worker: int, address: tuple[str, int], request: bytes) -> None:
        self.address = address
        self.request = request
        self.rounds = 0
        self._listener: TryListener | None = listener
        self._worker = worker
        self._connection: ScrapeConnection | None = None

    @property
    def wants_connection(self) -> bool:
        """The request has not been sent and is still needed."""
        return self._listener is not None and self._connection is None

    def connected(self, connection: ScrapeConnection) -> None:
        """Send the request."""
        if self.wants_connection:
            self._connection = connection
            connection.ask()
        else:
            connection.close()

    def connect_failed(self) -> None:
        """The connection was not accepted."""
        self.end(Failure.CONNECT)

    def answered(self, stat: Stat) -> None:
        """Take the stat."""
        self.end(stat)

    def failed(self, failure: Failure) -> None:
        """Take the reason for no stat."""
        self.end(failure)

    def lost(self, connection: ScrapeConnection, retry: bool) -> None:
        """The service closed the connection first."""
        if connection is self._connection:
            self.end(Failure.CLOSED)

    def end(self, outcome: Stat | Failure) -> None:
        """Close the connection and report the outcome, once."""
        listener = self._listener
        self.close()
        if listener is not None:
            listener.try_ended(self._worker, outcome)

    def close(self) -> None:
        """Close the connection without a report."""
        self._listener = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None
