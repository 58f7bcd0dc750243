"""The fleet as a whole: coming, going and changing revisions, pokes, what a tick reports."""

from dataclasses import replace

import pytest

from scaler.engine.engine import Engine
from tests.strategies import PLAIN

START = 1_700_000_000.0


def engine_with(*keys: str, ready_pods: int = 1, columns: int = 4) -> Engine:
    engine = Engine(block_columns=columns)
    for key in keys:
        engine.add(key, PLAIN, START, ready_pods)
    return engine


def load(engine: Engine, key: str, concurrency: float, seconds: range) -> None:
    for second in seconds:
        engine.record(key, int(START) + second, concurrency, 0.0)


def test_nothing_is_desired_before_there_is_data() -> None:
    engine = engine_with("a")
    assert engine.tick(START) == []
    decision = engine.decision("a")
    assert (decision.valid, decision.recommended) == (False, -1)


@pytest.mark.parametrize(
    ("target_burst_capacity", "excess"), [(0.0, 0), (-1.0, -1), (15.0, 10 - 15), (42.5, -32)]
)
def test_the_excess_before_the_first_decision_is_that_of_the_initial_scale(
    target_burst_capacity: float, excess: int
) -> None:
    engine = Engine()
    engine.add("a", replace(PLAIN, target_burst_capacity=target_burst_capacity), START)
    assert engine.decision("a").excess == excess


def test_a_tick_reports_those_whose_answer_changed() -> None:
    engine = engine_with("a", "b", "c")
    for key, concurrency in (("a", 7.0), ("b", 70.0)):
        load(engine, key, concurrency, range(10))
    assert set(engine.tick(START + 9)) == {"a", "b"}
    assert engine.decision("b").recommended == 10
    load(engine, "a", 7.0, range(10, 12))
    load(engine, "b", 140.0, range(10, 12))
    assert engine.tick(START + 11) == ["b"]


def test_a_tick_reports_an_excess_that_changed_its_sign() -> None:
    engine = Engine()
    engine.add("a", replace(PLAIN, target_burst_capacity=5.0), START, ready_pods=1)
    load(engine, "a", 4.0, range(10))
    engine.tick(START + 9)
    assert engine.decision("a").excess == 10 - 5 - 4
    load(engine, "a", 6.9, range(10, 20))
    assert engine.tick(START + 19) == ["a"]
    assert engine.decision("a").recommended == 1


def test_some_can_be_decided_on_alone() -> None:
    engine = engine_with("a", "b")
    for key in ("a", "b"):
        load(engine, key, 70.0, range(10))
    assert engine.tick(START + 9, ["a", "unknown", "a"]) == ["a"]
    assert engine.decision("b").recommended == -1


def test_load_at_zero_asks_for_a_decision_at_once() -> None:
    engine = engine_with("a", ready_pods=0)
    load(engine, "a", 0.0, range(60))
    engine.tick(START + 59)
    assert engine.decision("a").recommended == 0
    assert not engine.record("a", int(START) + 60, 0.0, 1.0)
    assert engine.record("a", int(START) + 61, 1.0, 1.0)
    engine.tick(START + 61, ["a"])
    assert engine.decision("a").recommended == 1
    assert not engine.record("a", int(START) + 62, 1.0, 1.0)


def test_a_report_on_an_unknown_revision_is_dropped() -> None:
    assert not engine_with("a").record("b", int(START), 1.0, 1.0)


def test_a_removed_revision_leaves_nothing_to_its_successor() -> None:
    engine = engine_with("a", "b")
    load(engine, "a", 700.0, range(10))
    engine.tick(START + 9)
    engine.remove("a")
    engine.remove("a")
    engine.add("c", PLAIN, START + 10, ready_pods=1)
    assert "a" not in engine
    assert engine.tick(START + 10) == []
    assert engine.decision("c").recommended == -1
    engine.check_valid()


@pytest.mark.parametrize(
    ("pods_before", "memory"),
    [
        (40, {"scale_down_delay": 600.0}),
        (40, {"scale_rate_period": 40.0, "max_scale_down_rate": 2.0}),
        (1, {"scale_rate_period": 40.0, "max_scale_up_rate": 2.0}),
    ],
    ids=["answers held by the delay", "most ready pods", "fewest ready pods"],
)
def test_a_recycled_column_remembers_nothing_of_the_revision_before(
    pods_before: int, memory: dict[str, float]
) -> None:
    """With the memory of the old revision, the new one would get 40, 20 and 5 pods."""
    engine = Engine(block_columns=1)
    engine.add("old", replace(PLAIN, **memory), START, pods_before)
    load(engine, "old", 7.0 * pods_before, range(10))
    engine.tick(START + 9)
    assert engine.decision("old").recommended == pods_before
    engine.remove("old")
    engine.add("new", replace(PLAIN, **memory), START + 10, ready_pods=5)
    load(engine, "new", 70.0, range(10, 20))
    engine.tick(START + 19)
    assert engine.decision("new").recommended == 10


def test_a_revision_cannot_be_added_twice() -> None:
    with pytest.raises(ValueError, match="revision a is in the fleet already"):
        engine_with("a", "a")


def test_a_window_beyond_an_hour_is_refused() -> None:
    with pytest.raises(ValueError, match=r"stable-window must be at most 3600, not 3601"):
        Engine().add("a", replace(PLAIN, stable_window=3601.0), START)


def test_a_fleet_beyond_one_block_is_one_fleet() -> None:
    keys = [f"r{number}" for number in range(11)]
    engine = engine_with(*keys, columns=4)
    for number, key in enumerate(keys):
        load(engine, key, 7.0 * number, range(10))
    engine.tick(START + 9)
    assert [engine.decision(key).recommended for key in keys] == list(range(11))
    assert len(engine) == 11


def test_more_than_one_ready_pod_begins_in_panic_and_is_held() -> None:
    engine = engine_with("a", ready_pods=5)
    load(engine, "a", 0.0, range(62))
    engine.tick(START + 60)
    assert engine.decision("a").panic_since == START
    assert engine.decision("a").recommended == 5
    engine.tick(START + 61)
    assert engine.decision("a").panic_since is None
    assert engine.decision("a").recommended == 2


def test_data_that_is_no_longer_true_keeps_the_answer() -> None:
    engine = engine_with("a", ready_pods=1)
    load(engine, "a", 70.0, range(10))
    engine.tick(START + 9)
    engine.forget_data("a")
    assert engine.tick(START + 11) == []
    decision = engine.decision("a")
    assert (decision.valid, decision.recommended) == (False, 10)


def test_a_changed_window_keeps_its_newest_data_and_the_decider_its_memory() -> None:
    engine = engine_with("a", ready_pods=5)
    load(engine, "a", 70.0, range(60))
    engine.tick(START + 59)
    engine.update("a", replace(PLAIN, stable_window=30.0, panic_window=3.0), START + 60)
    engine.tick(START + 60)
    decision = engine.decision("a")
    assert decision.stable == 70.0
    assert decision.panic_since is not None
    engine.check_valid()


@pytest.mark.parametrize("window", [30.0, 65.0, 3600.0], ids=["same ring", "longer ring", "longest ring"])
def test_windows_of_any_length_are_moved_with_their_data(window: float) -> None:
    engine = engine_with("a", "b")
    load(engine, "a", 70.0, range(60))
    load(engine, "b", 7.0, range(60))
    engine.update("a", replace(PLAIN, stable_window=window), START + 59)
    engine.tick(START + 59)
    assert engine.decision("a").stable == 70.0
    assert engine.decision("b").stable == 7.0


def test_another_algorithm_reads_the_same_data() -> None:
    engine = engine_with("a")
    load(engine, "a", 70.0, range(60))
    engine.update("a", replace(PLAIN, aggregation="weighted-exponential"), START + 59)
    engine.tick(START + 59)
    assert engine.decision("a").stable == pytest.approx(70.0 * (1 - 0.8**60), rel=1e-9)


ABRUPT = replace(PLAIN, max_scale_down_rate=1000.0, panic_threshold=1e9)
"""Nothing but the delay holds the scale."""


@pytest.mark.parametrize("before", [0.0, 10.0], ids=["no delay before", "a shorter one before"])
def test_a_longer_delay_holds_from_the_next_decision_on(before: float) -> None:
    """The peer fixes the delay when the decider is created."""
    engine = Engine()
    engine.add("a", replace(ABRUPT, scale_down_delay=before), START, ready_pods=1)
    load(engine, "a", 70.0, range(60))
    engine.tick(START + 59)
    engine.update("a", replace(ABRUPT, scale_down_delay=100.0), START + 59)
    load(engine, "a", 0.0, range(60, 200))
    decided = {}
    for second in range(61, 171, 2):
        engine.tick(START + second)
        decided[second] = engine.decision("a").recommended
    assert decided[157] == 10
    assert decided[161] < 10


def test_a_shorter_delay_lets_go_at_the_next_decision() -> None:
    engine = Engine()
    delayed = replace(ABRUPT, scale_down_delay=600.0)
    engine.add("a", delayed, START, ready_pods=1)
    load(engine, "a", 70.0, range(60))
    engine.tick(START + 59)
    load(engine, "a", 0.0, range(60, 130))
    engine.tick(START + 129)
    assert engine.decision("a").recommended == 10
    engine.update("a", replace(delayed, scale_down_delay=0.0), START + 130)
    engine.tick(START + 130)
    assert engine.decision("a").recommended == 0


@pytest.mark.parametrize(("hold", "recommended"), [(True, 1), (False, 0)])
def test_a_pod_that_served_before_us_is_held_until_the_windows_know_enough(
    hold: bool, recommended: int
) -> None:
    engine = Engine()
    engine.add("a", PLAIN, START, ready_pods=1, hold=hold)
    load(engine, "a", 0.0, range(62))
    engine.tick(START + 59)
    assert engine.decision("a").recommended == recommended
    engine.tick(START + 61)
    assert engine.decision("a").recommended == 0
