"""What a PodAutoscaler owns, trimmed: ServerlessServices and Metrics.

Source: `knative/networking pkg/apis/networking/v1alpha1/serverlessservice_types.go`, `knative/serving
pkg/apis/autoscaling/v1alpha1/metric_types.go`.
"""

from dataclasses import dataclass
from sys import intern
from typing import Any, NamedTuple, Self

from kpa.kube.api.metadata import Json, controller_uid, key_of, packed_metadata
from kpa.kube.objects.conditions import READY, TRUE, UNKNOWN, Condition, condition, read_conditions
from kpa.kube.objects.podautoscaler import ObjectReference
from metrics.key import Key


class ServerlessServiceSpec(NamedTuple):
    """Spec of a ServerlessService; 0 activators mean all of them."""

    mode: str
    object_ref: ObjectReference
    protocol_type: str
    num_activators: int

    @classmethod
    def from_json(cls, body: Json) -> Self:
        """Read a `spec`."""
        return cls(
            intern(body.get("mode", "")),
            ObjectReference.from_json(body.get("objectRef") or {}),
            intern(body.get("protocolType", "")),
            body.get("numActivators", 0),
        )

    def to_json(self) -> dict[str, Any]:
        """As the API writes it."""
        return {
            "mode": self.mode,
            "objectRef": self.object_ref.to_json(),
            "protocolType": self.protocol_type,
            "numActivators": self.num_activators,
        }


@dataclass(frozen=True, slots=True)
class ServerlessService:
    """A revision's services: where requests go, to its pods or to activators.

    Attributes
    ----------
    key : Key
    generation, observed_generation : int
    owner : str
        Uid of the controller; empty if there is none.
    metadata : str
        Packed as text; used only to write the object back.
    spec : ServerlessServiceSpec
    service_name, private_service_name : str
        Services with all endpoints, and with the pods alone; empty until its controller has created them.
    ready : Condition
    proxied_since : float or None
        Unix seconds since which activators are in the path (condition `ActivatorEndpointsPopulated`).
    """

    key: Key
    generation: int
    observed_generation: int
    owner: str
    metadata: str
    spec: ServerlessServiceSpec
    service_name: str
    private_service_name: str
    ready: Condition
    proxied_since: float | None

    @property
    def is_ready(self) -> bool:
        """Its controller has observed the current spec, and some pod takes requests."""
        return self.observed_generation == self.generation and self.ready.status == TRUE

    @classmethod
    def from_json(cls, body: Json) -> Self:
        """Trim an object of the API."""
        status = body.get("status") or {}
        conditions = read_conditions(status)
        proxied = condition(conditions, "ActivatorEndpointsPopulated")
        return cls(
            key=key_of(body),
            generation=body["metadata"].get("generation", 0),
            observed_generation=status.get("observedGeneration", 0),
            owner=controller_uid(body),
            metadata=packed_metadata(body),
            spec=ServerlessServiceSpec.from_json(body.get("spec") or {}),
            service_name=status.get("serviceName", ""),
            private_service_name=status.get("privateServiceName", ""),
            ready=condition(conditions, READY) or Condition(READY, UNKNOWN),
            proxied_since=proxied.since if proxied and proxied.status == TRUE else None,
        )


class MetricSpec(NamedTuple):
    """Spec of a Metric: windows in nanoseconds, and the service in front of the revision's pods."""

    stable_window: int
    panic_window: int
    scrape_target: str

    @classmethod
    def from_json(cls, body: Json) -> Self:
        """Read a `spec`."""
        return cls(body.get("stableWindow", 0), body.get("panicWindow", 0), body.get("scrapeTarget", ""))

    def to_json(self) -> dict[str, Any]:
        """As the API writes it."""
        return {
            "stableWindow": self.stable_window,
            "panicWindow": self.panic_window,
            "scrapeTarget": self.scrape_target,
        }


@dataclass(frozen=True, slots=True)
class Metric:
    """How a revision's load is collected; attributes as in a ServerlessService."""

    key: Key
    generation: int
    observed_generation: int
    owner: str
    metadata: str
    spec: MetricSpec
    conditions: tuple[Condition, ...]
    deleted: bool

    @classmethod
    def from_json(cls, body: Json) -> Self:
        """Trim an object of the API."""
        metadata, status = body["metadata"], body.get("status") or {}
        return cls(
            key=key_of(body),
            generation=metadata.get("generation", 0),
            observed_generation=status.get("observedGeneration", 0),
            owner=controller_uid(body),
            metadata=packed_metadata(body),
            spec=MetricSpec.from_json(body.get("spec") or {}),
            conditions=read_conditions(status),
            deleted="deletionTimestamp" in metadata,
        )
