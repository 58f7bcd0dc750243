"""The model of one service: requests, activator, pods and their stats, around the production reconciler.

The clock of the reconciler is the model's. A second of simulated time has the phases of a real one:

    .00-.50   the collector asks a sample of the ready pods for the last second that each has counted
    .75       the activator reports its requests
    .92       in every second second: a tick
    any time  arrivals, ends of work, pods that become ready or are gone; the first request to an idle
              revision, which is decided on at once
"""

import random
from collections.abc import Callable
from heapq import heappop

from config.resolve import resolve
from kpa.controller.hooks import Hooks
from kpa.controller.reconciler import Reconciler
from kpa.dataplane.activator.reporter import PHASE
from kpa.simulate.cluster import SimulatedCluster
from kpa.simulate.events import EventQueue
from kpa.simulate.load import Load
from kpa.simulate.recorder import Recorder
from kpa.simulate.requests import Requests
from kpa.simulate.results import Results, collect
from kpa.simulate.scenario import Scenario
from kpa.simulate.traffic import KEY, Traffic
from metrics.key import Key
from metrics.sampling.gap_filling import GapFiller
from metrics.sampling.round import Round
from metrics.stat import Stat, StatMessage
from scaler.rules.burst import UNLIMITED

EPOCH = 2.0**20
"""Unix time at which simulations begin; times of the reconciler less this are exact."""

_LATE = 1e-6
"""Seconds by which the reconciler wakes late, as any process does: rounding must not make it early."""

_SHOW_EVERY = 60.0
"""Simulated seconds between two reports of progress."""


class Model:
    """One service under a load.

    Parameters
    ----------
    load : Load
    scenario : Scenario
    progress : callable (float)
        Told now and then how many seconds have been simulated.

    Attributes
    ----------
    requests : Requests
    traffic : Traffic

    Notes
    -----
    About 15 microseconds a request and 0.3 milliseconds a simulated second on one core.
    """

    def __init__(self, load: Load, scenario: Scenario, progress: Callable[[float], None]) -> None:
        self._load = load
        self._progress = progress
        settings = resolve(scenario.config, scenario.annotations, scenario.container_concurrency)
        replicas = scenario.replicas
        if replicas is None:
            replicas = max(settings.initial_scale, settings.min_scale)
        self._events = EventQueue()
        self.requests = Requests(load)
        self.traffic = Traffic(self.requests, self._events, scenario.timeout, scenario.seed, self._announce)
        self._cluster = SimulatedCluster(scenario, self._events, self.traffic, EPOCH, replicas)
        self._recorder = Recorder()
        self._reconciler = Reconciler(
            self._cluster,
            scenario.config,
            activator_answers=lambda key: True,
            hooks=Hooks(scale=lambda before, after: self._recorder.scaled(self._cluster.now)),
            clock=lambda: EPOCH + self._cluster.now,
        )
        gap_filler = GapFiller(KEY, self._record_scrape, self._reconciler.engine.forget_data)
        chance = random.Random(scenario.seed)
        self._round = Round(gap_filler, lambda began: None, shuffle=chance.shuffle)
        self._round.configure(settings.stable_window, settings.panic_window, settings.missing_stats)
        self._is_scraped = settings.target_burst_capacity != UNLIMITED
        self._scrape_phase = chance.uniform(0.0, 0.5)
        self._wakes_at = float("inf")

    def run(self) -> Results:
        """Play the load from start to end."""
        self._cluster.watch(self._reconciler.on_revision)
        self._events.add(0.0, self._wake)
        self._events.add(PHASE, self._report)
        self._events.add(0.0, self._show)
        if self._is_scraped:
            self._events.add(self._scrape_phase, self._scrape)
        self._loop()
        states, scalings = self._recorder.states, self._recorder.scalings
        return collect(self._load.length, self.requests, states, scalings)

    def _loop(self) -> None:
        """Go from event to event; arrivals are in order and need no heap."""
        heap, end = self._events.heap, self._load.length
        cluster, arrive = self._cluster, self.traffic.arrive
        arrived = [*self.requests.arrived, float("inf")]
        following = 0
        while True:
            at = arrived[following]
            if at <= heap[0][0]:
                if at > end:
                    return
                cluster.now = at
                arrive(at, following)
                following += 1
            else:
                at, _, action, argument = heappop(heap)
                if at > end:
                    return
                cluster.now = at
                action(at, argument)
                if cluster.changed:
                    self._step(at)

    # Hooks of the reconciler.

    def _announce(self, now: float, message: StatMessage) -> None:
        self._tell(now, [message])
        self._step(now)

    def _report(self, now: float, _: None) -> None:
        self._tell(now, self.traffic.load.report(now))
        self._events.add(now + 1.0, self._report)
        self._step(now)

    def _tell(self, now: float, messages: list[StatMessage]) -> None:
        second = int(EPOCH + now)
        self._reconciler.on_stats(
            [message._replace(stat=message.stat._replace(timestamp=second)) for message in messages]
        )

    def _scrape(self, now: float, _: None) -> None:
        """Ask a sample of the ready pods; they answer at once."""
        pods = self._cluster.usable()
        self._round.set_pods(pods)
        self._round.begin(int(EPOCH + now), EPOCH + now)
        for pod in pods:
            if pod.asked:
                pod.asked = False
                self._round.answered(pod, pod.stats.latest)
        self._events.add(now + 1.0, self._scrape)

    def _record_scrape(self, key: Key, stat: Stat, second: int) -> None:
        self._reconciler.on_stats([StatMessage(*key, stat._replace(timestamp=second))])

    # What the reconciler does.

    def _wake(self, now: float, _: None) -> None:
        self._step(now)

    def _step(self, now: float) -> None:
        """Let the reconciler do what is due, and see to it that it wakes in time for what comes next."""
        cluster, reconciler = self._cluster, self._reconciler
        cluster.changed = False
        reconciler.step(EPOCH + now)
        while cluster.changed:
            cluster.changed = False
            reconciler.step(EPOCH + now)
        due = reconciler.due_at() - EPOCH + _LATE
        if due < self._wakes_at or self._wakes_at <= now:
            self._wakes_at = due
            self._events.add(max(due, now), self._wake)
        panicking = reconciler.engine.decision(KEY).panic_since is not None
        self._recorder.note(now, cluster, panicking, self.traffic.proxied)

    def _show(self, now: float, _: None) -> None:
        self._progress(now)
        self._events.add(now + _SHOW_EVERY, self._show)


def simulate(
    load: Load, scenario: Scenario, progress: Callable[[float], None] = lambda seconds: None
) -> Results:
    """Play a load to a service and return what came of it; the same seed gives the same.

    Parameters
    ----------
    load : Load
    scenario : Scenario
    progress : callable (float)
        Told now and then how many seconds have been simulated.
    """
    return Model(load, scenario, progress).run()
