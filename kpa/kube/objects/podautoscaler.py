"""PodAutoscalers, trimmed to what the autoscaler reads, and their status as it writes it.

Source: `knative/serving pkg/apis/autoscaling/v1alpha1/pa_types.go`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from sys import intern
from typing import Any, NamedTuple, Self

from kpa.kube.api.metadata import Json, key_of
from kpa.kube.objects.conditions import Condition, read_conditions
from metrics.key import Key

KPA_CLASS = "kpa.autoscaling.knative.dev"
CLASS_ANNOTATION = "autoscaling.knative.dev/class"
REVISION_LABEL = "serving.knative.dev/revision"


class ObjectReference(NamedTuple):
    """What a PodAutoscaler scales."""

    api_version: str
    kind: str
    name: str

    @classmethod
    def from_json(cls, body: Json) -> Self:
        """Read `{apiVersion, kind, name}`."""
        return cls(intern(body.get("apiVersion", "")), intern(body.get("kind", "")), body.get("name", ""))

    def to_json(self) -> dict[str, str]:
        """As the API writes it."""
        return {"apiVersion": self.api_version, "kind": self.kind, "name": self.name}


@dataclass(frozen=True, slots=True)
class PodAutoscalerStatus:
    """Status of a PodAutoscaler.

    Attributes
    ----------
    service_name, metrics_service_name : str
        Services with all endpoints of the revision, and with its pods alone; may be empty.
    desired_scale, actual_scale : int or None
        None if never written.
    observed_generation : int
    conditions : tuple of Condition
        All of them, those that we do not manage included.
    annotations : Mapping[str, str]
        Of the status; kept unchanged, because their owner is not known.
    """

    service_name: str = ""
    metrics_service_name: str = ""
    desired_scale: int | None = None
    actual_scale: int | None = None
    observed_generation: int = 0
    conditions: tuple[Condition, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, body: Json) -> Self:
        """Read the `status` of an object."""
        return cls(
            service_name=body.get("serviceName", ""),
            metrics_service_name=body.get("metricsServiceName", ""),
            desired_scale=body.get("desiredScale"),
            actual_scale=body.get("actualScale"),
            observed_generation=body.get("observedGeneration", 0),
            conditions=read_conditions(body),
            annotations=body.get("annotations") or {},
        )

    def to_json(self) -> dict[str, Any]:
        """As the API writes it: the schema wants both service names, empty ones too."""
        scales = {"desiredScale": self.desired_scale, "actualScale": self.actual_scale}
        return {
            "serviceName": self.service_name,
            "metricsServiceName": self.metrics_service_name,
            **{name: value for name, value in scales.items() if value is not None},
            **({"annotations": dict(self.annotations)} if self.annotations else {}),
            "observedGeneration": self.observed_generation,
            "conditions": [each.to_json() for each in self.conditions],
        }


@dataclass(frozen=True, slots=True)
class PodAutoscaler:
    """The scaling intent for a revision.

    Attributes
    ----------
    key : Key
        Of the revision too.
    uid, resource_version : str
    generation : int
    labels, annotations : Mapping[str, str]
        All: they are copied to the owned resources.
    container_concurrency : int
        Requests in flight that a pod accepts; 0 is no limit.
    scale_target : ObjectReference
    reachability : str
        `Reachable`, `Unreachable`, or empty if not known.
    protocol_type : str
        `http1` or `h2c`.
    status : PodAutoscalerStatus
    deleted : bool
        It is being deleted; kpa no longer reconciles it.
    """

    key: Key
    uid: str
    resource_version: str
    generation: int
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    container_concurrency: int
    scale_target: ObjectReference
    reachability: str
    protocol_type: str
    status: PodAutoscalerStatus
    deleted: bool

    @property
    def is_ours(self) -> bool:
        """Its class is the one that we implement; one without a class is not ours."""
        return self.annotations.get(CLASS_ANNOTATION) == KPA_CLASS

    @property
    def reachable(self) -> bool:
        """Some route points at the revision, or this is not known."""
        return self.reachability != "Unreachable"

    @property
    def revision(self) -> str:
        """Name by which its pods are labelled."""
        return self.labels.get(REVISION_LABEL, "")

    @classmethod
    def from_json(cls, body: Json) -> Self:
        """Trim an object of the API."""
        metadata, spec = body["metadata"], body.get("spec") or {}
        return cls(
            key=key_of(body),
            uid=metadata.get("uid", ""),
            resource_version=metadata.get("resourceVersion", ""),
            generation=metadata.get("generation", 0),
            labels=_shared(metadata.get("labels")),
            annotations=_shared(metadata.get("annotations")),
            container_concurrency=spec.get("containerConcurrency", 0),
            scale_target=ObjectReference.from_json(spec.get("scaleTargetRef") or {}),
            reachability=intern(spec.get("reachability", "")),
            protocol_type=intern(spec.get("protocolType", "")),
            status=PodAutoscalerStatus.from_json(body.get("status") or {}),
            deleted="deletionTimestamp" in metadata,
        )


def _shared(words: Mapping[str, str] | None) -> dict[str, str]:
    """Copy labels or annotations; equal names share one string."""
    return {intern(name): value for name, value in (words or {}).items()}
