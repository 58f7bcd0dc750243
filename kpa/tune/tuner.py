"""From loads and an objective to a recommendation: search, exact figures, fewer changes, a part not seen."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from config.annotations import ANNOTATIONS
from config.autoscaler import SETTINGS, AutoscalerConfig, field_name
from config.resolve import resolve
from kpa.simulate.errors import InputError
from kpa.simulate.load import Load
from kpa.simulate.scenario import Scenario
from kpa.tune.exact import Part, simulate_exactly
from kpa.tune.knobs import Candidate, Knob, knobs_for
from kpa.tune.objective import UNITS, Metrics, Objective
from kpa.tune.search import Task, combine, pareto, search

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
    """

    task: Task
    tried: Sequence[Candidate]
    metrics: Metrics
    finalists: list[Verdict]
    named: list[Verdict]
    chosen: Verdict

    def changes(self) -> list[tuple[Knob, str, str]]:
        """Return the settings that differ from today's: knob, text of today, text that is recommended."""
        today, chosen = self.task.scenario.config, self.chosen.candidate.config
        texts = [(knob, _text(today, knob.key), _text(chosen, knob.key)) for knob in self.task.knobs]
        return [(knob, before, after) for knob, before, after in texts if before != after]

    @property
    def holds(self) -> bool:
        """All limits hold on the part that the search did not see."""
        return not self.task.objective.excess(_columns([self.chosen.unseen])).any()


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
    today: dict[str, str],
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
    today : dict
        Keys of today's ConfigMap.
    objective : Objective
    effort : Effort
    progress : callable (str, float)

    Raises
    ------
    InputError
        A load has no requests in the part to be seen or in the part kept from the search.
    """
    settings = resolve(scenario.config, scenario.annotations, scenario.container_concurrency)
    knobs = knobs_for(loads, settings.total_value)
    if settings.metric == "rps":
        raise InputError("only services that scale on concurrency can be tuned, not metric: rps")
    scenario, today = _fold_annotations(scenario, today, knobs)
    warm_up = min(effort.warm_up, *(load.length / 10 for load in loads))
    splits = [load.length * (1 - effort.held_out) for load in loads]
    for load, split in zip(loads, splits, strict=True):
        _check_parts(load, split, warm_up)
    seen = [load.between(0.0, split) for load, split in zip(loads, splits, strict=True)]
    busy = max(load.between(0.0, warm_up).concurrency for load in loads)
    replicas = (
        scenario.replicas if scenario.replicas is not None else max(1, round(busy / settings.target_value))
    )
    task = Task(seen, scenario, today, knobs, objective, replicas, warm_up)
    named = _named(task)
    tried, metrics = search(task, effort.candidates, named, lambda part: progress("searching", part))
    judge = _Judge(task, loads, splits)
    finals = _finalists(tried, metrics, objective)
    finalists = []
    for number, candidate in enumerate(finals):
        progress("simulating the best exactly", number / len(finals))
        finalists.append(judge.verdict(candidate))
    best = finalists[int(objective.order(_columns([one.seen for one in finalists]), MARGIN)[0])]
    chosen = _simplified(best, task, judge, lambda part: progress("dropping needless changes", part))
    return Tuning(task, tried, metrics, finalists, [judge.verdict(one) for one in named], chosen)


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
        before = _text(task.scenario.config, knob.key)
        if _text(best.candidate.config, knob.key) == before:
            continue
        data = {**best.candidate.data, knob.key: before}
        config = AutoscalerConfig.from_config_map({**task.today, **data})
        simpler = judge.verdict(Candidate("", data, config))
        excess = task.objective.excess(_columns([best.seen, simpler.seen]), MARGIN)
        goal = task.objective.goal
        if excess[1] <= excess[0] and simpler.seen[goal] <= _WORSE * best.seen[goal]:
            best = simpler
    return best


def _finalists(tried: Sequence[Candidate], metrics: Metrics, objective: Objective) -> list[Candidate]:
    """Return the best candidates, with and without margin, and some along the front of cost and quality."""
    order = objective.order(metrics, MARGIN)[: _BEST // 2].tolist()
    order += objective.order(metrics)[: _BEST // 2].tolist()
    front = pareto(metrics[objective.goal], metrics[objective.quality])
    order += front[np.linspace(0, len(front) - 1, _ALONG).astype(np.intp)].tolist()
    return [tried[index] for index in dict.fromkeys(order)]


def _named(task: Task) -> list[Candidate]:
    """Return today's settings and both profiles, which keep what is not to be changed."""
    kept = {key: text for key, text in task.today.items() if key not in {knob.key for knob in task.knobs}}
    found = [Candidate("today's", task.today, task.scenario.config)]
    for name in ("inference", "knative"):
        data = kept | {"defaults": name}
        config = AutoscalerConfig.from_config_map(data)
        if config != task.scenario.config:
            found.append(Candidate(f"profile {name}", data, config))
    return found


def _fold_annotations(
    scenario: Scenario, today: dict[str, str], knobs: Sequence[Knob]
) -> tuple[Scenario, dict[str, str]]:
    """Move today's annotations of what is tried into the ConfigMap, where candidates have theirs."""
    annotations, data = dict(scenario.annotations), dict(today)
    by_key = {each.otherwise: each for each in ANNOTATIONS.values()}
    for knob in knobs:
        annotation = by_key.get(knob.key) or ANNOTATIONS.get(_ANNOTATION_OF.get(knob.key, ""))
        found = annotation.find(annotations) if annotation else None
        if annotation and found:
            data[knob.key] = found[1]
            for name in annotation.names:
                annotations.pop(name, None)
    config = AutoscalerConfig.from_config_map(data)
    return replace(scenario, config=config, annotations=annotations), data


_ANNOTATION_OF = {"container-concurrency-target-percentage": "target_utilization_percentage"}
"""Values of annotations that are not named after the one key they stand for."""


def _check_parts(load: Load, split: float, warm_up: float) -> None:
    seen = ((load.arrivals >= warm_up) & (load.arrivals < split)).sum()
    unseen = (load.arrivals >= split).sum()
    if not (seen and unseen):
        raise InputError(
            f"{load.name}: has {seen} requests to tune by and {unseen} to check it by; must have some of both"
        )


def _columns(values: Sequence[dict[str, float]]) -> dict[str, "np.ndarray[tuple[int], np.dtype[np.float64]]"]:
    return {name: np.array([one[name] for one in values]) for name in UNITS}


def _text(config: AutoscalerConfig, key: str) -> str:
    return SETTINGS[key].kind.format(getattr(config, field_name(key)))
