"""Queues of many candidates in steps of time.

Covered: waits against an exact queue of the same places, requests in flight, places that change, shares of a
step, what is still queued at the end, requests that are not counted, bins and quantiles.
"""

import heapq

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kpa.simulate.load import Load
from kpa.tune.queues import BINS, Queues, bin_of, quantiles, step_for

BIN = 2 ** (1 / 16)
"""Ratio of two neighbouring bins."""


def poisson(rate: float, seconds: float, work: float, seed: int = 1) -> Load:
    random = np.random.default_rng(seed)
    arrivals = np.sort(random.uniform(0, seconds, int(rate * seconds)))
    return Load("x", arrivals, random.exponential(work, len(arrivals)), seconds)


def exact_waits(load: Load, places: int) -> NDArray[np.float64]:
    """Waits of a queue with so many places, first come first served."""
    free = [0.0] * places
    waits = []
    for at, work in zip(load.arrivals.tolist(), load.service.tolist(), strict=True):
        begin = max(at, heapq.heappop(free))
        heapq.heappush(free, begin + work)
        waits.append(begin - at)
    return np.array(waits)


def play(
    load: Load, places: list[int], step: float, counted_from: float = 0.0
) -> tuple[Queues, list[NDArray[np.float64]]]:
    queues = Queues(load, len(places), step, counted_from, longest=300.0)
    flying = [queues.advance(index, np.array(places)) for index in range(queues.steps)]
    queues.give_up(load.length)
    return queues, flying


@pytest.mark.parametrize("places", [4, 5, 8, 50])
@pytest.mark.parametrize("fraction", [0.5, 0.95, 0.99])
def test_waits_are_those_of_an_exact_queue(places: int, fraction: float) -> None:
    load = poisson(rate=3.0, seconds=2000.0, work=1.2)
    queues, _ = play(load, [places], step_for(load))
    expected = np.quantile(exact_waits(load, places), fraction, method="inverted_cdf")
    found = quantiles(queues.waits, fraction)[0]
    assert found == pytest.approx(expected, rel=BIN - 1 + 0.04, abs=step_for(load))


@settings(max_examples=30)
@given(st.integers(0, 1000), st.sampled_from([0.1, 0.5, 1.0]), st.floats(0.01, 3.0))
def test_every_request_is_counted_once(seed: int, step: float, work: float) -> None:
    load = poisson(rate=2.0, seconds=60.0, work=work, seed=seed)
    queues, _ = play(load, [0, 1, 3, 100], step)
    assert queues.waits.sum(axis=0).tolist() == [len(load.arrivals)] * 4
    assert queues.latencies.sum(axis=0).tolist() == [len(load.arrivals)] * 4
    assert queues.cold.tolist() == [len(load.arrivals), 0, 0, 0]


@settings(max_examples=30)
@given(st.integers(0, 1000), st.sampled_from([0.1, 0.5, 1.0]), st.floats(0.01, 3.0))
def test_with_room_for_all_the_requests_in_flight_are_exact(seed: int, step: float, work: float) -> None:
    load = poisson(rate=2.0, seconds=60.0, work=work, seed=seed)
    _, flying = play(load, [1000], step)
    edges = np.arange(len(flying) + 1) * step
    ends = load.arrivals + load.service
    for index, value in enumerate(flying):
        overlap = np.minimum(ends, edges[index + 1]) - np.maximum(load.arrivals, edges[index])
        assert value[0] == pytest.approx(np.maximum(overlap, 0.0).sum() / step, abs=1e-6)


@pytest.mark.parametrize("places", [2, 4])
def test_queued_requests_are_in_flight_too(places: int) -> None:
    load = poisson(rate=3.0, seconds=500.0, work=1.0)
    waits = exact_waits(load, places)
    _, flying = play(load, [places], 0.25)
    ends = np.minimum(load.arrivals + waits + load.service, 500.0)
    expected = (ends - load.arrivals).sum() / 500.0
    assert np.mean(flying) == pytest.approx(expected, rel=0.03)  # queued work begins up to half a step off


def test_places_that_come_and_go_are_followed() -> None:
    load = Load("x", np.array([0.0] * 4), np.array([1.0] * 4), 20.0)
    queues = Queues(load, 1, 1.0, 0.0, 300.0)
    flying = [float(queues.advance(index, np.array([2 if index >= 5 else 0]))[0]) for index in range(10)]
    assert flying == [4, 4, 4, 4, 4, 4, pytest.approx(3.0, abs=0.6), pytest.approx(1.0, abs=0.6), 0, 0]


def test_queued_work_that_ends_within_a_step_leaves_it_then() -> None:
    load = Load("x", np.zeros(4), np.full(4, 0.2), 5.0)
    queues = Queues(load, 1, 1.0, 0.0, 300.0)
    flying = [float(queues.advance(index, np.array([1]))[0]) for index in range(3)]
    assert flying[0] == pytest.approx(4 - 0.3 - 0.05)  # two begin at 0.5 and 0.75, a third at 0.875 goes on
    assert flying[2] == 0


def test_requests_of_the_warm_up_are_served_and_not_counted() -> None:
    load = poisson(rate=3.0, seconds=100.0, work=1.0)
    queues, _ = play(load, [5], 0.25, counted_from=50.0)
    assert queues.waits.sum() == (load.arrivals >= 50.0).sum()


def test_work_ends_at_the_time_out() -> None:
    load = Load("x", np.array([0.0]), np.array([1e6]), 20.0)
    queues = Queues(load, 1, 1.0, 0.0, longest=5.0)
    flying = [float(queues.advance(index, np.array([1]))[0]) for index in range(8)]
    assert flying == [1, 1, 1, 1, 1, 0, 0, 0]


@given(st.floats(1e-3, 1e4))
def test_a_bin_is_four_percent_wide(seconds: float) -> None:
    counts = np.zeros((BINS, 1), np.int64)
    counts[bin_of(np.array([seconds]))[0], 0] = 1
    assert seconds * (1 - 1e-9) <= max(quantiles(counts, 0.99)[0], 1e-3) <= seconds * BIN * (1 + 1e-9)


def test_no_wait_is_no_wait() -> None:
    assert bin_of(np.array([0.0]))[0] == 0
    counts = np.zeros((BINS, 1), np.int64)
    counts[0] = 5
    assert quantiles(counts, 0.99)[0] == 0.0


@pytest.mark.parametrize(("work", "step"), [(0.05, 0.1), (0.4, 0.1), (1.0, 0.25), (3.0, 0.5), (60.0, 1.0)])
def test_steps_are_whole_parts_of_a_second(work: float, step: float) -> None:
    assert step_for(Load("x", np.array([0.0]), np.array([work]), 1.0)) == pytest.approx(step)
