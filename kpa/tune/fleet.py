"""Many candidate settings under one load, simulated together.

Decisions are those of the production engine: one `scaler.engine.block.Block` holds a column a candidate, and
`scaler.rules.plan.plan` makes each plan. Queues and pods are arrays, in steps of time; a scaling takes effect
with the step after it. What `kpa.simulate` has beyond: chance in start-up times, scrapes and their phases,
the path past the activator, time-outs and rejections.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from config.resolve import RevisionSettings
from kpa.simulate.load import Load
from kpa.simulate.scenario import Scenario
from kpa.tune.pods import Pods
from kpa.tune.queues import Queues, quantiles, step_for
from metrics.windows.windows import KNOWN_AT
from scaler.engine.block import Block
from scaler.engine.rings import Rings
from scaler.rules.bounds import Bounds
from scaler.rules.delay import delay_steps
from scaler.rules.plan import plan
from scaler.rules.scale_to_zero import Activity, LifecycleState

_EPOCH = 2**20

_UNLIMITED = 2**40
"""Places of ready pods without a limit."""


@dataclass(frozen=True, slots=True, eq=False)
class FleetFigures:
    """What came of each candidate, of requests and time after the warm-up.

    Attributes
    ----------
    waits, latencies : ndarray, shape (BINS, n), int64
        Requests by seconds in the queue and in all (`kpa.tune.queues`); those still queued at the end too.
    replica_minutes, cold_starts, scalings : ndarray, shape (n,), float64
    """

    waits: NDArray[np.int64]
    latencies: NDArray[np.int64]
    replica_minutes: NDArray[np.float64]
    cold_starts: NDArray[np.float64]
    scalings: NDArray[np.float64]

    def queue(self, fraction: float) -> NDArray[np.float64]:
        """Return a percentile of the queue time of each candidate, seconds."""
        return quantiles(self.waits, fraction)

    def latency(self, fraction: float) -> NDArray[np.float64]:
        """Return a percentile of the latency of each candidate, seconds."""
        return quantiles(self.latencies, fraction)


class CandidateFleet:
    """Candidates under one load.

    Parameters
    ----------
    load : Load
    scenario : Scenario
        What all have in common; its settings do not count.
    candidates : sequence of RevisionSettings
    tick_interval : float
        Seconds, whole.
    replicas : int
        Ready at the beginning, within each candidate's bounds.
    warm_up : float
        Seconds that are not counted.
    """

    def __init__(
        self,
        load: Load,
        scenario: Scenario,
        candidates: Sequence[RevisionSettings],
        tick_interval: float,
        replicas: int,
        warm_up: float,
    ) -> None:
        self._settings = list(candidates)
        self._load, self._warm_up = load, warm_up
        self._tick_interval = max(1, round(tick_interval))
        self._step = step_for(load)
        count = len(self._settings)
        self._queues = Queues(load, count, self._step, warm_up, scenario.timeout)
        allowed = [Bounds(one.min_scale, one.max_scale) for one in self._settings]
        begin = np.array([bounds.apply(replicas) for bounds in allowed], np.int64)
        start_up = scenario.start_up.mean + scenario.ready_lag
        self._pods = Pods(begin, round(start_up / self._step), scenario.drain / self._step)
        self._concurrency = scenario.container_concurrency
        self._block = Block(_rings(self._settings), count)
        for number, settings in enumerate(self._settings):
            self._block.take(number, settings, scraped=True)
        for number, settings in enumerate(self._settings):
            self._block.start(number, settings, int(begin[number]), _EPOCH, hold=bool(begin[number]))
        self._lives = [_lifecycle(int(ready)) for ready in begin]
        self._again_at = np.full(count, float(_EPOCH))
        self._columns = slice(0, count)
        self._cost = np.zeros(count)
        self._scalings_before = np.zeros(count, np.int64)

    def run(self, progress: Callable[[float], None]) -> FleetFigures:
        """Play the load from start to end; `progress` is called with the seconds that have passed."""
        per_second = round(1.0 / self._step)
        requests_before = 0
        for second in range(math.ceil(self._load.length)):
            area = np.zeros(len(self._settings))
            for index in range(second * per_second, (second + 1) * per_second):
                self._advance_pods(index)
                area += self._queues.advance(index, self._places())
                if second >= self._warm_up:
                    self._cost += self._pods.take_cost()
                else:
                    self._pods.take_cost()
            requests = int(np.searchsorted(self._load.arrivals, second + 1.0))
            self._decide(second, area / per_second, requests - requests_before, (second + 1) * per_second - 1)
            requests_before = requests
            if second == int(self._warm_up):
                self._scalings_before = self._pods.scalings.copy()
            progress(second + 1.0)
        return self._figures()

    def _advance_pods(self, index: int) -> None:
        got = self._pods.advance(index)
        if len(got):
            self._again_at[got] = 0.0

    def _places(self) -> NDArray[np.int64]:
        if self._concurrency:
            return self._pods.ready * self._concurrency
        return np.where(self._pods.ready > 0, _UNLIMITED, 0)

    def _decide(self, second: int, flying: NDArray[np.float64], requests: int, index: int) -> None:
        """Record a second; at a tick decide for all, else for those at zero that have load now."""
        block, now = self._block, _EPOCH + second + KNOWN_AT
        values = np.stack((flying, np.full(len(flying), float(requests))))
        block.windows.record(self._columns, _EPOCH + second, values)
        block.ready[self._columns] = self._pods.ready
        if second % self._tick_interval == 0:
            changed = block.tick(now)
        else:
            asleep = np.flatnonzero((block.recommended[self._columns] <= 0) & (flying > 0))
            changed = block.tick(now, asleep) if len(asleep) else asleep
        due = np.flatnonzero(self._again_at <= now)
        for candidate in np.union1d(changed, due).tolist():
            self._plan(candidate, now, index)

    def _plan(self, candidate: int, now: float, index: int) -> None:
        block, pods = self._block, self._pods
        made = plan(
            self._settings[candidate],
            self._lives[candidate],
            int(block.recommended[candidate]),
            int(block.excess[candidate]),
            int(pods.ready[candidate]),
            True,
            now,
        )
        self._lives[candidate] = made.lifecycle
        self._again_at[candidate] = math.inf if made.again_at is None else made.again_at
        if made.replicas is not None and made.replicas != pods.replicas[candidate]:
            pods.scale(candidate, made.replicas, index)
            self._again_at[candidate] = 0.0

    def _figures(self) -> FleetFigures:
        self._queues.give_up(self._load.length)
        return FleetFigures(
            self._queues.waits,
            self._queues.latencies,
            self._cost * self._step / 60,
            self._queues.cold.astype(np.float64),
            (self._pods.scalings - self._scalings_before).astype(np.float64),
        )


def _lifecycle(ready: int) -> LifecycleState:
    """Return where a revision is that begins with so many pods: served before, or at zero."""
    if ready:
        return LifecycleState(Activity.ACTIVE, float(_EPOCH), initialized=True)
    return LifecycleState(Activity.ACTIVATING, float(_EPOCH))


def _rings(candidates: Sequence[RevisionSettings]) -> Rings:
    """Return rings long enough for all."""
    return Rings(
        int(max(one.stable_window for one in candidates)),
        int(max(one.panic_window for one in candidates)),
        max(1, *(delay_steps(one.scale_down_delay) for one in candidates)),
        max(1, *(math.ceil(one.scale_rate_period) for one in candidates)),
    )
