"""The search: candidates spread evenly over all knobs, then nearer and nearer to the best ones."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from config.resolve import resolve
from kpa.simulate.load import Load
from kpa.simulate.scenario import Scenario
from kpa.tune.fleet import CandidateFleet, FleetFigures
from kpa.tune.knobs import Candidate, Knob, make_candidate
from kpa.tune.objective import UNITS, Metrics, Objective

_ROUNDS = 2
"""Rounds after the first one, each with half of its candidates."""

_PARENTS = 60
_CHANGED = 0.4
"""Part of the knobs that a child changes."""

_REACH = (0.15, 0.05)
"""Standard deviation of a change, as a part of a knob's range, in each round."""

Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Task:
    """What is searched for, and under what.

    Attributes
    ----------
    loads : sequence of Load
        The parts that the search may see.
    scenario : Scenario
        What all candidates have in common; its settings are today's.
    today : Mapping
        Keys of today's ConfigMap.
    knobs : sequence of Knob
    objective : Objective
    replicas : int
        Ready at the beginning.
    warm_up : float
        Seconds at the beginning of each load that are not counted.
    """

    loads: Sequence[Load]
    scenario: Scenario
    today: Mapping[str, str]
    knobs: Sequence[Knob]
    objective: Objective
    replicas: int
    warm_up: float


def search(
    task: Task, count: int, named: Sequence[Candidate], progress: Progress
) -> tuple[list[Candidate], Metrics]:
    """Return all candidates that were tried, and their metrics by the time-stepped model.

    Parameters
    ----------
    task : Task
    count : int
        Candidates of the first round.
    named : sequence of Candidate
        Tried in the first round too.
    progress : callable (float)
        Told which part of the search is done, 0..1.
    """
    random = np.random.default_rng([task.scenario.seed, 3])
    sizes = [count] + [count // 2] * _ROUNDS
    tried: list[Candidate] = []
    metrics: dict[str, NDArray[np.float64]] = {name: np.zeros(0) for name in UNITS}
    for number, size in enumerate(sizes):
        if number == 0:
            places = latin_hypercube(size, len(task.knobs), random)
        else:
            places = _children(task.objective, tried, metrics, size, _REACH[number - 1], random)
        made = [make_candidate(task.knobs, task.today, place) for place in places]
        fresh = ([*named] if number == 0 else []) + [one for one in made if one is not None]
        base, share = sum(sizes[:number]) / sum(sizes), size / sum(sizes)
        found = evaluate(task, fresh, _within(progress, base, share))
        tried += fresh
        metrics = {name: np.concatenate((metrics[name], found[name])) for name in UNITS}
    return tried, metrics


def evaluate(task: Task, candidates: Sequence[Candidate], progress: Progress) -> Metrics:
    """Return the metrics of candidates over all loads: worst times and shares, sums of numbers."""
    common = task.scenario
    settings = [resolve(one.config, common.annotations, common.container_concurrency) for one in candidates]
    total = sum(load.length for load in task.loads)
    passed = 0.0
    per_load = []
    for load in task.loads:
        interval = common.config.tick_interval
        fleet = CandidateFleet(load, common, settings, interval, task.replicas, task.warm_up)
        per_load.append(_metrics(fleet.run(_within(progress, passed / total, 1 / total))))
        passed += load.length
    return combine(per_load)


def combine(per_load: Sequence[Metrics]) -> dict[str, NDArray[np.float64]]:
    """Join the metrics of several loads: the worst of times and shares, the sum of numbers."""
    joined = {}
    for name, unit in UNITS.items():
        values = np.stack([metrics[name] for metrics in per_load])
        joined[name] = values.sum(axis=0) if unit == "count" else values.max(axis=0)
    return joined


def pareto(costs: NDArray[np.float64], qualities: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the candidates that no other one beats in both numbers, cheapest first.

    Examples
    --------
    >>> pareto(np.array([3.0, 1.0, 2.0, 4.0]), np.array([1.0, 9.0, 5.0, 2.0])).tolist()
    [1, 2, 0]
    """
    order = np.lexsort((qualities, costs))
    best = np.minimum.accumulate(qualities[order])
    first = np.concatenate(([True], best[1:] < best[:-1]))
    front: NDArray[np.intp] = order[first]
    return front


def latin_hypercube(count: int, knobs: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Return places within 0..1, shape (count, knobs), that are spread evenly along each knob."""
    ranks = np.stack([random.permutation(count) for _ in range(knobs)], axis=1)
    places: NDArray[np.float64] = (ranks + random.uniform(size=ranks.shape)) / count
    return places


def _within(progress: Progress, base: float, share: float) -> Progress:
    """Return figures of a part that compare with those of the whole."""
    return lambda part: progress(min(1.0, base + share * part))


def _children(
    objective: Objective,
    tried: Sequence[Candidate],
    metrics: Metrics,
    count: int,
    reach: float,
    random: np.random.Generator,
) -> NDArray[np.float64]:
    """Return places near to the best ones, and to the cheapest of each quality; knobs of two may mix."""
    best = objective.order(metrics)[:_PARENTS].tolist()
    best += pareto(metrics[objective.goal], metrics[objective.quality])[:_PARENTS].tolist()
    parents = np.stack([at for index in best if (at := tried[index].places) is not None])
    one, other = (parents[random.integers(0, len(parents), count)] for _ in range(2))
    mixed = np.where(random.uniform(size=one.shape) < 0.7, one, other)
    changes = random.normal(0.0, reach, one.shape) * (random.uniform(size=one.shape) < _CHANGED)
    places: NDArray[np.float64] = np.clip(mixed + changes, 0.0, 1.0)
    return places


def _metrics(figures: FleetFigures) -> dict[str, NDArray[np.float64]]:
    """Name the figures; figures that the time-stepped model lacks are left out."""
    return {
        "p50": figures.latency(0.50),
        "p95": figures.latency(0.95),
        "p99": figures.latency(0.99),
        "queue-p50": figures.queue(0.50),
        "queue-p95": figures.queue(0.95),
        "queue-p99": figures.queue(0.99),
        "rejected": np.zeros_like(figures.replica_minutes),
        "cold-starts": figures.cold_starts,
        "scale-actions": figures.scalings,
        "replica-minutes": figures.replica_minutes,
    }
