"""What is kept of a run.

Covered: taking samples from the API's answer, sums over time, zero, steps, seconds, percentiles.
"""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpa.demo.history import Sample, ServiceHistory, percentiles, take_sample
from kpa.web.api.api import FleetResponse
from tests.kpa.controller.status_samples import sample as status


def history(*samples: Sample) -> ServiceHistory:
    made = ServiceHistory()
    for sample in samples:
        made.add(sample)
    return made


def story(*ready: int, mode: str = "stable") -> ServiceHistory:
    """One sample a second; what is ready runs and is requested."""
    samples = (Sample(float(at), ready=n, pods=n, requested=n, mode=mode) for at, n in enumerate(ready))
    return history(*samples)


def test_a_sample_is_taken_from_the_named_service() -> None:
    fleet = FleetResponse(1340.0, "inference", (status(service="other"), status(service="cart")))
    assert take_sample(fleet, "cart", at=2.5, in_flight=7, sent=9) == Sample(
        at=2.5,
        in_flight=7,
        sent=9,
        recommended=5,
        requested=4,
        ready=2,
        pods=8,
        stable=12.5,
        panic=40.25,
        target=7.0,
        mode="panic",
        next_what="scale to zero",
        next_in=10.0,
    )


def test_a_service_that_is_not_there_is_a_lookup_error() -> None:
    with pytest.raises(LookupError, match="no revision of service 'model'"):
        take_sample(FleetResponse(0.0, "inference", (status(),)), "model", 0, 0, 0)


def test_nothing_seen_is_nothing_spent_and_not_zero_replicas() -> None:
    empty = ServiceHistory()
    assert (empty.length, empty.replica_seconds, empty.panic_seconds, empty.peak_ready) == (0, 0, 0, 0)
    assert not empty.is_at_zero
    assert empty.seconds(3) == [None, None, None]


def test_replicas_are_paid_from_sample_to_sample_ready_or_not() -> None:
    run = history(Sample(0.0, pods=2, ready=1), Sample(0.5, pods=4, ready=4), Sample(3.0, pods=0))
    assert run.replica_seconds == 2 * 0.5 + 4 * 2.5


def test_panic_is_counted_from_sample_to_sample() -> None:
    run = history(Sample(0.0, mode="panic"), Sample(2.0, mode="stable"), Sample(5.0, mode="panic"))
    assert run.panic_seconds == 2


@given(st.lists(st.integers(0, 9), min_size=1))
def test_what_is_paid_lies_between_nothing_and_the_peak_all_the_time(ready: list[int]) -> None:
    run = story(*ready)
    assert 0 <= run.replica_seconds <= run.peak_ready * run.length


@pytest.mark.parametrize(
    ("last", "at_zero"),
    [
        (Sample(1.0, requested=0), True),
        (Sample(1.0, requested=-1), True),
        (Sample(1.0, requested=0, pods=1), False),
        (Sample(1.0, requested=1), False),
    ],
    ids=["nothing requested", "nothing known", "one still stops", "one is requested"],
)
def test_zero_is_nothing_running_and_nothing_requested(last: Sample, at_zero: bool) -> None:
    assert history(last).is_at_zero is at_zero


@pytest.mark.parametrize(
    ("ready", "success"),
    [([0, 3, 0], True), ([0, 0], False), ([0, 3, 1], False), ([1, 3, 0], False)],
    ids=["up and down", "never up", "not down", "not from zero"],
)
def test_a_success_goes_from_zero_up_and_back(ready: list[int], success: bool) -> None:
    assert story(*ready).went_up_and_down is success


def test_steps_are_the_changes_of_ready_replicas() -> None:
    assert story(0, 0, 1, 1, 3, 0).steps() == [(0, 0), (2, 1), (4, 3), (5, 0)]


def test_seconds_are_the_last_samples_of_the_newest_whole_seconds() -> None:
    early, late, now = Sample(1.1), Sample(1.6), Sample(3.2)
    assert history(early, late, now).seconds(4) == [None, late, None, now]


@given(st.lists(st.floats(0, 100), min_size=1), st.floats(0.01, 1))
def test_a_percentile_is_a_value_that_enough_values_do_not_exceed(values: list[float], share: float) -> None:
    (value,) = percentiles(values, (share,))
    assert value in values
    assert sum(other <= value for other in values) >= share * len(values) - 1e-9
    assert sum(other < value for other in values) < share * len(values) + 1e-9


def test_percentiles_of_nothing_are_nan() -> None:
    assert all(math.isnan(value) for value in percentiles([]))
