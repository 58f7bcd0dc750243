"""Maxima over the last steps, case by case and against a plain list."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scaler.rules.sliding_max import SlidingMax

START = 850_000_001


def record(window: SlidingMax, step: int, value: float, steps: int) -> float:
    return float(window.record(np.array([0]), START + step, np.array([value]), np.array([steps]))[0])


def test_a_value_holds_for_its_window_and_no_longer() -> None:
    window = SlidingMax(1, 8)
    assert [record(window, step, value, 3) for step, value in enumerate([9, 1, 2, 3, 0, 0, 0])] == [
        9, 9, 9, 3, 3, 3, 0,
    ]  # fmt: skip


def test_the_larger_value_of_one_step_counts() -> None:
    window = SlidingMax(1, 8)
    record(window, 0, 5, 1)
    assert record(window, 0, 3, 1) == 5
    assert record(window, 1, 3, 1) == 3


def test_skipped_steps_still_let_values_fall_out() -> None:
    window = SlidingMax(1, 8)
    record(window, 0, 9, 4)
    assert record(window, 3, 1, 4) == 9
    assert record(window, 4, 1, 4) == 1


def test_a_longer_window_finds_older_values() -> None:
    window = SlidingMax(1, 8)
    for step, value in enumerate([9, 1, 1]):
        assert record(window, step, value, 1) == value
    window.search_again(0)
    assert record(window, 3, 1, 4) == 9


def test_what_a_column_holds_can_be_moved() -> None:
    window, other = SlidingMax(1, 4), SlidingMax(1, 50)
    record(window, 0, 9, 4)
    record(window, 1, 2, 4)
    other.restore(0, window.extract(0))
    assert record(other, 3, 1, 4) == 9
    assert record(other, 4, 1, 4) == 2


def test_values_of_a_future_that_the_clock_took_back_do_not_count() -> None:
    window = SlidingMax(1, 8)
    record(window, 5, 9, 4)
    assert record(window, 3, 1, 4) == 1


@given(
    st.lists(
        st.tuples(
            st.integers(0, 4),
            st.lists(st.integers(0, 50), min_size=3, max_size=3),
            st.sets(st.integers(0, 2), min_size=1),
        ),
        max_size=40,
    ),
    st.lists(st.integers(1, 9), min_size=3, max_size=3),
)
def test_columns_are_the_maxima_of_their_own_last_steps(
    happenings: list[tuple[int, list[int], set[int]]], lengths: list[int]
) -> None:
    window = SlidingMax(3, 9)
    written: list[dict[int, int]] = [{}, {}, {}]
    step = START
    for skip, values, chosen in happenings:
        step += skip
        columns = np.array(sorted(chosen))
        size = np.array([lengths[column] for column in columns])
        got = window.record(columns, step, np.array([float(values[column]) for column in columns]), size)
        for place, column in enumerate(columns):
            mine = written[column]
            mine[step] = max(values[column], mine.get(step, 0))
            expected = max(value for at, value in mine.items() if at > step - lengths[column])
            assert got[place] == expected


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 5), st.none() | st.integers(1, 9), st.booleans()),
        max_size=40,
    )
)
def test_windows_that_change_and_columns_that_move_lose_nothing(
    happenings: list[tuple[int, int, int | None, bool]],
) -> None:
    window, steps, step = SlidingMax(1, 9), 4, START
    written: dict[int, int] = {}
    for skip, value, other_steps, moves in happenings:
        step += skip
        if other_steps is not None:
            steps = other_steps
            window.search_again(0)
        if moves:
            other = SlidingMax(1, 9)
            other.restore(0, window.extract(0))
            window = other
        written[step] = max(value, written.get(step, 0))
        expected = max(value for at, value in written.items() if at > step - steps)
        assert record(window, step - START, value, steps) == expected
