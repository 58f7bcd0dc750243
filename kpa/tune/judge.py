"""Candidates simulated exactly: on the part that the search saw, on variants of it, on the rest."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kpa.simulate.load import Load
from kpa.simulate.scenario import Scenario
from kpa.tune.exact import Part, simulate_exactly
from kpa.tune.knobs import Candidate
from kpa.tune.objective import UNITS, Objective
from kpa.tune.search import Task, combine

_VARIANTS = 3
_SPREAD, _KNOT = 0.2, 30.0
"""A variant's clock runs faster or slower by this standard deviation, changing about every 30 s: bursts come
quicker or later, and some grow together."""


class Verdict(NamedTuple):
    """A candidate with its metrics on the part that the search saw, and on the later one."""

    candidate: Candidate
    seen: Mapping[str, float]
    unseen: Mapping[str, float]


class Judge:
    """Simulates candidates exactly.

    Parameters
    ----------
    task : Task
        Its loads are the parts that the search saw.
    loads : sequence of Load
        The whole ones.
    """

    def __init__(self, task: Task, loads: Sequence[Load]) -> None:
        self._task, self._loads = task, loads
        self._splits = [seen.length for seen in task.loads]
        random = np.random.default_rng([task.scenario.seed, 4])
        self._variants = [[varied(load, random) for load in task.loads] for _ in range(_VARIANTS)]

    def verdict(self, candidate: Candidate) -> Verdict:
        """Simulate a candidate over the whole loads, and split the results by part."""
        begin = self._task.warm_up
        results = [
            self._simulate(candidate, load, [Part(begin, split), Part(split, load.length)])
            for load, split in zip(self._loads, self._splits, strict=True)
        ]
        seen, unseen = (_joined([parts[which] for parts in results]) for which in (0, 1))
        return Verdict(candidate, seen, unseen)

    def excess(self, candidate: Candidate, objective: Objective, enough: float) -> float:
        """Return by which part limits are exceeded in the worst variant of the part seen; 0 if in none.

        More than `enough` ends the search for a worse one.
        """
        begin = self._task.warm_up
        worst = 0.0
        for loads in self._variants:
            results = [self._simulate(candidate, load, [Part(begin, load.length)])[0] for load in loads]
            worst = max(worst, float(objective.excess(columns([_joined(results)]))[0]))
            if worst > enough:
                break
        return worst

    def _simulate(self, candidate: Candidate, load: Load, parts: Sequence[Part]) -> list[dict[str, float]]:
        scenario: Scenario = self._task.scenario
        return simulate_exactly(candidate, load, scenario, self._task.replicas, parts)


def varied(load: Load, random: np.random.Generator) -> Load:
    """Return a load with the same requests, whose times are stretched here and compressed there.

    Parameters
    ----------
    load : Load
    random : Generator
    """
    knots = max(2, round(load.length / _KNOT))
    speeds = np.exp(random.normal(0.0, _SPREAD, knots))
    ends = np.concatenate(([0.0], np.cumsum(speeds)))
    times = np.interp(load.arrivals, np.linspace(0.0, load.length, knots + 1), ends * load.length / ends[-1])
    return Load(load.name, times, load.service, load.length)


def columns(values: Sequence[Mapping[str, float]]) -> dict[str, NDArray[np.float64]]:
    """Return metrics of several candidates as arrays."""
    return {name: np.array([one[name] for one in values]) for name in UNITS}


def _joined(per_load: Sequence[Mapping[str, float]]) -> dict[str, float]:
    joined = combine([columns([one]) for one in per_load])
    return {name: float(values[0]) for name, values in joined.items()}
