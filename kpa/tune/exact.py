"""Candidates simulated exactly, and what came of each in parts of the load."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from kpa.simulate.load import Load
from kpa.simulate.model import simulate
from kpa.simulate.requests import REJECTED, TIMED_OUT
from kpa.simulate.results import Results, percentiles
from kpa.simulate.scenario import Scenario
from kpa.tune.knobs import Candidate
from scaler.rules.bounds import Bounds


class Part(NamedTuple):
    """From one second of a load to another; the later ones are not counted."""

    begin: float
    end: float


def simulate_exactly(
    candidate: Candidate, load: Load, scenario: Scenario, replicas: int, parts: Sequence[Part]
) -> list[dict[str, float]]:
    """Return the metrics of one candidate in each part of a load.

    Parameters
    ----------
    candidate : Candidate
    load : Load
        The whole of it: a part begins with what the one before has left.
    scenario : Scenario
        What all candidates have in common.
    replicas : int
        Ready at the beginning, within the candidate's bounds.
    parts : sequence of Part
    """
    begin = Bounds(candidate.config.min_scale, candidate.config.max_scale).apply(replicas)
    results = simulate(load, replace(scenario, config=candidate.config, replicas=begin))
    return [metrics_of(results, part, scenario.timeout) for part in parts]


def metrics_of(results: Results, part: Part, timeout: float) -> dict[str, float]:
    """Return the metrics of the requests that came within a part, and of its replicas.

    A request that was turned away or given up counts as slow as the time-out; one that is still in flight at
    the end of the simulation with the time that it has taken so far.
    """
    came = (results.arrived >= part.begin) & (results.arrived < part.end)
    arrived, status = results.arrived[came], results.status[came]
    failed = (status == REJECTED) | (status == TIMED_OUT)
    now = results.length
    waits = np.where(failed, timeout, np.nan_to_num(results.begun[came], nan=now) - arrived)
    latencies = np.where(failed, timeout, np.nan_to_num(results.ended[came], nan=now) - arrived)
    values = {
        "rejected": float(failed.mean()) if len(failed) else 0.0,
        "cold-starts": float(results.cold[came].sum()),
        "scale-actions": float(sum(part.begin <= at < part.end for at in results.scalings)),
        "replica-minutes": results.integral("pods", part.begin, part.end) / 60,
    }
    for prefix, times in (("", latencies), ("queue-", waits)):
        values |= {f"{prefix}{name}": value for name, value in percentiles(times)._asdict().items()}
    return values
