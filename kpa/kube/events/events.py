"""Events: what a person finds under `kubectl describe` when something about an object went wrong.

Source: `k8s.io/client-go tools/record/event.go` (form); `knative/serving pkg/client/injection/reconciler`
(reasons).
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from config.durations import nanoseconds
from kpa.kube.api.metadata import Json, to_time
from kpa.kube.objects.kinds import PODAUTOSCALERS, api_version
from kpa.kube.objects.podautoscaler import PodAutoscaler

PA_CONTROLLER = "podautoscaler-controller"
METRIC_CONTROLLER = "metric-controller"
INTERNAL_ERROR, UPDATE_FAILED = "InternalError", "UpdateFailed"


@dataclass(frozen=True, slots=True)
class Involved:
    """The object that an event is about; one object in all its versions."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str
    resource_version: str = field(default="", compare=False)

    @classmethod
    def of(cls, body: Json) -> "Involved":
        """Name an object that has its kind in it: one that was read alone, or that was written."""
        metadata = body["metadata"]
        return cls(
            body["apiVersion"],
            body["kind"],
            metadata.get("namespace", ""),
            metadata["name"],
            metadata.get("uid", ""),
            metadata.get("resourceVersion", ""),
        )

    @classmethod
    def pod_autoscaler(cls, pa: PodAutoscaler) -> "Involved":
        """Name a PodAutoscaler."""
        return cls(
            api_version(PODAUTOSCALERS),
            "PodAutoscaler",
            *pa.key,
            uid=pa.uid,
            resource_version=pa.resource_version,
        )


def event(
    involved: Involved,
    severity: Literal["Warning", "Normal"],
    reason: str,
    message: str,
    component: str,
    instance: str,
    now: float,
) -> dict[str, Any]:
    """Return the Event to POST.

    Parameters
    ----------
    involved : Involved
    severity : str
    reason : str
        In CamelCase.
    message : str
    component, instance : str
        The controller that says so, and the pod that it runs in.
    now : float
        Unix seconds.
    """
    time = to_time(now)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "namespace": involved.namespace or "default",
            "name": f"{involved.name}.{nanoseconds(now):x}",
        },
        "involvedObject": {
            "apiVersion": involved.api_version,
            "kind": involved.kind,
            "namespace": involved.namespace,
            "name": involved.name,
            "uid": involved.uid,
            "resourceVersion": involved.resource_version,
        },
        "type": severity,
        "reason": reason,
        "message": message,
        "source": {"component": component},
        "reportingComponent": component,
        "reportingInstance": instance,
        "firstTimestamp": time,
        "lastTimestamp": time,
        "count": 1,
    }


def repeated(event: Json, now: float) -> dict[str, Any]:
    """Return the merge PATCH with which an Event that was sent says that it happened again.

    Parameters
    ----------
    event : mapping
        As it was answered to the POST, or to the last PATCH.
    now : float
        Unix seconds.
    """
    return {"count": event["count"] + 1, "lastTimestamp": to_time(now)}
