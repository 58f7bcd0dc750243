"""Kubernetes as a place where pods run: what is told of revisions, and what becomes of outcomes.

How an outcome is written is the matter of test_reconcile; how caches follow, of test_informer.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from config.autoscaler import AutoscalerConfig
from config.resolve import resolve
from kpa.controller.cluster import Outcome
from kpa.controller.revisions import Revision
from kpa.kube.objects.kinds import DEPLOYMENTS, METRICS, PODAUTOSCALERS, PODS, SERVERLESSSERVICES, Resource
from kpa.kube.revisions.cluster import KubernetesCluster
from metrics.key import Key
from scaler.rules.plan import Plan
from scaler.rules.scale_to_zero import Activity, LifecycleState
from tests.kpa.kube import kube_samples as samples
from tests.kpa.kube.memory_client import Json, MemoryClient

DEADLINE = 30.0  # seconds; generous, as it ends a wait that has failed
KEY = Key("shop", "cart-00002")
SETTINGS = resolve(AutoscalerConfig.from_config_map({}), {}, 10)
ACTIVE = LifecycleState(Activity.ACTIVE, samples.T0, initialized=True)


class World:
    """A cluster, its API server, and what a listener heard."""

    def __init__(self) -> None:
        self.client = MemoryClient()
        self.ours = True
        self.heard: list[tuple[Key, Revision | None]] = []
        self.cluster = KubernetesCluster(
            self.client,  # type: ignore[arg-type]
            "autoscaler-1",
            lambda pa: SETTINGS,
            lambda key: self.ours,
            lambda: samples.T0,
        )
        self.cluster.watch(lambda key, revision: self.heard.append((key, revision)))

    @property
    def last(self) -> Revision:
        """What was heard last."""
        revision = self.heard[-1][1]
        assert revision is not None
        return revision

    def revision(self, replicas: int = 2, **changes: Any) -> None:
        """Make a revision whose services exist."""
        self.client.put(PODAUTOSCALERS, samples.merged(samples.POD_AUTOSCALER, changes))
        self.client.put(SERVERLESSSERVICES, samples.SERVERLESS_SERVICE)
        self.target(DEPLOYMENTS, replicas)

    def named(self, name: str) -> None:
        """Make a revision of another name."""
        pa = {"metadata": {"name": name}, "spec": {"scaleTargetRef": {"name": f"{name}-deployment"}}}
        self.client.put(PODAUTOSCALERS, samples.merged(samples.POD_AUTOSCALER, pa))
        sks = {"metadata": {"name": name}}
        self.client.put(SERVERLESSSERVICES, samples.merged(samples.SERVERLESS_SERVICE, sks))
        target = {"namespace": "shop", "name": f"{name}-deployment"}
        self.client.put(DEPLOYMENTS, {"metadata": target, "spec": {"replicas": 1}})

    def target(self, resource: Resource, replicas: int) -> None:
        metadata = {"namespace": "shop", "name": "cart-00002-deployment"}
        self.client.put(resource, {"metadata": metadata, "spec": {"replicas": replicas}})

    def pod(self, name: str, phase: str = "Running", revision: str = "cart-00002", **metadata: Any) -> None:
        named = {"namespace": "shop", "name": name, "labels": {"serving.knative.dev/revision": revision}}
        ready = [{"type": "Ready", "status": "True"}]
        status = {"phase": phase, "podIP": "10.0.0.1", "conditions": ready}
        self.client.put(PODS, {"metadata": named | metadata, "spec": {}, "status": status})

    async def until(self, holds: Callable[[], Any]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not holds():
                await asyncio.sleep(0.002)

    async def quiet(self) -> None:
        """Wait until nothing is left to be written."""
        await self.until(lambda: not self.cluster._queue._tasks)
        await asyncio.sleep(0)


@pytest.fixture
async def world() -> World:
    return World()


@contextlib.asynccontextmanager
async def running(world: World) -> AsyncIterator[None]:
    task = asyncio.create_task(world.cluster.run())
    try:
        async with asyncio.timeout(DEADLINE):
            await world.cluster.wait_synced()
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def outcome(replicas: int, proxied: bool = True) -> Outcome:
    return Outcome(Plan(replicas, replicas, None, proxied, ACTIVE), SimpleNamespace(), SETTINGS)  # type: ignore[arg-type]


def statused(body: Json, status: Json) -> Json:
    return {**body, "status": status}


async def test_a_revision_is_told_with_all_that_there_is_of_it(world: World) -> None:
    world.revision(replicas=3)
    world.pod("a")
    world.pod("b", deletionTimestamp="2023-11-14T22:13:20Z")
    world.pod("c", phase="Pending")
    for phase in ("Succeeded", "Failed"):
        world.pod(phase.lower(), phase=phase)
    world.pod("other", revision="cart-00001")
    async with running(world):
        await world.until(lambda: world.heard)
        revision = world.last
        assert (revision.key, revision.service, revision.configuration) == (KEY, "cart", "cart")
        assert (revision.replicas, revision.container_concurrency, revision.reachable) == (3, 10, True)
        assert revision.private_service == "cart-00002-private"
        assert [pod.name for pod in revision.ready_pods] == ["a"]
        assert {pod.name: pod.terminating for pod in revision.pods} == {"a": False, "b": True, "c": False}
        assert {(pod.host, pod.metrics_port, pod.serving_port) for pod in revision.pods} == {
            ("10.0.0.1", 9090, 8012)
        }


async def test_a_revision_is_told_once_its_services_and_its_deployment_are_there(world: World) -> None:
    world.client.put(PODAUTOSCALERS, samples.POD_AUTOSCALER)
    async with running(world):
        await world.until(lambda: world.client.writes)
        await world.quiet()
        assert world.client.writes == ["create serverlessservices", "status podautoscalers"]
        made = world.client.objects[SERVERLESSSERVICES][KEY]
        world.client.put(SERVERLESSSERVICES, statused(made, samples.SERVERLESS_SERVICE["status"]))
        assert world.heard == []
        world.target(DEPLOYMENTS, 2)
        await world.until(lambda: world.heard)
        assert world.last.replicas == 2


async def test_pods_that_come_go_and_change_their_revision_are_told(world: World) -> None:
    world.revision()
    async with running(world):
        await world.until(lambda: world.heard)
        world.pod("a")
        await world.until(lambda: len(world.last.pods) == 1)
        world.pod("a", revision="cart-00001")
        await world.until(lambda: not world.last.pods)
        world.pod("a")
        world.pod("b")
        await world.until(lambda: len(world.last.pods) == 2)
        pa = world.cluster.podautoscalers[KEY]
        assert world.cluster.ready_pods(pa) == 2
        world.client.remove(PODS, Key("shop", "a"))
        await world.until(lambda: [pod.name for pod in world.last.pods] == ["b"])


async def test_many_changes_of_one_moment_are_told_together(world: World) -> None:
    world.revision()
    async with running(world):
        await world.until(lambda: world.heard)
        world.client.flowing.clear()
        for number in range(20):
            world.pod(f"pod-{number}")
        before = len(world.heard)
        world.client.flowing.set()
        await world.until(lambda: len(world.last.pods) == 20)
        assert len(world.heard) < before + 20


@pytest.mark.parametrize("way", ["deleted", "deletion begun", "another class"])
async def test_a_revision_that_is_no_longer_ours_to_scale_is_told_to_be_gone(world: World, way: str) -> None:
    world.revision()
    async with running(world):
        await world.until(lambda: world.heard)
        if way == "deleted":
            world.client.remove(PODAUTOSCALERS, KEY)
        elif way == "deletion begun":
            metadata = {"deletionTimestamp": "2023-11-14T22:13:20Z"}
            world.client.put(PODAUTOSCALERS, samples.merged(samples.POD_AUTOSCALER, {"metadata": metadata}))
        else:
            metadata = {"annotations": {"autoscaling.knative.dev/class": "hpa.autoscaling.knative.dev"}}
            world.client.put(PODAUTOSCALERS, samples.merged(samples.POD_AUTOSCALER, {"metadata": metadata}))
        await world.until(lambda: world.heard[-1] == (KEY, None))
        world.client.writes.clear()
        world.cluster.carry_out(KEY, outcome(7))
        await world.quiet()
        assert world.client.writes == []


async def test_only_revisions_that_we_own_are_told_and_written(world: World) -> None:
    world.ours = False
    world.revision()
    async with running(world):
        world.cluster.touch_all()
        await asyncio.sleep(0)
        assert (world.heard, world.client.writes) == ([], [])
        world.ours = True
        world.cluster.touch_all()
        await world.until(lambda: world.heard)
        world.ours = False
        world.cluster.carry_out(KEY, outcome(7))
        world.cluster.touch_all()
        await world.until(lambda: world.heard[-1] == (KEY, None))
        assert world.client.writes == []


async def test_what_is_being_written_when_a_revision_is_no_longer_ours_is_broken_off(world: World) -> None:
    """Else it would be asked for again and again, until the API server is back, and undo what others did."""
    begun, go_on = asyncio.Event(), asyncio.Event()
    patch = world.client.patch_replicas

    async def slow(*arguments: Any) -> Json:
        begun.set()
        await go_on.wait()
        return await patch(*arguments)

    world.client.patch_replicas = slow  # type: ignore[method-assign]
    world.revision(replicas=2)
    async with running(world):
        await world.until(lambda: world.heard)
        world.cluster.carry_out(KEY, outcome(7))
        await begun.wait()
        world.client.writes.clear()
        world.ours = False
        world.cluster.touch_all()
        await world.until(lambda: world.heard[-1] == (KEY, None))
        go_on.set()
        await asyncio.sleep(0.01)
        assert world.client.writes == []


async def test_many_revisions_are_looked_at_in_slices_and_none_once_the_end_has_come(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kpa.kube.revisions.cluster.LENGTH", 0.0)
    for number in range(10):
        world.named(f"cart-{number}")
    async with running(world):
        await world.until(lambda: len(world.heard) == 10)
        world.ours = False
        world.cluster.touch_all()
    before = list(world.heard)
    assert len(before) < 20
    world.cluster.touch_all()
    await asyncio.sleep(0.01)
    assert world.heard == before


async def test_who_listens_late_hears_of_what_there_is(world: World) -> None:
    world.revision()
    async with running(world):
        await world.until(lambda: world.heard)
        late: list[Key] = []
        world.cluster.watch(lambda key, revision: late.append(key))
        assert late == [KEY]


async def test_other_kinds_than_deployments_are_followed_once_somebody_has_one(world: World) -> None:
    stateful = Resource("apps", "v1", "statefulsets")
    spec = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet"}}
    world.revision(spec=spec)
    world.target(stateful, 5)
    async with running(world):
        await world.until(lambda: world.heard)
        assert world.last.replicas == 5


@pytest.mark.parametrize("replicas", [5, 0])
async def test_an_outcome_is_written_once_although_the_watches_are_late(world: World, replicas: int) -> None:
    world.revision(replicas=2)
    async with running(world):
        await world.until(lambda: world.heard)
        world.client.flowing.clear()
        for _ in range(3):
            world.cluster.carry_out(KEY, outcome(replicas, proxied=False))
            await world.quiet()
        expected = [f"scale={replicas} deployments", "create metrics", "replace serverlessservices"]
        assert [each for each in world.client.writes if "status" not in each] == expected
        assert world.last.replicas == replicas


async def test_no_write_of_ours_stands_in_the_way_of_the_next(world: World) -> None:
    world.revision(replicas=2)
    async with running(world):
        await world.until(lambda: world.heard)
        world.client.flowing.clear()
        for number in range(6):
            world.cluster.carry_out(KEY, outcome(3 + number, proxied=number % 2 == 0))
            await world.quiet()
        assert not [each for each in world.client.writes if "Conflict" in each]
        world.client.flowing.set()
        sks = world.client.objects[SERVERLESSSERVICES][KEY]
        await world.until(
            lambda: world.cluster.serverlessservices[KEY].generation == sks["metadata"]["generation"]
        )
        metric = world.client.objects[METRICS][KEY]
        assert world.cluster.metrics[KEY].generation == metric["metadata"]["generation"]
        assert world.last.replicas == 8


async def test_a_listener_that_fails_keeps_no_other_revision_from_being_told(world: World) -> None:
    others = [f"other-{number}" for number in range(3)]
    for name in others:
        world.named(name)
    broken: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: broken.append(context))
    told: list[str] = []

    def listen(key: Key, revision: Revision | None) -> None:
        told.append(key.name)
        if len(told) == 1:
            raise RuntimeError("no luck")

    world.cluster.watch(listen)
    async with running(world):
        await world.until(lambda: set(told) == set(others))
    assert len(broken) == 1
