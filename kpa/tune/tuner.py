"""From loads and an objective to a recommendation: search, exact figures, fewer changes, a part not seen."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from config.autoscaler import AutoscalerConfig
from config.resolve import resolve
from kpa.simulate.errors import InputError
from kpa.simulate.load import Load
from kpa.simulate.scenario import Scenario
from kpa.tune.exact import Part, simulate_exactly
from kpa.tune.knobs import Candidate, Knob, knobs_for
from kpa.tune.objective import UNITS, Metrics, Objective
from kpa.tune.search import Task, combine, pareto, search
from kpa.tune.today import fold_annotations, named_candidates, text_in

MARGIN = 0.1
"""Part by which limits are tightened on the part seen: a later part is never quite like it."""

_BEST, _ALONG = 14, 10
"""Candidates that are simulated exactly: the best ones, and some along the front."""

_WORSE = 1.01
"""A setting goes back to today's if the goal gets no worse than this."""

Progress = Callable[[str, float], None]
"""Told what goes on, and which part of it is done."""


class Verdict(NamedTuple):
    """A candidate simulated exactly: its metrics on the part that the search saw, and on the later one."""

    candidate: Candidate
    seen: dict[str, float]
    unseen: dict[str, float]


@dataclass(frozen=True, slots=True)
class Tuning:
    """What a tuning found.

    Attributes
    ----------
    task : Task
    tried : sequence of Candidate
    metrics : Metrics
        Of all tried, by the time-stepped model, on the part seen.
    finalists : list of Verdict
    named : list of Verdict
        Today's settings, and both profiles.
    chosen : Verdict
    disagreement : float
        Median difference of the finalists' goal between both models, as a part of it.
    """

    task: Task
    tried: Sequence[Candidate]
    metrics: Metrics
    finalists: list[Verdict]
    named: list[Verdict]
    chosen: Verdict
    disagreement: float

    def changes(self) -> list[tuple[Knob, str, str]]:
        """Return the settings that differ from today's: knob, text of today, text that is recommended."""
        today, chosen = self.task.scenario.config, self.chosen.candidate.config
        texts = [(knob, text_in(today, knob.key), text_in(chosen, knob.key)) for knob in self.task.knobs]
        return [(knob, before, after) for knob, before, after in texts if before != after]

    @property
    def holds(self) -> bool:
        """All limits hold on the part that the search did not see."""
        return self.task.objective.holds(self.chosen.unseen)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is tried, and what is kept from the search.

    Attributes
    ----------
    candidates : int
        Of the first round; two more follow, half as large.
    held_out : float
        Part of each load, its end, that the search does not see.
    warm_up : float
        Seconds at the beginning that do not count; at most a tenth of a load.
    """

    candidates: int = 2000
    held_out: float = 0.4
    warm_up: float = 300.0


def tune(
    loads: Sequence[Load],
    scenario: Scenario,
    today: Mapping[str, str],
    objective: Objective,
    effort: Effort,
    progress: Progress,
) -> Tuning:
    """Search for the settings that serve an objective best.

    Parameters
    ----------
    loads : sequence of Load
    scenario : Scenario
        Today's settings, and what stays as it is.
    today : Mapping
        Keys of today's ConfigMap.
    objective : Objective
    effort : Effort
    progress : callable (str, float)

    Raises
    ------
    InputError
        A load has no requests in the part to be seen or in the part kept from the search.
    """
    splits = [load.length * (1 - effort.held_out) for load in loads]
    task = _task(loads, splits, scenario, today, objective, effort.warm_up)
    named = named_candidates(task.scenario.config, task.today, task.knobs)
    tried, metrics = search(task, effort.candidates, named[:1], lambda part: progress("searching", part))
    judge = _Judge(task, loads, splits)
    places = _finalists(metrics, objective)
    finalists = []
    for number, place in enumerate(places):
        progress("simulating the best exactly", number / len(places))
        finalists.append(judge.verdict(tried[place]))
    exact = _columns([one.seen for one in finalists])
    best = finalists[int(objective.order(exact, MARGIN)[0])]
    return Tuning(
        task=task,
        tried=tried,
        metrics=metrics,
        finalists=finalists,
        named=[judge.verdict(one) for one in named],
        chosen=_simplified(best, task, judge, lambda part: progress("dropping needless changes", part)),
        disagreement=_disagreement(metrics[objective.goal][places], exact[objective.goal]),
    )


def _task(
    loads: Sequence[Load],
    splits: Sequence[float],
    scenario: Scenario,
    today: Mapping[str, str],
    objective: Objective,
    warm_up: float,
) -> Task:
    """Put together what the search needs to know, and nothing of the later parts."""
    settings = resolve(scenario.config, scenario.annotations, scenario.container_concurrency)
    if settings.metric == "rps":
        raise InputError("only a service that scales on concurrency can be tuned; this one has metric rps")
    warm_up = min(warm_up, *(load.length / 10 for load in loads))
    for load, split in zip(loads, splits, strict=True):
        _check_parts(load, split, warm_up)
    seen = [load.between(0.0, split) for load, split in zip(loads, splits, strict=True)]
    knobs = knobs_for(seen, settings.total_value)
    scenario, data = fold_annotations(scenario, today, knobs)
    busy = max(load.between(0.0, warm_up).concurrency for load in seen)
    begin = max(1, round(busy / settings.target_value))
    replicas = begin if scenario.replicas is None else scenario.replicas
    return Task(seen, scenario, data, knobs, objective, replicas, warm_up)


class _Judge:
    """Simulates candidates exactly, over whole loads, and tells the parts apart."""

    def __init__(self, task: Task, loads: Sequence[Load], splits: Sequence[float]) -> None:
        self._task, self._loads = task, loads
        self._parts = [
            (Part(task.warm_up, split), Part(split, load.length))
            for load, split in zip(loads, splits, strict=True)
        ]

    def verdict(self, candidate: Candidate) -> Verdict:
        """Simulate one candidate."""
        told = [
            simulate_exactly(candidate, load, self._task.scenario, self._task.replicas, parts)
            for load, parts in zip(self._loads, self._parts, strict=True)
        ]
        seen, unseen = (combine([_columns([parts[which]]) for parts in told]) for which in (0, 1))
        return Verdict(
            candidate,
            {name: float(values[0]) for name, values in seen.items()},
            {name: float(values[0]) for name, values in unseen.items()},
        )


def _simplified(best: Verdict, task: Task, judge: _Judge, progress: Callable[[float], None]) -> Verdict:
    """Put settings back to today's, one after the other, where that does no harm on the part seen."""
    for number, knob in enumerate(task.knobs):
        progress(number / len(task.knobs))
        before = text_in(task.scenario.config, knob.key)
        if text_in(best.candidate.config, knob.key) == before:
            continue
        data = {**best.candidate.data, knob.key: before}
        config = AutoscalerConfig.from_config_map({**task.today, **data})
        simpler = judge.verdict(Candidate("", data, config))
        excess = task.objective.excess(_columns([best.seen, simpler.seen]), MARGIN)
        goal = task.objective.goal
        if excess[1] <= excess[0] and simpler.seen[goal] <= _WORSE * best.seen[goal]:
            best = simpler
    return best


def _finalists(metrics: Metrics, objective: Objective) -> list[int]:
    """Return the places of the best candidates, with and without margin, and of some along the front."""
    order = objective.order(metrics, MARGIN)[: _BEST // 2].tolist()
    order += objective.order(metrics)[: _BEST // 2].tolist()
    front = pareto(metrics[objective.goal], metrics[objective.quality])
    order += front[np.linspace(0, len(front) - 1, _ALONG).astype(np.intp)].tolist()
    return list(dict.fromkeys(order))


def _check_parts(load: Load, split: float, warm_up: float) -> None:
    seen = ((load.arrivals >= warm_up) & (load.arrivals < split)).sum()
    unseen = (load.arrivals >= split).sum()
    if not (seen and unseen):
        raise InputError(
            f"{load.name}: has {seen} requests to tune by and {unseen} to check it by; must have some of both"
        )


def _columns(values: Sequence[dict[str, float]]) -> dict[str, NDArray[np.float64]]:
    return {name: np.array([one[name] for one in values]) for name in UNITS}


def _disagreement(stepped: NDArray[np.float64], exact: NDArray[np.float64]) -> float:
    return float(np.median(np.abs(stepped - exact) / np.maximum(exact, 1e-9)))
