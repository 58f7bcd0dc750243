"""One window's arithmetic, case by case; interleavings are left to the properties."""

import numpy as np
import pytest

from metrics.windows.averages import round6, smoothing
from metrics.windows.ring import Buckets

START = 1_700_000_000
ONE = np.array([0])


def make(window: float = 5, weighted: bool = False, slots: int = 64) -> Buckets:
    buckets = Buckets(slots, 1, 1)
    buckets.configure(0, window, weighted)
    return buckets


def write(buckets: Buckets, offset: int, value: float) -> None:
    buckets.record(ONE, START + offset, np.array([[value]]))


def average(buckets: Buckets, offset: float) -> float:
    return float(buckets.average(ONE, START + offset, 0)[0])


def test_a_first_value_alone_gives_itself() -> None:
    buckets = make()
    write(buckets, 0, 7)
    assert average(buckets, 0) == 7


def test_reports_of_one_second_add_up() -> None:
    buckets = make()
    write(buckets, 0, 1)
    write(buckets, 0, 2)
    assert average(buckets, 0) == 3


def test_a_reading_before_the_last_write_reads_as_of_that_write() -> None:
    buckets = make()
    write(buckets, 3, 4)
    assert average(buckets, 1) == 4


def test_seconds_without_a_report_count_as_zero() -> None:
    buckets = make()
    write(buckets, 0, 6)
    write(buckets, 2, 6)
    assert average(buckets, 2) == 4


@pytest.mark.parametrize(
    ("offset", "expected"),
    [(4, 3), (5, 3.5), (6, 4), (7, 4.5), (8, 5), (9, 0), (100, 0)],
)
def test_a_silent_window_averages_what_is_left_of_it(offset: int, expected: float) -> None:
    buckets = make()
    for second in range(5):
        write(buckets, second, second + 1)
    assert average(buckets, offset) == expected


@pytest.mark.parametrize(("offset", "is_empty"), [(4, False), (5, False), (5.9, False), (6, True)])
def test_a_window_is_empty_when_more_than_its_length_has_passed(offset: float, is_empty: bool) -> None:
    buckets = make()
    write(buckets, 0, 1)
    assert bool(buckets.empty(ONE, START + offset)[0]) is is_empty


def test_a_window_never_written_is_empty() -> None:
    assert bool(make().empty(ONE, START)[0])


@pytest.mark.parametrize(("late", "expected"), [(5, 10 / 1), (6, 30 / 5), (9, 30 / 2), (10, 30.0)])
def test_a_late_report_counts_unless_it_is_a_window_old(late: int, expected: float) -> None:
    buckets = make()
    write(buckets, 10, 10)
    write(buckets, late, 20)
    assert average(buckets, 10) == expected


@pytest.mark.parametrize(("gap", "expected"), [(4, (1 + 9) / 5), (5, 9.0), (50, 9.0)])
def test_a_gap_of_a_whole_window_begins_anew(gap: int, expected: float) -> None:
    buckets = make()
    write(buckets, 0, 1)
    write(buckets, gap, 9)
    assert average(buckets, gap) == expected


def test_values_leave_with_their_second() -> None:
    buckets = make(window=3, slots=7)
    for second in range(20):
        write(buckets, second, 2**second)
        live = [2.0**at for at in range(max(0, second - 2), second + 1)]
        assert average(buckets, second) == pytest.approx(sum(live) / len(live), abs=5e-7)  # 6 decimals


def test_weights_fall_by_the_smoothing_from_the_newest_second_on() -> None:
    buckets = make(weighted=True)
    for second, value in enumerate([2, 3, 4, 5, 6]):
        write(buckets, second, value)
    steep = 1 - 0.0001 ** (1 / 5)
    expected = sum(value * steep * (1 - steep) ** age for age, value in enumerate([6, 5, 4, 3, 2]))
    assert average(buckets, 4) == pytest.approx(expected, rel=1e-12)
    assert round(average(buckets, 4), 3) == 5.812


def test_a_weighted_window_without_load_reads_exactly_zero() -> None:
    buckets = make(weighted=True)
    for second in range(20):
        write(buckets, second, 1e6 if second < 10 else 0.0)
    assert average(buckets, 19) == 0.0


@pytest.mark.parametrize(("slots", "expected"), [(60, 0.2), (180, 0.2), (6, 1 - 0.0001 ** (1 / 6))])
def test_smoothing_has_a_least_value(slots: int, expected: float) -> None:
    assert smoothing(slots) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("value", "rounded"),
    [
        (3.6e-17, 0.0),
        (-3.6e-17, 0.0),
        (0.0000005, 0.000001),
        (-0.0000005, -0.000001),
        (0.0000004999, 0.0),
        (2.5, 2.5),
        (1e9 + 1e-7, 1e9),
    ],
)
def test_rounding_is_half_away_from_zero(value: float, rounded: float) -> None:
    assert round6(np.array([value]))[0] == rounded


@pytest.mark.parametrize("window", [0, 0.0, 65])
def test_a_window_that_does_not_fit_is_refused(window: float) -> None:
    with pytest.raises(ValueError, match=r"window must be within 1 s and 64 s"):
        make(window)


def test_growing_keeps_the_data_and_counts_the_old_window_as_full() -> None:
    buckets = make(window=5)
    write(buckets, 0, 10)
    history = buckets.history_for_resize(0, START + 1)
    buckets.configure(0, 10, weighted=False)
    buckets.restore(0, history)
    assert average(buckets, 0) == 10 / 5


def test_shrinking_keeps_the_newest() -> None:
    buckets = make(window=5)
    for second in range(5):
        write(buckets, second, second)
    history = buckets.history_for_resize(0, START + 4)
    buckets.configure(0, 2, weighted=False)
    buckets.restore(0, history)
    assert average(buckets, 4) == (3 + 4) / 2


def test_stale_data_does_not_survive_a_resize() -> None:
    buckets = make(window=5)
    write(buckets, 0, 10)
    history = buckets.history_for_resize(0, START + 6)
    buckets.configure(0, 60, weighted=False)
    buckets.restore(0, history)
    assert bool(buckets.empty(ONE, START + 6)[0])


def test_rounding_errors_of_a_large_load_do_not_outlive_it() -> None:
    buckets = make(window=60)
    for second in range(3000):
        write(buckets, second, 1e15 / 3 if second < 100 else 0.001)
        buckets.correct_totals(START + second, 1)
    assert average(buckets, 2999) == 0.001
