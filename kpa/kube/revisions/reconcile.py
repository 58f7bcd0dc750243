"""Reconciles a PodAutoscaler: scale, Metric, ServerlessService, status, each written only if it differs.

A step that fails ends the pass. The answer to a write enters the cache at once, before the watch delivers it:
no pass starts from a version older than its own last write.

Source: `knative/serving pkg/reconciler/autoscaling/kpa/kpa.go`. There the Metric comes before the scale; here
nothing does, since a request may wait for it, but the check that the Metric is ours.
"""

import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any, Protocol

from kpa.kube.api.client import KubeClient
from kpa.kube.api.errors import AlreadyExists, Conflict, KubeError, Unreachable, explain, while_doing
from kpa.kube.events.events import INTERNAL_ERROR, PA_CONTROLLER, Involved
from kpa.kube.events.recorder import EventRecorder
from kpa.kube.objects import PodAutoscaler, ServerlessService
from kpa.kube.objects.kinds import METRICS, SERVERLESSSERVICES, Resource, resource_of
from kpa.kube.objects.owned_resources import NotOwned
from kpa.kube.objects.pa_status import pa_status_failed, pa_status_not_owned
from kpa.kube.revisions.desired import DesiredObjects, Job, ObjectCache
from kpa.kube.revisions.priority_limiter import Permit, Priority
from kpa.kube.revisions.status_writer import StatusWriter
from metrics.key import Key

_log = logging.getLogger(__name__)


class WritableCache(ObjectCache, Protocol):
    """What is known of the cluster's objects, and takes the answers to writes."""

    def learn(self, resource: Resource, written: dict[str, Any]) -> None:
        """Take what the API server answered a write with."""


class RevisionReconciler:
    """Writes the objects of revisions as they should be after a decision.

    Parameters
    ----------
    client : KubeClient
    cache : WritableCache
    instance : str
        Our pod's name, in Events.
    clock : callable
        Unix time in seconds.

    Attributes
    ----------
    needed : callable (key, job)
        Tells whether anything has to be written for a job, by what is known now.
    """

    def __init__(
        self, client: KubeClient, cache: WritableCache, instance: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._client = client
        self._cache = cache
        self._desired = DesiredObjects(cache, clock)
        self.needed = self._desired.needed
        self._recorder = EventRecorder(client, instance, clock)
        self._statuses = StatusWriter(client, self._recorder, cache.learn)
        self._clock = clock

    async def reconcile(self, key: Key, job: Job, permit: Permit) -> None:
        """Carry out a job; raises the error of a failure, once it is in the status.

        Parameters
        ----------
        key : Key
        job : Job
        permit : Permit
            Acquired before each write; statuses wait for writes of a higher priority, and a newer job ends
            the wait.
        """
        pa = self._cache.podautoscalers.get(key)
        if pa is None or pa.deleted:
            return
        try:
            sks = await self._write_owned(pa, job, permit)
        except (NotOwned, KubeError) as error:
            with contextlib.suppress(KubeError):
                await self._failed(pa, error)
            raise
        await permit.acquire(Priority.STATUS)
        sks = _newer(sks, self._cache.serverlessservices.get(key))
        newest = self._cache.podautoscalers.get(key, pa)
        await self._statuses.write(newest, lambda stored: self._desired.status(stored, job, sks))
        if self._desired.metric_status(newest, job) is not None:
            await permit.acquire(Priority.METRIC)
            metric = self._desired.metric_status(newest, job)  # as it is known by now
            if metric is not None:
                await self._statuses.write_metric(newest.key, metric)

    async def _write_owned(self, pa: PodAutoscaler, job: Job, permit: Permit) -> ServerlessService | None:
        """Write what differs; returns the ServerlessService as it is then."""
        writes = self._desired.owned(pa, job)
        if writes.replicas is not None:
            await permit.acquire(Priority.SCALE)
            await self._scale(pa, writes.replicas)
        if writes.metric is not None or writes.serverlessservice is not None:
            await permit.acquire(Priority.SERVICES)
        if writes.metric is not None:
            exists = self._cache.metrics.get(pa.key) is not None
            with while_doing("error reconciling Metric", f"error {_verb(exists)} metric"):
                await self._write(METRICS, exists, pa.key, writes.metric)
        known = self._cache.serverlessservices.get(pa.key)
        if writes.serverlessservice is None:
            return known
        with while_doing("error reconciling SKS", f"error {_verb(known is not None)} SKS {pa.key.name}"):
            written = await self._write(
                SERVERLESSSERVICES, known is not None, pa.key, writes.serverlessservice
            )
        return ServerlessService.from_json(written)

    async def _scale(self, pa: PodAutoscaler, replicas: int) -> None:
        target = pa.scale_target
        resource = resource_of(target.api_version, target.kind)
        what = f"failed to apply scale {replicas} to scale target {target.name}"
        with while_doing("error scaling target", what):
            scaled = await self._client.patch_replicas(resource, pa.key.namespace, target.name, replicas)
        self._cache.learn(resource, {**scaled, "spec": {"replicas": replicas}})  # a Scale leaves out zero
        _log.debug("%s: replicas %d written", pa.key, replicas)

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
        self._cache.learn(resource, written)
        return written

    async def _failed(self, pa: PodAutoscaler, error: NotOwned | KubeError) -> None:
        """Write to the status, and as an Event, that a pass failed.

        Conflicts are retried silently, and so is what failed because the revision was deleted; an API server
        that cannot be reached takes no status.
        """
        if isinstance(error, Conflict | Unreachable) or pa.key not in self._cache.podautoscalers:
            return
        sks, now = self._cache.serverlessservices.get(pa.key), self._clock()
        if isinstance(error, NotOwned):
            kind = error.kind
            await self._statuses.write(pa, lambda stored: pa_status_not_owned(stored, kind, sks, now))
        else:
            await self._statuses.write(pa, lambda stored: pa_status_failed(stored, sks, now))
        await self._recorder.warn(Involved.pod_autoscaler(pa), INTERNAL_ERROR, explain(error), PA_CONTROLLER)


def _newer(one: ServerlessService | None, other: ServerlessService | None) -> ServerlessService | None:
    """Return what is known to be later: our own write, or what was seen while others wrote."""
    if one is None or (other is not None and other.generation >= one.generation):
        return other
    return one


def _verb(exists: bool) -> str:
    return "updating" if exists else "creating"
