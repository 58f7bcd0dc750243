"""Loads and candidates that tests of the tuner share."""

import numpy as np

from config.autoscaler import AutoscalerConfig
from kpa.simulate.distributions import TimeDistribution
from kpa.simulate.load import Load, Reading, read_load
from kpa.simulate.scenario import Scenario
from kpa.tune.knobs import Candidate, knobs_for, make_candidate
from kpa.tune.search import latin_hypercube

WAVE = "hold 4 30s, ramp 4..12 20s, hold 12 30s, ramp 12..4 20s"


def waves(seed: int = 1, times: int = 3) -> Load:
    """A load that goes up and comes down some times, within 100 seconds each."""
    return read_load(
        ", ".join([WAVE] * times), Reading(service=TimeDistribution(1.5, "lognormal", 0.6)), seed
    )


def slow_starter(**values: object) -> Scenario:
    """A service whose pods take a while to start."""
    return Scenario(container_concurrency=4, start_up=TimeDistribution(20.0), **values)  # type: ignore[arg-type]


def candidates(count: int, load: Load, seed: int = 1) -> list[Candidate]:
    """Settings from everywhere in the space that is searched, and both profiles."""
    knobs = knobs_for([load], 4.0)
    places = latin_hypercube(count, len(knobs), np.random.default_rng(seed))
    found = [one for place in places if (one := make_candidate(knobs, {}, place)) is not None]
    profiles = [
        Candidate(name, {}, AutoscalerConfig.from_config_map({"defaults": name}))
        for name in ("inference", "knative")
    ]
    return found + profiles
