"""Which candidate is recommended: one that is good, stays good if the load varies, and changes little."""

from collections.abc import Callable, Sequence

import numpy as np

from config.autoscaler import AutoscalerConfig
from kpa.tune.judge import Judge, Verdict, columns
from kpa.tune.knobs import Candidate
from kpa.tune.objective import Metrics, Objective
from kpa.tune.search import Task, pareto
from kpa.tune.today import text_in

_MARGINS = (0.0, 0.1, 0.3, 0.5)
"""Parts by which limits are tightened for a place among the finalists: no later load is quite the same."""

_BEST, _ALONG = 5, 10
"""Finalists: the best ones for each margin, and some along the front."""

_TRIES = 10
"""Finalists, best first, that are tried on variants until one keeps its limits in all."""

_WORSE = 1.01
"""A setting goes back to today's if the goal gets no worse than this."""


def finalists(metrics: Metrics, objective: Objective) -> list[int]:
    """Return the places of the candidates that are worth an exact simulation."""
    best = [objective.order(metrics, margin)[:_BEST].tolist() for margin in _MARGINS]
    front = pareto(metrics[objective.goal], metrics[objective.quality])
    along = front[np.linspace(0, len(front) - 1, _ALONG).astype(np.intp)].tolist()
    return list(dict.fromkeys([place for places in [*best, along] for place in places]))


def choose(
    verdicts: Sequence[Verdict], judge: Judge, objective: Objective, progress: Callable[[float], None]
) -> tuple[Verdict, float]:
    """Return the first finalist, best first, that keeps its limits in all variants; else the nearest one.

    Returns
    -------
    Verdict
    float
        By which part limits are exceeded in its worst variant; infinity where no
        candidate keeps them even without variation.
    """
    seen = columns([one.seen for one in verdicts])
    order = [place for place in objective.order(seen).tolist() if not objective.excess(seen)[place]]
    best, least = verdicts[int(objective.order(seen)[0])], np.inf
    for number, place in enumerate(order[:_TRIES]):
        progress(number / _TRIES)
        excess = judge.excess(verdicts[place].candidate, objective, least)
        if excess < least:
            best, least = verdicts[place], excess
        if not excess:
            break
    return best, least


def simplify(
    best: Verdict, excess: float, task: Task, judge: Judge, progress: Callable[[float], None]
) -> Verdict:
    """Put settings back to today's, one after the other, where that does no harm on what the search saw."""
    objective = task.objective
    for number, knob in enumerate(task.knobs):
        progress(number / len(task.knobs))
        before = text_in(task.scenario.config, knob.key)
        if text_in(best.candidate.config, knob.key) == before:
            continue
        data = {**best.candidate.data, knob.key: before}
        config = AutoscalerConfig.from_config_map({**task.today, **data})
        simpler = judge.verdict(Candidate("", data, config))
        now, then = objective.excess(columns([best.seen, simpler.seen])).tolist()
        if then > now or simpler.seen[objective.goal] > _WORSE * best.seen[objective.goal]:
            continue
        worst = judge.excess(simpler.candidate, objective, excess) if excess < np.inf else excess
        if worst <= excess:
            best, excess = simpler, worst
    return best
