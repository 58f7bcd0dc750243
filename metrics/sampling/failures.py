"""Why a scrape gave no stat, and which failures the operator sees."""

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Literal, NamedTuple

_LASTING = 3
"""Rounds; a shorter failure is not reported."""


class Failure(StrEnum):
    """Why a scrape gave no stat; the value is a label of telemetry."""

    NAME = "name"  # a service that has no address
    CONNECT = "connect"  # refused, unreachable, not accepted in time
    TIMEOUT = "timeout"  # no complete response for three rounds
    CLOSED = "closed"  # the connection ended before the response did
    NOT_HTTP = "not_http"
    UNAVAILABLE = "unavailable"  # 502 or 503, as the proxy of a mesh answers
    STATUS = "status"  # any other status but 2xx
    CONTENT_TYPE = "content_type"
    TOO_LARGE = "too_large"  # body or headers
    UNDECODABLE = "undecodable"  # the body is no stat
    IMPLAUSIBLE = "implausible"  # NaN, infinite, negative or absurdly large values
    OTHER_POD = "other_pod"  # the address belongs to another pod now, whose load is not this revision's
    REPEATED = "repeated"  # a service sent every try to a pod that had answered before


class ScrapeProblem(NamedTuple):
    """What keeps a revision's load from being collected, in the terms of Knative's conditions.

    Attributes
    ----------
    reason : "CollectionFailed" or "DidNotReceiveStat"
    text : str
    """

    reason: Literal["CollectionFailed", "DidNotReceiveStat"]
    text: str


def pods_problem(failures: Iterable[Failure]) -> ScrapeProblem:
    """Return the problem of a revision of whose pods too few answered (`stats_scraper.go`, `scrapePods`).

    Examples
    --------
    >>> pods_problem([Failure.TIMEOUT, Failure.CONNECT, Failure.TIMEOUT]).text
    'pods exhausted: connect, timeout'
    """
    found = set(failures)
    if found == {Failure.UNAVAILABLE}:
        return ScrapeProblem("CollectionFailed", "all pod scrapes returned 503 error")
    return ScrapeProblem("CollectionFailed", f"pods exhausted: {', '.join(sorted(found)) or 'no answer'}")


def service_problem(failure: Failure, sample: int) -> ScrapeProblem:
    """Return the problem of a revision whose service failed (`stats_scraper.go`, `scrapeService`).

    Parameters
    ----------
    failure : Failure
    sample : int
        Pods that should have answered.
    """
    context = f"unsuccessful scrape, sampleSize={sample}"
    if failure is Failure.REPEATED:
        return ScrapeProblem("DidNotReceiveStat", f"{context}: did not receive stat from an unscraped pod")
    return ScrapeProblem("CollectionFailed", f"{context}: {failure}")


class FailureTracker:
    """What keeps a revision's load from being collected, once it has done so for some rounds.

    A single failed round, for example when a pod has just become ready, does not change an object's status;
    Knative writes the status twice for each.

    Parameters
    ----------
    on_change : callable
        Called when `problem` changes.

    Attributes
    ----------
    problem : ScrapeProblem or None
    """

    __slots__ = ("_in_a_row", "_on_change", "problem")

    def __init__(self, on_change: Callable[[], None]) -> None:
        self.problem: ScrapeProblem | None = None
        self._on_change = on_change
        self._in_a_row = 0

    def succeed(self) -> None:
        """Count a round that gave a load, or had no pod to scrape."""
        self._in_a_row = 0
        if self.problem is not None:
            self.problem = None
            self._on_change()

    def fail(self, find: Callable[[], ScrapeProblem]) -> None:
        """Count a round that gave no load; `find` returns the reason and is called only to report it."""
        self._in_a_row += 1
        if self._in_a_row < _LASTING:
            return
        found = find()
        if self.problem is None or self.problem.reason != found.reason:
            self.problem = found
            self._on_change()
