"""The laws of the decision, over any settings and loads, for fleets and for revisions alone."""

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from config.resolve import RevisionSettings
from scaler.engine.engine import Engine
from tests.oracles import NaiveDecider, NaiveWindow
from tests.strategies import PLAIN, loads, settings

START = 1_700_000_001

steps = st.lists(
    st.tuples(
        st.integers(0, 4),  # seconds that pass
        st.one_of(st.none(), loads),  # load reported, or none
        st.integers(0, 30),  # ready pods
        st.booleans(),  # a decision is taken
    ),
    max_size=50,
)
fleets = st.lists(st.tuples(settings(), st.integers(0, 5)), min_size=1, max_size=4)
Step = tuple[int, float | None, int, bool]


class Naive:
    """One revision in the plainest form."""

    def __init__(self, chosen: RevisionSettings, ready_pods: int) -> None:
        weighted = chosen.aggregation == "weighted-exponential"
        self.stable = NaiveWindow(int(chosen.stable_window), weighted)
        self.panic = NaiveWindow(int(chosen.panic_window), weighted)
        self.decider = NaiveDecider(chosen)
        self.decider.panic_since = START if ready_pods > 1 else None
        self.decider.panic_pods = ready_pods

    def record(self, second: int, load: float) -> None:
        self.stable.record(second, load)
        self.panic.record(second, load)

    def decide(self, ready_pods: int, now: float) -> tuple[int, int] | None:
        if self.stable.empty(now):
            return None
        return self.decider.decide(self.stable.average(now), self.panic.average(now), ready_pods, now)


def near_an_edge(naive: Naive, now: float) -> bool:
    """Tell whether a rounding of the last bit could move a decision by a pod.

    Linear averages that are whole are so in both forms; weighted ones are summed in another order.
    """
    settings, loads = naive.decider.settings, [window.average(now) for window in (naive.stable, naive.panic)]
    capacity = settings.total_value - settings.target_burst_capacity
    rounded = [load / settings.target_value for load in loads] + [capacity - loads[1]]
    weighted = settings.aggregation == "weighted-exponential"
    return any(abs(value - round(value)) < 1e-5 and (weighted or value != round(value)) for value in rounded)


class Compared:
    """A revision in the fleet, in an engine of its own, and in the plainest form."""

    def __init__(self, fleet: Engine, key: int, chosen: RevisionSettings, ready_pods: int) -> None:
        self.key, self.fleet, self.alone = key, fleet, Engine(block_columns=1)
        self.naive = Naive(chosen, ready_pods)
        for engine in (self.fleet, self.alone):
            engine.add(key, chosen, START, ready_pods)

    def load(self, now: int, load: float | None, ready_pods: int) -> None:
        for engine in (self.fleet, self.alone):
            engine.set_ready(self.key, ready_pods)
            if load is not None:
                engine.record(self.key, now, load, load)
        if load is not None:
            self.naive.record(now, load)

    def compare(self, now: int, ready_pods: int) -> None:
        """Compare the decision that the fleet has just taken."""
        edge = near_an_edge(self.naive, now)
        self.alone.tick(float(now))
        made, expected = self.fleet.decision(self.key), self.naive.decide(ready_pods, now)
        assert made == self.alone.decision(self.key)
        assert made.valid == (expected is not None)
        assume(not edge)
        if expected is not None:
            assert (made.recommended, made.excess) == expected
            assert made.panic_since == self.naive.decider.panic_since


@given(fleets, steps)
@hypothesis_settings(max_examples=200)
def test_a_fleet_decides_as_each_revision_would_alone(
    fleet: list[tuple[RevisionSettings, int]], happenings: list[Step]
) -> None:
    engine = Engine(block_columns=3)
    revisions = [Compared(engine, key, *one) for key, one in enumerate(fleet)]
    now = START
    for passed, load, ready, ticks in happenings:
        now += passed
        for key, revision in enumerate(revisions):
            revision.load(now, None if load is None else load * (key + 1), ready + key)
        if ticks:
            engine.tick(float(now))
            for key, revision in enumerate(revisions):
                revision.compare(now, ready + key)
    engine.check_valid()


def run(chosen: RevisionSettings, happenings: list[Step], factor: float = 1.0) -> list[tuple[int, int]]:
    """Return ready pods and recommended scale at each decision."""
    engine = Engine(block_columns=1)
    engine.add(0, chosen, START, 0)
    now, made = START, []
    for passed, load, ready, ticks in happenings:
        now += passed
        engine.set_ready(0, ready)
        if load is not None:
            engine.record(0, now, load * factor, load * factor)
        if ticks:
            engine.tick(float(now))
            if engine.decision(0).valid:
                made.append((ready, engine.decision(0).recommended))
    return made


@given(settings(), steps)
def test_rates_hold_for_each_decision(chosen: RevisionSettings, happenings: list[Step]) -> None:
    """What is held (panic, delay) or asked for (activation) may exceed the rate, never what is new."""
    free = replace(
        chosen, scale_rate_period=0.0, scale_down_delay=0.0, activation_scale=0, panic_threshold=1e12
    )
    for ready, recommended in run(free, happenings):
        lower = max(1, ready) / free.max_scale_down_rate if free.reachable else 0
        assert recommended <= max(1, ready) * free.max_scale_up_rate + 1
        assert recommended >= lower - 1


@given(settings(), steps, st.floats(1, 50))
def test_more_load_never_gives_fewer_pods(
    chosen: RevisionSettings, happenings: list[Step], factor: float
) -> None:
    less, more = run(chosen, happenings), run(chosen, happenings, factor)
    for (_, few), (_, many) in zip(less, more, strict=True):
        assert many >= few


@given(steps)
def test_nothing_is_taken_away_in_panic(happenings: list[Step]) -> None:
    engine = Engine(block_columns=1)
    engine.add(0, PLAIN, START, 0)
    now, before = START, 0
    for passed, load, ready, _ in happenings:
        now += passed
        engine.set_ready(0, ready)
        if load is not None:
            engine.record(0, now, load, load)
        was_panicking = engine.decision(0).panic_since is not None
        engine.tick(float(now))
        decision = engine.decision(0)
        if was_panicking and decision.panic_since is not None:
            assert decision.recommended >= before
        before = decision.recommended


changes = st.lists(
    st.tuples(st.sampled_from(["add", "remove", "update", "load", "tick"]), st.integers(0, 5), settings()),
    max_size=60,
)


@given(changes)
def test_revisions_come_go_and_change_without_a_trace_on_others(
    happenings: list[tuple[str, int, RevisionSettings]],
) -> None:
    """A witness lives beside them and alone; both decide the same."""
    busy, quiet = Engine(block_columns=2), Engine(block_columns=2)
    for engine in (busy, quiet):
        engine.add("witness", PLAIN, START, 1)
    now = START
    for what, key, chosen in happenings:
        if what == "add" and key not in busy:
            busy.add(key, chosen, now, key)
        elif what == "remove":
            busy.remove(key)
        elif what == "update" and key in busy:
            busy.update(key, chosen, now)
        elif what == "load":
            busy.record(key, now, 3.0 * key, 1.0)
        elif what == "tick":
            now += 2
            for engine in (busy, quiet):
                engine.record("witness", now, float(now % 97), 0.0)
                engine.tick(float(now))
            assert busy.decision("witness") == quiet.decision("witness")
        busy.check_valid()


def test_the_scale_rate_period_shares_the_rates() -> None:
    """Twenty pods up from one and a tenth down, for all decisions of fifteen seconds together."""
    engine = Engine()
    chosen = replace(
        PLAIN, max_scale_up_rate=20.0, max_scale_down_rate=1.1, scale_rate_period=15.0, panic_threshold=1e9
    )
    engine.add("a", chosen, START, 1)
    for second in range(START, START + 60):
        engine.record("a", second, 1e6, 0.0)
    made = []
    for second, ready in ((0, 1), (2, 20), (14, 20), (15, 20)):
        engine.set_ready("a", ready)
        engine.tick(float(START + 59 + second))
        engine.record("a", START + 60 + second, 1e6, 0.0)
        made.append(engine.decision("a").recommended)
    assert made == [20, 20, 20, 400]


@pytest.mark.parametrize(("ready", "second", "recommended"), [(91, 14, 90), (91, 15, 82)])
def test_the_scale_rate_period_bounds_the_way_down(ready: int, second: int, recommended: int) -> None:
    engine = Engine()
    chosen = replace(
        PLAIN, max_scale_down_rate=1.1, scale_rate_period=15.0, stable_window=6.0, panic_window=1.0
    )
    engine.add("a", chosen, START, 1)
    engine.set_ready("a", 100)
    engine.record("a", START, 0.0, 0.0)
    engine.tick(float(START))
    assert engine.decision("a").recommended == 90
    for later in range(1, second + 1):
        engine.record("a", START + later, 0.0, 0.0)
    engine.set_ready("a", ready)
    engine.tick(float(START + second))
    assert engine.decision("a").recommended == recommended
