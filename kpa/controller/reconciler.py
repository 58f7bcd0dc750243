"""Observe, decide, apply: one loop for all revisions.

    Fleet ── windows ──> tick ── answers that changed ──> plan ──> cluster

Each tick decides for the whole fleet in one pass; only revisions whose answer, pods or settings changed, or
whose time has come, are looked at one by one.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from config.autoscaler import AutoscalerConfig
from kpa.controller.cluster import Cluster, Outcome
from kpa.controller.decision_log import log_decision
from kpa.controller.fleet import Fleet
from kpa.controller.hooks import Hooks
from kpa.controller.tracked_revision import TrackedRevision
from kpa.runtime.time_budget import LENGTH, TimeBudget
from metrics.key import Key
from metrics.scraping.resolver import LookUp, look_up
from metrics.windows.windows import KNOWN_AT
from scaler.engine.decision import Decision
from scaler.engine.history import INTERVAL
from scaler.rules.plan import plan

_log = logging.getLogger(__name__)

_RETRY = 1.0
"""Seconds until a replica count that the cluster did not take is asked for again."""

_LONGEST_WAIT = 1.0
"""Seconds; a step of the wall clock delays no tick for longer."""

_TURNS_TO_SEND = 2
"""Of the event loop: in one the writing task begins, at the end of which uvloop sends what was written."""


class _Look(NamedTuple):
    """A look at a revision, to be reported: its replicas before, and those asked for by it."""

    key: Key
    tracked: TrackedRevision
    decision: Decision
    at: float
    before: int
    asked: int | None


class Reconciler(Fleet):
    """Keeps the replicas of all revisions of a cluster in step with their load.

    Parameters
    ----------
    cluster : Cluster
    config, hooks, clock, in_charge, look_up
        As of `Fleet`.
    activator_answers : callable (key)
        Tells whether an activator stands ready to hold requests of a revision.
    """

    def __init__(
        self,
        cluster: Cluster,
        config: AutoscalerConfig,
        *,
        activator_answers: Callable[[Key], bool],
        hooks: Hooks | None = None,
        clock: Callable[[], float] = time.time,
        in_charge: bool = True,
        look_up: LookUp = look_up,
    ) -> None:
        super().__init__(config, hooks=hooks, clock=clock, in_charge=in_charge, look_up=look_up)
        self._cluster = cluster
        self._activator_answers = activator_answers
        self._next_tick = 0.0
        self._next_sample = 0.0
        self._looked: list[_Look] = []  # and not reported yet

    async def run(self) -> None:
        """Follow the cluster until cancelled.

        What a request waits for is sent before anything else is done, and reported once it is sent.
        """
        self._cluster.watch(self.on_revision)
        while True:
            now = self._clock()
            if self._pokes:
                self._decide(now, self._pokes)
                self._look_at_poked(now)
                for _ in range(_TURNS_TO_SEND):
                    await asyncio.sleep(0)
            self._look_at_due(now, TimeBudget(LENGTH))
            await asyncio.sleep(0)
            self._report()
            await self._sleep()

    def step(self, now: float, budget: TimeBudget | None = None) -> None:
        """Do all that is due at a unix time: decide, and ask the cluster for what the decisions say.

        Revisions at zero that have load now are decided on and looked at first, all others are decided on
        at the next tick. What a budget has no time for is due at the next step.
        """
        self._look_at_due(now, budget or TimeBudget())
        self._report()

    def _look_at_due(self, now: float, budget: TimeBudget) -> None:
        """Do all that is due but report it."""
        while self._outdated:
            key = self._outdated.pop()
            self._reconfigure(key, self._tracked[key])
            self._touch(key)
            if budget.over:
                break
        if not self._next_tick - self.config.tick_interval <= now < self._next_tick:
            self._tick(now)
        elif self._pokes:
            self._decide(now, self._pokes)
        self._look_at_poked(now)
        due, self._dirty = self._dirty.union(self._deadlines.take_due(now)), set()
        while due:
            self._look_at(due.pop(), now)
            if budget.over:
                break
        self._dirty |= due
        if due or self._outdated:
            self._wake.set()

    def _look_at_poked(self, now: float) -> None:
        """Look at revisions at zero that have load now, if their answer is another one."""
        urgent, self._pokes = self._pokes & self._dirty, set()
        self._dirty -= urgent
        for key in urgent:
            self._look_at(key, now)

    def _tick(self, now: float) -> None:
        """Decide for the whole fleet."""
        started = time.perf_counter()
        self.resumption.tidy(now)
        self._decide(now)
        if not self._next_sample - INTERVAL <= now < self._next_sample:
            self.engine.sample(now)
            self._next_sample = now + INTERVAL
        self._next_tick = following_tick(now, self.config.tick_interval)
        self._hooks.tick(time.perf_counter() - started)

    def _decide(self, now: float, keys: Iterable[Key] | None = None) -> None:
        self._dirty.update(key for key in self.engine.tick(now, keys) if isinstance(key, Key))

    def _look_at(self, key: Key, now: float) -> None:
        """Make a revision's plan anew and have it carried out."""
        tracked = self._tracked.get(key)
        if tracked is None:
            return
        decision = self.engine.decision(key)
        tracked.no_traffic = tracked.has_no_traffic(decision, now)
        recommended = 0 if tracked.no_traffic else decision.recommended
        tracked.plan = plan(
            tracked.settings,
            tracked.plan.lifecycle,
            recommended,
            decision.excess,
            len(tracked.revision.ready_pods),
            recommended <= 0 and self._activator_answers(key),  # to ask costs a request
            now,
        ).following(tracked.plan)
        no_traffic_from = (
            tracked.no_traffic_from
            if tracked.no_traffic_from is not None and tracked.no_traffic_from > now
            else None
        )
        self._deadlines.set(key, _earlier(tracked.plan.again_at, no_traffic_from))
        outcome = Outcome(tracked.plan, decision, tracked.settings, self.collector.problem(key))
        before = tracked.revision.replicas
        asked = self._carry_out(key, tracked, outcome, now)
        self._looked.append(_Look(key, tracked, decision, now, before, asked))

    def _carry_out(self, key: Key, tracked: TrackedRevision, outcome: Outcome, now: float) -> int | None:
        """Hand an outcome to the cluster; a failure is logged and tried again.

        Returns the replicas that are asked for by this, and were not before.
        """
        before, requested = tracked.revision.replicas, outcome.plan.replicas
        try:
            self._cluster.carry_out(key, outcome)
        except Exception:
            _log.exception("%s: could not be scaled to %s", key, requested)
            self._deadlines.set(key, now + _RETRY)
            return None
        if not self._in_charge or requested in (None, before, tracked.asked):
            return None
        tracked.asked = requested
        return requested

    def _report(self) -> None:
        """Log what was looked at."""
        looked, self._looked = self._looked, []
        for key, tracked, decision, at, before, asked in looked:
            last, status = tracked.report(decision, at)
            log_decision(_log, last, status, None if asked is None else (before, asked))
            if key in self.engine:
                self.engine.note_requested(key, status.requested)
            if asked is not None:
                self._hooks.scale(before, asked)

    def due_at(self) -> float:
        """Return the unix time of the next tick or the next due plan: the next `step`, if nothing happens."""
        earliest = self._deadlines.earliest()
        return self._next_tick if earliest is None else min(self._next_tick, earliest)

    async def _sleep(self) -> None:
        """Wait for the next tick, the next due plan, or something to happen."""
        seconds = min(max(self.due_at() - self._clock(), 0.0), _LONGEST_WAIT)
        try:
            async with asyncio.timeout(seconds):  # wait_for may swallow a cancellation
                await self._wake.wait()
        except TimeoutError:
            return
        finally:
            self._wake.clear()


def following_tick(now: float, interval: float) -> float:
    """Return the time of the first tick after a unix time: a moment at which a second's load is known.

    A tick in the middle would read a second with part of its load: 60 requests in flight would count as 45 in
    a panic window of 4 s, and get 7 pods instead of 8. The peer's ticks begin whenever a decider was made.

    Examples
    --------
    >>> following_tick(1000.5, 2.0), following_tick(1000.92, 2.0), following_tick(1002.91, 2.0)
    (1000.92, 1002.92, 1002.92)
    """
    return (math.floor((now - KNOWN_AT) / interval) + 1) * interval + KNOWN_AT


def _earlier(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else min(one, other)
