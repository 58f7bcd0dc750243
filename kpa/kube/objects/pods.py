"""Pods and scale targets, trimmed; the states in which pods are counted.

Source: `knative/serving pkg/resources/pods.go`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from sys import intern
from typing import NamedTuple, Self

from kpa.kube.api.metadata import Json, from_time, key_of
from kpa.kube.objects.podautoscaler import REVISION_LABEL
from metrics.key import Key

POD_SELECTOR = "serving.knative.dev/revisionUID"
"""Label selector of the pods to watch: those of any revision."""


@dataclass(frozen=True, slots=True)
class PodInfo:
    """One pod; below 1 KiB.

    Attributes
    ----------
    key : Key
    revision : str
        By its label; empty without one.
    ip : str
        Empty until it has one.
    phase : str
        `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    ready : bool
        Its condition `Ready`, whatever its phase.
    start_time : float
        Unix seconds at which a node accepted it; before that, at which it was created.
    terminating : bool
        It is being deleted.
    """

    key: Key
    revision: str
    ip: str
    phase: str
    ready: bool
    start_time: float
    terminating: bool

    @property
    def takes_requests(self) -> bool:
        """It counts as ready."""
        return self.phase == "Running" and self.ready and not self.terminating

    @classmethod
    def from_json(cls, body: Json) -> Self:
        """Trim an object of the API."""
        metadata, status = body["metadata"], body.get("status") or {}
        started = from_time(status.get("startTime")) or from_time(metadata.get("creationTimestamp"))
        return cls(
            key=key_of(body),
            revision=intern((metadata.get("labels") or {}).get(REVISION_LABEL, "")),
            ip=status.get("podIP", ""),
            phase=intern(status.get("phase", "")),
            ready=any(
                each.get("type") == "Ready" and each.get("status") == "True"
                for each in status.get("conditions") or ()
            ),
            start_time=started or 0.0,
            terminating="deletionTimestamp" in metadata,
        )


class PodCounts(NamedTuple):
    """A revision's pods by state; `not_ready` includes pending and terminating pods."""

    ready: int
    not_ready: int
    pending: int
    terminating: int


def count_pods(pods: Iterable[PodInfo]) -> PodCounts:
    """Count pods by state.

    A pending pod is pending even while it is being deleted. A pod that has ended, or whose phase is unknown,
    does not count.
    """
    ready = not_ready = pending = terminating = 0
    for pod in pods:
        if pod.phase == "Pending":
            pending += 1
        elif pod.phase != "Running":
            continue
        elif pod.takes_requests:
            ready += 1
            continue
        elif pod.terminating:
            terminating += 1
        not_ready += 1
    return PodCounts(ready, not_ready, pending, terminating)


@dataclass(frozen=True, slots=True)
class ScaleTarget:
    """The object that has the replicas, usually a Deployment."""

    key: Key
    replicas: int

    @classmethod
    def from_json(cls, body: Json) -> Self:
        """Trim an object of the API; missing replicas are one."""
        replicas = (body.get("spec") or {}).get("replicas")
        return cls(key_of(body), 1 if replicas is None else replicas)
