"""Candidates as one fleet against the same candidates simulated one by one.

Covered: replica-minutes, queue times and latencies of candidates from everywhere, their order, the way to
zero and back, candidates that do not touch each other.

Both models cannot agree on all: a burst near the panic threshold is one in the one and none in the other, as
it would be with another seed. So a few candidates differ by a tenth, and medians and order are compared.
"""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from config.autoscaler import AutoscalerConfig
from config.resolve import resolve
from kpa.simulate.distributions import TimeDistribution
from kpa.simulate.load import Load
from kpa.simulate.scenario import Scenario
from kpa.tune.exact import Part, simulate_exactly
from kpa.tune.fleet import CandidateFleet, FleetFigures
from kpa.tune.knobs import Candidate
from tests.kpa.simulate.scenarios import phases
from tests.kpa.tune.loads import candidates, slow_starter, waves

pytestmark = pytest.mark.timeout(300)  # they compute all the time

WARM_UP, REPLICAS = 60.0, 3


def stepped(load: Load, scenario: Scenario, some: Sequence[Candidate]) -> FleetFigures:
    settings = [resolve(one.config, {}, scenario.container_concurrency) for one in some]
    return CandidateFleet(load, scenario, settings, 2.0, REPLICAS, WARM_UP).run(lambda seconds: None)


def one_by_one(load: Load, scenario: Scenario, some: Sequence[Candidate]) -> dict[str, NDArray[np.float64]]:
    part = Part(WARM_UP, load.length)
    told = [simulate_exactly(one, load, scenario, REPLICAS, [part])[0] for one in some]
    return {name: np.array([one[name] for one in told]) for name in told[0]}


def ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Places in order; equal values share theirs."""
    ordered = np.sort(values)
    below, above = (np.searchsorted(ordered, values, side=side) for side in ("left", "right"))
    return (below + above) / 2


def rank_correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(np.corrcoef(ranks(one), ranks(other))[0, 1])


@pytest.fixture(scope="module")
def compared() -> tuple[FleetFigures, dict[str, NDArray[np.float64]]]:
    """20 candidates in both models."""
    load, scenario = waves(), slow_starter()
    some = candidates(18, load)
    return stepped(load, scenario, some), one_by_one(load, scenario, some)


def test_both_models_agree_on_replica_minutes(
    compared: tuple[FleetFigures, dict[str, NDArray[np.float64]]],
) -> None:
    fleet, exact = compared
    apart = np.abs(fleet.replica_minutes - exact["replica-minutes"]) / exact["replica-minutes"]
    assert np.median(apart) < 0.02
    assert rank_correlation(fleet.replica_minutes, exact["replica-minutes"]) > 0.85


@pytest.mark.parametrize("fraction", [0.5, 0.95, 0.99])
def test_both_models_agree_on_queue_time_and_latency(
    compared: tuple[FleetFigures, dict[str, NDArray[np.float64]]], fraction: float
) -> None:
    fleet, exact = compared
    name = f"p{fraction * 100:.0f}"
    for found, expected in (
        (fleet.queue(fraction), exact[f"queue-{name}"]),
        (fleet.latency(fraction), exact[name]),
    ):
        assert np.median(np.abs(found - expected) / np.maximum(expected, 0.25)) < 0.1


def test_both_models_put_the_candidates_into_the_same_order(
    compared: tuple[FleetFigures, dict[str, NDArray[np.float64]]],
) -> None:
    fleet, exact = compared
    assert rank_correlation(fleet.queue(0.95), exact["queue-p95"]) > 0.95
    assert rank_correlation(fleet.queue(0.99), exact["queue-p99"]) > 0.95


def test_the_way_to_zero_and_back_costs_the_same_in_both() -> None:
    load = phases("hold 3 2m, idle 4m, hold 3 1m, idle 6m, burst 10 30s, idle 5m", TimeDistribution(0.5))
    scenario = slow_starter()
    settings = [
        {
            "scale-to-zero-grace-period": grace,
            "scale-to-zero-pod-retention-period": retention,
            "stable-window": window,
        }
        for grace in ("10s", "1m")
        for retention in ("0s", "90s")
        for window in ("20s", "1m")
    ]
    some = [
        Candidate("", data, AutoscalerConfig.from_config_map({"defaults": "knative", **data}))
        for data in settings
    ]
    fleet = stepped(load, scenario, some)
    exact = one_by_one(load, scenario, some)
    np.testing.assert_allclose(fleet.replica_minutes, exact["replica-minutes"], rtol=0.1)
    # All go to zero, and 20 s of 3 or 10 a second find them there.
    assert exact["cold-starts"].min() > 50
    np.testing.assert_allclose(fleet.cold_starts, exact["cold-starts"], rtol=0.15)


def test_a_candidate_is_the_same_alone_and_among_others() -> None:
    load, scenario = waves(), slow_starter()
    some = candidates(6, load)
    together = stepped(load, scenario, some)
    for number, one in enumerate(some):
        alone = stepped(load, scenario, [one])
        assert alone.replica_minutes[0] == pytest.approx(together.replica_minutes[number], rel=1e-9)
        np.testing.assert_array_equal(alone.waits[:, 0], together.waits[:, number])


def test_without_a_limit_of_concurrency_a_ready_pod_takes_all() -> None:
    load = phases("hold 5 3m", TimeDistribution(0.5))
    fleet = stepped(load, Scenario(start_up=TimeDistribution(1.0)), candidates(3, load))
    assert fleet.queue(0.99).tolist() == [0.0] * len(fleet.replica_minutes)
