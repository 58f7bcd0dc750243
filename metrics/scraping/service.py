"""Scrapes the service in front of a revision's pods: behind a mesh, only the service can be reached.

Every try has a connection of its own, so that the service can choose another pod. The rules for responses are
those of pods. Limits:

    scrapes at a time     the others wait in order
    tries of a scrape     ten for each pod of the sample (`metrics.sampling.service_sample`)
    time of a try         until the second round after the one in which it began
    time of a scrape      three rounds; stats that came by then count, if they are enough
    connections a second  those of the connector, behind the pods'

Source: `knative/serving pkg/autoscaler/metrics/stats_scraper.go` (`scrapeService`).
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from metrics.sampling.failures import Failure
from metrics.sampling.pod_target import PodTarget, ScrapeListener, back_off
from metrics.sampling.routing import PodAccess
from metrics.sampling.service_sample import ServiceSample
from metrics.scraping.connection import request_bytes
from metrics.scraping.connector import Connector
from metrics.scraping.resolver import Resolver
from metrics.scraping.semaphore import ScrapeSemaphore
from metrics.scraping.service_try import Try
from metrics.stat import Stat

_LONGEST_TRY, _LONGEST_SCRAPE = 2, 3
"""Rounds; the peer gives a try 3 s, and a scrape ten times that."""


@dataclass(frozen=True, slots=True)
class ScrapeResources:
    """Shared by the scrapers of all revisions.

    Attributes
    ----------
    connector : Connector
    resolver : Resolver
    failures : Counter of Failure
        Counts scrapes that failed.
    semaphore : ScrapeSemaphore
    """

    connector: Connector
    resolver: Resolver
    failures: Counter[Failure]
    semaphore: ScrapeSemaphore = field(default_factory=ScrapeSemaphore)


class ServiceScraper:
    """Scrapes the total of all pods behind one service; a `metrics.sampling.pod_target.Scraper`.

    Parameters
    ----------
    access : PodAccess
        Names the service.
    listener : ScrapeListener
        Receives totals and failures, but never within a call of `ask` or `rest`.
    resources : ScrapeResources
    """

    __slots__ = (
        "_access", "_addresses", "_gone", "_in_a_row", "_listener", "_number", "_pods", "_request",
        "_resources", "_rounds", "_sample", "_skip", "_stable_window", "_tries", "_turn", "asked_in",
        "awaited", "failure", "late", "target", "trusted", "waiting",
    )  # fmt: skip

    def __init__(self, access: PodAccess, listener: ScrapeListener, resources: ScrapeResources) -> None:
        self.target = PodTarget(access.service, access.service, access.port, 0.0)
        self._request = request_bytes(access.service, access.port, keep=False)
        self.trusted = True
        self.waiting = False
        self.asked_in = 0
        self.awaited = False
        self.late: Stat | None = None
        self.failure: Failure | None = None
        self._access = access
        self._listener = listener
        self._resources = resources
        self._gone = False
        self._in_a_row = 0  # failures since the last total
        self._skip = 0  # rounds to let pass
        self._pods: frozenset[str] = frozenset()
        self._stable_window = 60.0
        self._number = 0  # of the scrape
        self._rounds = 0  # that it has taken; -1 while it waits for its turn
        self._addresses: Sequence[str] = ()
        self._turn = 0
        self._sample: ServiceSample | None = None
        self._tries: dict[int, Try] = {}  # by worker

    def configure(self, pods: frozenset[str], stable_window: float) -> None:
        """Set the names of the ready pods behind the service, and the age below which one is young."""
        self._pods, self._stable_window = pods, stable_window

    def ask(self) -> bool:
        """Start a scrape, unless one is running; False while backing off."""
        if self.waiting:
            self._let_pass()
            return True
        if self._skip or self._gone or not self._pods:
            self.rest()
            return False
        self.waiting = True
        self.trusted = False
        self._rounds = -1
        self._resources.semaphore.enter(self)
        return True

    def rest(self) -> None:
        """Count a round in which the service is not asked."""
        self.late = None
        if self.waiting:
            self._let_pass()
        else:
            self._skip = max(0, self._skip - 1)

    def close(self) -> None:
        """Stop; a round that waits for the service continues without."""
        self._gone = True
        self._resources.resolver.forget(self._access.service)
        if self.waiting:
            self._end()
            self._listener.failed(self)

    def begin(self) -> None:
        """Start: the semaphore has room."""
        self._rounds = 0
        addresses = self._resources.resolver.find(self._access.service, partial(self._found, self._number))
        if addresses:
            self._start(addresses)

    def try_ended(self, worker: int, outcome: Stat | Failure) -> None:
        """Take the outcome of a try."""
        assert self._sample is not None
        del self._tries[worker]
        if not isinstance(outcome, Stat):
            self._sample.miss(worker, outcome)
        elif outcome.pod_name and outcome.pod_name not in self._pods:
            self._sample.miss(worker, Failure.OTHER_POD)
        else:
            self._sample.take(worker, outcome)
        if self._sample.done:
            self._finish(self._sample.total())
        elif self._sample.needs_try(worker):
            self._try(worker)

    def _found(self, number: int, addresses: Sequence[str]) -> None:
        if number != self._number:
            return
        if addresses:
            self._start(addresses)
        else:
            self._finish(Failure.NAME)

    def _start(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses
        self._sample = ServiceSample(len(self._pods), self._stable_window)
        for worker in range(self._sample.size):
            self._try(worker)

    def _try(self, worker: int) -> None:
        """Queue a connection; with several addresses each try takes the next."""
        self._turn += 1
        address = self._addresses[self._turn % len(self._addresses)], self._access.port
        self._tries[worker] = Try(self, worker, address, self._request)
        self._resources.connector.want(self._tries[worker], later=True)

    def _let_pass(self) -> None:
        """Count a round of the running scrape; overdue tries end in the next turn of the loop."""
        if self._rounds >= 0:
            self._rounds += 1
            asyncio.get_running_loop().call_soon(self._give_up, self._number)

    def _give_up(self, number: int) -> None:
        if number != self._number:
            return
        if self._rounds >= _LONGEST_SCRAPE:
            self._finish(self._sample.total() if self._sample else Failure.NAME)
            return
        for each in list(self._tries.values()):
            each.rounds += 1
            if each.rounds >= _LONGEST_TRY and number == self._number:
                each.end(Failure.TIMEOUT)

    def _finish(self, outcome: Stat | Failure) -> None:
        self._end()
        if isinstance(outcome, Stat):
            self.trusted, self.failure, self._in_a_row = True, None, 0
            self._listener.answered(self, outcome)
            return
        self._resources.failures[outcome] += 1
        self.failure = outcome
        self._in_a_row += 1
        self._skip = back_off(self._in_a_row)
        self._listener.failed(self)

    def _end(self) -> None:
        """Release everything that the scrape holds."""
        self.waiting = False
        self._number += 1
        self._sample = None
        for each in self._tries.values():
            each.close()
        self._tries.clear()
        self._resources.semaphore.leave(self)
