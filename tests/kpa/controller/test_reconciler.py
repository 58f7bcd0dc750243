"""The loop that observes, decides and applies, on a fake cluster and a clock that tests move.

Covered: revisions that come, change and go; load from activators and from scrapes; pokes; failing clusters;
settings changed live; the way to zero and what is announced of it; statuses; the phase of ticks. Left out:
the decisions themselves (tests of the engine and of plans), scraping (tests of the collector).
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import kpa.controller.reconciler
from config.autoscaler import AutoscalerConfig
from config.network import NetworkConfig
from kpa.controller.cluster import Listener, Outcome
from kpa.controller.hooks import Hooks
from kpa.controller.reconciler import Reconciler, following_tick
from kpa.controller.revisions import Pod, Revision
from kpa.controller.status import NextEvent, RevisionStatus
from kpa.runtime.time_budget import TimeBudget
from metrics.key import Key
from metrics.sampling.failures import ScrapeProblem
from metrics.sampling.routing import PodAccess
from metrics.stat import Stat, StatMessage
from scaler.rules.scale_to_zero import Activity, LifecycleState
from tests.kpa.local.helpers import until

START = 1_700_000_000.95
"""Just after the phase of ticks: what is reported in a second counts in that second's tick."""
KEY, OTHER = Key("default", "hello-00001"), Key("default", "other-00001")
CONFIG = AutoscalerConfig.from_config_map(
    {
        "stable-window": "10s",
        "scale-down-delay": "0s",
        "scale-rate-period": "0s",
        "max-scale-down-rate": "100",
        "container-concurrency-target-percentage": "100",
        "scale-to-zero-grace-period": "5s",
        "scale-to-zero-pod-retention-period": "20s",
        "allow-zero-initial-scale": "true",
    }
)


class FakeCluster:
    """Takes every number of replicas; its pods become ready when a test says so."""

    def __init__(self) -> None:
        self.revisions: dict[Key, Revision] = {}
        self.asked: list[tuple[Key, int]] = []
        self.errors: list[Exception] = []
        self.problems: list[ScrapeProblem | None] = []
        self.confirms = True
        self.scaled = asyncio.Event()
        self.tell: Listener = lambda key, revision: None

    def watch(self, listener: Listener) -> None:
        self.tell = listener
        for key, revision in self.revisions.items():
            listener(key, revision)

    def carry_out(self, key: Key, outcome: Outcome) -> None:
        self.problems.append(outcome.problem)
        replicas = outcome.plan.replicas
        if replicas is None or replicas == self.revisions[key].replicas:
            return
        self.asked.append((key, replicas))
        if not self.confirms:
            return
        self.scaled.set()
        if self.errors:
            raise self.errors.pop(0)
        self.put(replace(self.revisions[key], replicas=replicas))

    def put(self, revision: Revision) -> None:
        self.revisions[revision.key] = revision
        self.tell(revision.key, revision)

    def remove(self, key: Key) -> None:
        del self.revisions[key]
        self.tell(key, None)


class World:
    """A reconciler, its cluster and the time."""

    def __init__(self, config: AutoscalerConfig = CONFIG, in_charge: bool = True) -> None:
        self.now = START
        self.activator_answers = True
        self.activators_asked = 0
        self.ticks: list[float] = []
        self.scales: list[tuple[int, int]] = []
        self.stats: list[tuple[int, int]] = []
        self.cluster = FakeCluster()
        self.reconciler = Reconciler(
            self.cluster,
            config,
            activator_answers=self.ask_activator,
            hooks=Hooks(
                tick=self.ticks.append,
                scale=lambda *change: self.scales.append(change),
                stats=lambda *counts: self.stats.append(counts),
            ),
            clock=lambda: self.now,
            in_charge=in_charge,
        )
        self.cluster.watch(self.reconciler.on_revision)

    def ask_activator(self, key: Key) -> bool:
        """Tell whether an activator answers."""
        self.activators_asked += 1
        return self.activator_answers

    def revision(self, key: Key = KEY, ready: int = 0, **values: object) -> None:
        """Add a revision, or replace one; as many replicas as pods unless said otherwise."""
        pods = tuple(pod(f"{key.name}-{number}") for number in range(ready))
        defaults: dict[str, object] = {"container_concurrency": 10, "replicas": ready, "pods": pods}
        self.cluster.put(Revision(key, "hello", "hello", **{**defaults, **values}))  # type: ignore[arg-type]

    def ready(self, count: int, key: Key = KEY) -> None:
        """Let pods of a revision become ready, or go."""
        pods = tuple(pod(f"{key.name}-{number}") for number in range(count))
        self.cluster.put(replace(self.cluster.revisions[key], pods=pods))

    def load(self, concurrency: float, key: Key = KEY, seconds: int = 1) -> None:
        """Let an activator report a load of the last seconds, the present one included."""
        last = int(self.now)
        for second in range(last - seconds + 1, last + 1):
            stat = Stat("activator", average_concurrent_requests=concurrency, timestamp=second)
            self.reconciler.on_stats([StatMessage(*key, stat)])

    async def step(self, seconds: float = 0.0) -> None:
        """Let time pass and do what is due then."""
        self.now += seconds
        self.reconciler.step(self.now)

    async def run(self, seconds: float, concurrency: float = 0.0) -> None:
        """Go on for whole seconds with a load, reported in each."""
        for _ in range(int(seconds)):
            self.now += 1.0
            self.load(concurrency)
            await self.step()

    def status(self, key: Key = KEY) -> RevisionStatus:
        """What is known of a revision."""
        return next(status for status in self.reconciler.statuses() if status.key == key)


def pod(name: str, ready: bool = True, terminating: bool = False) -> Pod:
    return Pod(name, "127.0.0.1", 9090, 8012, ready, START - 1000, terminating)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    await made.reconciler.collector.close()


# Revisions that come, change and go.


@pytest.mark.parametrize(
    ("annotations", "replicas", "asked"),
    [
        pytest.param({}, 0, [], id="initial scale of one, which the cluster starts with itself"),
        pytest.param({"initial-scale": "3"}, 0, [3], id="initial scale"),
        pytest.param({"initial-scale": "3"}, 3, [], id="initial scale, there already"),
        pytest.param({"min-scale": "2"}, 0, [2], id="minimum"),
        pytest.param({"min-scale": "2", "initial-scale": "5"}, 0, [5], id="both"),
        pytest.param({"initial-scale": "0"}, 0, [], id="none"),
    ],
)
async def test_a_new_revision_gets_its_first_replicas(
    world: World, annotations: dict[str, str], replicas: int, asked: list[int]
) -> None:
    own = {f"autoscaling.knative.dev/{key}": value for key, value in annotations.items()}
    world.revision(annotations=own, replicas=replicas)
    await world.step()
    assert world.cluster.asked == [(KEY, count) for count in asked]


async def test_load_is_answered_with_replicas_at_the_next_tick(world: World) -> None:
    world.revision(ready=1)
    await world.step()
    await world.run(4, 42.0)
    assert world.cluster.asked[-1] == (KEY, 5)
    assert world.status().recommended == world.status().requested == world.status().replicas == 5
    assert world.scales[-1][1] == 5


async def test_replicas_that_are_there_are_not_asked_for_again(world: World) -> None:
    world.revision(ready=2)
    await world.run(6, 15.0)
    assert world.cluster.asked == []


async def test_a_removed_revision_leaves_nothing(world: World) -> None:
    world.revision(ready=1)
    world.revision(OTHER, ready=1)
    await world.run(2, 5.0)
    world.cluster.remove(KEY)
    world.cluster.tell(KEY, None)  # once more
    await world.run(2, 50.0)
    assert [status.key for status in world.reconciler.statuses()] == [OTHER]
    assert len(world.reconciler.engine) == 1
    assert world.cluster.asked == []
    assert world.reconciler._deadlines.earliest() is None


async def test_a_removed_revision_can_come_back(world: World) -> None:
    world.revision(ready=1)
    await world.run(4, 42.0)
    world.cluster.remove(KEY)
    world.revision(ready=1)
    assert world.status().recommended == -1
    await world.run(4, 12.0)
    assert world.status().recommended == 2


async def test_ready_pods_are_followed(world: World) -> None:
    world.revision(replicas=3, pods=(pod("a"), pod("b", ready=False), pod("c", terminating=True)))
    status = world.status()
    assert (status.ready, status.not_ready, status.pending, status.terminating) == (1, 2, 1, 1)
    assert world.reconciler.engine.decision(KEY).ready == 1
    world.ready(3)
    assert world.status().ready == world.reconciler.engine.decision(KEY).ready == 3


@pytest.mark.parametrize(
    ("change", "field", "value"),
    [
        ({"annotations": {"autoscaling.knative.dev/target": "4"}}, "target", 4.0),
        ({"container_concurrency": 20}, "target", 20.0),
        ({"annotations": {"autoscaling.knative.dev/metric": "rps"}}, "metric", "rps"),
        ({"annotations": {"autoscaling.knative.dev/max-scale": "7"}}, "max_scale", 7),
    ],
    ids=["target", "container concurrency", "metric", "maximum"],
)
async def test_what_a_revision_says_anew_applies_at_once(
    world: World, change: dict[str, object], field: str, value: object
) -> None:
    world.revision(ready=1)
    await world.step()
    world.revision(ready=1, **change)
    assert getattr(world.status(), field) == value


async def test_a_raised_minimum_needs_no_tick(world: World) -> None:
    world.revision(ready=1)
    await world.run(3, 5.0)
    world.revision(ready=1, annotations={"autoscaling.knative.dev/min-scale": "3"})
    ticks = len(world.ticks)
    await world.step()
    assert world.cluster.asked == [(KEY, 3)]
    assert len(world.ticks) == ticks


async def test_a_revision_that_nothing_leads_to_loses_its_minimum(world: World) -> None:
    minimum = {"autoscaling.knative.dev/min-scale": "3"}
    world.revision(ready=3, annotations=minimum)
    await world.run(12)
    assert world.status().replicas == 3
    world.revision(ready=3, annotations=minimum, reachable=False)
    await world.run(12)
    assert world.status().replicas == 0


# Load.


async def test_reports_about_revisions_that_do_not_exist_are_counted(world: World) -> None:
    world.revision()
    stat = Stat("activator", average_concurrent_requests=1.0, timestamp=int(START))
    world.reconciler.on_stats([StatMessage(*KEY, stat), StatMessage(*OTHER, stat)])
    assert world.stats == [(2, 1)]
    await world.step()
    assert [status.key for status in world.reconciler.statuses()] == [KEY]


async def test_load_at_zero_is_decided_on_between_ticks(world: World) -> None:
    world.revision(annotations={"autoscaling.knative.dev/initial-scale": "0"})
    await world.run(2)
    assert world.status().recommended == 0
    await world.step(1.0)
    ticks = len(world.ticks)
    world.load(1.0)
    await world.step(0.01)
    assert len(world.ticks) == ticks
    assert world.cluster.asked == [(KEY, 1)]


async def test_others_are_not_decided_on_between_ticks(world: World) -> None:
    world.revision(annotations={"autoscaling.knative.dev/initial-scale": "0"})
    world.revision(OTHER, ready=1)
    world.load(5.0, OTHER)
    await world.run(2)
    world.load(1.0)
    world.load(95.0, OTHER)
    await world.step(0.01)
    assert world.status(OTHER).recommended == 1
    await world.step(2.0)
    assert world.status(OTHER).recommended > 1


async def test_load_of_a_revision_that_was_removed_meanwhile_is_forgotten(world: World) -> None:
    world.revision(annotations={"autoscaling.knative.dev/initial-scale": "0"})
    await world.run(2)
    world.load(1.0)
    world.cluster.remove(KEY)
    await world.step(0.01)
    assert world.cluster.asked == []


async def test_without_data_everything_stays(world: World) -> None:
    world.revision(ready=1)
    await world.run(4, 42.0)
    world.ready(5)
    world.reconciler.engine.forget_data(KEY)
    for _ in range(60):
        await world.step(2.0)
    status = world.status()
    assert (status.replicas, status.recommended, status.mode) == (5, 5, "no data")
    assert status.stable is None
    assert status.panic is None


# A cluster that fails.


async def test_a_scale_that_fails_is_asked_for_again(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.cluster.errors = [OSError("no answer"), OSError("no answer")]
    world.revision(annotations={"autoscaling.knative.dev/min-scale": "2"})
    for _ in range(4):
        await world.step(1.0)
    assert world.cluster.asked == [(KEY, 2)] * 3
    assert world.status().replicas == 2
    assert world.scales == [(0, 2)]
    assert caplog.text.count("default/hello-00001: could not be scaled to 2") == 2
    assert "no answer" in caplog.text


async def test_one_that_cannot_be_scaled_is_in_nobodys_way(world: World) -> None:
    minimum = {"autoscaling.knative.dev/min-scale": "2"}
    world.cluster.errors = [RuntimeError("broken")]
    for key in (KEY, OTHER):
        world.revision(key, annotations=minimum)
    await world.step()
    assert sorted(status.replicas for status in world.reconciler.statuses()) == [0, 2]


# A large fleet, a slice at a time.


async def test_what_a_slice_has_no_time_for_is_done_in_the_next_ones(world: World) -> None:
    minimum = {"autoscaling.knative.dev/min-scale": "2"}
    keys = [Key("default", f"cart-{number}") for number in range(10)]
    for key in keys:
        world.revision(key, annotations=minimum)
    world.reconciler.step(world.now, TimeBudget(0.0))
    assert len(world.cluster.asked) == 1
    for _ in range(40):
        world.reconciler.step(world.now, TimeBudget(0.0))
    assert sorted(world.cluster.asked) == [(key, 2) for key in keys]


async def test_other_settings_reach_a_large_fleet_in_slices(world: World) -> None:
    keys = [Key("default", f"cart-{number}") for number in range(10)]
    for key in keys:
        world.revision(key, ready=1)
    await world.step()
    world.reconciler.apply_config(CONFIG.model_copy(update={"min_scale": 3}))
    world.reconciler.step(world.now, TimeBudget(0.0))
    assert sum(status.min_scale == 3 for status in world.reconciler.statuses()) == 1
    for _ in range(20):
        world.reconciler.step(world.now, TimeBudget(0.0))
    assert sorted(world.cluster.asked) == [(key, 3) for key in keys]


async def test_a_revision_at_zero_with_load_is_looked_at_before_all_others(world: World) -> None:
    for number in range(10):
        world.revision(Key("default", f"cart-{number}"), ready=1)
    world.revision()
    await world.step()
    world.reconciler.apply_config(CONFIG.model_copy(update={"min_scale": 3}))
    world.load(1.0)
    world.reconciler.step(world.now, TimeBudget(0.0))
    assert world.cluster.asked[0][0] == KEY  # to 3, if its settings were the first to be applied


# Settings changed live.


async def test_other_settings_apply_to_live_revisions(world: World) -> None:
    world.revision(ready=2)
    await world.run(10, 18.0)
    assert world.status().recommended == 2
    world.reconciler.apply_config(CONFIG.model_copy(update={"container_concurrency_target_percentage": 50.0}))
    await world.step()
    assert world.status().target == 5.0
    await world.run(2, 18.0)
    assert world.status().recommended == 4


async def test_a_new_minimum_of_the_cluster_needs_no_tick(world: World) -> None:
    world.revision(ready=1)
    await world.run(3, 5.0)
    world.reconciler.apply_config(CONFIG.model_copy(update={"min_scale": 3}))
    ticks = len(world.ticks)
    await world.step()
    assert world.cluster.asked == [(KEY, 3)]
    assert len(world.ticks) == ticks


async def test_a_scale_down_delay_applies_to_live_revisions(world: World) -> None:
    world.revision(ready=1)
    await world.run(10, 42.0)
    world.ready(5)
    world.reconciler.apply_config(CONFIG.model_copy(update={"scale_down_delay": 30.0}))
    await world.run(24, 5.0)
    assert world.status().recommended == 5
    await world.run(24, 5.0)
    assert world.status().recommended == 1


async def test_pods_are_scraped_unless_activators_see_everything(world: World) -> None:
    scraper = world.reconciler.collector._scrapers
    world.revision(ready=1)
    assert KEY in scraper
    world.reconciler.apply_config(CONFIG.model_copy(update={"target_burst_capacity": -1.0}))
    await world.step()
    assert KEY not in scraper
    world.ready(2)
    assert KEY not in scraper
    world.reconciler.apply_config(CONFIG)
    await world.step()
    assert KEY in scraper


async def test_pods_are_reached_as_the_network_settings_say_now(world: World) -> None:
    world.revision(ready=1)
    scraper = world.reconciler.collector._scrapers[KEY]
    assert scraper._access == PodAccess("", "auto", False)
    world.cluster.put(replace(world.cluster.revisions[KEY], private_service="hello-private"))
    assert scraper._access == PodAccess("hello-private.default", "auto", False)
    for mode, addressable in [("enabled", False), ("disabled", True), ("auto", True)]:
        world.reconciler.apply_config(CONFIG, network=NetworkConfig(mode, addressable))  # type: ignore[arg-type]
        await world.step()
        assert scraper._access == PodAccess("hello-private.default", mode, addressable)  # type: ignore[arg-type]


async def test_the_cluster_is_told_what_keeps_loads_from_being_collected_and_when_it_no_longer_does(
    world: World,
) -> None:
    world.revision(ready=1)
    await world.step()
    tracker = world.reconciler.collector._scrapers[KEY].round.failure_tracker
    problem = ScrapeProblem("CollectionFailed", "pods exhausted: connect")
    for _ in range(5):
        tracker.fail(lambda: problem)
        await world.step()
    tracker.succeed()
    await world.step()
    assert world.cluster.problems == [None, problem, None]


async def test_who_looks_on_takes_all_load_from_pods() -> None:
    """Activators report to the autoscaler in charge: what they sent must be counted where it arrived."""
    world = World(CONFIG.model_copy(update={"target_burst_capacity": -1.0}), in_charge=False)
    world.revision(ready=1)
    for second in range(10):
        world.reconciler._record_scrape(KEY, Stat("pod", 42.0, 40.0), int(START) - 9 + second)
    await world.step()
    assert world.status().recommended == 5
    world.ready(0)
    await world.step(60.0)
    assert (world.status().recommended, world.status().mode) == (0, "stable")
    world.ready(1)
    await world.step(2.0)
    assert (world.status().recommended, world.status().mode) == (0, "no data")
    await world.reconciler.collector.close()


async def test_who_looks_on_says_of_nothing_that_it_was_scaled(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    world = World(in_charge=False)
    world.cluster.confirms = False
    world.revision(ready=1)
    await world.run(10, 42.0)
    assert world.cluster.asked[-1] == (KEY, 5)
    assert world.scales == []
    assert not [each for each in caplog.records if each.getMessage().startswith("scaled")]
    await world.reconciler.collector.close()


async def test_a_revision_that_is_not_scraped_can_go(world: World) -> None:
    world.revision(annotations={"autoscaling.knative.dev/target-burst-capacity": "-1"})
    world.cluster.remove(KEY)
    assert list(world.reconciler.statuses()) == []


# To zero.


async def test_without_load_a_revision_goes_to_zero_at_the_times_that_are_announced(world: World) -> None:
    world.revision(ready=1)
    await world.run(12, 5.0)
    idle = world.now
    while world.status().recommended != 0:
        await world.run(1)
    assert world.now - idle <= 10 + CONFIG.tick_interval + 1
    assert world.status().activity == "inactive"
    at = world.now + 20.0
    assert world.status().next_event == NextEvent("scale to zero", at)
    world.now = at - 0.01
    await world.step()
    assert world.status().replicas == 1
    await world.step(0.01)
    assert world.status().replicas == 0
    assert world.status().next_event is None


async def test_a_revision_stays_active_for_a_window_at_least(world: World) -> None:
    world.revision(ready=1)
    await world.step()
    await world.run(4)
    assert world.status().recommended == 0
    assert world.status().requested == 1
    assert world.status().next_event == NextEvent("become inactive", START + 10.0)


async def test_the_last_pod_stays_while_no_activator_answers(world: World) -> None:
    world.revision(ready=1)
    world.activator_answers = False
    await world.run(60)
    assert world.status().replicas == 1
    assert world.status().activity == "inactive"
    world.activator_answers = True
    await world.run(2)
    assert world.status().replicas == 0


async def test_no_activator_is_asked_about_a_revision_with_load(world: World) -> None:
    world.revision(ready=1)
    await world.run(60)
    assert world.status().replicas == 0
    asked = world.activators_asked
    assert asked > 0
    world.load(5.0)
    await world.step()
    assert world.status().replicas == 1
    assert world.activators_asked == asked


async def test_an_activation_that_never_succeeds_is_given_up(world: World) -> None:
    world.revision(replicas=1, annotations={"serving.knative.dev/progress-deadline": "40s"})
    await world.run(2)
    event = world.status().next_event
    assert event is not None
    assert event.what == "give up activation"
    world.now = START + 69.0
    await world.step()
    assert world.status().replicas == 1
    await world.step(2.0)
    assert world.status().replicas == 0
    assert world.status().activity == "inactive"


async def test_a_scale_of_zero_that_followed_from_no_decision_stays_known(world: World) -> None:
    """The next look may come before the status of the one that gave up is written."""
    world.revision(replicas=1, annotations={"serving.knative.dev/progress-deadline": "40s"})
    await world.step()
    await world.step(71.0)
    await world.step(1.0)
    plan = world.reconciler._tracked[KEY].plan
    assert (world.status().replicas, plan.requested, plan.known) == (0, -1, 0)


async def test_zero_is_requested_before_the_last_pod_is_gone(world: World) -> None:
    world.revision(ready=1)
    await world.run(12, 5.0)
    world.cluster.confirms = False
    await world.run(12 + 20)
    assert world.cluster.asked[-1] == (KEY, 0)
    assert (world.status().requested, world.status().replicas) == (0, 1)


# What is told.


async def test_a_revision_that_goes_while_statuses_are_read_has_none(world: World) -> None:
    world.revision(KEY)
    world.revision(OTHER)
    await world.step()
    statuses = iter(world.reconciler.statuses())
    read = next(statuses).key
    world.cluster.remove(KEY if read == OTHER else OTHER)
    assert list(statuses) == []


async def test_the_history_has_a_sample_every_20_s(world: World) -> None:
    world.revision(ready=1)
    await world.step(2.0)  # a tick
    await world.run(100, 5.0)
    history = world.reconciler.history(KEY)
    assert history is not None
    assert list(history.at - history.at[0]) == pytest.approx([0.0, 20.0, 40.0, 60.0, 80.0, 100.0])


@pytest.mark.parametrize(
    ("annotations", "load", "mode"),
    [
        ({}, None, "no data"),
        ({}, 5.0, "stable"),
        ({}, 95.0, "panic"),
        ({"min-scale": "1", "max-scale": "1"}, 95.0, "fixed"),
        ({"min-scale": "1", "max-scale": "1"}, None, "fixed"),
    ],
    ids=["no data", "stable", "panic", "fixed", "fixed without data"],
)
async def test_the_mode_says_what_decides(
    world: World, annotations: dict[str, str], load: float | None, mode: str
) -> None:
    own = {f"autoscaling.knative.dev/{key}": value for key, value in annotations.items()}
    world.revision(ready=1, annotations=own)
    if load is not None:
        world.load(load)
    await world.step()
    assert world.status().mode == mode
    assert world.status().panicking == (load == 95.0)


async def test_the_activity_follows_the_pods(world: World) -> None:
    world.revision(replicas=1)
    await world.step()
    assert world.status().activity == "activating"
    world.ready(1)
    await world.step()
    assert world.status().activity == "active"


async def test_a_status_has_the_numbers_of_the_decision(world: World) -> None:
    world.revision(ready=1, annotations={"autoscaling.knative.dev/max-scale": "3"})
    await world.run(10, 42.0)
    status = world.status()
    assert (status.stable, status.panic) == (42.0, 42.0)
    assert (status.target, status.total) == (10.0, 10.0)
    assert (status.recommended, status.requested, status.replicas) == (5, 3, 3)
    assert (status.min_scale, status.max_scale) == (0, 3)
    assert status.excess_burst_capacity == 10 - 211 - 42


async def test_a_load_of_nothing_is_a_plain_zero(world: World) -> None:
    world.revision(ready=1)
    await world.run(4, 5.0)
    await world.run(20)
    assert str(world.status().stable) == str(world.status().panic) == "0.0"


async def test_a_changed_decision_is_logged_once_with_its_numbers(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    world.revision(ready=1)
    await world.run(10, 42.0)
    lines = [record for record in caplog.records if record.__dict__["fields"]["requested"] == 5]
    assert [record.getMessage() for record in lines] == ["scaled from 1 to 5"]
    fields = lines[0].__dict__["fields"]
    assert (fields["recommended"], fields["stable"]) == (5, 42.0)


# Time.


@pytest.mark.parametrize(
    ("now", "interval", "following"),
    [
        (1000.0, 2.0, 1000.92),
        (1000.91, 2.0, 1000.92),
        (1000.92, 2.0, 1002.92),
        (1001.5, 2.0, 1002.92),
        (1001.5, 1.0, 1001.92),
        (1019.0, 60.0, 1020.92),
    ],
)
def test_ticks_come_when_all_of_a_second_is_known(now: float, interval: float, following: float) -> None:
    assert following_tick(now, interval) == pytest.approx(following, abs=1e-6)


@given(st.floats(1e9, 4e9), st.integers(1, 60))
@example(1_700_000_000.92, 2)
def test_the_following_tick_is_ahead_by_an_interval_at_most(now: float, interval: int) -> None:
    following = following_tick(now, interval)
    assert now - 1e-6 < following <= now + interval + 1e-6
    assert following_tick(following + 1e-3, interval) == pytest.approx(following + interval)


async def test_the_clock_may_be_set_back_or_ahead(world: World) -> None:
    world.revision(ready=1)
    await world.step()
    for step in (-3600.0, 7200.0, 2.0):
        ticks = len(world.ticks)
        await world.step(step)
        assert len(world.ticks) == ticks + 1


async def test_there_is_one_tick_an_interval(world: World) -> None:
    for _ in range(40):
        await world.step(0.25)
    assert len(world.ticks) in (5, 6)


async def test_a_tick_comes_at_its_very_time(world: World) -> None:
    await world.step()
    for _ in range(3):
        ticks = len(world.ticks)
        await world.step(world.reconciler._next_tick - world.now)
        assert len(world.ticks) == ticks + 1


async def test_a_shorter_interval_applies_at_once() -> None:
    world = World(CONFIG.model_copy(update={"tick_interval": 60.0}))
    await world.step()
    world.reconciler.apply_config(CONFIG.model_copy(update={"tick_interval": 1.0}))
    ticks = len(world.ticks)
    await world.step(0.01)
    await world.step(1.0)
    assert len(world.ticks) >= ticks + 1
    await world.reconciler.collector.close()


# The loop.


async def test_the_loop_follows_the_cluster_and_wakes_for_load_at_zero() -> None:
    world = World(CONFIG.model_copy(update={"tick_interval": 60.0}))
    reconciler = Reconciler(world.cluster, world.reconciler.config, activator_answers=lambda key: True)
    world.reconciler = reconciler
    world.revision(annotations={"autoscaling.knative.dev/initial-scale": "0"})
    loop = asyncio.create_task(reconciler.run())
    try:
        await until(lambda: list(reconciler.statuses()), "the loop knows the revision")
        stat = Stat("activator", average_concurrent_requests=1.0, timestamp=int(time.time()))
        reconciler.on_stats([StatMessage(*KEY, stat)])
        async with asyncio.timeout(20):
            await world.cluster.scaled.wait()
        assert world.cluster.asked == [(KEY, 1)]
    finally:
        loop.cancel()
        await asyncio.wait([loop])
        await reconciler.collector.close()
    assert loop.cancelled()


class WritingCluster(FakeCluster):
    """Carries out in tasks, as a real one does; notes what happens in which order."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []

    def carry_out(self, key: Key, outcome: Outcome) -> None:
        self.events.append(f"{key.name} looked at")
        if outcome.plan.replicas is not None and key == KEY:
            self.tasks.append(asyncio.create_task(self.write()))

    async def write(self) -> None:
        self.events.append("written")


async def test_what_a_request_waits_for_is_written_before_others_are_looked_at_and_anything_is_logged(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    world = World(CONFIG.model_copy(update={"tick_interval": 60.0}))
    cluster = WritingCluster()
    reconciler = Reconciler(cluster, world.reconciler.config, activator_answers=lambda key: True)
    monkeypatch.setattr(caplog.handler, "emit", lambda record: cluster.events.append(record.getMessage()))
    zero = {"autoscaling.knative.dev/initial-scale": "0"}
    cluster.put(Revision(KEY, "hello", "hello", annotations=zero, container_concurrency=10))
    loop = asyncio.create_task(reconciler.run())
    try:
        await until(lambda: f"{KEY.name} looked at" in cluster.events, "the loop knows the revision")
        for number in range(5):
            cluster.put(Revision(Key("default", f"other-{number}"), "other", "other"))
        stat = Stat("activator", average_concurrent_requests=1.0, timestamp=int(time.time()))
        cluster.events.clear()
        reconciler.on_stats([StatMessage(*KEY, stat)])
        await until(lambda: "scaled from 0 to 1" in cluster.events, "the scaling is logged")
        first, second, *rest = cluster.events
        assert (first, second) == (f"{KEY.name} looked at", "written")
        assert rest[0].startswith("other-")
    finally:
        loop.cancel()
        await asyncio.wait([loop])
        await reconciler.collector.close()
        await world.reconciler.collector.close()


async def test_the_loop_survives_a_cluster_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kpa.controller.reconciler, "_RETRY", 0.01)
    world = World()
    world.cluster.errors = [OSError("no answer")] * 3
    world.revision(annotations={"autoscaling.knative.dev/min-scale": "2"})
    reconciler = Reconciler(world.cluster, CONFIG, activator_answers=lambda key: True)
    loop = asyncio.create_task(reconciler.run())
    try:
        await until(lambda: world.cluster.revisions[KEY].replicas == 2, "two replicas")
        assert not loop.done()
    finally:
        loop.cancel()
        await asyncio.wait([loop])
        await reconciler.collector.close()
        await world.reconciler.collector.close()


# What a cluster remembers, and what nobody reports.


@pytest.mark.parametrize(
    ("activity", "recommended"),
    [(Activity.ACTIVE, 1), (Activity.NO_TRAFFIC, 0)],
    ids=["it served", "it was idle"],
)
async def test_a_pod_that_served_before_a_restart_is_held_for_a_stable_window(
    world: World, activity: Activity, recommended: int
) -> None:
    world.revision(ready=1, lifecycle=LifecycleState(activity, START - 500.0, True, None))
    for _ in range(5):
        world.now += 1.0
        world.load(0.0)
        await world.step()
    assert world.status().recommended == recommended


async def test_what_the_cluster_says_of_the_path_counts(world: World) -> None:
    world.revision(ready=1, lifecycle=LifecycleState(Activity.NO_TRAFFIC, START - 3.0, True, START - 500.0))
    await world.run(3)
    world.revision(ready=1, lifecycle=LifecycleState(Activity.ACTIVE, START, True, START - 400.0))
    assert world.reconciler._tracked[KEY].plan.lifecycle.proxied_since == START - 400.0


async def test_a_revision_without_pods_and_without_data_has_no_traffic(world: World) -> None:
    world.revision(ready=1)
    await world.run(20, 45.0)
    assert world.status().requested == 5
    world.revision(ready=0, replicas=5)
    requested = []
    for _ in range(24):
        await world.step(1.0)
        requested.append(world.reconciler._tracked[KEY].plan.requested)
    assert requested[9] == 5
    assert requested[-1] == -1
    assert world.status().requested == 5  # keeps its value while nothing is known


async def test_a_revision_whose_pods_do_not_start_is_left_alone_once_it_has_no_traffic(world: World) -> None:
    world.revision(replicas=1)
    for _ in range(24):
        await world.step(1.0)
        due = world.reconciler._deadlines.earliest()
        assert due is not None  # the end of its activation
        assert due > world.now


async def test_a_revision_without_pods_keeps_its_scale_while_requests_wait(world: World) -> None:
    world.revision(ready=1)
    await world.run(20, 45.0)
    world.revision(ready=0, replicas=5)
    await world.run(40, 45.0)
    assert world.status().requested == 5


async def test_one_scaling_is_counted_once_however_late_the_cluster_confirms_it(world: World) -> None:
    world.cluster.confirms = False
    world.revision(annotations={"autoscaling.knative.dev/min-scale": "2"})
    for _ in range(3):
        await world.step(2.0)
    assert world.scales == [(0, 2)]
    world.cluster.put(replace(world.cluster.revisions[KEY], replicas=2))
    world.cluster.put(replace(world.cluster.revisions[KEY], replicas=0))
    await world.step(2.0)
    assert world.scales == [(0, 2), (0, 2)]
