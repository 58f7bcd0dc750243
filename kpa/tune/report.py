"""What a tuning found, for people and programs."""

import json
import math
from typing import Any

import numpy as np
import yaml
from rich.table import Table

from config.config_map import NAME
from kpa.tune.knobs import annotation_of
from kpa.tune.objective import Objective, text_of
from kpa.tune.search import pareto
from kpa.tune.tuner import Tuning, Verdict

_FRONT = 10
"""Lines of the front that are shown."""


def verdicts(tuning: Tuning) -> Table:
    """Lay out what was recommended beside today's settings and the profiles, on both parts of the load."""
    objective = tuning.task.objective
    names = columns(objective)
    grid = Table(box=None, pad_edge=False)
    grid.add_column("settings")
    for part in ("seen", "not seen"):
        for name in names:
            grid.add_column(f"{name}\n{part}", justify="right")
    grid.add_column("limits, not seen")
    for heading, verdict in [
        ("recommended", tuning.chosen),
        *((one.candidate.name, one) for one in tuning.named),
    ]:
        texts = [text_of(name, part[name]) for part in (verdict.seen, verdict.unseen) for name in names]
        grid.add_row(heading, *texts, "hold" if _holds(objective, verdict) else "broken")
    return grid


def front(tuning: Tuning) -> Table:
    """Lay out what less of the goal would cost in quality: exact figures of the part seen, cheapest first."""
    objective = tuning.task.objective
    found = front_of(tuning)
    keys = [knob.key for knob in tuning.task.knobs]
    grid = Table(box=None, pad_edge=False)
    for name in (objective.goal, objective.quality):
        grid.add_column(name, justify="right")
    grid.add_column("settings that differ from today's", overflow="fold")
    for verdict in found[:_FRONT]:
        values = [text_of(name, verdict.seen[name]) for name in (objective.goal, objective.quality)]
        data = verdict.candidate.data
        today = tuning.task.today
        grid.add_row(
            *values, ", ".join(f"{key}={data[key]}" for key in keys if data.get(key) != today.get(key))
        )
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
    data = tuning.task.today | {knob.key: after for knob, _, after in tuning.changes()}
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
    objective, chosen = tuning.task.objective, tuning.chosen
    goal = objective.goal
    words = f"{len(tuning.tried)} candidates were simulated as one fleet, "
    words += f"{len(tuning.finalists)} of them exactly. "
    limits = "its limits hold" if tuning.holds else "its limits do NOT hold"
    words += f"On the part of the load that the search did not see {limits}, with {goal} "
    words += text_of(goal, chosen.unseen[goal])
    others = [f"{text_of(goal, one.unseen[goal])} {_of(objective, one)}" for one in tuning.named]
    return f"{words} ({', '.join(others)})."


def document(tuning: Tuning) -> str:
    """Write everything as JSON; nan becomes null."""
    told = [("recommended", tuning.chosen), *((one.candidate.name, one) for one in tuning.named)]
    everything: dict[str, Any] = {
        "objective": str(tuning.task.objective),
        "holds": tuning.holds,
        "config_map": {knob.key: after for knob, _, after in tuning.changes()},
        "annotations": yaml.safe_load(annotations(tuning)),
        "verdicts": {name: {"seen": _plain(one.seen), "not_seen": _plain(one.unseen)} for name, one in told},
        "front": [{"settings": dict(one.candidate.data), **_plain(one.seen)} for one in front_of(tuning)],
        "candidates": len(tuning.tried),
    }
    return json.dumps(everything, indent=1, allow_nan=False)


def _plain(values: dict[str, float]) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else round(value, 6) for name, value in values.items()}


def _of(objective: Objective, verdict: Verdict) -> str:
    suffix = "" if _holds(objective, verdict) else ", limits broken"
    return (
        f"with {verdict.candidate.name}{' settings' if verdict.candidate.name.endswith('s') else ''}{suffix}"
    )


def _holds(objective: Objective, verdict: Verdict) -> bool:
    return all(verdict.unseen[metric] < below for metric, below in objective.limits)
