"""Aspects: which seconds are recorded under both policies, through outages, stalls and clock steps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.key import Key
from metrics.sampling.gap_filling import GapFiller, MissingStats
from metrics.stat import Stat

KEY = Key("default", "hello")


class Log:
    def __init__(self, policy: MissingStats = "hold", panic_window: float = 6.0) -> None:
        self.events: list[tuple[int, float] | str] = []
        self.gap_filler = GapFiller(KEY, self._record, lambda key: self.events.append("forget"))
        self.gap_filler.configure(policy, panic_window)

    def _record(self, key: Key, stat: Stat, second: int) -> None:
        assert key == KEY
        assert stat.timestamp == second
        self.events.append((second, stat.average_concurrent_requests))

    def succeed(self, second: int, value: float) -> None:
        self.gap_filler.succeed(second, Stat("service-scraper", value, timestamp=second))

    def fail(self, *seconds: int) -> None:
        for second in seconds:
            self.gap_filler.fail(second)


def test_fresh_values_are_recorded_in_their_seconds() -> None:
    log = Log()
    log.succeed(100, 1.0)
    log.succeed(101, 2.0)
    assert log.events == [(100, 1.0), (101, 2.0)]


def test_a_value_is_held_for_one_panic_window_then_the_data_is_forgotten_once() -> None:
    log = Log(panic_window=3.0)
    log.succeed(100, 5.0)
    log.fail(101, 102, 103)
    assert log.events == [(100, 5.0), (101, 5.0), (102, 5.0), (103, 5.0)]
    log.fail(104, 105, 106)
    assert log.events[4:] == ["forget"]
    log.succeed(107, 7.0)
    log.fail(108)
    assert log.events[5:] == [(107, 7.0), (108, 7.0)]


def test_without_a_first_success_there_is_nothing_to_hold_or_forget() -> None:
    log = Log()
    log.fail(*range(100, 120))
    assert log.events == []


def test_scaled_to_zero_is_no_outage() -> None:
    log = Log()
    log.succeed(100, 5.0)
    log.gap_filler.scaled_to_zero()
    log.fail(*range(101, 120))
    log.succeed(120, 1.0)
    assert log.events == [(100, 5.0), (120, 1.0)]


@pytest.mark.parametrize("outcome", ["success", "failure"])
def test_seconds_without_a_round_are_filled_with_the_held_value(outcome: str) -> None:
    log = Log()
    log.succeed(100, 5.0)
    if outcome == "success":
        log.succeed(103, 8.0)
    else:
        log.fail(103)
    last = 8.0 if outcome == "success" else 5.0
    assert log.events == [(100, 5.0), (101, 5.0), (102, 5.0), (103, last)]


@pytest.mark.parametrize(
    ("second", "forgotten"), [(107, False), (108, True)], ids=["6 s missed", "7 s missed"]
)
def test_a_stall_longer_than_the_panic_window_begins_anew(second: int, forgotten: bool) -> None:
    log = Log(panic_window=6.0)
    log.succeed(100, 5.0)
    log.succeed(second, 8.0)
    assert ("forget" in log.events) is forgotten
    assert log.events[-1] == (second, 8.0)
    assert len(log.events) == (3 if forgotten else 8)


def test_under_zero_a_missing_second_stays_empty() -> None:
    log = Log("zero")
    log.succeed(100, 5.0)
    log.fail(*range(101, 130))
    log.succeed(130, 6.0)
    assert log.events == [(100, 5.0), (130, 6.0)]


def test_a_change_of_policy_counts_from_the_next_round() -> None:
    log = Log("hold")
    log.succeed(100, 5.0)
    log.gap_filler.configure("zero", 6.0)
    log.fail(101)
    log.succeed(102, 5.0)
    log.gap_filler.configure("hold", 6.0)
    log.fail(103)
    log.succeed(104, 6.0)
    log.fail(105)
    assert log.events == [(100, 5.0), (102, 5.0), (104, 6.0), (105, 6.0)]


@pytest.mark.parametrize("policy", ["hold", "zero"])
def test_a_clock_set_back_forgets_the_future(policy: MissingStats) -> None:
    log = Log(policy)
    log.gap_filler.clock_set_back()
    log.succeed(100, 5.0)
    log.gap_filler.clock_set_back()
    log.gap_filler.clock_set_back()
    log.fail(50)
    log.succeed(51, 6.0)
    assert log.events == [(100, 5.0), "forget", (51, 6.0)]


def _expected(outcomes: list[float | None], longest: int) -> list[tuple[int, float] | str]:
    """Spell the rule out second by second."""
    events: list[tuple[int, float] | str] = []
    value, age = None, 0
    for second, outcome in enumerate(outcomes, start=1):
        age = 0 if outcome is not None else age + 1
        value = outcome if outcome is not None else value
        if value is not None and age <= longest:
            events.append((second, value))
        elif value is not None:
            events.append("forget")
            value = None
    return events


@given(
    outcomes=st.lists(st.one_of(st.none(), st.integers(0, 9).map(float)), max_size=60),
    longest=st.integers(1, 8),
)
def test_any_sequence_of_rounds_follows_the_rule(outcomes: list[float | None], longest: int) -> None:
    log = Log(panic_window=float(longest))
    for second, outcome in enumerate(outcomes, start=1):
        if outcome is None:
            log.fail(second)
        else:
            log.succeed(second, outcome)
    assert log.events == _expected(outcomes, longest)


@given(
    rounds=st.lists(st.tuples(st.integers(0, 12), st.booleans()), max_size=40),
    policy=st.sampled_from(["hold", "zero"]),
)
def test_no_second_is_recorded_twice_whatever_comes(
    rounds: list[tuple[int, bool]], policy: MissingStats
) -> None:
    log = Log(policy)
    second = 100
    for step, success in rounds:
        second += step
        if success:
            log.succeed(second, 1.0)
        else:
            log.fail(second)
    recorded = [event[0] for event in log.events if event != "forget"]
    assert recorded == sorted(set(recorded))
