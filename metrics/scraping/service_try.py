"""One request to a service, on a connection of its own, so that the service can choose another pod."""

from typing import Protocol

from metrics.sampling.failures import Failure
from metrics.scraping.connection import ScrapeConnection
from metrics.stat import Stat


class TryListener(Protocol):
    """Whom a try tells of its end."""

    def try_ended(self, asker: int, outcome: Stat | Failure) -> None:
        """Take what came of it."""


class Try:
    """A `metrics.scraping.connector.Connectable` that asks once.

    Parameters
    ----------
    listener : TryListener
    asker : int
        On whose behalf; told with the outcome.
    address : tuple of str and int
    request : bytes

    Attributes
    ----------
    rounds : int
        That it has taken; kept by the listener.
    """

    __slots__ = ("_asker", "_connection", "_listener", "address", "request", "rounds")

    def __init__(self, listener: TryListener, asker: int, address: tuple[str, int], request: bytes) -> None:
        self.address = address
        self.request = request
        self.rounds = 0
        self._listener: TryListener | None = listener
        self._asker = asker
        self._connection: ScrapeConnection | None = None

    @property
    def wants_connection(self) -> bool:
        """It has not been sent, and somebody waits for it."""
        return self._listener is not None and self._connection is None

    def connected(self, connection: ScrapeConnection) -> None:
        """Send the request."""
        if self.wants_connection:
            self._connection = connection
            connection.ask()
        else:
            connection.close()

    def connect_failed(self) -> None:
        """Nobody accepted the connection."""
        self.end(Failure.CONNECT)

    def answered(self, stat: Stat) -> None:
        """Take the stat."""
        self.end(stat)

    def failed(self, failure: Failure) -> None:
        """Take why there is none."""
        self.end(failure)

    def lost(self, connection: ScrapeConnection, unheard: bool) -> None:
        """The service hung up first."""
        if connection is self._connection:
            self.end(Failure.CLOSED)

    def end(self, outcome: Stat | Failure) -> None:
        """Hang up and say what came of it, once."""
        listener = self._listener
        self.close()
        if listener is not None:
            listener.try_ended(self._asker, outcome)

    def close(self) -> None:
        """Hang up without a word."""
        self._listener = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None
