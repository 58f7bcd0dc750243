"""The model of one service: stories told step by step, and queueing theory where it has an answer.

Covered: from zero and back, retention, panic, bounds, both paths of requests and where each waits,
rejections, time-outs, draining, sampling of many pods, start-up times, known mean waits. Left out: the
decisions themselves (tests of the engine); the model against real processes (tests/e2e/test_simulated).
"""

import math

import numpy as np
import pytest

from kpa.simulate.distributions import TimeDistribution
from kpa.simulate.load import Load
from kpa.simulate.model import simulate
from kpa.simulate.results import Results
from tests.kpa.simulate.scenarios import phases, scenario

FIXED = {"min-scale": 1, "max-scale": 1}
IN_PATH, PAST = {"target-burst-capacity": -1}, {"target-burst-capacity": 0}


def ready(results: Results, at: float) -> int:
    return int(results.series("ready", np.array([at]))[0])


def at_once(count: int, at: float = 10.0, service: float = 1.0, length: float = 60.0) -> Load:
    """Requests that come at the same time."""
    return Load("at once", np.full(count, at), np.full(count, service), length)


def test_a_request_to_zero_waits_for_the_first_pod() -> None:
    results = simulate(at_once(1), scenario(replicas=0, start_up=TimeDistribution(3.0), ready_lag=0.5))
    assert results.begun.tolist() == pytest.approx([13.5])
    assert results.ended.tolist() == pytest.approx([14.5])
    assert results.summary().cold_starts == 1
    assert [ready(results, at) for at in (10.0, 13.4, 13.6)] == [0, 0, 1]


@pytest.mark.parametrize(
    ("capacity", "grace"),
    [
        pytest.param(-1, 0, id="the activator is in the path already"),
        pytest.param(0, 20, id="it must come in"),
    ],
)
def test_the_last_pod_goes_after_window_and_grace_period(capacity: int, grace: float) -> None:
    results = simulate(
        phases("hold 5 2m, idle 4m", even=True),
        scenario(
            {"stable-window": "30s", "scale-to-zero-grace-period": "20s"}, {"target-burst-capacity": capacity}
        ),
    )
    gone = next(state.at for state in results.states if state.at > 120 and state.ready == 0)
    assert gone == pytest.approx(120 + 30 + grace, abs=4)  # the load ends within a second; two ticks of 2 s
    assert results.states[-1].pods == 0


def test_the_last_pod_stays_for_the_retention_period() -> None:
    load = phases("hold 5 2m, idle 4m", even=True)
    stays = simulate(load, scenario({"scale-to-zero-pod-retention-period": "10m"}))
    goes = simulate(load, scenario({"scale-to-zero-pod-retention-period": "1m"}))
    assert (ready(stays, 359), ready(goes, 359)) == (1, 0)


def test_a_burst_starts_a_panic_that_ends_a_stable_window_later() -> None:
    results = simulate(phases("hold 6 2m, burst 40 20s, hold 3m", even=True), scenario())
    (begin,) = [
        state.at
        for state, before in zip(results.states[1:], results.states, strict=False)
        if state.panicking and not before.panicking
    ]
    assert 120 < begin < 128
    assert 60 <= results.summary().panic_seconds <= 60 + 30
    assert results.summary().most_ready >= 8  # 40 a second x 0.5 s = 20 in flight, 3.5 a pod, and what queues


@pytest.mark.parametrize("path", [IN_PATH, PAST], ids=["activator", "past it"])
def test_bounds_hold(path: dict[str, object]) -> None:
    results = simulate(
        phases("hold 5 1m, burst 100 30s, hold 2m"), scenario({}, {"min-scale": 2, "max-scale": 3, **path})
    )
    counts = {state.ready for state in results.states if state.at > 10}
    assert min(counts) == 2
    assert max(counts) == 3


def test_past_the_activator_the_queue_of_a_pod_turns_the_rest_away() -> None:
    results = simulate(at_once(80), scenario({}, FIXED | PAST))
    summary = results.summary()
    assert (summary.answered, summary.rejected) == (5 + 50, 80 - 55)  # 5 at once, ten times as many wait


def test_at_the_activator_ten_thousand_wait_and_no_more() -> None:
    load = at_once(10_010, service=0.001)
    summary = simulate(load, scenario({}, FIXED | IN_PATH)).summary()
    assert (summary.answered, summary.rejected) == (10_005, 5)


@pytest.mark.parametrize(("capacity", "proxied"), [(0, False), (-1, True), (1, False), (1000, True)])
def test_the_burst_capacity_sets_the_path(capacity: int, proxied: bool) -> None:
    results = simulate(phases("hold 2 3m"), scenario({}, {"target-burst-capacity": capacity, "min-scale": 3}))
    assert results.series("proxied", np.array([170.0]))[0] == proxied


def test_requests_that_wait_too_long_give_up() -> None:
    results = simulate(at_once(11, service=4.0), scenario({}, FIXED | IN_PATH, timeout=6.0))
    summary = results.summary()
    assert (summary.answered, summary.timed_out) == (
        5,
        6,
    )  # the next five are cut off at work, the last waits
    assert results.ended.max() == pytest.approx(16.0)


@pytest.mark.parametrize("path", [IN_PATH, PAST], ids=["activator", "queue-proxy"])
def test_requests_that_gave_up_take_nobody_s_place(path: dict[str, object]) -> None:
    results = simulate(
        Load("x", np.array([10.0] * 6 + [19.0]), np.array([10.0] * 6 + [1.0]), 60.0),
        scenario({}, FIXED | path, timeout=9.5),
    )
    assert results.summary().answered == 1
    assert results.begun[-1] == pytest.approx(19.5)


def test_requests_that_gave_up_before_any_pod_was_ready_are_not_served_later() -> None:
    results = simulate(at_once(3), scenario(replicas=0, start_up=TimeDistribution(20.0), timeout=5.0))
    assert results.ended.tolist() == [15.0] * 3
    assert np.isnan(results.begun).all()
    assert results.summary().timed_out == 3


@pytest.mark.parametrize(("work", "gone_at"), [(10.0, "drained"), (100.0, 101.0)], ids=["short", "long"])
def test_a_stopped_pod_finishes_its_requests_and_costs_until_it_has_drained(
    work: float, gone_at: float | str
) -> None:
    load = Load(
        "x", np.full(2, 1.0), np.full(2, work), 200.0
    )  # one for each of two pods; one pod could do both
    settings = {"stable-window": "6s", "container-concurrency-target-percentage": "100"}
    results = simulate(load, scenario(settings, IN_PATH, replicas=2, container_concurrency=2, drain=5.0))
    stopped = next(state.at for state in results.states if state.ready == 1)
    gone = next(state.at for state in results.states if state.pods == 1)
    assert 6.0 < stopped < 10.5
    assert gone == pytest.approx(stopped + 5.0 if gone_at == "drained" else gone_at)
    assert results.summary().answered == 2


@pytest.mark.parametrize(("replicas", "first"), [(4, 4), (None, 2)], ids=["served before", "new"])
def test_a_service_that_ran_before_keeps_its_pods_for_a_stable_window(
    replicas: int | None, first: int
) -> None:
    results = simulate(phases("hold 1 3m"), scenario({}, {"min-scale": 2}, replicas=replicas))
    assert [ready(results, at) for at in (1.0, 50.0, 120.0)] == [first, first, 2]


def test_the_load_of_many_pods_is_known_from_a_sample_of_them() -> None:
    results = simulate(phases("hold 60 5m"), scenario({}, {**PAST, "min-scale": 12, "max-scale": 30}))
    requested = results.series("requested", np.arange(60.0, 300.0))
    assert requested.min() >= 12
    assert requested.max() <= 14  # 30 in flight, 3.5 a pod: 9, and what samples of 8 of 12 stray


def test_start_up_times_vary_by_seed_only() -> None:
    load = phases("hold 30 2m")
    start_up = TimeDistribution(10.0, "exponential")
    one, same, other = (simulate(load, scenario(start_up=start_up, seed=seed)) for seed in (1, 1, 2))
    assert one.states == same.states
    np.testing.assert_array_equal(one.ended, same.ended)
    assert one.states != other.states


def erlang_c(servers: int, load: float) -> float:
    """Probability that a request must wait in M/M/c."""
    below = sum(load**k / math.factorial(k) for k in range(servers))
    full = load**servers / math.factorial(servers) * servers / (servers - load)
    return full / (below + full)


@pytest.mark.parametrize("path", [IN_PATH, PAST], ids=["activator", "queue-proxy"])
def test_one_pod_waits_as_an_m_d_1_queue(path: dict[str, object]) -> None:
    load = phases("hold 70 18m", TimeDistribution(0.01))
    results = simulate(load, scenario({}, FIXED | path, container_concurrency=1))
    waits = results.begun - results.arrived
    assert np.nanmean(waits) == pytest.approx(0.7 * 0.01 / (2 * 0.3), rel=0.05)  # Pollaczek-Khinchine


def test_several_places_wait_as_an_m_m_c_queue() -> None:
    load = phases("hold 160 18m", TimeDistribution(0.02, "exponential"))
    results = simulate(load, scenario({}, FIXED | IN_PATH, container_concurrency=4))
    waits = results.begun - results.arrived
    assert np.nanmean(waits) == pytest.approx(erlang_c(4, 3.2) * 0.02 / (4 - 3.2), rel=0.08)
