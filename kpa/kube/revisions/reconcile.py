"""One pass over a PodAutoscaler: scale, Metric, ServerlessService, status, each written only if it differs.

A step that fails ends the pass. What a write is answered with is known from then on, before a watch tells of
it: no pass writes over a version of before its own last write.

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
from kpa.kube.revisions.desired import Job, Objects, Wanted
from kpa.kube.revisions.priority_limiter import Rank, Turn
from kpa.kube.revisions.status_writer import StatusWriter
from metrics.key import Key

_log = logging.getLogger(__name__)


class Caches(Objects, Protocol):
    """What is known of the cluster's objects, and learned of what we write."""

    def learn(self, resource: Resource, written: dict[str, Any]) -> None:
        """Take what the API server answered a write with."""


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

    Attributes
    ----------
    needed : callable (key, job)
        Tells whether anything has to be written for a job, by what is known now.
    """

    def __init__(
        self, client: KubeClient, caches: Caches, instance: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._client = client
        self._caches = caches
        self._wanted = Wanted(caches, clock)
        self.needed = self._wanted.needed
        self._recorder = EventRecorder(client, instance, clock)
        self._statuses = StatusWriter(client, self._recorder, caches.learn)
        self._clock = clock

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
        await self._statuses.write(newest, lambda stored: self._wanted.status(stored, job, sks))
        if self._wanted.metric_status(newest, job) is not None:
            await turn.take(Rank.METRIC)
            metric = self._wanted.metric_status(newest, job)  # as it is known by now
            if metric is not None:
                await self._statuses.write_metric(newest.key, metric)

    async def _write_children(self, pa: PodAutoscaler, job: Job, turn: Turn) -> ServerlessService | None:
        """Write what differs; returns the ServerlessService as it is then."""
        metric, replicas, sks = self._wanted.children(pa, job)
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


def _newer(one: ServerlessService | None, other: ServerlessService | None) -> ServerlessService | None:
    """Return what is known to be later: our own write, or what was seen while others had their turn."""
    if one is None or (other is not None and other.generation >= one.generation):
        return other
    return one


def _verb(exists: bool) -> str:
    return "updating" if exists else "creating"
