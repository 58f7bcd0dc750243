"""Kubernetes as a cluster of revisions: its objects become revisions, outcomes become writes.

informers ──> caches ──> revisions ──> listener (the reconciler)
└──────> RevisionReconciler <── carry_out
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from config.resolve import RevisionSettings
from kpa.controller import cluster
from kpa.controller.cluster import Listener
from kpa.controller.revisions import Revision
from kpa.kube.api.client import KubeClient
from kpa.kube.api.informer import Informer
from kpa.kube.objects import (
    POD_SELECTOR,
    Metric,
    PodAutoscaler,
    PodInfo,
    ScaleTarget,
    ServerlessService,
    count_pods,
)
from kpa.kube.objects.kinds import (
    DEPLOYMENTS,
    METRICS,
    PODAUTOSCALERS,
    PODS,
    SERVERLESSSERVICES,
    Resource,
    resource_of,
)
from kpa.kube.revisions.desired import Job
from kpa.kube.revisions.reconcile import RevisionReconciler
from kpa.kube.revisions.revision_view import RevisionPods, revision_of
from kpa.kube.revisions.work_queue import WorkQueue
from kpa.runtime.time_budget import LENGTH, TimeBudget
from metrics.key import Key

_log = logging.getLogger(__name__)


class KubernetesCluster:
    """The KPA-class PodAutoscalers of a cluster: implements `kpa.controller.cluster.Cluster`.

    Parameters
    ----------
    client : KubeClient
    instance : str
        Our pod's name.
    settings : callable (PodAutoscaler) -> RevisionSettings
        The settings in force for a revision without a decision yet.
    owns : callable (key) -> bool
        Tells whether a revision is ours to scale.
    clock : callable
        Unix time in seconds.
    in_charge : bool
        Outcomes are carried out; in a dry run nothing is written.
    """

    def __init__(
        self,
        client: KubeClient,
        instance: str,
        settings: Callable[[PodAutoscaler], RevisionSettings],
        owns: Callable[[Key], bool] = lambda key: True,
        clock: Callable[[], float] = time.time,
        in_charge: bool = True,
    ) -> None:
        self._in_charge = in_charge
        self._client = client
        self._settings = settings
        self._owns = owns
        self._clock = clock
        self._listeners: list[Listener] = []
        self._reported: dict[Key, Revision] = {}
        self._dirty: set[Key] = set()
        self._due: deque[Key] = deque()  # the same, in order
        self._pods_of = RevisionPods(self.touch)
        self._reconciler = RevisionReconciler(client, self, instance, clock)
        self._queue: WorkQueue[Job] = WorkQueue(self._reconciler.reconcile)
        self._pas = Informer(client, PODAUTOSCALERS, _ours, on_change=self.touch)
        self._skses = Informer(client, SERVERLESSSERVICES, ServerlessService.from_json, on_change=self.touch)
        self._metrics = Informer(client, METRICS, Metric.from_json, on_change=self.touch)
        self._pods = Informer(
            client, PODS, PodInfo.from_json, label_selector=POD_SELECTOR, on_change=self._pods_of.change
        )
        self._targets: dict[Resource, Informer[ScaleTarget]] = {}
        self._informers: dict[Resource, Informer[Any]] = {
            PODAUTOSCALERS: self._pas,
            SERVERLESSSERVICES: self._skses,
            METRICS: self._metrics,
        }
        self._group: asyncio.TaskGroup | None = None

    # Caches of what the cluster has.

    @property
    def podautoscalers(self) -> Mapping[Key, PodAutoscaler]:
        """By namespace and name, as the others."""
        return self._pas.cache

    @property
    def serverlessservices(self) -> Mapping[Key, ServerlessService]:
        """The services of a revision, and the way of its requests."""
        return self._skses.cache

    @property
    def metrics(self) -> Mapping[Key, Metric]:
        """The Metrics of revisions."""
        return self._metrics.cache

    def scale_target(self, pa: PodAutoscaler) -> ScaleTarget | None:
        """Return the scale target of a revision, if it is known; its kind is watched from then on."""
        resource = resource_of(pa.scale_target.api_version, pa.scale_target.kind)
        target = self._follow(resource).cache.get(Key(pa.key.namespace, pa.scale_target.name))
        return target

    def ready_pods(self, pa: PodAutoscaler) -> int:
        """Return how many pods of a revision take requests."""
        return count_pods(self._pods_of.of(pa)).ready

    def learn(self, resource: Resource, written: dict[str, Any]) -> None:
        """Put the API server's answer to a write into the cache, before the watch delivers it."""
        self._informers[resource].learn(written)

    # Life cycle.

    async def run(self) -> None:
        """Follow the cluster until cancelled."""
        self._follow(DEPLOYMENTS)
        try:
            async with asyncio.TaskGroup() as group:
                for informer in (*self._informers.values(), self._pods):
                    group.create_task(informer.run())
                self._group = group
        finally:
            self._group = None
            self._due.clear()  # no more listeners
            await self._queue.close()

    async def wait_synced(self) -> None:
        """Wait until all caches have synced."""
        followed = (self._pas, self._skses, self._metrics, self._pods, self._follow(DEPLOYMENTS))
        for informer in followed:
            await informer.synced.wait()

    def watch(self, listener: Listener) -> None:
        """Call `listener` with all revisions that exist now, then with every change of one."""
        self._listeners.append(listener)
        for key, revision in self._reported.items():
            listener(key, revision)

    def carry_out(self, key: Key, outcome: cluster.Outcome) -> None:
        """Write what an outcome asks for, where the cluster differs."""
        if key in self._reported and self._owns(key):
            self._submit(key, outcome)

    def touch_all(self) -> None:
        """Reconcile all revisions: ownership or settings have changed."""
        for key in [*self._pas.cache, *self._reported]:
            self.touch(key)

    def _submit(self, key: Key, job: Job) -> None:
        if self._in_charge and self._reconciler.needed(key, job):
            self._queue.submit(key, job)
        else:
            self._queue.forget(key)

    def _follow(self, resource: Resource) -> Informer[ScaleTarget]:
        """Return the informer of a kind of scale targets; starts one for a new kind."""
        informer = self._targets.get(resource)
        if informer is None:
            informer = Informer(self._client, resource, ScaleTarget.from_json, on_change=self._target_changed)
            self._targets[resource] = self._informers[resource] = informer
            if self._group is not None:
                self._group.create_task(informer.run())
        return informer

    # Changes.

    def touch(self, key: Key, _value: Any = None) -> None:
        """Reconcile a revision soon: many changes of one moment cost one pass."""
        if not self._dirty:
            asyncio.get_running_loop().call_soon(self._look)
        if key not in self._dirty and self._group is not None:
            self._dirty.add(key)
            self._due.append(key)

    def _target_changed(self, key: Key, _target: ScaleTarget | None) -> None:
        """A Deployment is named after its revision; a PodAutoscaler after it as well."""
        self.touch(Key(key.namespace, key.name.removesuffix("-deployment")))

    def _look(self) -> None:
        """Reconcile what changed; if that takes long, go on in the next turn of the event loop."""
        budget = TimeBudget(LENGTH)
        try:
            while self._due:
                key = self._due.popleft()
                self._dirty.discard(key)
                pa = self._pas.cache.get(key)
                if pa is None or pa.deleted or not self._owns(key):
                    self._forget(key)
                else:
                    self._look_at(key, pa)
                if budget.over:
                    break
        finally:
            if self._due:
                asyncio.get_running_loop().call_soon(self._look)

    def _forget(self, key: Key) -> None:
        self._queue.drop(key)
        self._pods_of.forget(key)
        if self._reported.pop(key, None) is not None:
            for listener in self._listeners:
                listener(key, None)

    def _look_at(self, key: Key, pa: PodAutoscaler) -> None:
        """Report a revision whose services exist; create them for one that has none yet."""
        sks, target = self._skses.cache.get(key), self.scale_target(pa)
        if sks is None or not sks.private_service_name:
            self._submit(key, self._settings(pa))
        elif target is not None:
            revision = self._reported[key] = revision_of(pa, sks, target, self._pods_of.of(pa), self._clock())
            for listener in self._listeners:
                listener(key, revision)


def _ours(body: dict[str, Any]) -> PodAutoscaler | None:
    """Trim a PodAutoscaler; those of other classes are ignored."""
    pa = PodAutoscaler.from_json(body)
    return pa if pa.is_ours else None
