"""Times of revisions, against a dictionary that is searched as a whole; how much is kept of replaced ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpa.controller.deadlines import Deadlines
from metrics.key import Key

A, B, C = (Key("default", name) for name in "abc")


def test_nobody_is_due_at_first() -> None:
    deadlines = Deadlines()
    assert deadlines.earliest() is None
    assert deadlines.take_due(1e12) == []


@pytest.mark.parametrize(("now", "due"), [(9.9, []), (10.0, [A]), (20.0, [A, B])])
def test_those_whose_time_has_come_are_due_the_earliest_first(now: float, due: list[Key]) -> None:
    deadlines = Deadlines()
    deadlines.set(B, 20.0)
    deadlines.set(A, 10.0)
    deadlines.set(C, 30.0)
    assert deadlines.take_due(now) == due


def test_a_revision_is_due_once() -> None:
    deadlines = Deadlines()
    deadlines.set(A, 10.0)
    assert deadlines.take_due(10.0) == [A]
    assert deadlines.take_due(10.0) == []


@pytest.mark.parametrize("times", [(10.0, 20.0), (20.0, 10.0), (5.0, 20.0, 5.0)])
def test_another_time_replaces_the_one_before(times: tuple[float, ...]) -> None:
    deadlines = Deadlines()
    for at in times:
        deadlines.set(A, at)
    assert deadlines.earliest() == times[-1]
    assert deadlines.take_due(100.0) == [A]
    assert deadlines.take_due(100.0) == []


def test_a_revision_without_a_time_is_never_due() -> None:
    deadlines = Deadlines()
    deadlines.set(A, 10.0)
    deadlines.set(A, None)
    deadlines.set(B, None)
    assert deadlines.earliest() is None
    assert deadlines.take_due(100.0) == []


def test_replaced_times_do_not_pile_up() -> None:
    deadlines = Deadlines()
    for number in range(10_000):
        deadlines.set(A, 1e9 + number)
    assert len(deadlines._heap) < 100
    assert deadlines.earliest() == 1e9 + 9999


moves = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.sampled_from([A, B, C]), st.one_of(st.none(), st.integers(0, 20))),
        st.tuples(st.just("take"), st.none(), st.integers(0, 20)),
    ),
    max_size=200,
)


@given(moves)
def test_they_equal_a_dictionary(moves: list[tuple[str, Key | None, int | None]]) -> None:
    deadlines, oracle = Deadlines(), dict[Key, int]()
    for verb, key, at in moves:
        if verb == "take":
            assert at is not None
            due = {one for one, time in oracle.items() if time <= at}
            taken = deadlines.take_due(at)
            assert len(taken) == len(due)
            assert set(taken) == due
            oracle = {one: time for one, time in oracle.items() if one not in due}
        else:
            assert key is not None
            deadlines.set(key, at)
            oracle.pop(key, None)
            if at is not None:
                oracle[key] = at
        assert deadlines.earliest() == min(oracle.values(), default=None)
