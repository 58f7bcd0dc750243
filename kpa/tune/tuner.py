"""From loads and an objective to a recommendation: search, exact figures, fewer changes, a part not seen."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from config.resolve import resolve
from kpa.simulate.errors import InputError
from kpa.simulate.load import Load
from kpa.simulate.scenario import Scenario
from kpa.tune.choice import choose, finalists, simplify
from kpa.tune.judge import Judge, Verdict
from kpa.tune.knobs import Candidate, Knob, knobs_for
from kpa.tune.objective import Metrics, Objective
from kpa.tune.search import Task, search
from kpa.tune.today import fold_annotations, named_candidates, text_in

Progress = Callable[[str, float], None]
"""Told what goes on, and which part of it is done."""


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
    judge = Judge(task, loads)
    places = finalists(metrics, objective)
    verdicts = []
    for number, place in enumerate(places):
        progress("simulating the best exactly", number / len(places))
        verdicts.append(judge.verdict(tried[place]))
    best, excess = choose(verdicts, judge, objective, lambda part: progress("varying the load", part))
    chosen = simplify(best, excess, task, judge, lambda part: progress("dropping needless changes", part))
    exact = np.array([one.seen[objective.goal] for one in verdicts])
    return Tuning(
        task=task,
        tried=tried,
        metrics=metrics,
        finalists=verdicts,
        named=[judge.verdict(one) for one in named],
        chosen=chosen,
        disagreement=_disagreement(metrics[objective.goal][places], exact),
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


def _check_parts(load: Load, split: float, warm_up: float) -> None:
    seen = ((load.arrivals >= warm_up) & (load.arrivals < split)).sum()
    unseen = (load.arrivals >= split).sum()
    if not (seen and unseen):
        raise InputError(
            f"{load.name}: has {seen} requests to tune by and {unseen} to check it by; must have some of both"
        )


def _disagreement(stepped: NDArray[np.float64], exact: NDArray[np.float64]) -> float:
    return float(np.median(np.abs(stepped - exact) / np.maximum(exact, 1e-9)))
