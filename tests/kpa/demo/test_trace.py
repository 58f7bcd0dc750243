"""Traces as values.

Covered: order, phases and load of the built-in trace, compression, delay, cut.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpa.demo.trace import SERVICE_SECONDS, Arrival, ArrivalTrace, Phase, TracePart, builtin_trace

TRACE = ArrivalTrace(
    "three", (Arrival(0, 4), Arrival(30, 2), Arrival(60, 1)), (Phase(0, "a"), Phase(30, "b"))
)


def test_the_builtin_trace_is_the_same_every_time_and_in_order() -> None:
    trace = builtin_trace()
    assert trace == builtin_trace()
    times = [arrival.at for arrival in trace.arrivals]
    assert times == sorted(times)


def test_the_builtin_trace_starts_and_nearly_ends_with_nothing() -> None:
    trace = builtin_trace()
    assert trace.arrivals[0].at >= 5
    last, before = trace.arrivals[-1].at, trace.arrivals[-2].at
    assert last - before > 30  # longer than the way to zero, so the last request is a cold start


def test_the_builtin_trace_fits_a_run_of_two_to_three_minutes() -> None:
    assert 110 <= builtin_trace().length <= 140


def test_service_times_spread_around_their_average() -> None:
    services = [arrival.service for arrival in builtin_trace().arrivals]
    assert sum(services) / len(services) == pytest.approx(SERVICE_SECONDS, rel=0.01)
    assert min(services) >= 0.6 * SERVICE_SECONDS
    assert max(services) <= 1.4 * SERVICE_SECONDS


@given(st.floats(0, 50), st.floats(0, 50), st.floats(0.1, 20))
def test_a_stretch_has_as_many_arrivals_as_its_rates_say(rate: float, end_rate: float, length: float) -> None:
    last = TracePart("end", 1, 1, 1)
    trace = builtin_trace([TracePart("stretch", length, rate, end_rate), last])
    *within, end = trace.arrivals
    assert len(within) == int((rate + end_rate) / 2 * length)
    assert all(0 <= arrival.at <= length * (1 + 1e-9) for arrival in within)
    assert end.at == length


def test_a_ramp_gets_denser() -> None:
    arrivals = builtin_trace([TracePart("ramp", 10, 0, 20)]).arrivals
    assert sum(arrival.at < 5 for arrival in arrivals) == 25  # a quarter of 100
    assert len(arrivals) == 100


def test_speed_compresses_arrivals_work_and_phases() -> None:
    assert TRACE.sped_up(10) == ArrivalTrace(
        "three, 10 times as fast",
        (Arrival(0, 0.4), Arrival(3, 0.2), Arrival(6, 0.1)),
        (Phase(0, "a"), Phase(3, "b")),
    )


@given(st.floats(0.1, 1000))
def test_speed_leaves_the_requests_in_flight_alone(speed: float) -> None:
    fast = TRACE.sped_up(speed)
    load = sum(arrival.service for arrival in TRACE.arrivals) / TRACE.length
    assert sum(arrival.service for arrival in fast.arrivals) / fast.length == pytest.approx(load)


def test_a_delay_moves_everything() -> None:
    delayed = TRACE.delayed(5)
    assert delayed.arrivals == (Arrival(5, 4), Arrival(35, 2), Arrival(65, 1))
    assert delayed.phases == (Phase(5, "a"), Phase(35, "b"))


@pytest.mark.parametrize(("seconds", "kept"), [(0, 1), (29.9, 1), (30, 2), (100, 3)])
def test_a_cut_keeps_what_arrives_by_then(seconds: float, kept: int) -> None:
    assert TRACE.first(seconds).arrivals == TRACE.arrivals[:kept]


def test_a_cut_before_the_first_arrival_keeps_that_one() -> None:
    assert TRACE.delayed(10).first(1).arrivals == (Arrival(10, 4),)


@pytest.mark.parametrize(("at", "name"), [(0, "a"), (29.9, "a"), (30, "b"), (60, "b"), (60.1, "")])
def test_a_phase_lasts_until_the_next_one(at: float, name: str) -> None:
    assert TRACE.phase(at) == name


@pytest.mark.parametrize(("at", "name"), [(-1, "a"), (0, "b"), (29.9, "b")])
def test_the_coming_phase_is_the_next_one(at: float, name: str) -> None:
    phase = TRACE.coming(at)
    assert phase
    assert phase.name == name


def test_after_the_last_phase_none_comes() -> None:
    assert TRACE.coming(30) is None


def test_a_trace_without_phases_names_none() -> None:
    assert ArrivalTrace("plain", (Arrival(0, 1),)).phase(0) == ""
