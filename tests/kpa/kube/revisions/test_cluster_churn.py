"""What a cluster's view holds on to once revisions, their pods and their writes have come and gone."""

import asyncio
import random
from collections.abc import Callable, Mapping
from functools import partial
from types import SimpleNamespace
from typing import Any

from config.autoscaler import AutoscalerConfig
from config.resolve import resolve
from kpa.controller.cluster import Outcome
from kpa.controller.revisions import Revision
from kpa.kube.objects.kinds import DEPLOYMENTS, METRICS, PODAUTOSCALERS, PODS, SERVERLESSSERVICES, Resource
from kpa.kube.revisions.cluster import KubernetesCluster
from metrics.key import Key
from scaler.rules.plan import Plan
from scaler.rules.scale_to_zero import Activity, LifecycleState
from tests.census import census, more
from tests.kpa.kube import kube_samples as samples
from tests.kpa.kube.memory_client import MemoryClient

DEADLINE = 60.0  # seconds; generous, as it ends a wait that has failed
SETTINGS = resolve(AutoscalerConfig.from_config_map({}), {}, 10)
LIFE = LifecycleState(Activity.ACTIVE, samples.T0, initialized=True)


class World:
    """A cluster that scales every revision to three replicas as soon as it hears of it."""

    def __init__(self) -> None:
        self.client = MemoryClient()
        self.known: set[Key] = set()
        self.cluster = KubernetesCluster(
            self.client,  # type: ignore[arg-type]
            "autoscaler-1",
            lambda pa: SETTINGS,
            clock=lambda: samples.T0,
        )
        self.cluster.watch(self._hear)
        self._dice = random.Random(5)

    def _hear(self, key: Key, revision: Revision | None) -> None:
        if revision is None:
            self.known.discard(key)
            return
        self.known.add(key)
        plan = Plan(3, 3, None, proxied=False, lifecycle=LIFE)
        self.cluster.carry_out(key, Outcome(plan, SimpleNamespace(), SETTINGS))  # type: ignore[arg-type]

    async def churn(self, first: int, last: int) -> None:
        """Let revisions come and go; a PodAutoscaler goes first, and what belongs to it in any order."""
        for number in range(first, last):
            name = f"cart-{number:05d}"
            there = self._make(name)
            await self._until(partial(self._is_done, name))
            self.client.remove(PODAUTOSCALERS, Key("shop", name))
            self._dice.shuffle(there)
            for resource, key in there:
                if self._dice.random() < 0.3:
                    await asyncio.sleep(0)
                self.client.remove(resource, key)
            await self._until(lambda: not self.known and not self.cluster._queue._tasks)
            self._collect_garbage()
            await self._until(lambda: not any(self._caches()))
            self.client.writes.clear()
            for changes in self.client._changes.values():
                changes.clear()

    def _caches(self) -> list[Mapping[Key, Any]]:
        informers = self.cluster._skses, self.cluster._pods, self.cluster._metrics
        targets = self.cluster._targets.values()
        return [*(each.cache for each in informers), *(each.cache for each in targets)]

    def _collect_garbage(self) -> None:
        """Remove what was made for a PodAutoscaler that is gone."""
        for resource in (METRICS, SERVERLESSSERVICES):
            for key in list(self.client.objects[resource]):
                self.client.remove(resource, key)

    def _make(self, name: str) -> list[tuple[Resource, Key]]:
        names = {"name": name, "uid": f"uid-{name}", "labels": {"serving.knative.dev/revision": name}}
        target = {"name": f"{name}-deployment"}
        pa = {"metadata": names, "spec": {"scaleTargetRef": target}}
        bodies = [
            (PODAUTOSCALERS, samples.merged(samples.POD_AUTOSCALER, pa)),
            (SERVERLESSSERVICES, samples.merged(samples.SERVERLESS_SERVICE, self._owned(name))),
            (DEPLOYMENTS, {"metadata": {**target, "namespace": "shop"}, "spec": {"replicas": 1}}),
            *((PODS, self._pod(name, number)) for number in range(2)),
        ]
        self._dice.shuffle(bodies)
        for resource, body in bodies:
            self.client.put(resource, body)
        return [
            (resource, Key("shop", body["metadata"]["name"]))
            for resource, body in bodies
            if resource != PODAUTOSCALERS
        ]

    def _owned(self, name: str) -> dict[str, Any]:
        [*others, owner] = samples.SERVERLESS_SERVICE["metadata"]["ownerReferences"]
        return {"metadata": {"name": name, "ownerReferences": [*others, {**owner, "uid": f"uid-{name}"}]}}

    def _pod(self, revision: str, number: int) -> dict[str, Any]:
        labels = {"serving.knative.dev/revision": revision}
        metadata = {"namespace": "shop", "name": f"{revision}-pod-{number}", "labels": labels}
        ready = [{"type": "Ready", "status": "True"}]
        status = {"phase": "Running", "podIP": f"10.0.0.{number}", "conditions": ready}
        return {"metadata": metadata, "spec": {}, "status": status}

    def _is_done(self, name: str) -> bool:
        pa = self.client.objects[PODAUTOSCALERS].get(Key("shop", name), {})
        scaled = self.client.objects[DEPLOYMENTS][Key("shop", f"{name}-deployment")]["spec"]["replicas"] == 3
        return scaled and pa.get("status", {}).get("actualScale") == 2 and not self.cluster._queue._tasks

    async def _until(self, holds: Callable[[], Any]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not holds():
                await asyncio.sleep(0.001)


async def test_revisions_that_come_and_go_leave_nothing_behind() -> None:
    world = World()
    running = asyncio.create_task(world.cluster.run())
    try:
        await world.churn(0, 20)
        before = census(world.cluster)
        await world.churn(20, 140)
        assert more(before, census(world.cluster), allowed=10) == {}
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
