"""The objects of a revision as they should be, by the decision and by what is known of the cluster.

Source: `knative/serving pkg/reconciler/autoscaling/kpa/kpa.go`.
"""

import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import numpy as np

from config.resolve import RevisionSettings
from kpa.controller import cluster
from kpa.kube.objects import (
    Metric,
    PodAutoscaler,
    PodAutoscalerStatus,
    ScaleTarget,
    ServerlessService,
    ServerlessServiceSpec,
)
from kpa.kube.objects.metric_status import metric_status_body
from kpa.kube.objects.owned_resources import NotOwned, metric_body, metric_spec, sks_body, sks_spec
from kpa.kube.objects.pa_status import (
    PassOutcome,
    equal_but_for_times,
    lifecycle_from_status,
    pa_status,
    pa_status_waiting,
)
from metrics.key import Key
from scaler.rules.bounds import active_threshold
from scaler.rules.burst import number_of_activators
from scaler.rules.scale_to_zero import Activity, next_activity


class ObjectCache(Protocol):
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


Job = cluster.Outcome | RevisionSettings
"""An outcome to carry out, or the settings of a revision whose services do not exist yet."""


class OwnedWrites(NamedTuple):
    """What to write to the objects that a revision owns; None is nothing.

    Attributes
    ----------
    metric, serverlessservice : dict or None
        Whole objects.
    replicas : int or None
        Of the scale target.
    """

    metric: dict[str, Any] | None
    replicas: int | None
    serverlessservice: dict[str, Any] | None


class DesiredObjects:
    """Tells what to write so that the objects of a revision are as they should be.

    Parameters
    ----------
    cache : ObjectCache
    clock : callable
        Unix time in seconds.
    """

    def __init__(self, cache: ObjectCache, clock: Callable[[], float] = time.time) -> None:
        self._cache = cache
        self._clock = clock

    def needed(self, key: Key, job: Job) -> bool:
        """Tell whether anything has to be written for a job, by what is known now."""
        pa = self._cache.podautoscalers.get(key)
        if pa is None or pa.deleted:
            return False
        try:
            if any(body is not None for body in self.owned(pa, job)):
                return True
            return self.metric_status(pa, job) is not None or self._status_differs(pa, job)
        except NotOwned:
            return True

    def owned(self, pa: PodAutoscaler, job: Job) -> OwnedWrites:
        """Return what to write to the Metric, the scale target and the ServerlessService."""
        sks = self._cache.serverlessservices.get(pa.key)
        if isinstance(job, RevisionSettings) or sks is None or not sks.private_service_name:
            return OwnedWrites(None, None, sks_body(pa, sks, sks_spec(pa, proxied=True)))
        spec = self._sks_spec(pa, job)
        known = self._cache.metrics.get(pa.key)
        metric = metric_body(pa, known, metric_spec(job.settings, sks.private_service_name))
        target, replicas = self._cache.scale_target(pa), job.plan.replicas
        there = target is not None and target.replicas == replicas
        return OwnedWrites(metric, None if there else replicas, sks_body(pa, sks, spec))

    def metric_status(self, pa: PodAutoscaler, job: Job) -> dict[str, Any] | None:
        """Return the status to write to the Metric, if it is ours and collected for; None is nothing."""
        known = self._cache.metrics.get(pa.key)
        if known is None or known.owner != pa.uid or isinstance(job, RevisionSettings):
            return None
        return metric_status_body(known, job.problem, self._clock())

    def _sks_spec(self, pa: PodAutoscaler, job: cluster.Outcome) -> ServerlessServiceSpec:
        settings = job.settings
        activators = _activators(
            float(self._cache.ready_pods(pa)),
            settings.total_value,
            settings.target_burst_capacity,
            settings.activator_capacity,
        )
        return sks_spec(pa, self._proxied(pa, job), activators)

    def _proxied(self, pa: PodAutoscaler, job: cluster.Outcome) -> bool:
        """Return whether activators belong in the path; while nothing is known it stays as it is."""
        known = self._cache.serverlessservices.get(pa.key)
        if job.plan.proxied is None:
            return known is None or known.spec.mode != "Serve"
        return job.plan.proxied

    def status(self, pa: PodAutoscaler, job: Job, sks: ServerlessService | None) -> PodAutoscalerStatus:
        """Return the status of a PodAutoscaler as it is stored, by its ServerlessService."""
        now = self._clock()
        settings = job if isinstance(job, RevisionSettings) else job.settings
        initialized = lifecycle_from_status(pa, sks, now).initialized
        threshold = active_threshold(
            settings.min_scale, settings.initial_scale, initialized, settings.reachable
        )
        if isinstance(job, RevisionSettings) or sks is None or not sks.private_service_name:
            return pa_status_waiting(pa, threshold, now)
        ready, lifecycle = self._cache.ready_pods(pa), job.plan.lifecycle
        activity = _present_activity(job, ready)
        plan = job.plan
        outcome = PassOutcome(plan.requested, ready, threshold, activity, lifecycle.initialized, plan.known)
        return pa_status(pa, outcome, sks, now)

    def _status_differs(self, pa: PodAutoscaler, job: Job) -> bool:
        sks = self._cache.serverlessservices.get(pa.key)
        return not equal_but_for_times(pa.status, self.status(pa, job, sks))


def _present_activity(job: cluster.Outcome, ready: int) -> Activity:
    """Return the activity by the pods that the status counts: there may be others than at the decision."""
    settings, plan = job.settings, job.plan
    if plan.lifecycle.activity.inactive:
        return plan.lifecycle.activity
    threshold = active_threshold(
        settings.min_scale, settings.initial_scale, plan.lifecycle.initialized, settings.reachable
    )
    return next_activity(plan.lifecycle.activity, plan.requested, ready, threshold)


@lru_cache(maxsize=4096)  # revisions have much in common, and each is asked for many times
def _activators(ready: float, total: float, burst: float, capacity: float) -> int:
    """Return the number of activators for one revision."""
    return int(number_of_activators(*(np.array([each]) for each in (ready, total, burst, capacity)))[0])
