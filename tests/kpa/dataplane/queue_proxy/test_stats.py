"""Load of one replica, second by second.

Covered: the integrals, arrivals, proxied requests, the state before the first report, clocks that go back;
all of it against a naive sum over requests.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpa.dataplane.queue_proxy.stats import RequestStats
from metrics.stat import Stat

REQUEST = st.tuples(st.integers(0, 3000), st.integers(0, 3000), st.booleans())
"""Arrival and duration in milliseconds, and whether an activator passed it on."""


def test_before_the_first_report_all_values_are_zero() -> None:
    stats = RequestStats("pod", now=100.0)
    stats.arrive(100.0, proxied=True)
    assert stats.latest == Stat("pod")


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], (0.0, 0.0, 0, 0)),
        ([(0.0, "in")], (1.0, 0.0, 1, 0)),
        ([(0.0, "in"), (0.5, "out")], (0.5, 0.0, 1, 0)),
        ([(0.0, "in"), (0.0, "out")], (0.0, 0.0, 1, 0)),
        ([(0.25, "in"), (0.5, "in"), (0.75, "out")], (1.0, 0.0, 2, 0)),
        ([(0.0, "proxied in"), (0.5, "proxied out")], (0.5, 0.5, 1, 1)),
        ([(0.0, "in"), (0.5, "proxied in")], (1.5, 0.5, 2, 1)),
        ([(0.5, "in"), (0.2, "in"), (0.7, "out")], (0.7, 0.0, 2, 0)),
    ],
    ids=[
        "idle",
        "whole second",
        "half",
        "no time",
        "overlapping",
        "proxied",
        "both kinds",
        "clock goes back",
    ],
)
def test_a_report_averages_over_its_second(
    events: list[tuple[float, str]], expected: tuple[float, float, int, int]
) -> None:
    stats = RequestStats("pod", now=0.0)
    for now, event in events:
        move = stats.arrive if event.endswith("in") else stats.leave
        move(now, proxied=event.startswith("proxied"))
    assert stats.report(1.0)[1:5] == pytest.approx(expected)
    assert stats.latest.process_uptime == 1.0


def test_long_requests_count_in_every_second_but_arrive_once() -> None:
    stats = RequestStats("pod", now=0.0)
    stats.arrive(0.5, proxied=False)
    reports = [stats.report(float(second)) for second in range(1, 5)]
    stats.leave(4.25, proxied=False)
    reports.append(stats.report(5.0))
    assert [report.average_concurrent_requests for report in reports] == [0.5, 1.0, 1.0, 1.0, 0.25]
    assert [report.request_count for report in reports] == [1, 0, 0, 0, 0]


def test_a_late_report_averages_over_the_time_that_has_passed() -> None:
    stats = RequestStats("pod", now=0.0)
    stats.arrive(0.0, proxied=False)
    stats.leave(1.0, proxied=False)
    assert stats.report(2.0).average_concurrent_requests == 0.5


def test_a_report_without_time_is_zero() -> None:
    stats = RequestStats("pod", now=0.0)
    stats.arrive(0.0, proxied=False)
    assert stats.report(0.0)[1:5] == (0.0, 0.0, 1.0, 0.0)


@given(st.lists(REQUEST, max_size=30))
def test_reports_equal_a_sum_over_requests(requests: list[tuple[int, int, bool]]) -> None:
    stats, reports = RequestStats("pod", now=0.0), list[Stat]()
    events = [(start, 1, proxied) for start, _, proxied in requests]
    events += [(start + length, 2, proxied) for start, length, proxied in requests]
    events += [(1000 * second, 0, False) for second in range(1, 7)]
    for at, kind, proxied in sorted(events):
        if kind == 0:
            reports.append(stats.report(at / 1000))
        elif kind == 1:
            stats.arrive(at / 1000, proxied=proxied)
        else:
            stats.leave(at / 1000, proxied=proxied)
    for second, report in enumerate(reports):
        low, high = 1000 * second, 1000 * (second + 1)
        time = [max(0, min(start + length, high) - max(start, low)) for start, length, _ in requests]
        came = [low <= start < high for start, _, _ in requests]
        proxied_ = [proxied for _, _, proxied in requests]
        assert report.average_concurrent_requests == pytest.approx(sum(time) / 1000, abs=1e-9)
        assert report.average_proxied_concurrent_requests == pytest.approx(
            sum(one for one, proxied in zip(time, proxied_, strict=True) if proxied) / 1000, abs=1e-9
        )
        assert report.request_count == sum(came)
        assert report.proxied_request_count == sum(
            one for one, proxied in zip(came, proxied_, strict=True) if proxied
        )
    assert stats.in_flight == 0
