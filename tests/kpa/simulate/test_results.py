"""Numbers of a simulation from its arrays.

Covered: counts, percentiles, integrals over states, series, requests in flight.
"""

import numpy as np
import pytest

from kpa.simulate.recorder import PodState
from kpa.simulate.results import Percentiles, Results, percentiles

NAN = np.nan
RESULTS = Results(
    length=10.0,
    arrived=np.array([0.0, 1.0, 2.0, 3.0, 4.0]),
    begun=np.array([0.0, 2.0, NAN, 3.0, NAN]),
    ended=np.array([1.0, 4.0, 2.0, 8.0, NAN]),
    status=np.array([200, 200, 503, 504, 0], np.int16),
    cold=np.array([True, False, False, False, False]),
    states=(
        PodState(0.0, -1, 1, 1, False, True),
        PodState(4.0, 3, 1, 3, True, True),
        PodState(6.0, 3, 3, 3, True, False),
        PodState(8.0, 1, 1, 2, False, False),
    ),
    scalings=(4.0, 8.0),
)


def test_a_summary_counts_what_became_of_the_requests() -> None:
    told = RESULTS.summary()
    assert (told.requests, told.answered, told.rejected, told.timed_out, told.in_flight) == (5, 2, 1, 1, 1)
    assert (told.cold_starts, told.scalings, told.most_ready) == (1, 2, 3)
    assert told.queue == Percentiles(0.0, 1.0, 1.0)
    assert told.latency == Percentiles(1.0, 3.0, 3.0)


def test_a_summary_adds_up_what_had_to_be_paid() -> None:
    told = RESULTS.summary()
    assert told.replica_minutes == pytest.approx((4 * 1 + 2 * 3 + 2 * 3 + 2 * 2) / 60)
    assert told.panic_seconds == pytest.approx(4.0)
    assert told.mean_ready == pytest.approx((4 + 2 + 6 + 2) / 10)


def test_an_integral_may_be_of_a_part() -> None:
    assert RESULTS.integral("ready", 3.0, 7.0) == pytest.approx(1 + 2 + 3)


def test_a_series_holds_until_the_next_state() -> None:
    assert RESULTS.series("requested", np.array([0.0, 3.9, 4.0, 7.9, 20.0])).tolist() == [-1, -1, 3, 3, 1]


def test_requests_are_in_flight_from_their_arrival_to_their_end() -> None:
    times = np.array([0.5, 1.5, 2.5, 3.5, 5.0, 9.0])
    assert RESULTS.in_flight(times).tolist() == [1, 1, 1, 2, 2, 1]


def test_without_requests_there_are_no_percentiles() -> None:
    assert np.isnan(percentiles(np.array([]))).all()
