"""What holds for every simulation, whatever the load and the settings.

Covered: no request is lost or counted twice, times are in order, replica-minutes are the pods' lives,
capacity and bounds are kept, the same seed gives the same. Slow per example, hence few of them.
"""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kpa.simulate.distributions import TimeDistribution
from kpa.simulate.load import Load
from kpa.simulate.model import Model, simulate
from kpa.simulate.results import Results
from kpa.simulate.scenario import Scenario
from tests.kpa.simulate.scenarios import scenario

MOST = 6


@st.composite
def loads(draw: st.DrawFn) -> Load:
    """Some hundred requests with gaps, bursts and zero-length work."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    gaps = random.exponential(1.0, draw(st.integers(1, 300))) * random.choice(
        [0.0, 0.2, 20.0], p=[0.3, 0.65, 0.05]
    )
    arrivals = np.cumsum(gaps)
    work = random.exponential(draw(st.sampled_from([0.0, 0.3, 5.0])), len(gaps))
    return Load(
        "drawn", arrivals, work, float(arrivals[-1]) + draw(st.sampled_from([0.0, 30.0, 200.0])) + 1e-3
    )


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    window = draw(st.sampled_from(["6s", "30s"]))
    texts = {
        "stable-window": window,
        "scale-down-delay": draw(st.sampled_from(["0s", "20s"])),
        "scale-to-zero-grace-period": "3s",
        "max-scale": str(MOST),
        "target-burst-capacity": draw(st.sampled_from(["-1", "0", "7", "211"])),
        "missing-stats": draw(st.sampled_from(["hold", "zero"])),
    }
    return scenario(
        texts,
        container_concurrency=draw(st.sampled_from([0, 1, 3])),
        start_up=draw(
            st.sampled_from(
                [TimeDistribution(0.0), TimeDistribution(4.0), TimeDistribution(5.0, "exponential")]
            )
        ),
        drain=draw(st.sampled_from([0.0, 8.0])),
        timeout=draw(st.sampled_from([5.0, 300.0])),
        replicas=draw(st.sampled_from([None, 0, 3])),
        seed=draw(st.integers(0, 3)),
    )


def most_at_work(results: Results) -> int:
    """Most requests that were worked on at once."""
    begun = results.begun[~np.isnan(results.begun)]
    ended = results.ended[~np.isnan(results.begun) & ~np.isnan(results.ended)]
    at = np.concatenate((ended, begun))
    step = np.concatenate((-np.ones(len(ended)), np.ones(len(begun))))
    return int(np.cumsum(step[np.argsort(at, kind="stable")]).max(initial=0.0))


@settings(max_examples=60)
@given(loads(), scenarios())
def test_every_request_has_one_outcome_and_its_times_are_in_order(load: Load, given: Scenario) -> None:
    results = simulate(load, given)
    told = results.summary()
    assert told.requests == len(load.arrivals)
    assert told.requests == told.answered + told.rejected + told.timed_out + told.in_flight
    assert np.isnan(results.ended[results.status == 0]).all()
    answered = results.status == 200
    assert (results.begun[answered] >= results.arrived[answered]).all()
    np.testing.assert_allclose((results.ended - results.begun)[answered], load.service[answered], atol=1e-6)
    latest = results.arrived + given.timeout
    assert (results.ended[~np.isnan(results.ended)] <= latest[~np.isnan(results.ended)] + 1e-6).all()


@settings(max_examples=40)
@given(loads(), scenarios())
def test_pods_keep_their_bounds_and_their_capacity(load: Load, given: Scenario) -> None:
    results = simulate(load, given)
    assert all(0 <= state.ready <= state.pods for state in results.states)
    assert all(state.ready <= MOST and state.requested <= MOST for state in results.states)
    if given.container_concurrency:
        most = max(state.pods for state in results.states) * given.container_concurrency
        assert most_at_work(results) <= most


@settings(max_examples=40)
@given(loads(), scenarios())
def test_replica_minutes_are_the_lives_of_all_pods(load: Load, given: Scenario) -> None:
    results = simulate(load, given)
    fine = np.linspace(0.0, load.length, 20_001)[:-1] + load.length / 40_000
    by_sampling = results.series("pods", fine).mean() * load.length / 60
    step = load.length / 20_000 / 60
    assert abs(results.summary().replica_minutes - by_sampling) <= 2 * step * (len(results.states) + 1) * MOST


@settings(max_examples=20)
@given(loads(), scenarios())
def test_the_same_seed_gives_the_same_simulation(load: Load, given: Scenario) -> None:
    one, same = simulate(load, given), simulate(load, given)
    assert one.states == same.states
    for name in ("begun", "ended", "status", "cold"):
        np.testing.assert_array_equal(getattr(one, name), getattr(same, name))


@settings(max_examples=20)
@given(loads(), scenarios())
def test_what_the_activator_counts_is_what_is_in_flight(load: Load, given: Scenario) -> None:
    model = Model(load, given, lambda seconds: None)
    results = model.run()
    model.traffic.load.check_valid()
    proxied = np.array(model.requests.proxied)
    assert (
        model.traffic.load.in_flight()
        == (proxied & (results.status == 0) & (results.arrived <= load.length)).sum()
    )
