"""One loop for the whole fleet: each revision's pods are asked once a second, and its total is recorded.

    Slots ── begins ──> Round ── asks ──> PodScraper ──> Connection <── HTTP ──> queue-proxy
                          │ answers, failures, deadline
                          └──> Continuity ──> record(key, total, second), forget_data(key)

Rounds begin within the first half of the second and end when their sample has answered, at the latest after
`timeout`: what a second has to say is recorded within it. No task, timer or lock belongs to a revision or a
scrape.

Source: `knative/serving pkg/autoscaler/metrics/collector.go`, whose loops are one per revision.
"""

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from functools import partial

from metrics.asking import Target
from metrics.connector import Connector
from metrics.continuity import Continuity, Key, MissingStats
from metrics.failure import Failure
from metrics.pods import PodScraper
from metrics.rounds import Round
from metrics.slots import Slots
from metrics.stat import Stat

__all__ = ["Collector", "Target"]

_SLOTS = 100
"""Places in a second, 10 ms each; rounds begin at the first half of them."""

_TIMEOUT = 0.4
"""Seconds that a round waits for answers; the last record of a second is made 0.1 s before its end."""

_LONGEST_SLEEP = 0.1
"""Seconds; new revisions and lost connections are seen to within this time."""

_LATE = 0.02
"""Seconds of delay after which answers that lie in sockets are read before deadlines are looked at."""

_log = logging.getLogger(__name__)


class Collector:
    """Scrapes the ready pods of all revisions.

    Parameters
    ----------
    record : callable (key, Stat, int)
        Takes a revision's total for one unix second: at most one per second, in ascending order, exactly one
        for every second in which there is something to say.
    forget_data : callable (key)
        Nothing is known of the revision's load any more; called once per outage, and when the clock was set
        back by more than a second.
    clock : callable
        Unix time in seconds.
    timeout : float
        Seconds that a round waits for answers, within 0..0.5: the last rounds of a second begin at its half.
    observe : callable (key, float), optional
        Takes the duration of each round in seconds.

    Attributes
    ----------
    failures : Counter of Failure
        Scrapes of single pods that gave no stat, since the start.

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
    ) -> None:
        if not 0 < timeout <= 0.5:
            raise ValueError(f"timeout must be within 0..0.5 s, not {timeout}")
        self.failures: Counter[Failure] = Counter()
        self._record = record
        self._forget_data = forget_data
        self._clock = clock
        self._timeout = timeout
        self._observe = observe
        self._connector = Connector()
        self._slots: Slots[Round] = Slots(_SLOTS, _SLOTS // 2)
        self._rounds: dict[Key, Round] = {}
        self._pods: dict[Key, dict[tuple[str, str, int], PodScraper]] = {}
        self._deadlines: deque[tuple[float, Round, int]] = deque()

    def watch(
        self,
        key: Key,
        targets: Sequence[Target],
        *,
        stable_window: float,
        panic_window: float,
        missing_stats: MissingStats,
    ) -> None:
        """Begin to scrape a revision, or take over what changed of it; its recorded seconds go on.

        Parameters
        ----------
        key : tuple of str
            Namespace and name.
        targets : sequence of Target
            Its ready pods, all of them.
        stable_window, panic_window : float
            Seconds; pods younger than the one are asked last, a value is held for at most the other.
        missing_stats : "hold" or "zero"
            What becomes of a second in which no pod answers (`zero`: in which the sample cannot be filled).

        Notes
        -----
        Costs O(targets). Connections of pods that stay are kept.
        """
        round = self._rounds.get(key)
        if round is None:
            continuity = Continuity(key, self._record, self._forget)
            round = self._rounds[key] = Round(continuity, partial(self._ended, key))
            self._pods[key] = {}
            self._slots.add(round)
        round.configure(stable_window, panic_window, missing_stats)
        self._replace_pods(key, round, targets)

    def unwatch(self, key: Key) -> None:
        """End the scraping of a revision and close its connections; nothing is recorded for it any more.

        Raises
        ------
        KeyError
            It is not watched.
        """
        round = self._rounds.pop(key)
        self._slots.remove(round)
        self._replace_pods(key, round, ())
        del self._pods[key]

    async def run(self) -> None:
        """Scrape until cancelled."""
        while True:
            due = self.turn(self._clock())
            await asyncio.sleep(max(0.0, due - self._clock()))
            if self._clock() > due + _LATE:
                await asyncio.sleep(0)

    async def close(self) -> None:
        """Unwatch all revisions and close every connection."""
        for key in list(self._rounds):
            self.unwatch(key)
        await self._connector.close()

    def turn(self, now: float) -> float:
        """Do all that is due at a unix time, and return the time at which to call again.

        Must be called on the event loop that carries the connections.
        """
        if self._slots.restart_if_stepped_back(now):
            _log.warning("the clock was set back: all loads recorded so far are forgotten")
            self._deadlines.clear()
            for round in list(self._rounds.values()):
                round.clock_set_back()
        while self._deadlines and self._deadlines[0][0] <= now:
            _, round, second = self._deadlines.popleft()
            round.expire(second)
        for second, round in self._slots.advance(now):
            round.begin(second, now)
            self._deadlines.append((now + self._timeout, round, second))
        self._connector.turn(now)
        return self._next_turn(now)

    def _next_turn(self, now: float) -> float:
        due = now + (1 / _SLOTS if self._connector.busy else _LONGEST_SLEEP)
        if self._deadlines:
            due = min(due, self._deadlines[0][0])
        slot = self._slots.next_due()
        return due if slot is None else min(due, slot)

    def _replace_pods(self, key: Key, round: Round, targets: Sequence[Target]) -> None:
        before = self._pods[key]
        after: dict[tuple[str, str, int], PodScraper] = {}
        for target in targets:
            address = target.name, target.host, target.port
            pod = (
                after.get(address)
                or before.pop(address, None)
                or PodScraper(target, round, self._connector, self.failures)
            )
            pod.target = target
            after[address] = pod
        self._pods[key] = after
        round.set_pods(tuple(after.values()))
        for pod in before.values():
            pod.close()

    def _forget(self, key: Key) -> None:
        counts = ", ".join(f"{kind} {count}" for kind, count in sorted(self.failures.items())) or "none"
        _log.warning(
            "%s/%s: its load is unknown from now on; failed scrapes of all pods so far: %s", *key, counts
        )
        self._forget_data(key)

    def _ended(self, key: Key, began: float) -> None:
        if self._observe is not None:
            self._observe(key, max(0.0, self._clock() - began))
