"""What a shadow makes of a revision that another autoscaler scales, with the real reconciler behind it.

Covered: where the two agree, differ, and cannot be compared; the beginning; zero and back; what is counted
and logged. Left out: the client that cannot write (test_read_only), a real cluster (tests/kube/test_shadow).
"""

import logging
import math
from collections.abc import AsyncIterator
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.autoscaler import AutoscalerConfig
from config.resolve import resolve
from kpa.controller.cluster import Listener, Outcome
from kpa.controller.reconciler import Reconciler
from kpa.controller.revisions import Pod, Revision
from kpa.controller.status import Comparison
from kpa.kube.objects.podautoscaler import PodAutoscaler
from kpa.kube.revisions.shadow import Account, Shadow
from metrics.key import Key
from metrics.stat import Stat
from scaler.engine.decision import Decision
from scaler.rules.plan import Plan
from scaler.rules.scale_to_zero import Activity, LifecycleState
from tests.kpa.kube.kube_samples import pod_autoscaler

START = 1_700_000_000.95
KEY = Key("shop", "cart-00002")
WINDOW, RETENTION = 10.0, 20.0
CONFIG = AutoscalerConfig.from_config_map(
    {
        "defaults": "knative",
        "stable-window": "10s",
        "panic-threshold-percentage": "1000",
        "container-concurrency-target-percentage": "100",
        "scale-to-zero-grace-period": "5s",
        "scale-to-zero-pod-retention-period": "20s",
    }
)


class World:
    """A shadow, what it looks at, and the time."""

    def __init__(self) -> None:
        self.now = START
        self.podautoscalers: dict[Key, PodAutoscaler] = {}
        self.scaled: list[tuple[int, int]] = []
        self.tell: Listener = lambda key, revision: None
        self.shadow = Shadow(self, lambda *change: self.scaled.append(change), clock=lambda: self.now)
        self.reconciler = Reconciler(
            self.shadow,
            CONFIG,
            activator_answers=lambda key: True,
            clock=lambda: self.now,
            in_charge=False,
        )
        self.shadow.watch(self.reconciler.on_revision)

    def watch(self, listener: Listener) -> None:
        self.tell = listener

    def cluster(self, theirs: int | None, ready: int, active: str = "True", replicas: int = -1) -> None:
        """Let the other want so many pods, of which some are ready."""
        condition = {"type": "Active", "status": active, "lastTransitionTime": "2023-11-14T22:13:20Z"}
        initialized = {**condition, "type": "ScaleTargetInitialized", "status": "True"}
        status = {"conditions": [condition, initialized], "observedGeneration": 2}
        if theirs is not None:
            status["desiredScale"] = theirs
        self.podautoscalers[KEY] = pod_autoscaler(status=status)
        pods = tuple(Pod(f"pod-{n}", "127.0.0.1", 9090, 8012, True, START - 1000) for n in range(ready))
        activity = {"True": Activity.ACTIVE, "Unknown": Activity.ACTIVATING, "False": Activity.NO_TRAFFIC}
        lifecycle = LifecycleState(activity[active], self.now, initialized=True, proxied_since=START)
        count = replicas if replicas >= 0 else max(theirs or 0, ready)
        self.tell(KEY, Revision(KEY, "cart", "cart", {}, 10, count, pods, lifecycle=lifecycle))
        self.reconciler.step(self.now)

    def go(self, seconds: int, load: float | None = None, proxied: float = 0.0) -> None:
        """Let time pass; pods have a load, or there are none."""
        for _ in range(seconds):
            self.now += 1.0
            if load is not None:
                self.reconciler._record_scrape(KEY, Stat("pods", load, proxied), int(self.now))
            self.reconciler.step(self.now)

    @property
    def comparison(self) -> Comparison:
        [status] = self.shadow.compared(self.reconciler.statuses())
        assert status.comparison is not None
        return status.comparison


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    await made.reconciler.collector.close()


async def test_the_two_agree_where_they_want_the_same(world: World) -> None:
    world.cluster(theirs=3, ready=3)
    world.go(70, load=25.0)
    assert world.comparison == Comparison(3, 3, None, 60.0, 0.0, 180.0, 180.0)
    assert world.scaled == []


async def test_requests_from_activators_count_in_full(world: World) -> None:
    world.cluster(theirs=3, ready=3)
    world.go(70, load=25.0, proxied=25.0)
    assert world.comparison.ours == 3


async def test_a_difference_has_a_beginning_a_share_and_a_price(world: World) -> None:
    world.cluster(theirs=3, ready=3)
    world.go(40, load=30.0)
    world.go(60, load=45.0)
    found = world.comparison
    assert (found.ours, found.theirs, found.difference) == (5, 3, 2)
    assert found.since == pytest.approx(START + 45, abs=5.0)
    assert (found.compared, found.their_pods) == (90.0, 270.0)
    assert 50.0 <= found.differed <= 60.0
    assert found.our_pods == pytest.approx(270.0 + 2 * found.differed, abs=10.0)
    world.cluster(theirs=5, ready=5)
    assert (world.comparison.difference, world.comparison.since) == (0, None)


async def test_each_decision_starts_from_the_pods_that_there_are(world: World) -> None:
    """Asked for fewer each time, a shadow may go one step below what is there, and no further."""
    world.cluster(theirs=16, ready=16)
    world.go(60, load=10.0)
    assert world.comparison.ours == 8
    world.go(60, load=10.0)
    assert world.comparison.ours == 8


async def test_nothing_is_compared_before_the_windows_know_enough(world: World) -> None:
    world.cluster(theirs=1, ready=3)
    world.go(9, load=5.0)
    found = world.comparison
    assert (found.ours, found.theirs, found.difference, found.compared) == (None, 1, 0, 0.0)
    world.go(11, load=5.0)
    assert (world.comparison.ours, world.comparison.compared) == (1, 10.0)


async def test_what_the_other_has_not_said_cannot_be_compared(world: World) -> None:
    world.cluster(theirs=None, ready=1)
    world.go(60, load=15.0)
    assert (world.comparison.ours, world.comparison.theirs, world.comparison.compared) == (None, None, 0.0)


async def test_at_zero_nothing_is_seen_and_a_wake_is_followed(world: World) -> None:
    world.cluster(theirs=1, ready=1)
    world.go(60, load=0.0)
    world.cluster(theirs=0, ready=0, active="False", replicas=0)
    world.go(100)
    before = world.comparison
    assert (before.ours, before.theirs, before.difference) == (None, 0, 0)
    world.cluster(theirs=2, ready=0, active="Unknown", replicas=2)
    world.go(30)
    assert world.reconciler.engine.decision(KEY).recommended == 0
    waiting = world.comparison
    assert (waiting.ours, waiting.theirs, waiting.compared) == (None, 2, before.compared)
    world.cluster(theirs=2, ready=2)
    world.go(10, load=18.0)
    after = world.comparison
    assert (after.ours, after.theirs, after.difference) == (2, 2, 0)
    assert after.our_pods - waiting.our_pods == pytest.approx(20.0, abs=3.0)


async def test_while_pods_of_a_woken_revision_start_there_are_as_many_as_the_other_asks_for(
    world: World,
) -> None:
    world.cluster(theirs=1, ready=1)
    world.go(60, load=0.0)
    world.cluster(theirs=0, ready=0, active="False", replicas=0)
    world.go(100)
    before = world.comparison
    for theirs in (2, 4):
        world.cluster(theirs=theirs, ready=0, active="Unknown", replicas=theirs)
        world.go(30)
    after = world.comparison
    assert after.our_pods - before.our_pods == after.their_pods - before.their_pods == 180.0


async def test_a_single_request_that_wakes_a_revision_keeps_its_pod_as_long_for_both(world: World) -> None:
    """It is answered before anybody asks the pod: nothing but the wake itself tells of it."""
    world.cluster(theirs=1, ready=1)
    world.go(60, load=0.0)
    world.cluster(theirs=0, ready=0, active="False", replicas=0)
    world.go(100)
    world.cluster(theirs=1, ready=0, active="Unknown", replicas=1)
    world.go(5)
    world.cluster(theirs=1, ready=1)
    assert (world.comparison.ours, world.comparison.theirs) == (1, 1)
    before = world.comparison.differed
    world.go(9, load=0.0)
    assert (world.comparison.ours, world.comparison.differed) == (1, before)
    world.go(2, load=0.0)
    assert world.comparison.ours == 0


async def test_a_wake_forgets_nothing_that_is_still_known(world: World) -> None:
    """Neither where we would not be at zero, nor where a pod is ready and tells us itself."""
    world.cluster(theirs=4, ready=4)
    world.go(60, load=35.0)
    world.cluster(theirs=0, ready=0, active="False", replicas=0)
    world.go(2)
    world.cluster(theirs=1, ready=0, active="Unknown", replicas=1)
    assert world.reconciler.engine.decision(KEY).recommended > 0
    world.cluster(theirs=1, ready=1)
    world.go(60, load=0.0)
    world.cluster(theirs=0, ready=1, active="False")
    world.go(3, load=0.0)
    world.cluster(theirs=1, ready=1, active="True")
    assert world.reconciler.engine.decision(KEY).recommended == 0


async def test_a_pod_that_we_would_keep_longer_is_counted_until_we_would_let_it_go(world: World) -> None:
    world.cluster(theirs=1, ready=1)
    world.go(60, load=5.0)
    world.go(12, load=0.0)
    world.cluster(theirs=0, ready=0, active="False", replicas=0)
    before = world.comparison
    world.go(100)
    after = world.comparison
    assert after.their_pods == before.their_pods
    assert after.our_pods - before.our_pods == pytest.approx(RETENTION, abs=4.0)


async def test_pods_that_never_become_ready_say_nothing(world: World) -> None:
    world.cluster(theirs=3, ready=3)
    world.go(40, load=25.0)
    world.cluster(theirs=3, ready=0, replicas=3)
    before = world.comparison
    world.go(60)
    after = world.comparison
    assert (after.ours, after.compared) == (None, before.compared)
    assert after.our_pods - before.our_pods == after.their_pods - before.their_pods == 180.0


async def test_what_would_be_scaled_is_logged_once_and_counted(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    world.cluster(theirs=3, ready=3)
    world.go(40, load=30.0)
    world.go(60, load=45.0)
    world.cluster(theirs=3, ready=3)
    said = [record for record in caplog.records if record.getMessage().startswith("would scale")]
    assert [record.getMessage() for record in said][-1] == "would scale shop/cart-00002 3 -> 5"
    assert len({record.getMessage() for record in said}) == len(said) == len(world.scaled)
    assert said[-1].__dict__["fields"] == {"namespace": "shop", "name": "cart-00002"}
    assert not [record for record in caplog.records if record.getMessage().startswith("scaled")]


async def test_a_revision_that_is_gone_leaves_nothing(world: World) -> None:
    world.cluster(theirs=3, ready=3)
    world.tell(KEY, None)
    world.go(5)
    assert list(world.shadow.compared(world.reconciler.statuses())) == []
    assert world.shadow._accounts == {}


# What is counted, against a plain sum.

SETTINGS = resolve(CONFIG, {}, 10)
counts = st.integers(-1, 5)
steps = st.lists(
    st.tuples(st.integers(0, 30), counts, counts, st.integers(0, 2), st.none() | st.integers(0, 5)),
    max_size=20,
)


def outcome(requested: int, desired: int, replicas: int | None) -> Outcome:
    plan = Plan(requested, replicas, None, True, LifecycleState(Activity.ACTIVE, 0.0))
    return Outcome(plan, Decision(True, 0.0, 0.0, desired, 0, None, 1), SETTINGS)


def revision(ready: int, replicas: int) -> Revision:
    pods = tuple(Pod(f"{number}", "", 0, 0, True, 0.0) for number in range(ready))
    return Revision(KEY, "", "", replicas=replicas, pods=pods)


@given(steps)
def test_time_is_counted_where_both_are_known_and_pods_always(
    steps: list[tuple[int, int, int, int, int | None]],
) -> None:
    account = Account(revision(1, 1), 1, 0.0, 1)
    account.note(outcome(1, 1, 1), 0.0)
    now, compared, differed, theirs_sum, ours_sum = 0, 0, 0, 0, 0
    for seconds, requested, theirs, ready, replicas in steps:
        account.revision, account.theirs = revision(ready, max(theirs, 0)), theirs
        account.note(outcome(requested, 1, replicas), now)
        held = account.replicas
        for second in range(now, now + seconds):
            if second < WINDOW:
                continue
            known = ready > 0 and requested >= 0 and theirs >= 0
            compared, differed = compared + known, differed + (known and requested != theirs)
            theirs_sum, ours_sum = theirs_sum + max(theirs, 0), ours_sum + held
        now += seconds
        account.count_until(now)
        found = account.comparison(now)
        assert (found.compared, found.differed) == (compared, differed)
        assert (found.their_pods, found.our_pods) == (theirs_sum, ours_sum)
        assert found.since is None or WINDOW <= found.since <= max(now, WINDOW)
        assert (found.since is None) == (found.difference == 0)


@given(st.lists(st.floats(-5.0, 5.0), max_size=20))
def test_a_clock_that_is_set_back_counts_nothing_twice(steps: list[float]) -> None:
    account = Account(revision(1, 1), 1, 0.0, 1)
    account.note(outcome(2, 2, 2), -WINDOW)
    now = 0.0
    for step in steps:
        now += step
        account.count_until(now)
    highest = max(0.0, *accumulate(steps), 0.0)
    assert math.isclose(account.compared, highest, abs_tol=1e-9)
