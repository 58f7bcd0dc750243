"""How long scraping the pods of revisions took: histograms that come and go with revisions."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

from kpa.controller.status import RevisionStatus
from metrics.key import Key

K = TypeVar("K")

# Source: knative/serving pkg/autoscaler/metrics/stats_scraper.go, latencyBounds.
SECONDS_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
# Milliseconds: 1, 2, 5, 10, ... 100000. Source: knative/pkg metrics Buckets125(1, 100000).
MS_BOUNDS = (*(float(step * 10**power) for power in range(5) for step in (1, 2, 5)), 100_000.0)


class Owner(NamedTuple):
    """Whose scrapes the seconds are counted for: a configuration, not a revision."""

    namespace: str
    service: str
    configuration: str


class Histogram:
    """Observations counted into buckets; a bucket takes values up to and with its bound."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def add(self, other: "Histogram") -> None:
        """Count what `other`, of the same bounds, has counted."""
        self.counts = [a + b for a, b in zip(self.counts, other.counts, strict=True)]
        self.sum += other.sum


class ScrapeTimes:
    """Scrape durations by configuration in seconds and, if legacy series are on, by revision in ms.

    A configuration's counts never fall while one of its revisions lives; those of a gone one are forgotten.
    """

    def __init__(self, *, legacy: bool) -> None:
        self._legacy = legacy
        self._seconds: dict[Key, Histogram] = {}
        self._milliseconds: dict[Key, Histogram] = {}
        self._owners: dict[Key, Owner] = {}
        self._retired: dict[Owner, Histogram] = {}

    def observe(self, key: Key, seconds: float) -> None:
        """Count one scrape of a revision."""
        _of(self._seconds, key, SECONDS_BOUNDS).observe(seconds)
        if self._legacy:
            _of(self._milliseconds, key, MS_BOUNDS).observe(seconds * 1000)

    def keep(self, statuses: Iterable[RevisionStatus]) -> None:
        """Forget revisions that are not among `statuses`, the ones that exist now."""
        owners = {one.key: Owner(one.key.namespace, one.service, one.configuration) for one in statuses}
        living = set(owners.values())
        for key in self._seconds.keys() - owners.keys():
            gone, owner = self._seconds.pop(key), self._owners.get(key)
            self._milliseconds.pop(key, None)
            if owner in living:
                _of(self._retired, owner, SECONDS_BOUNDS).add(gone)
        self._retired = {owner: histogram for owner, histogram in self._retired.items() if owner in living}
        self._owners = owners

    def by_configuration(self) -> dict[Owner, Histogram]:
        """Seconds, for each configuration that has been scraped."""
        grouped: dict[Owner, Histogram] = {}
        for owner, histogram in self._retired.items():
            _of(grouped, owner, SECONDS_BOUNDS).add(histogram)
        for key, histogram in list(self._seconds.items()):
            if key in self._owners:
                _of(grouped, self._owners[key], SECONDS_BOUNDS).add(histogram)
        return grouped

    def by_revision(self) -> dict[Key, Histogram]:
        """Milliseconds, for each revision that has been scraped; empty unless legacy series are on."""
        return dict(self._milliseconds)


def _of(histograms: dict[K, Histogram], key: K, bounds: Sequence[float]) -> Histogram:
    found = histograms.get(key)
    if found is None:
        found = histograms[key] = Histogram(bounds)
    return found
