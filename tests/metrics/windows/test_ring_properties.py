"""Any interleaving of reports, readings and resizes over a fleet, against one dictionary a revision."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.windows.ring import Buckets
from tests.oracles import NaiveWindow

SLOTS = 16
START = 1_700_000_003
FLEET = 4

sizes = st.lists(st.tuples(st.integers(1, SLOTS), st.booleans()), min_size=FLEET, max_size=FLEET)
alike = st.tuples(st.integers(1, SLOTS), st.booleans()).map(lambda one: [one] * FLEET)
some = st.lists(st.integers(0, FLEET - 1), min_size=1, max_size=FLEET, unique=True)
values = st.floats(-50, 1000).map(lambda value: round(value, 4))
events = st.lists(
    st.one_of(
        st.tuples(st.just("record"), st.integers(-20, 3), some, values),
        st.tuples(st.just("record all"), st.just(1), st.just([]), values),
        st.tuples(st.just("pass"), st.integers(0, 2 * SLOTS), st.just([]), values),
        st.tuples(st.just("resize"), st.integers(1, SLOTS), some, values),
        st.tuples(st.just("clear"), st.just(0), some, values),
    ),
    max_size=60,
)


def resize(buckets: Buckets, column: int, window: int, weighted: bool, now: float) -> None:
    history = buckets.history_for_resize(column, now)
    buckets.configure(column, window, weighted)
    buckets.restore(column, history)


def check(buckets: Buckets, naive: list[NaiveWindow], now: float) -> None:
    means = buckets.average(slice(0, FLEET), now, 0)
    others = buckets.average(np.arange(FLEET), now, np.array([0, 1, 0, 1], np.int8))
    for column, window in enumerate(naive):
        expected = window.average(now)
        assert means[column] == pytest.approx(expected, abs=1e-6)
        assert others[column] == pytest.approx(expected * (1 + column % 2), abs=2e-6)
        assert bool(buckets.empty(slice(0, FLEET), now)[column]) == window.empty(now)
    buckets.check_valid()


def pair(value: float, columns: int) -> np.ndarray:
    """The second series is twice the first, so that the choice of series is seen."""
    return np.array([[value], [2 * value]]) * np.ones(columns)


def happen(
    buckets: Buckets, naive: list[NaiveWindow], event: tuple[str, int, list[int], float], now: int
) -> int:
    """Let one event happen to both; returns the time after it."""
    what, number, columns, value = event
    if what == "record all":
        buckets.record(slice(0, FLEET), now + number, pair(value, FLEET))
        for window in naive:
            window.record(now + number, value)
    elif what == "record":
        buckets.record(np.array(columns), now + number, pair(value, len(columns)))
    for column in columns if what != "pass" else ():
        if what == "record":
            naive[column].record(now + number, value)
        elif what == "resize" and number != naive[column].window:
            resize(buckets, column, number, naive[column].weighted, now)
            naive[column].resize(number, now)
        elif what == "clear":
            buckets.clear(column)
            naive[column] = NaiveWindow(naive[column].window, naive[column].weighted)
    return now + number if what in ("pass", "record all") else now


@given(st.one_of(sizes, alike), events)
def test_a_fleet_reads_as_its_revisions_would_alone(
    shapes: list[tuple[int, bool]], happenings: list[tuple[str, int, list[int], float]]
) -> None:
    buckets = Buckets(SLOTS, 2, FLEET)
    naive = [NaiveWindow(window, weighted) for window, weighted in shapes]
    for column, (window, weighted) in enumerate(shapes):
        buckets.configure(column, window, weighted)
    now = START
    for event in happenings:
        now = happen(buckets, naive, event, now)
        buckets.correct_totals(now, FLEET)
        check(buckets, naive, now + 0.7)


@given(st.lists(st.tuples(st.integers(0, 30), st.floats(0, 100)), min_size=1, max_size=40))
def test_an_average_lies_between_nothing_and_the_largest_second(reports: list[tuple[int, float]]) -> None:
    buckets = Buckets(SLOTS, 1, 1)
    buckets.configure(0, 10, weighted=False)
    sums: dict[int, float] = {}
    for offset, value in sorted(reports):
        buckets.record(np.array([0]), START + offset, np.array([[value]]))
        sums[offset] = sums.get(offset, 0.0) + value
    mean = float(buckets.average(np.array([0]), START + max(sums), 0)[0])
    assert -1e-6 <= mean <= max(sums.values()) + 1e-6
