"""The simulator against reality: one load through `kpa local`, with real processes, and through the model.

The load starts at zero, ramps up, bursts, falls and ends, with windows of a few seconds. The model gets the
arrivals, the work of each request, the settings and the start-up time that the real pods took. Left out: the
path past the activator, which `kpa local` does not have.
"""

import asyncio
import time
from itertools import pairwise

import numpy as np
import pytest

from config.autoscaler import AutoscalerConfig
from kpa.demo.player import Player
from kpa.demo.trace import ArrivalTrace, TracePart, builtin_trace
from kpa.simulate.distributions import TimeDistribution
from kpa.simulate.load import Load
from kpa.simulate.model import simulate
from kpa.simulate.results import Results
from kpa.simulate.scenario import Scenario
from tests.e2e.conftest import Launch
from tests.e2e.running import Kpa, client, service

pytestmark = [pytest.mark.e2e, pytest.mark.timed, pytest.mark.timeout(180)]

SETTINGS = {
    "tick-interval": "1s",
    "allow-zero-initial-scale": "true",
    "stable-window": "8s",
    "panic-window-percentage": "25",
    "container-concurrency-target-percentage": "70",
    "scale-down-delay": "0s",
    "scale-rate-period": "0s",
    "max-scale-up-rate": "1000",
    "max-scale-down-rate": "2",
    "scale-to-zero-grace-period": "2s",
    "scale-to-zero-pod-retention-period": "0s",
}
OWN = {"initial-scale": "0", "max-scale": "6", "target-burst-capacity": "-1"}
CONCURRENCY = 5
LOAD_SECONDS = 1.5
STORY = (
    TracePart("quiet", 6, 2, 2),
    TracePart("ramp", 8, 2, 12),
    TracePart("burst", 8, 36, 36),
    TracePart("plateau", 10, 11, 11),
    TracePart("idle", 15, 0, 0),
)
LENGTH = float(sum(stretch.length for stretch in STORY))

MOST_APART = 0.3
"""Replicas by which both may differ, averaged over time.

On a machine with time to spare it is 0.02: looks are 0.1 s apart, and processes start 0.1 s sooner or later.
The rest is for busy ones: the story has 16 steps of one replica in 47 s, and 0.3 is all of them 0.9 s late,
which is less than a tick.
"""


async def play(kpa: Kpa, trace: ArrivalTrace) -> list[tuple[float, int, int]]:
    """Play a trace from a whole second on; returns seconds, replicas asked for and ready ones, each look."""
    player = Player(f"http://127.0.0.1:{kpa.port}/", "model.localhost")
    seen: list[tuple[float, int, int]] = []
    async with client(kpa) as looking:
        await asyncio.sleep(-time.time() % 1.0)  # the model starts on a whole second as well
        playing = asyncio.create_task(player.play(trace.arrivals))
        begin = time.time()
        while (at := time.time() - begin) < LENGTH:
            (status,) = (await looking.fleet(kpa.telemetry_port)).revisions
            seen.append((at, status.replicas, status.ready))
            await asyncio.sleep(0.1)
        await playing
    assert [outcome.error for outcome in player.outcomes if outcome.status != 200] == []
    return seen


def start_up_seconds(seen: list[tuple[float, int, int]]) -> float:
    """Mean time from asking for a replica to its being ready, where the number asked for only grew."""
    asked, ready, took = [], [], []
    for (_, replicas, had), (at, requested, has) in pairwise(seen):
        asked += [at] * (requested - replicas)
        ready += [at] * (has - had)
        if requested < replicas:
            break
    took = [until - since for since, until in zip(asked, ready, strict=False)]
    assert took
    return float(np.mean(took))


def simulated(trace: ArrivalTrace, start_up: float) -> Results:
    arrivals, service_times = np.array(trace.arrivals).T
    scenario = Scenario(
        config=AutoscalerConfig.from_config_map(SETTINGS),
        annotations={f"autoscaling.knative.dev/{key}": value for key, value in OWN.items()},
        container_concurrency=CONCURRENCY,
        start_up=TimeDistribution(start_up),
        drain=1.0,
    )
    return simulate(Load(trace.name, arrivals, service_times, LENGTH), scenario)


def test_a_load_has_the_same_replicas_over_time_in_the_model_and_with_processes(launch: Launch) -> None:
    trace = builtin_trace(STORY)
    manifest = service("model", OWN, concurrency=CONCURRENCY, env={"LOAD_SECONDS": LOAD_SECONDS})
    seen = asyncio.run(play(launch(manifest, settings=SETTINGS), trace))
    results = simulated(trace, start_up_seconds(seen))
    times, _, ready = np.array(seen).T
    there = results.series("ready", times)
    steps = list(zip(times.round(1).tolist(), ready.tolist(), there.tolist(), strict=True))
    changes = [after for before, after in pairwise(steps) if before[1:] != after[1:]]
    assert ready.max() == there.max() == 6
    assert ready[-1] == there[-1] == 0
    assert np.abs(ready - there).mean() <= MOST_APART, f"at, real, simulated: {changes}"
