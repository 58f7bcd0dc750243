"""Each decision names the rule that bound it."""

from dataclasses import replace

import pytest

from config.resolve import RevisionSettings
from scaler.engine.engine import Engine
from scaler.rules.plan import plan
from scaler.rules.scale_to_zero import Activity, LifecycleState
from scaler.rules.trace import DecisionTrace, Rule
from tests.strategies import PLAIN

START = 1000
SETTINGS = replace(
    PLAIN,
    stable_window=60.0,
    panic_window=6.0,
    target_value=1.0,
    total_value=1.0,
    panic_threshold=2.0,
    max_scale_up_rate=10.0,
    max_scale_down_rate=2.0,
    scale_rate_period=0.0,
    scale_down_delay=0.0,
    activation_scale=0,
    reachable=True,
)


def decided(
    loads: list[float], ready: int, settings: RevisionSettings = SETTINGS
) -> tuple[Rule, DecisionTrace]:
    """What bound the decision after a load for each second, ticking every two."""
    engine = Engine(4)
    engine.add("other", settings, START, ready_pods=1)
    engine.add("one", settings, START, ready_pods=1)
    engine.set_ready("one", ready)
    for second, load in enumerate(loads, START):
        engine.record("one", second, load, 0.0)
        if second % 2:
            engine.tick(second + 1.0)
    decision = engine.decision("one")
    assert decision.trace is not None
    return decision.rule, decision.trace


@pytest.mark.parametrize(
    ("loads", "ready", "settings", "rule", "recommended"),
    [
        ([5.0] * 60, 5, SETTINGS, Rule.LOAD, 5),
        ([5.0] * 60, 12, SETTINGS, Rule.MAX_SCALE_DOWN_RATE, 6),
        ([1.9] * 60, 1, SETTINGS, Rule.PANIC, 2),
        ([50.0] * 60, 1, SETTINGS, Rule.MAX_SCALE_UP_RATE, 10),
        ([9.0] * 10 + [1.0] * 20, 5, SETTINGS, Rule.LOAD, 4),
        ([9.0] * 10 + [1.0] * 20, 4, SETTINGS, Rule.PANIC_HOLD, 9),
        ([9.0] * 20 + [1.0] * 60, 5, replace(SETTINGS, scale_down_delay=100.0), Rule.SCALE_DOWN_DELAY, 9),
        ([0.5] * 60, 4, replace(SETTINGS, activation_scale=4), Rule.ACTIVATION_SCALE, 4),
    ],
    ids=["load", "down rate", "panic", "up rate", "calm", "panic hold", "delay", "activation scale"],
)
def test_a_decision_names_what_bound_it(
    loads: list[float], ready: int, settings: RevisionSettings, rule: Rule, recommended: int
) -> None:
    found, trace = decided(loads, ready, settings)
    assert (found, trace.recommended) == (rule, recommended)


def test_a_decision_without_data_names_that() -> None:
    engine = Engine(4)
    engine.add("one", SETTINGS, START, ready_pods=1)
    engine.tick(START + 2.0)
    assert engine.decision("one").rule is Rule.NO_DATA
    engine.record("one", START + 2, 1.0, 0.0)
    engine.tick(START + 4.0)
    assert engine.decision("one").rule is Rule.LOAD
    engine.tick(START + 400.0)
    assert engine.decision("one").rule is Rule.NO_DATA


def test_a_decision_about_one_revision_alone_is_kept_until_the_next_tick() -> None:
    engine = Engine(4)
    for key in ("one", "two", "three"):
        engine.add(key, SETTINGS, START, ready_pods=1)
        engine.record(key, START, 1.0, 0.0)
    engine.remove("two")
    engine.tick(START + 1.0)
    engine.record("three", START + 1, 19.0, 0.0)
    engine.tick(START + 2.0, ["three"])
    assert engine.decision("one").at == START + 1.0
    three = engine.decision("three")
    assert three.at == START + 2.0
    assert three.trace is not None
    assert three.trace.recommended == three.recommended == 10
    engine.tick(START + 3.0)
    assert engine.decision("three").at == START + 3.0


def test_a_column_taken_anew_knows_nothing_of_the_decision_before() -> None:
    engine = Engine(4)
    engine.add("one", SETTINGS, START, ready_pods=1)
    engine.record("one", START, 1.0, 0.0)
    engine.tick(START + 1.0)
    engine.remove("one")
    engine.add("two", SETTINGS, START, ready_pods=1)
    assert engine.decision("two").rule is Rule.NO_DATA


def test_a_delayed_answer_tells_when_it_is_let_go() -> None:
    engine = Engine(4)
    engine.add("one", replace(SETTINGS, scale_down_delay=20.0), START, ready_pods=9)
    for second in range(START, START + 70):
        engine.record("one", second, 9.0 if second < START + 4 else 0.0, 0.0)
        if second % 2:
            engine.tick(second + 1.0)
    until = engine.held_until("one")
    assert until is not None
    before = engine.decision("one").recommended
    engine.tick(until - 2.0)
    assert engine.decision("one").recommended == before
    engine.tick(until)
    assert engine.decision("one").recommended < before


ACTIVE = LifecycleState(Activity.ACTIVE, START - 1e6, initialized=True)


@pytest.mark.parametrize(
    ("settings", "lifecycle", "recommended", "rule"),
    [
        (replace(SETTINGS, min_scale=3), ACTIVE, 2, Rule.MIN_SCALE),
        (replace(SETTINGS, max_scale=3), ACTIVE, 4, Rule.MAX_SCALE),
        (replace(SETTINGS, min_scale=1, max_scale=3), ACTIVE, 2, None),
        (replace(SETTINGS, initial_scale=4), replace(ACTIVE, initialized=False), 2, Rule.INITIAL_SCALE),
        (replace(SETTINGS, enable_scale_to_zero=False), ACTIVE, 0, Rule.ENABLE_SCALE_TO_ZERO),
        (SETTINGS, replace(ACTIVE, since=START - 5.0), 0, Rule.STABLE_WINDOW),
        (SETTINGS, ACTIVE, -1, Rule.NO_DATA),
    ],
    ids=["min", "max", "within", "initial", "no scale to zero", "active for a while", "unknown"],
)
def test_a_plan_names_what_bound_it(
    settings: RevisionSettings, lifecycle: LifecycleState, recommended: int, rule: Rule | None
) -> None:
    made = plan(settings, lifecycle, recommended, 1, ready_pods=4, activator_answers=True, now=float(START))
    assert made.rule is rule
