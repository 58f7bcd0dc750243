"""What a tuning found, for people and programs."""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import yaml
from rich.table import Table

from config.autoscaler import NAME
from kpa.tune.judge import Verdict
from kpa.tune.knobs import annotation_of
from kpa.tune.objective import Objective, text_of
from kpa.tune.search import pareto
from kpa.tune.today import text_in
from kpa.tune.tuner import Tuning

_FRONT = 10
"""Lines of the front that are shown."""

_HEADINGS = {
    "stable-window": "stable window",
    "panic-window-percentage": "panic window %",
    "panic-threshold-percentage": "panic from %",
    "container-concurrency-target-percentage": "target %",
    "max-scale-up-rate": "up rate",
    "max-scale-down-rate": "down rate",
    "scale-rate-period": "rate period",
    "scale-down-delay": "down delay",
    "scale-to-zero-pod-retention-period": "reten- tion",
    "min-scale": "min",
}
"""Short names of the settings."""


def verdicts(tuning: Tuning) -> Table:
    """Lay out what was recommended beside today's settings and the profiles, on both parts of the load."""
    objective = tuning.task.objective
    judged = [tuning.chosen, *tuning.named]
    grid = Table(box=None, pad_edge=False)
    grid.add_column("")
    for heading in ("recommended", *(one.candidate.name for one in tuning.named)):
        grid.add_column(heading, justify="right")
    for title, parts in (
        ("the part that the search saw", [one.seen for one in judged]),
        ("the later part, not seen", [one.unseen for one in judged]),
    ):
        grid.add_row(f"[b]{title}[/b]")
        for name in columns(objective):
            grid.add_row(f"  {name}", *(text_of(name, part[name]) for part in parts))
        grid.add_row("  limits", *("hold" if objective.holds(part) else "broken" for part in parts))
    return grid


def front(tuning: Tuning) -> Table:
    """Lay out what less of the goal would cost in quality: exact figures of the part seen, cheapest first."""
    objective = tuning.task.objective
    grid = Table(box=None, pad_edge=False)
    for heading in (objective.goal, objective.quality, *(_HEADINGS[knob.key] for knob in tuning.task.knobs)):
        grid.add_column(heading, justify="right", overflow="fold")
    for verdict in front_of(tuning)[:_FRONT]:
        values = [text_of(name, verdict.seen[name]) for name in (objective.goal, objective.quality)]
        config = verdict.candidate.config
        grid.add_row(*values, *(text_in(config, knob.key) for knob in tuning.task.knobs))
    return grid


def front_of(tuning: Tuning) -> list[Verdict]:
    """Return the exact finalists that no other one beats in goal and quality, cheapest first."""
    objective = tuning.task.objective
    everyone = [*tuning.finalists, tuning.chosen]
    goals = np.array([one.seen[objective.goal] for one in everyone])
    qualities = np.array([one.seen[objective.quality] for one in everyone])
    return [everyone[index] for index in pareto(goals, qualities).tolist()]


def changes(tuning: Tuning) -> Table:
    """Lay out the differences from today's settings."""
    grid = Table(box=None, pad_edge=False)
    for heading in ("key", "today", "recommended", "for one service: annotation"):
        grid.add_column(heading, overflow="fold")
    for knob, before, after in tuning.changes():
        grid.add_row(knob.key, before, after, annotation_of(knob.key) or "none, holds for the whole cluster")
    return grid


def config_map(tuning: Tuning) -> str:
    """Write today's ConfigMap with what is recommended."""
    data = {**tuning.task.today, **{knob.key: after for knob, _, after in tuning.changes()}}
    document = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": NAME, "namespace": "knative-serving"},
        "data": data,
    }
    text: str = yaml.safe_dump(document, sort_keys=False)
    return text


def annotations(tuning: Tuning) -> str:
    """Write the annotations of one service that do the same, as far as there are some."""
    found = [(annotation_of(knob.key), after) for knob, _, after in tuning.changes()]
    text: str = yaml.safe_dump({name: value for name, value in found if name}, sort_keys=False)
    return text


def columns(objective: Objective) -> list[str]:
    """Return the metrics that are shown: those of the limits, then the goal, then a latency."""
    names = [*(limit.metric for limit in objective.limits), objective.goal, objective.quality, "p99"]
    return list(dict.fromkeys(names))


def sentence(tuning: Tuning) -> str:
    """Say how sure the recommendation is."""
    objective, goal = tuning.task.objective, tuning.task.objective.goal
    limits = "its limits hold" if tuning.holds else "its limits do NOT hold"
    others = [
        f"{text_of(goal, one.unseen[goal])} with {one.candidate.name}"
        + ("" if objective.holds(one.unseen) else ", which breaks them")
        for one in tuning.named
    ]
    tried, exact = len(tuning.tried), len(tuning.finalists)
    return (
        f"{tried} candidates were simulated as one fleet, {exact} of them exactly, where {goal} came out "
        f"{100 * tuning.disagreement:.1f}% different (median). "
        f"On the part that the search did not see {limits}, with {goal} "
        f"{text_of(goal, tuning.chosen.unseen[goal])} ({'; '.join(others)})."
    )


def document(tuning: Tuning) -> str:
    """Write everything as JSON; nan becomes null."""
    judged = [("recommended", tuning.chosen), *((one.candidate.name, one) for one in tuning.named)]
    everything: dict[str, Any] = {
        "objective": str(tuning.task.objective),
        "holds": tuning.holds,
        "disagreement": round(tuning.disagreement, 6),
        "config_map": {knob.key: after for knob, _, after in tuning.changes()},
        "annotations": yaml.safe_load(annotations(tuning)),
        "verdicts": {
            name: {"seen": _plain(one.seen), "not_seen": _plain(one.unseen)} for name, one in judged
        },
        "front": [{"settings": dict(one.candidate.data), **_plain(one.seen)} for one in front_of(tuning)],
        "candidates": len(tuning.tried),
    }
    return json.dumps(everything, indent=1, allow_nan=False)


def _plain(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else round(value, 6) for name, value in values.items()}
