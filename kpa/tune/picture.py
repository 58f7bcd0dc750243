"""The trade between cost and quality as a picture."""

import numpy as np
from matplotlib.figure import Figure

from kpa.simulate.picture import LOAD, READY, REQUESTED
from kpa.tune.objective import UNITS
from kpa.tune.report import front_of
from kpa.tune.search import pareto
from kpa.tune.tuner import Tuning

_LEAST = 1e-2
"""Where the axis of qualities begins: a 0 has no place on a scale of ratios."""


def draw(tuning: Tuning) -> Figure:
    """Draw all candidates by goal and quality, the front, today's settings and the recommended ones."""
    objective = tuning.task.objective
    figure = Figure(figsize=(9, 5.5), layout="constrained")
    axes = figure.subplots()
    goals, qualities = (tuning.metrics[name] for name in (objective.goal, objective.quality))
    shown = np.maximum(qualities, _LEAST)
    axes.scatter(goals, shown, s=4, color=LOAD, alpha=0.25, lw=0, label="candidates (time-stepped)")
    front = pareto(goals, qualities)
    axes.step(goals[front], shown[front], color=LOAD, lw=1.2, where="post", label="front (time-stepped)")
    exact = front_of(tuning)
    places = [(one.seen[objective.goal], max(one.seen[objective.quality], _LEAST)) for one in exact]
    axes.plot(*zip(*places, strict=True), "o", ms=4, color=REQUESTED, label="front (exact)")
    for verdict, marker in zip(tuning.named, "sD^v", strict=False):
        at = verdict.seen[objective.goal], max(verdict.seen[objective.quality], _LEAST)
        axes.plot(*at, marker, ms=8, color="black", mfc="none", label=verdict.candidate.name)
    chosen = tuning.chosen.seen
    at = chosen[objective.goal], max(chosen[objective.quality], _LEAST)
    axes.plot(*at, "*", ms=15, color=READY, label="recommended")
    for limit in objective.limits:
        if limit.metric == objective.quality:
            axes.axhline(limit.below, color="black", lw=0.8, ls=":", label=str(limit))
    axes.set(xscale="log", yscale="log", xlabel=_name(objective.goal), ylabel=_name(objective.quality))
    axes.grid(alpha=0.25, which="both")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False)
    axes.set_title(f"{objective}, on the part of the load that the search saw", fontsize=10)
    return figure


def _name(metric: str) -> str:
    return f"{metric}, seconds" if UNITS[metric] == "time" else metric
