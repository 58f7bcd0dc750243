"""Aspects: every item has one round a second, and each round a second of its own, however late the loop is.

Left out: how evenly items are spread once many were removed.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.sampling.schedule import Schedule


def _schedule(items: int) -> Schedule[int]:
    schedule: Schedule[int] = Schedule()
    for item in range(items):
        schedule.add(item)
    return schedule


def test_items_are_spread_over_the_first_half_of_the_second() -> None:
    schedule = _schedule(100)
    schedule.advance(999.995)
    begins = [len(schedule.advance(1000 + slot / 100)) for slot in range(100)]
    assert begins == [2] * 50 + [0] * 50


def test_few_items_need_few_places() -> None:
    schedule: Schedule[int] = Schedule(per_second=10, used=3, crowd=4)
    schedule.advance(999.95)
    counts = []
    for item in range(16):
        schedule.add(item)
        due = [len(schedule.advance(1000 + item + slot / 10)) for slot in range(10)]
        counts.append(due[:3])
    assert counts[3] == [4, 0, 0]
    assert counts[4] == [4, 1, 0]
    assert counts[11] == [4, 4, 4]
    assert counts[12:] == [[5, 4, 4], [5, 5, 4], [5, 5, 5], [6, 5, 5]]


def test_a_round_belongs_to_the_second_of_its_place() -> None:
    schedule = _schedule(2)
    schedule.advance(999.995)
    assert schedule.advance(1000.005) == [(1000, 0)]
    assert schedule.advance(1000.015) == [(1000, 1)]
    assert schedule.advance(1000.999) == []
    assert schedule.advance(1001.0) == [(1001, 0)]


def test_rounds_that_are_300_ms_late_keep_their_second() -> None:
    schedule = _schedule(50)
    schedule.advance(999.995)
    assert schedule.advance(1000.305) == [(1000, item) for item in range(31)]
    late, on_time = [(1000, item) for item in range(31, 50)], [(1001, item) for item in range(11)]
    assert schedule.advance(1001.1) == late + on_time


def test_after_a_stall_of_seconds_each_item_has_one_round() -> None:
    schedule = _schedule(50)
    schedule.advance(1000.25)
    due = schedule.advance(1005.25)
    assert sorted(item for _, item in due) == list(range(50))
    assert {second for second, item in due if item <= 25} == {1005}
    assert {second for second, item in due if item > 25} == {1004}


def test_nothing_is_due_while_a_small_step_back_is_waited_out() -> None:
    schedule = _schedule(50)
    schedule.advance(1000.495)
    assert not schedule.restart_if_stepped_back(1000.0)
    assert schedule.advance(1000.0) == []
    assert schedule.advance(1000.6) == []
    assert len(schedule.advance(1001.5)) == 50


def test_a_large_step_back_begins_anew() -> None:
    schedule = _schedule(1)
    schedule.advance(1000.0)
    assert schedule.restart_if_stepped_back(990.0)
    assert schedule.advance(990.0) == [(990, 0)]


def test_the_next_place_with_items_is_known() -> None:
    schedule = _schedule(0)
    assert schedule.next_due() is None
    schedule.advance(1000.005)
    assert schedule.next_due() is None
    schedule.add(1)
    schedule.add(2)
    assert schedule.next_due() == 1000.01
    schedule.advance(1000.01)
    assert schedule.next_due() == 1001.0
    schedule.remove(1)
    assert schedule.next_due() == 1001.01


def test_a_removed_item_is_due_no_more() -> None:
    schedule = _schedule(2)
    schedule.advance(999.99)
    schedule.remove(0)
    assert schedule.advance(1000.99) == [(1000, 1)]
    with pytest.raises(KeyError):
        schedule.remove(0)


@given(
    items=st.integers(1, 120),
    start=st.floats(1e9, 2e9),
    pauses=st.lists(st.floats(0.0, 0.99), min_size=1, max_size=60),
)
def test_no_second_is_doubled_or_skipped_while_the_loop_is_less_than_a_second_late(
    items: int, start: float, pauses: list[float]
) -> None:
    schedule = _schedule(items)
    seconds: dict[int, list[int]] = {item: [] for item in range(items)}
    now = start
    for pause in [0.0, *pauses]:
        now += pause
        for second, item in schedule.advance(now):
            seconds[item].append(second)
            assert now - 2 < second <= now
    for of_item in seconds.values():
        assert of_item == list(range(of_item[0], of_item[-1] + 1)) if of_item else now - start < 1.01
        assert len(of_item) >= int(now - start - 0.02)


@given(
    items=st.integers(1, 60),
    pauses=st.lists(st.floats(-0.5, 20.0), min_size=1, max_size=40),
)
def test_no_second_is_doubled_and_no_item_due_twice_at_once_whatever_the_clock_does(
    items: int, pauses: list[float]
) -> None:
    schedule = _schedule(items)
    last = dict.fromkeys(range(items), 0)
    now = 1e9
    for pause in pauses:
        now += pause
        due = schedule.advance(now)
        assert len({item for _, item in due}) == len(due)
        for second, item in due:
            assert second > last[item]
            last[item] = second
