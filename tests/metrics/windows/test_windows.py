"""Both windows together: reports one by one, the choice of series, no data."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.windows.windows import CONCURRENCY, REQUESTS, Windows
from tests.oracles import NaiveWindow

START = 1_700_000_000
ALL = slice(0, 3)


def make() -> Windows:
    windows = Windows(64, 16, 3)
    for column in range(3):
        windows.configure(column, 10, 4, weighted=False)
    return windows


def test_both_windows_take_the_same_reports() -> None:
    windows = make()
    for second in range(10):
        windows.add(0, START + second, concurrency=second, requests=0)
    seen = windows.observe(ALL, START + 9)
    assert seen.stable[0] == 4.5
    assert seen.panic[0] == 7.5


def test_no_report_is_no_data_and_not_no_load() -> None:
    windows = make()
    windows.add(0, START, 0, 0)
    assert windows.observe(ALL, START).valid.tolist() == [True, False, False]


def test_silence_reads_as_no_load_where_nothing_is_scraped() -> None:
    windows = make()
    windows.choose(1, CONCURRENCY, empty_is_zero=True)
    seen = windows.observe(ALL, START)
    assert seen.valid.tolist() == [False, True, False]
    assert seen.stable[1] == seen.panic[1] == 0


@pytest.mark.parametrize(
    ("series", "expected"), [(CONCURRENCY, 2.0), (REQUESTS, 30.0)], ids=["concurrency", "rps"]
)
def test_a_revision_is_read_by_its_metric(series: int, expected: float) -> None:
    windows = make()
    windows.choose(1, series, empty_is_zero=False)
    windows.add(1, START, 2.0, 30.0)
    assert windows.observe(ALL, START).stable[1] == expected


def test_another_metric_finds_what_was_reported_before() -> None:
    windows = make()
    windows.add(1, START, 2.0, 30.0)
    assert windows.observe(ALL, START).stable[1] == 2.0
    windows.choose(1, REQUESTS, empty_is_zero=False)
    assert windows.observe(ALL, START + 1).stable[1] == 30.0


def test_a_cleared_column_has_no_data() -> None:
    windows = make()
    for column in range(3):
        windows.add(column, START, 1, 1)
    windows.clear(1)
    assert windows.observe(ALL, START).valid.tolist() == [True, False, True]


def test_a_released_column_starts_empty_again() -> None:
    windows = make()
    windows.add(1, START, 1, 1)
    windows.release(1)
    windows.configure(1, 10, 4, weighted=True)
    assert not windows.observe(ALL, START).valid[1]


reports = st.lists(
    st.tuples(
        st.integers(0, 2), st.integers(-15, 2), st.integers(0, 1000).map(lambda n: n / 10), st.booleans()
    ),
    max_size=80,
)


@given(reports)
def test_reports_one_by_one_are_the_windows_of_each_revision(
    happenings: list[tuple[int, int, float, bool]],
) -> None:
    """Late and repeated reports, several seconds between two readings."""
    windows = make()
    stable = [NaiveWindow(10) for _ in range(3)]
    panic = [NaiveWindow(4) for _ in range(3)]
    now = START
    for column, offset, value, read in happenings:
        now += max(0, offset)
        windows.add(column, now + min(0, offset), value, 2 * value)
        stable[column].record(now + min(0, offset), value)
        panic[column].record(now + min(0, offset), value)
        if read:
            seen = windows.observe(ALL, now)
            for one in range(3):
                assert seen.stable[one] == pytest.approx(stable[one].average(now), abs=1e-6)
                assert seen.panic[one] == pytest.approx(panic[one].average(now), abs=1e-6)
                assert seen.valid[one] == (not stable[one].empty(now))
    windows.check_valid()


@given(reports)
def test_reports_one_by_one_and_a_second_at_once_are_the_same(
    happenings: list[tuple[int, int, float, bool]],
) -> None:
    one_by_one, at_once = make(), make()
    for second, (_, _, value, _) in enumerate(happenings, start=START):
        for column in range(3):
            one_by_one.add(column, second, value, column)
        at_once.record(ALL, second, np.array([[value] * 3, [0.0, 1.0, 2.0]]))
    now = START + len(happenings)
    assert one_by_one.observe(ALL, now).stable.tolist() == at_once.observe(ALL, now).stable.tolist()
