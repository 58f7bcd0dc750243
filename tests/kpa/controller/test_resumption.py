"""A reconciler that goes on from what another one knew, on fake clusters and a clock that tests move.

Left out: what is in a snapshot (tests of snapshots), and how it gets there (tests of hand-overs).
"""

from dataclasses import replace
from typing import Any

import pytest

from config.autoscaler import AutoscalerConfig
from kpa.controller.reconciler import Reconciler
from scaler.engine.snapshot_record import SnapshotRecord
from scaler.rules.scale_to_zero import Activity, LifecycleState
from scaler.snapshot import snapshot
from scaler.snapshot.encoding import seal
from tests.kpa.controller.test_reconciler import CONFIG, KEY, START, World

CALM = AutoscalerConfig.from_config_map(
    {
        "stable-window": "40s",
        "panic-window-percentage": "25",
        "scale-down-delay": "0s",
        "container-concurrency-target-percentage": "100",
    }
)


def saved(reconciler: Reconciler) -> dict[str, SnapshotRecord]:
    keys = reconciler.revisions()
    payloads = [one for batch in reconciler.resumption.batches(keys) for one in reconciler.payloads(batch)]
    return snapshot.read(b"".join(map(seal, payloads)))


def active(since: float = START) -> LifecycleState:
    return LifecycleState(Activity.ACTIVE, since, initialized=True)


async def leader(config: AutoscalerConfig = CALM, load: float = 35.0) -> World:
    """A world in which a revision with four pods has been under load for a while."""
    world = World(config)
    world.revision(
        ready=4, lifecycle=active(), annotations={"autoscaling.knative.dev/target-burst-capacity": "-1"}
    )
    await world.run(60, load)
    return world


async def successor(before: World, gap: float, offered: dict[str, SnapshotRecord] | None = None) -> World:
    """A world that takes the revision over after some seconds."""
    world = World(CALM)
    world.now = before.now + gap
    world.reconciler.resumption.offer(saved(before.reconciler) if offered is None else offered)
    world.cluster.put(before.cluster.revisions[KEY])
    return world


@pytest.mark.parametrize("gap", [0.0, 3.0, 9.0, 25.0])
async def test_a_successor_knows_at_once_what_its_predecessor_knew(gap: float) -> None:
    before = await leader()
    after = await successor(before, gap)
    for _ in range(3):
        await after.step()
        known, knows = (next(iter(world.reconciler.statuses())) for world in (before, after))
        assert (knows.stable, knows.panic, knows.recommended) == (
            known.stable,
            known.panic,
            known.recommended,
        )
        await after.run(2, 35.0)
    assert after.cluster.asked == []


async def test_without_an_offer_a_revision_begins_anew() -> None:
    after = await successor(await leader(), 3.0, offered={})
    assert next(iter(after.reconciler.statuses())).stable is None


async def test_of_two_offers_the_newer_counts() -> None:
    before = await leader()
    old = saved(before.reconciler)
    await before.run(20, 20.0)
    new = saved(before.reconciler)
    for first, second in ((old, new), (new, old)):
        after = await successor(before, 2.0, offered=first)
        after.reconciler.on_revision(KEY, None)
        after.reconciler.resumption.offer(first)
        after.reconciler.resumption.offer(second)
        after.cluster.put(before.cluster.revisions[KEY])
        await after.step()
        status = next(iter(after.reconciler.statuses()))
        assert status.stable is not None
        assert status.stable < 30.0, "half of it is the later load"


async def test_an_offer_has_an_end() -> None:
    before = await leader()
    after = World(CALM)
    after.now = before.now
    after.reconciler.resumption.offer(saved(before.reconciler))
    assert after.reconciler.resumption._offered
    await after.run(70)
    assert not after.reconciler.resumption._offered
    after.cluster.put(before.cluster.revisions[KEY])
    assert next(iter(after.reconciler.statuses())).recommended == -1


async def test_reports_go_through_a_bridge_for_a_while_only() -> None:
    before = await leader()
    after = await successor(before, 4.0)
    resumption = after.reconciler.resumption
    assert resumption.bridging
    after.load(35.0, seconds=30)
    await after.step(1.0)
    assert next(iter(after.reconciler.statuses())).panic == pytest.approx(35.0)
    await after.run(18, 35.0)
    assert not resumption.bridging


async def test_a_revision_that_goes_leaves_no_bridge() -> None:
    after = await successor(await leader(), 4.0)
    after.cluster.remove(KEY)
    assert after.reconciler.resumption.beyond(KEY, 5, 1.0, 2.0) == (1.0, 2.0)


@pytest.mark.parametrize(
    ("note", "since", "no_traffic_from"),
    [
        (["active", START - 17.123, True, None], START - 17.123, None),
        (["inactive", START - 17.123, True, START + 99.5], START, START + 99.5),
        (None, START, None),
        (["active"], START, None),
        (["active", "soon", True, None], START, None),
    ],
    ids=["same", "other activity", "none", "short", "no time"],
)
async def test_where_a_revision_was_on_its_way_is_noted(
    note: Any, since: float, no_traffic_from: float | None
) -> None:
    before = await leader()
    offered = {name: replace(one, note=note) for name, one in saved(before.reconciler).items()}
    after = await successor(before, 4.0, offered=offered)
    tracked = after.reconciler._tracked[KEY]
    assert (tracked.plan.lifecycle.since, tracked.no_traffic_from) == (since, no_traffic_from)


async def test_what_nobody_saw_for_a_while_stays_dark_after_a_takeover() -> None:
    """Pods that crash without traffic: the stable window that they get is not begun anew by each restart."""
    before = World(CONFIG)
    before.revision(replicas=3, lifecycle=active())
    await before.run(8)
    after = World(CONFIG)
    after.now = before.now
    after.reconciler.resumption.offer(saved(before.reconciler))
    after.cluster.put(before.cluster.revisions[KEY])
    no_traffic_from = after.reconciler._tracked[KEY].no_traffic_from
    assert no_traffic_from == pytest.approx(before.reconciler._tracked[KEY].no_traffic_from, abs=0.001)
    assert no_traffic_from is not None
    assert no_traffic_from < before.now + 5.0


async def test_within_a_panic_window_nothing_is_held_that_was_not() -> None:
    before = await leader()
    assert not next(iter(before.reconciler.statuses())).panicking
    short, long = await successor(before, 5.0), await successor(before, 15.0)
    for world, panicking in ((short, False), (long, True)):
        await world.step(1.0)
        assert next(iter(world.reconciler.statuses())).panicking is panicking
