"""The last hour of a fleet, as its charts show it."""

from dataclasses import replace

import numpy as np

from scaler.engine.engine import Engine
from scaler.engine.history import INTERVAL, SLOTS, History, Times
from tests.strategies import PLAIN

START = 1_700_000_000.0


def sampled(engine: Engine, rounds: int, start: float = START) -> None:
    for round in range(rounds):
        now = start + round * INTERVAL
        engine.tick(now)
        engine.sample(now)


def test_a_sample_has_windows_pods_and_limits() -> None:
    engine = Engine(4, history=True)
    engine.add("one", PLAIN, START, ready_pods=1)
    engine.add("silent", PLAIN, START, ready_pods=3)
    engine.record("one", int(START), 7.0, 0.0)
    engine.note_requested("one", 5)
    sampled(engine, 1)
    samples, decision = engine.history("one"), engine.decision("one")
    assert samples is not None
    assert decision.trace is not None
    assert samples.at.tolist() == [START]
    assert samples.stable.tolist() == [7.0]
    assert (samples.recommended[0], samples.requested[0], samples.ready[0]) == (decision.recommended, 5, 1)
    assert (samples.lower[0], samples.upper[0]) == (decision.trace.lower, decision.trace.upper)
    silent = engine.history("silent")
    assert silent is not None
    assert np.isnan(silent.stable[0])
    assert silent.panicking.tolist() == [True]


def test_an_hour_is_kept_oldest_first() -> None:
    engine = Engine(4, history=True)
    engine.add("one", PLAIN, START)
    sampled(engine, SLOTS + 5)
    samples = engine.history("one")
    assert samples is not None
    assert samples.at.tolist() == [START + (5 + row) * INTERVAL for row in range(SLOTS)]


def test_a_revision_sees_nothing_of_the_one_whose_place_it_took() -> None:
    engine = Engine(4, history=True)
    engine.add("one", PLAIN, START, ready_pods=9)
    sampled(engine, 3)
    engine.remove("one")
    engine.add("two", PLAIN, START + 3 * INTERVAL)
    samples = engine.history("two")
    assert samples is not None
    assert len(samples.at) == 0
    sampled(engine, 1, START + 3 * INTERVAL)
    samples = engine.history("two")
    assert samples is not None
    assert samples.ready.tolist() == [0]


def test_a_revision_whose_windows_grow_keeps_its_history() -> None:
    engine = Engine(4, history=True)
    engine.add("one", replace(PLAIN, stable_window=30.0), START, ready_pods=2)
    sampled(engine, 3)
    engine.update("one", replace(PLAIN, stable_window=600.0), START + 3 * INTERVAL)
    sampled(engine, 1, START + 3 * INTERVAL)
    samples = engine.history("one")
    assert samples is not None
    assert samples.ready.tolist() == [2, 2, 2, 2]


def test_more_pods_than_a_sample_can_hold_count_as_the_most() -> None:
    engine = Engine(4, history=True)
    engine.add("one", PLAIN, START, ready_pods=100_000)
    sampled(engine, 1)
    samples = engine.history("one")
    assert samples is not None
    assert samples.ready.tolist() == [65535]


def test_a_fleet_without_a_history_has_none() -> None:
    engine = Engine(4)
    engine.add("one", PLAIN, START)
    sampled(engine, 1)
    assert engine.history("one") is None


def test_columns_keep_to_themselves_however_they_lie_in_memory() -> None:
    columns, used = 200, 130
    times = Times()
    history, other = History(columns, times), History(columns, times)
    for column in range(columns):
        history.begin(column, 900.0)
    names = ("stable", "panic", "recommended", "requested", "ready", "lower", "upper", "held")
    for step in range(3):
        times.begin_row(1000.0 + step)
        values = {name: np.arange(used) + 1000.0 * number + 200 * step for number, name in enumerate(names)}
        history.sample(used, values, np.arange(used) % 2 == step % 2)
    history.copy(129, other, 3)
    for samples, column in ((history.of(64), 64), (history.of(129), 129), (other.of(3), 129)):
        for number, name in enumerate(names):
            expected = [column + 1000.0 * number + 200 * step for step in range(3)]
            assert getattr(samples, name).tolist() == expected, name
        assert samples.panicking.tolist() == [column % 2 == step % 2 for step in range(3)]
    assert other.of(4).stable.tolist() == [0.0] * 3
