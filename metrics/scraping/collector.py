"""One loop for the whole fleet: each revision's pods are asked once a second, and its total is recorded.

    Schedule ── begins ──> Round ── asks ──> PodScraper ──────────────┬─> ScrapeConnection ──> queue-proxy
                           │ │ ├─ (nothing unusual) ──> BatchScrape ──┤
                           │ │ └─ (a mesh) ──> ServiceScraper ────────┘
                           │ └──> ScrapeRoute     which pods or service to ask
                           └──> GapFiller ──> record(key, total, second), forget_data(key)

Rounds begin within the first half of the second and end when their sample has answered, at the latest after
`timeout`, so the load of a second is recorded within it. No revision or scrape has a task, timer or lock.

Source: `knative/serving pkg/autoscaler/metrics/collector.go`, whose loops are one per revision.
"""

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from functools import partial

from metrics.key import Key
from metrics.sampling.failures import Failure, ScrapeProblem
from metrics.sampling.gap_filling import GapFiller, MissingStats
from metrics.sampling.pod_target import PodTarget
from metrics.sampling.round import Round
from metrics.sampling.routing import PodAccess
from metrics.sampling.schedule import Schedule
from metrics.scraping.connector import Connector
from metrics.scraping.resolver import LookUp, Resolver, look_up
from metrics.scraping.revision_scraper import PODS_ONLY, RevisionScraper
from metrics.scraping.service import ScrapeResources
from metrics.stat import Stat

__all__ = ["Collector", "PodTarget"]

_SLOTS = 20
"""Slots in a second, 50 ms each; rounds begin at the first half of them, and answers are read at the next.

Each wakes up the process, which takes 0.1 to 0.3 ms of CPU: as much as ten or more scrapes.
"""

_CROWD = 100
"""Revisions that begin together before another slot is used."""

_TURN = 0.02
"""Seconds between turns while connections are being opened or answers are late."""

_PAUSE = 0.001
"""Seconds for other tasks between the turns of a slot with more rounds than one turn takes."""

_TIMEOUT = 0.4
"""Seconds that a round waits for answers; the last record of a second is made 0.1 s before its end."""

_LONGEST_SLEEP = 0.5
"""Seconds; new revisions and lost connections are handled within this time."""

_log = logging.getLogger(__name__)


class Collector:
    """Scrapes the ready pods of all revisions.

    Parameters
    ----------
    record : callable (key, Stat, int)
        Called with a revision's total for one unix second: at most once per second, in ascending order, and
        exactly once for every second with a load.
    forget_data : callable (key)
        The revision's load is unknown; called once per outage, and when the clock was set back by more than
        a second.
    clock : callable
        Unix time in seconds.
    timeout : float
        Seconds that a round waits for answers, within 0..0.5: the last rounds of a second begin at its half.
    observe : callable (key, float), optional
        Called with the duration of each round in seconds.
    on_problem : callable (key)
        `problem(key)` has changed.
    look_up : callable
        Finds the addresses of a service by its name, in a thread.

    Attributes
    ----------
    failures : Counter of Failure
        Scrapes of single pods that gave no stat, since the start; every kind is present.

    Raises
    ------
    ValueError
        The timeout is out of range.
    """

    def __init__(
        self,
        record: Callable[[Key, Stat, int], None],
        forget_data: Callable[[Key], None],
        *,
        clock: Callable[[], float] = time.time,
        timeout: float = _TIMEOUT,
        observe: Callable[[Key, float], None] | None = None,
        on_problem: Callable[[Key], None] = lambda key: None,
        look_up: LookUp = look_up,
    ) -> None:
        if not 0 < timeout <= 0.5:
            raise ValueError(f"timeout must be within 0..0.5 s, not {timeout}")
        self.failures = Counter(dict.fromkeys(Failure, 0))
        self._record = record
        self._forget_data = forget_data
        self._clock = clock
        self._timeout = timeout
        self._observe = observe
        self._on_problem = on_problem
        self._connector = Connector()
        self._resolver = Resolver(look_up)
        self._resources = ScrapeResources(self._connector, self._resolver, self.failures)
        self._schedule: Schedule[Round] = Schedule(_SLOTS, _SLOTS // 2, _CROWD)
        self._scrapers: dict[Key, RevisionScraper] = {}
        self._due: deque[tuple[int, Round]] = deque()
        self._deadlines: deque[tuple[float, Round, int]] = deque()

    def watch(
        self,
        key: Key,
        targets: Sequence[PodTarget],
        *,
        stable_window: float,
        panic_window: float,
        missing_stats: MissingStats,
        access: PodAccess = PODS_ONLY,
    ) -> None:
        """Start to scrape a revision, or apply changes to it; its recorded seconds stay.

        Parameters
        ----------
        key : Key
            The revision.
        targets : sequence of PodTarget
            Its ready pods, all of them.
        stable_window, panic_window : float
            Seconds; pods younger than the first are asked last, a value is held for at most the second.
        missing_stats : "hold" or "zero"
            Policy for a second in which no pod answers (`zero`: in which the sample cannot be filled).
        access : PodAccess
            How the pods may be reached; by default directly only.

        Notes
        -----
        Costs O(targets). Connections of pods that stay are kept, and so is a detected mesh.
        """
        scraper = self._scrapers.get(key)
        if scraper is None:
            scraper = self._scrapers[key] = RevisionScraper(
                key,
                GapFiller(key, self._record, self._forget),
                self._resources,
                partial(self._ended, key),
                partial(self._on_problem, key),
            )
            self._schedule.add(scraper.round)
        scraper.round.configure(stable_window, panic_window, missing_stats)
        scraper.follow(targets, access, stable_window)

    def unwatch(self, key: Key) -> None:
        """Stop scraping a revision and close its connections; nothing more is recorded for it.

        Raises
        ------
        KeyError
            The revision is not watched.
        """
        scraper = self._scrapers.pop(key)
        self._schedule.remove(scraper.round)
        scraper.close()

    def problem(self, key: Key) -> ScrapeProblem | None:
        """Return why a revision's load has not been collected for some seconds; None if it is."""
        scraper = self._scrapers.get(key)
        return None if scraper is None else scraper.round.failure_tracker.problem

    async def run(self) -> None:
        """Scrape until cancelled."""
        while True:
            due = self.turn(self._clock())
            await asyncio.sleep(max(0.0, due - self._clock()))

    async def close(self) -> None:
        """Unwatch all revisions and close every connection."""
        for key in list(self._scrapers):
            self.unwatch(key)
        self._resolver.close()
        await self._connector.close()

    def turn(self, now: float) -> float:
        """Do what is due at a unix time and return the time of the next call.

        Responses are read before deadlines are checked, however late the call is.
        """
        if self._schedule.restart_if_stepped_back(now):
            _log.warning("clock set back; all recorded loads dropped")
            self._deadlines.clear()
            self._due.clear()
            for scraper in list(self._scrapers.values()):
                scraper.round.clock_set_back()
        poller = self._connector.poller
        poller.turn(now)
        while self._deadlines and self._deadlines[0][0] <= now:
            _, round, second = self._deadlines.popleft()
            round.expire(second)
        self._due += self._schedule.advance(now)
        while self._due and not poller.full:
            second, round = self._due.popleft()
            round.begin(second, now)
            self._deadlines.append((now + self._timeout, round, second))
        self._connector.turn(now)
        return self._next_turn(now)

    def _next_turn(self, now: float) -> float:
        if self._due or self._connector.poller.behind:
            return now + _PAUSE
        due = now + self._pause
        while self._deadlines and not self._deadlines[0][1].is_open(self._deadlines[0][2]):
            self._deadlines.popleft()
        if self._deadlines:
            due = min(due, self._deadlines[0][0])
        slot = self._schedule.next_due()
        return due if slot is None else min(due, slot)

    @property
    def _pause(self) -> float:
        """Seconds after which sockets need another turn."""
        if self._connector.busy:
            return _TURN
        return 1 / _SLOTS if self._connector.poller.asked else _LONGEST_SLEEP

    def _forget(self, key: Key) -> None:
        counts = (
            ", ".join(f"{kind} {count}" for kind, count in sorted(self.failures.items()) if count) or "none"
        )
        _log.warning("%s: load unknown; failed scrapes of all revisions since start: %s", key, counts)
        self._forget_data(key)

    def _ended(self, key: Key, began: float) -> None:
        if self._observe is not None:
            self._observe(key, max(0.0, self._clock() - began))
