"""Resources that a PodAutoscaler owns, as they should be: its ServerlessService and its Metric.

Both have its name and are deleted with it. After their creation only their spec is updated. A resource of
another owner is not changed.

Source: `knative/serving pkg/reconciler/autoscaling/resources/sks.go` and `metric.go`, `reconciler.go`.
"""

from typing import Any, Literal

from config.durations import nanoseconds
from config.resolve import RevisionSettings
from kpa.kube.api.metadata import Json, controller_reference, unpacked_metadata
from kpa.kube.objects.kinds import METRICS, PODAUTOSCALERS, SERVERLESSSERVICES, api_version
from kpa.kube.objects.podautoscaler import PodAutoscaler
from kpa.kube.objects.serverless import Metric, MetricSpec, ServerlessService, ServerlessServiceSpec
from scaler.rules.burst import UNLIMITED

METRIC_ANNOTATION = "autoscaling.knative.dev/metric"

FEWEST_ACTIVATORS = 2
"""Activators in the path of a revision whose own number is not known yet."""

_SKS = (api_version(SERVERLESSSERVICES), "ServerlessService")
METRIC = (api_version(METRICS), "Metric")


class NotOwned(Exception):
    """A resource of that name exists and belongs to another owner.

    Attributes
    ----------
    kind : str
        Of the resource.
    """

    def __init__(self, kind: str, called: str, name: str) -> None:
        super().__init__(f"error reconciling {called}: PA: {name} does not own {called}: {name}")
        self.kind = kind


def sks_spec(pa: PodAutoscaler, proxied: bool, activators: int = FEWEST_ACTIVATORS) -> ServerlessServiceSpec:
    """Return what a revision's ServerlessService should be.

    Parameters
    ----------
    pa : PodAutoscaler
    proxied : bool
        Activators belong in the request path.
    activators : int
        How many.
    """
    mode: Literal["Proxy", "Serve"] = "Proxy" if proxied else "Serve"
    return ServerlessServiceSpec(mode, pa.scale_target, pa.protocol_type, activators)


def sks_body(
    pa: PodAutoscaler, sks: ServerlessService | None, spec: ServerlessServiceSpec
) -> dict[str, Any] | None:
    """Return the ServerlessService to POST, or to PUT in place of the existing one; None if that is correct.

    Parameters
    ----------
    pa : PodAutoscaler
    sks : ServerlessService or None
        The existing one.
    spec : ServerlessServiceSpec
        As it should be.

    Raises
    ------
    NotOwned
        The existing one belongs to another owner.
    """
    if sks is None:
        annotations = {name: value for name, value in pa.annotations.items() if name != METRIC_ANNOTATION}
        return _object(_SKS, _owned_metadata(pa, annotations), spec.to_json())
    if sks.owner != pa.uid:
        raise NotOwned("ServerlessService", "SKS", pa.key.name)
    if sks.spec == spec:
        return None
    return _object(_SKS, unpacked_metadata(sks.metadata), spec.to_json())


def metric_spec(settings: RevisionSettings, private_service: str) -> MetricSpec:
    """Return what a revision's Metric should be; one whose activators see all requests is not scraped.

    Parameters
    ----------
    settings : RevisionSettings
    private_service : str
        Name of the service with the revision's pods.
    """
    return MetricSpec(
        nanoseconds(settings.stable_window),
        nanoseconds(settings.panic_window),
        "" if settings.target_burst_capacity == UNLIMITED else private_service,
    )


def metric_body(pa: PodAutoscaler, metric: Metric | None, spec: MetricSpec) -> dict[str, Any] | None:
    """Return the Metric to POST, or to PUT in place of the existing one; None if that is correct.

    Annotations that change later do not reach a Metric that exists.

    Parameters
    ----------
    pa : PodAutoscaler
    metric : Metric or None
        The existing one.
    spec : MetricSpec
        As it should be.

    Raises
    ------
    NotOwned
        The existing one belongs to another owner.
    """
    if metric is None:
        annotations = {METRIC_ANNOTATION: "concurrency", **pa.annotations}
        return _object(METRIC, _owned_metadata(pa, annotations), spec.to_json())
    if metric.owner != pa.uid:
        raise NotOwned("Metric", "Metric", pa.key.name)
    if metric.spec == spec:
        return None
    return _object(METRIC, unpacked_metadata(metric.metadata), spec.to_json())


def _owned_metadata(pa: PodAutoscaler, annotations: Json) -> dict[str, Any]:
    owner = controller_reference(api_version(PODAUTOSCALERS), "PodAutoscaler", pa.key.name, pa.uid)
    return {
        "namespace": pa.key.namespace,
        "name": pa.key.name,
        "labels": dict(pa.labels),
        "annotations": dict(annotations),
        "ownerReferences": [owner],
    }


def _object(kind: tuple[str, str], metadata: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": kind[0], "kind": kind[1], "metadata": metadata, "spec": spec}
