"""Memory stays flat while revisions and pods come and go: an hour in a few seconds."""

import random
from collections.abc import AsyncIterator

import pytest

from metrics.key import Key
from metrics.stat import Stat, StatMessage
from tests.census import census, more
from tests.kpa.controller.test_reconciler import World
from tests.metrics.rig import Rig

MOST = 12
"""Revisions at one time."""


class Hour:
    """A cluster in which, every second, a revision comes, one goes, and pods of others do either."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.keys: list[Key] = []
        self._dice = random.Random(11)
        self._number = 0

    async def seconds(self, count: int) -> None:
        for _ in range(count):
            self.world.now += 1.0
            self._come_and_go()
            self._report()
            self.world.reconciler.step(self.world.now)
            self.world.cluster.asked.clear()
            self.world.cluster.problems.clear()
            for notes in (self.world.ticks, self.world.scales, self.world.stats):
                notes.clear()  # type: ignore[attr-defined]

    def rest(self) -> None:
        """Let all revisions go."""
        for key in self.keys:
            self.world.cluster.remove(key)
        self.keys.clear()

    def _come_and_go(self) -> None:
        self._number += 1
        key = Key(f"space-{self._number % 7}", f"hello-{self._number:05d}")
        annotations = {"autoscaling.knative.dev/window": f"{6 + self._number % 60}s"}
        self.world.revision(key, ready=self._number % 4, annotations=annotations)
        self.keys.append(key)
        if len(self.keys) > MOST:
            self.world.cluster.remove(self.keys.pop(self._dice.randrange(MOST)))
        self.world.ready(self._dice.randrange(5), self._dice.choice(self.keys))

    def _report(self) -> None:
        second = int(self.world.now)
        names = [*self.keys, Key("nowhere", f"nobody-{self._number}")]
        stat = Stat("activator", self._dice.random() * 40, request_count=9.0, timestamp=second)
        self.world.reconciler.on_stats([StatMessage(*key, stat) for key in names])


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    await made.reconciler.collector.close()


async def test_an_hour_of_revisions_that_come_and_go_leaves_nothing_behind(world: World) -> None:
    hour = Hour(world)
    await hour.seconds(600)
    hour.rest()
    await world.step(2.0)
    before = census(world.reconciler)
    await hour.seconds(3000)
    hour.rest()
    await world.step(2.0)
    assert more(before, census(world.reconciler)) == {}
    assert len(world.reconciler.engine) == 0
    assert list(world.reconciler.statuses()) == []


async def test_pods_that_come_and_go_leave_no_connection_and_nothing_else() -> None:
    rig = Rig()
    stays = await rig.pod()

    async def churn(first: int, last: int) -> None:
        for number in range(first, last):
            key = ("default", f"hello-{number}")
            pod = await rig.pod(float(number))
            rig.watch(key, [pod])
            rig.watch(("default", "stays"), [stays] if number % 3 else [])
            await rig.seconds(number, number)
            assert rig.records[key]
            rig.collector.unwatch(key)
            rig.pods.remove(pod)
            await rig.until(lambda pod=pod: not pod.open)
            await pod.stop()
        for notes in (rig.records, rig.durations, rig.problems, rig.forgotten):
            notes.clear()  # type: ignore[attr-defined]

    await churn(0, 20)
    before = census(rig.collector)
    await churn(20, 200)
    left = more(before, census(rig.collector), allowed=5)
    assert left.pop("bytes", 0) <= 1024, "heads of answers, of which so many are remembered"
    assert left == {}
    await rig.end_all()
