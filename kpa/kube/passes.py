"""One pass over a PodAutoscaler: scale, Metric, ServerlessService, status, each written only if it differs.

A step that fails ends the pass. What a write is answered with is known from then on, before a watch tells of
it: no pass writes over a version of before its own last write.

Source: `knative/serving pkg/reconciler/autoscaling/kpa/kpa.go`. There the Metric comes before the scale; here
nothing does, since a request may wait for it, but the check that the Metric is ours.
"""

import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

from config.resolve import RevisionSettings
from kpa import cluster
from kpa.kube.children import NotOwned, metric_body, metric_spec, sks_body, sks_spec
from kpa.kube.client import KubeClient
from kpa.kube.errors import AlreadyExists, Conflict, KubeError, NotFound, Unreachable, explain, while_doing
from kpa.kube.events import INTERNAL_ERROR, METRIC_CONTROLLER, PA_CONTROLLER, UPDATE_FAILED, Involved
from kpa.kube.metric_status import metric_status_body
from kpa.kube.objects import (
    Metric,
    PodAutoscaler,
    PodAutoscalerStatus,
    ScaleTarget,
    ServerlessService,
    ServerlessServiceSpec,
)
from kpa.kube.recorder import EventRecorder
from kpa.kube.resources import METRICS, SERVERLESSSERVICES, Resource, resource_of
from kpa.kube.status import (
    Outcome,
    equal_but_for_times,
    life_from_status,
    pa_status,
    pa_status_failed,
    pa_status_not_owned,
    pa_status_waiting,
)
from kpa.kube.status_writer import StatusWriter
from kpa.kube.turns import Rank, Turn
from kpa.revisions import Key
from scaler.bounds import active_threshold
from scaler.burst import number_of_activators
from scaler.zero import Activity, next_activity

_log = logging.getLogger(__name__)


class Caches(Protocol):
    """What is known of the cluster's objects."""

    @property
    def podautoscalers(self) -> Mapping[Key, PodAutoscaler]:
        """By namespace and name, as the others."""

    @property
    def serverlessservices(self) -> Mapping[Key, ServerlessService]:
        """Which services a revision has, and where its requests go."""

    @property
    def metrics(self) -> Mapping[Key, Metric]:
        """What is said to be collected."""

    def scale_target(self, pa: PodAutoscaler) -> ScaleTarget | None:
        """Return what has the replicas of a revision."""

    def ready_pods(self, pa: PodAutoscaler) -> int:
        """Return how many pods of a revision take requests."""

    def learn(self, resource: Resource, written: dict[str, Any]) -> None:
        """Take what the API server answered a write with."""


Job = cluster.Outcome | RevisionSettings
"""An outcome to carry out, or the settings of a revision whose services do not exist yet."""


class Passes:
    """Carries out what was decided about revisions.

    Parameters
    ----------
    client : KubeClient
    caches : Caches
    instance : str
        Our pod's name, in Events.
    clock : callable
        Unix time in seconds.
    """

    def __init__(
        self, client: KubeClient, caches: Caches, instance: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._client = client
        self._caches = caches
        self._recorder = EventRecorder(client, instance, clock)
        self._statuses = StatusWriter(client, self._recorder, caches.learn)
        self._clock = clock

    def needed(self, key: Key, job: Job) -> bool:
        """Tell whether anything has to be written for a job, by what is known now."""
        pa = self._caches.podautoscalers.get(key)
        if pa is None or pa.deleted:
            return False
        try:
            if any(body is not None for body in self._children(pa, job)):
                return True
            return self._metric_status(pa, job) is not None or self._status_differs(pa, job)
        except NotOwned:
            return True

    async def work(self, key: Key, job: Job, turn: Turn) -> None:
        """Carry out a job; raises what made it fail, once the status says so.

        Parameters
        ----------
        key : Key
        job : Job
        turn : Turn
            Taken before each write; statuses wait for what others need, and fall to a newer job meanwhile.
        """
        pa = self._caches.podautoscalers.get(key)
        if pa is None or pa.deleted:
            return
        try:
            sks = await self._write_children(pa, job, turn)
        except (NotOwned, KubeError) as error:
            with contextlib.suppress(KubeError):
                await self._failed(pa, error)
            raise
        await turn.take(Rank.STATUS)
        sks = _newer(sks, self._caches.serverlessservices.get(key))
        newest = self._caches.podautoscalers.get(key, pa)
        await self._statuses.write(newest, lambda stored: self._status(stored, job, sks))
        if self._metric_status(newest, job) is not None:
            await turn.take(Rank.METRIC)
            await self._write_metric_status(newest, job)

    # What should be.

    def _children(self, pa: PodAutoscaler, job: Job) -> tuple[Any, Any, Any]:
        """Return what to write to the Metric, the scale target and the ServerlessService; None is nothing."""
        sks = self._caches.serverlessservices.get(pa.key)
        if isinstance(job, RevisionSettings) or sks is None or not sks.private_service_name:
            return None, None, sks_body(pa, sks, sks_spec(pa, proxied=True))
        spec = self._sks_spec(pa, job)
        known = self._caches.metrics.get(pa.key)
        metric = metric_body(pa, known, metric_spec(job.settings, sks.private_service_name))
        target, replicas = self._caches.scale_target(pa), job.plan.replicas
        there = target is not None and target.replicas == replicas
        return metric, None if there else replicas, sks_body(pa, sks, spec)

    def _metric_status(self, pa: PodAutoscaler, job: Job) -> dict[str, Any] | None:
        """Return the status to write to the Metric, if it is ours and collected for; None is nothing."""
        known = self._caches.metrics.get(pa.key)
        if known is None or known.owner != pa.uid or isinstance(job, RevisionSettings):
            return None
        return metric_status_body(known, job.problem, self._clock())

    def _sks_spec(self, pa: PodAutoscaler, job: cluster.Outcome) -> ServerlessServiceSpec:
        settings = job.settings
        activators = _activators(
            float(self._caches.ready_pods(pa)),
            settings.total_value,
            settings.target_burst_capacity,
            settings.activator_capacity,
        )
        return sks_spec(pa, self._proxied(pa, job), activators)

    def _proxied(self, pa: PodAutoscaler, job: cluster.Outcome) -> bool:
        """Return whether activators belong in the path; while nothing is known it stays as it is."""
        known = self._caches.serverlessservices.get(pa.key)
        if job.plan.proxied is None:
            return known is None or known.spec.mode != "Serve"
        return job.plan.proxied

    def _status(self, pa: PodAutoscaler, job: Job, sks: ServerlessService | None) -> PodAutoscalerStatus:
        now = self._clock()
        settings = job if isinstance(job, RevisionSettings) else job.settings
        initialized = life_from_status(pa, sks, now).initialized
        threshold = active_threshold(
            settings.min_scale, settings.initial_scale, initialized, settings.reachable
        )
        if isinstance(job, RevisionSettings) or sks is None or not sks.private_service_name:
            return pa_status_waiting(pa, threshold, now)
        ready, life = self._caches.ready_pods(pa), job.plan.life
        activity = _present_activity(job, ready)
        outcome = Outcome(job.plan.wanted, ready, threshold, activity, life.initialized)
        return pa_status(pa, outcome, sks, now)

    def _status_differs(self, pa: PodAutoscaler, job: Job) -> bool:
        sks = self._caches.serverlessservices.get(pa.key)
        return not equal_but_for_times(pa.status, self._status(pa, job, sks))

    # Writing it.

    async def _write_children(self, pa: PodAutoscaler, job: Job, turn: Turn) -> ServerlessService | None:
        """Write what differs; returns the ServerlessService as it is then."""
        metric, replicas, sks = self._children(pa, job)
        if replicas is not None:
            await turn.take(Rank.SCALE)
            await self._scale(pa, replicas)
        if metric is not None or sks is not None:
            await turn.take(Rank.SERVICES)
        if metric is not None:
            exists = self._caches.metrics.get(pa.key) is not None
            with while_doing("error reconciling Metric", f"error {_verb(exists)} metric"):
                await self._write(METRICS, exists, pa.key, metric)
        known = self._caches.serverlessservices.get(pa.key)
        if sks is None:
            return known
        with while_doing("error reconciling SKS", f"error {_verb(known is not None)} SKS {pa.key.name}"):
            written = await self._write(SERVERLESSSERVICES, known is not None, pa.key, sks)
        return ServerlessService.from_json(written)

    async def _scale(self, pa: PodAutoscaler, replicas: int) -> None:
        target = pa.scale_target
        resource = resource_of(target.api_version, target.kind)
        what = f"failed to apply scale {replicas} to scale target {target.name}"
        with while_doing("error scaling target", what):
            scaled = await self._client.patch_replicas(resource, pa.key.namespace, target.name, replicas)
        self._caches.learn(resource, {**scaled, "spec": {"replicas": replicas}})  # a Scale leaves out zero
        _log.info("%s: replicas %d", pa.key, replicas)

    async def _write_metric_status(self, pa: PodAutoscaler, job: Job) -> None:
        """Write the status of the Metric, after all others: it hinders nothing, and nobody waits for it."""
        status = self._metric_status(pa, job)
        if status is None:
            return
        try:
            written = await self._client.replace_status(METRICS, pa.key.namespace, pa.key.name, status)
            self._caches.learn(METRICS, written)
        except KubeError as error:
            if not isinstance(error, Conflict | Unreachable | NotFound):
                text = f'Failed to update status for "{pa.key.name}": {explain(error)}'
                await self._recorder.warn(Involved.of(status), UPDATE_FAILED, text, METRIC_CONTROLLER)
            raise

    async def _write(
        self, resource: Resource, exists: bool, key: Key, body: dict[str, Any]
    ) -> dict[str, Any]:
        if exists:
            written = await self._client.replace(resource, key.namespace, key.name, body)
        else:
            try:
                written = await self._client.create(resource, key.namespace, body)
            except AlreadyExists:  # our cache is behind
                written = await self._client.get(resource, key.namespace, key.name)
        self._caches.learn(resource, written)
        return written

    async def _failed(self, pa: PodAutoscaler, error: NotOwned | KubeError) -> None:
        """Say in the status, and by an Event, that a pass failed.

        A conflict is nobody's concern, what failed because all of it was deleted neither; and who cannot be
        reached cannot be told.
        """
        if isinstance(error, Conflict | Unreachable) or pa.key not in self._caches.podautoscalers:
            return
        sks, now = self._caches.serverlessservices.get(pa.key), self._clock()
        if isinstance(error, NotOwned):
            kind = error.kind
            await self._statuses.write(pa, lambda stored: pa_status_not_owned(stored, kind, sks, now))
        else:
            await self._statuses.write(pa, lambda stored: pa_status_failed(stored, sks, now))
        await self._recorder.warn(Involved.pod_autoscaler(pa), INTERNAL_ERROR, explain(error), PA_CONTROLLER)


def _present_activity(job: cluster.Outcome, ready: int) -> Activity:
    """Return the activity by the pods that the status counts: there may be others than at the decision."""
    settings, plan = job.settings, job.plan
    if plan.life.activity.inactive:
        return plan.life.activity
    threshold = active_threshold(
        settings.min_scale, settings.initial_scale, plan.life.initialized, settings.reachable
    )
    return next_activity(plan.life.activity, plan.wanted, ready, threshold)


@lru_cache(maxsize=4096)  # revisions have much in common, and each is asked for many times
def _activators(ready: float, total: float, burst: float, capacity: float) -> int:
    """Return the number of activators for one revision."""
    return int(number_of_activators(*(np.array([each]) for each in (ready, total, burst, capacity)))[0])


def _newer(one: ServerlessService | None, other: ServerlessService | None) -> ServerlessService | None:
    """Return what is known to be later: our own write, or what was seen while others had their turn."""
    if one is None or (other is not None and other.generation >= one.generation):
        return other
    return one


def _verb(exists: bool) -> str:
    return "updating" if exists else "creating"
