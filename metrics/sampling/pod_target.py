"""The pods that a round may scrape, their order, and the extrapolation from some to all.

Source: `knative/serving pkg/autoscaler/metrics/stats_scraper.go` (`scrapePods`).
"""

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from metrics.sampling.failures import Failure
from metrics.stat import Loads, Stat

SCRAPER_NAME = "service-scraper"
"""The reporter of a revision's total; Knative's name for it."""

_LONGEST_BACK_OFF = 3
"""Rounds for which a pod that keeps failing is skipped."""


class PodTarget(NamedTuple):
    """The address of one ready pod's queue-proxy.

    Attributes
    ----------
    name : str
        Unique within the revision.
    host, port : str, int
        An address (IPv6 without brackets) or a name, and the port of `/metrics`.
    started_at : float
        Unix time in seconds at which the pod started.
    through : str
        The service whose mesh lets requests pass to this very pod; empty if pods are simply reached.
    """

    name: str
    host: str
    port: int
    started_at: float
    through: str = ""


class Scraper(Protocol):
    """What a round needs of a pod; calls `Round.answered` or `Round.failed`, but never within `ask`.

    Attributes
    ----------
    trusted : bool
        It has answered every request.
    waiting : bool
        A response is outstanding, perhaps of an earlier round.
    asked_in, awaited : int, bool
        Set by the round: the second in which it asked last, and whether that round waits for the response.
    late : Stat or None
        A response that came after its round had ended.
    failure : Failure or None
        Why it gave no stat the last time; None if it did, or was never asked.
    """

    target: PodTarget
    trusted: bool
    waiting: bool
    asked_in: int
    awaited: bool
    late: Stat | None
    failure: Failure | None

    def ask(self) -> bool:
        """Request a stat, unless a response is outstanding; False if the pod is skipped."""

    def rest(self) -> None:
        """Count a round in which the pod is not asked."""


class Batch(Protocol):
    """Asks a sample of pods at once, and calls `Round.batch_answered` or `Round.fall_back`.

    See `metrics.scraping.batch_scrape`.
    """

    @property
    def asked(self) -> Sequence[Scraper]:
        """The pods that the last round asked."""

    def ask(self) -> None:
        """Ask the sample."""

    def fall_back(self) -> None:
        """Mark the pods as asked."""


def is_young(pod: Scraper, now: float, stable_window: float) -> bool:
    """Say whether a pod has run for less than a stable window."""
    return now - pod.target.started_at < stable_window


def sampling_order(
    pods: Sequence[Scraper],
    now: float,
    stable_window: float,
    shuffle: Callable[[list[Scraper]], None] = random.shuffle,
) -> list[Scraper]:
    """Order pods by how well they represent all: trusted before others, old before young, else by chance.

    A pod as old as the stable window carries a usual share of the load; a young one may not yet.
    """
    classes: tuple[list[Scraper], ...] = ([], [], [], [])
    for pod in pods:
        classes[2 * (not pod.trusted) + is_young(pod, now, stable_window)].append(pod)
    for group in classes:
        shuffle(group)
    return [pod for group in classes for pod in group]


def extrapolate(stats: Sequence[Stat], pods: int, second: int) -> Stat:
    """Scale the stats of some pods up to all of them.

    Examples
    --------
    >>> extrapolate([Stat("a", 2.0), Stat("b", 4.0)], pods=10, second=100).average_concurrent_requests
    30.0
    """
    concurrency = proxied = requests = proxied_requests = 0.0
    for _, of_concurrency, of_proxied, of_requests, of_proxied_requests, _, _ in stats:
        concurrency += of_concurrency
        proxied += of_proxied
        requests += of_requests
        proxied_requests += of_proxied_requests
    return total((concurrency, proxied, requests, proxied_requests), len(stats), pods, second)


def total(sums: Loads, answers: int, pods: int, second: int) -> Stat:
    """Scale the sums of some pods up to all of them."""
    concurrency, proxied, requests, proxied_requests = sums
    fields = (
        SCRAPER_NAME,
        concurrency / answers * pods,
        proxied / answers * pods,
        requests / answers * pods,
        proxied_requests / answers * pods,
        0.0,
        second,
    )
    return tuple.__new__(Stat, fields)


class ScrapeListener(Protocol):
    """Receives responses: a revision's round."""

    def answered(self, pod: Scraper, stat: Stat) -> None:
        """A stat came."""

    def failed(self, pod: Scraper) -> None:
        """No stat will come."""


def back_off(failures: int) -> int:
    """Return for how many rounds a pod is skipped after this many failures in a row.

    Examples
    --------
    >>> [back_off(failures) for failures in (1, 2, 3, 4, 5, 6)]
    [0, 0, 1, 2, 3, 3]
    """
    return min(max(0, failures - 2), _LONGEST_BACK_OFF)
