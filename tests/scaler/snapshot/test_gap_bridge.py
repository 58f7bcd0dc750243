"""The seconds between what is saved and what is reported again.

Knative begins with empty windows (`pkg/autoscaler/metrics/collector.go`): after each restart its averages are
those of the first seconds, and an activator that connects a second late is a load that fell.
"""

from dataclasses import replace

import pytest

from config.resolve import RevisionSettings
from scaler.engine.decision import Decision
from scaler.engine.engine import Engine
from scaler.engine.snapshot_record import SnapshotRecord
from scaler.snapshot import snapshot
from scaler.snapshot.encoding import seal
from scaler.snapshot.gap_bridge import GapBridge, resume
from tests.strategies import PLAIN

START = 1_700_000_000
SAVED_AT = START + 300.3
"""A moment within second 300, of which only a part has been reported then."""

LONG = replace(PLAIN, stable_window=180.0, panic_window=23.0)


def led(settings: RevisionSettings, load: float, *, partial: float = 0.0, scraped: bool = True) -> Engine:
    """Return the engine of a leader at `SAVED_AT`."""
    engine = Engine()
    engine.add("a", settings, START, 8, scraped)
    for second in range(300):
        engine.record("a", START + second, load, load / 2)
        if second % 2:
            engine.tick(START + second + 0.92)
    if partial:
        engine.record("a", START + 300, partial, partial / 2)
    return engine


def saved(engine: Engine, time: float = SAVED_AT) -> SnapshotRecord:
    return snapshot.read(b"".join(map(seal, snapshot.collect(engine, ["a"], time))))["a"]


class Successor:
    """A replica that takes over at some time."""

    def __init__(
        self,
        one: SnapshotRecord,
        settings: RevisionSettings,
        now: float,
        scraped: bool = True,
        ready: int = 8,
    ) -> None:
        self.engine = Engine()
        self.engine.add("a", settings, now, ready, scraped, hold=True)
        resumed = resume(one, scraped, now)
        self.hold, self.bridge = resumed.hold, resumed.bridge
        self.engine.restore("a", resumed.saved, now, resumed.hold)
        self.engine.check_valid()

    def report(self, second: int, load: float) -> None:
        values = load, load / 2
        if self.bridge is not None:
            values = self.bridge.beyond(second, *values)
        self.engine.record("a", second, *values)

    def tick(self, now: float) -> Decision:
        self.engine.tick(now)
        return self.engine.decision("a")


@pytest.mark.parametrize("gap", [0, 1, 2, 4, 5, 6, 9, 25, 58], ids="{}s".format)
@pytest.mark.parametrize("settings", [PLAIN, LONG], ids=["60 s", "180 s"])
@pytest.mark.parametrize("scraped", [True, False], ids=["scraped", "reported"])
def test_a_takeover_is_no_falling_load(settings: RevisionSettings, gap: int, scraped: bool) -> None:
    """Weakness: amnesia. With Knative all that is known is gone, whatever the gap."""
    before = led(settings, 51.0, scraped=scraped)
    last = before.decision("a")
    taken = START + 300 + gap
    successor = Successor(saved(before), settings, taken + 0.6, scraped)
    told = [successor.tick(taken + 0.92)]
    for second in range(taken + 3, taken + 9):  # the first two seconds nobody reports
        successor.report(second, 51.0)
        told.append(successor.tick(second + 0.92))
    for decision in told:
        assert decision.valid
        assert decision.stable == pytest.approx(51.0, abs=1e-5)
        assert decision.panic == pytest.approx(51.0, abs=1e-5)
        assert (decision.recommended, decision.excess) == (last.recommended, last.excess)


@pytest.mark.parametrize("gap", [30, 50])
def test_a_gap_longer_than_the_panic_window_is_left_out(gap: int) -> None:
    engine = Engine()
    engine.add("a", LONG, START, 8)
    for second in range(300):
        engine.record("a", START + second, 90.0 if second < 200 else 51.0, 0.0)
    engine.tick(START + 299.92)
    before = engine.decision("a")
    after = Successor(saved(engine), LONG, START + 300.0 + gap).tick(START + 300.92 + gap)
    assert after.stable == pytest.approx(before.stable, abs=1.0)


def test_noise_is_held_by_its_mean() -> None:
    engine = Engine()
    engine.add("a", PLAIN, START, 8)
    for second in range(300):
        engine.record("a", START + second, 51.0 + 40.0 * (-1) ** second, 0.0)
    engine.tick(START + 299.92)
    before = engine.decision("a")
    after = Successor(saved(engine), PLAIN, START + 305.0).tick(START + 305.92)
    assert after.panic == pytest.approx(before.panic, abs=1.0)


def test_up_to_a_panic_window_the_same_panic_goes_on_and_after_that_no_pod_is_taken_away() -> None:
    engine = led(PLAIN, 51.0)
    for second in range(300, 304):
        engine.record("a", START + second, 200.0, 0.0)
    engine.tick(START + 303.92)
    since = engine.decision("a").panic_since
    assert since == START + 303.92
    one = saved(engine, START + 304.1)
    short, long = Successor(one, PLAIN, START + 309.0), Successor(one, PLAIN, START + 311.0)
    assert (short.hold, long.hold) == (False, True)
    assert short.engine.decision("a").panic_since == since
    assert long.engine.decision("a").panic_since == START + 311.0


def test_beyond_a_stable_window_only_answers_are_remembered() -> None:
    settings = replace(PLAIN, scale_down_delay=600.0)
    successor = Successor(saved(led(settings, 51.0)), settings, START + 361.0, ready=3)
    decision = successor.tick(START + 361.92)
    assert (successor.hold, successor.bridge, decision.valid, decision.recommended) == (True, None, False, -1)
    told = {}
    for second in range(362, 1000):
        successor.report(START + second, 0.0)
        if second % 2:
            told[second] = successor.tick(START + second + 0.92).recommended
    assert (told[499], told[895]) == (8, 8), "for ten minutes from the last answer"
    assert told[903] == 3, "held since the takeover"


def test_without_load_nothing_is_held() -> None:
    successor = Successor(saved(led(PLAIN, 0.0)), PLAIN, START + 303.0)
    assert (successor.hold, successor.bridge) == (False, None)
    successor.report(START + 303, 7.0)
    assert successor.tick(START + 303.92).panic > 1.0
    assert Successor(saved(led(PLAIN, 0.0)), PLAIN, START + 309.0).hold, "nobody knows what was in so long"


def test_load_that_ended_before_does_not_come_back() -> None:
    engine = led(PLAIN, 51.0)
    for second in range(300, 320):
        engine.record("a", START + second, 0.0, 0.0)
    successor = Successor(saved(engine, START + 320.3), PLAIN, START + 323.0)
    decision = successor.tick(START + 323.92)
    assert decision.panic == 0.0
    assert 0.0 < decision.stable < 51.0 * 40 / 60


def test_a_second_that_both_heard_of_counts_once() -> None:
    successor = Successor(saved(led(PLAIN, 51.0, partial=51.0)), PLAIN, START + 300.5)
    successor.report(START + 300, 51.0)
    successor.report(START + 299, 51.0)
    successor.report(START + 200, 51.0)
    assert successor.tick(START + 300.92).panic == pytest.approx(51.0)


def test_a_surge_during_the_takeover_counts_in_full() -> None:
    successor = Successor(saved(led(PLAIN, 51.0)), PLAIN, START + 303.5)
    for second in (303, 304, 305, 306):
        for _ in range(3):  # activators
            successor.report(START + second, 100.0)
    decision = successor.tick(START + 306.92)
    assert decision.panic == pytest.approx((2 * 51.0 + 4 * 300.0) / 6)


@pytest.mark.parametrize("ahead", [1, 5, 40, 100])
def test_a_clock_that_was_ahead_of_ours_does_no_harm(ahead: int) -> None:
    one = replace(saved(led(PLAIN, 51.0)), time=SAVED_AT)
    successor = Successor(one, PLAIN, SAVED_AT - ahead)
    now = START + 300 - ahead
    for second in range(now, now + 8):
        successor.report(second, 51.0)
        assert successor.tick(second + 0.92).panic == pytest.approx(51.0)


def test_an_outage_before_the_takeover_stays_one() -> None:
    """What was unknown to the leader is not made up by its successor."""
    engine = led(PLAIN, 51.0)
    engine.forget_data("a")
    successor = Successor(saved(engine, START + 310.3), PLAIN, START + 312.0)
    decision = successor.tick(START + 312.92)
    assert (decision.valid, decision.recommended, successor.bridge) == (False, 8, None)


def test_a_bridge_gives_only_what_is_more_than_known() -> None:
    bridge = GapBridge(1002, {1000: (6.0, 2.0), 1001: (6.0, 2.0), 1002: (6.0, 2.0)})
    assert [bridge.beyond(1001, 4.0, 1.5) for _ in range(3)] == [(0.0, 0.0), (2.0, 1.0), (4.0, 1.5)]
    assert bridge.beyond(1002, 5.0, 0.0) == (0.0, 0.0)
    assert bridge.beyond(990, 5.0, 5.0) == (0.0, 0.0)
    assert bridge.beyond(1003, 5.0, 4.0) == (5.0, 4.0)
