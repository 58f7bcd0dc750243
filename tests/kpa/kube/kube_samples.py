"""Objects of a cluster for tests, as an API server sends them: one revision's, with everything there."""

import copy
from typing import Any

from kpa.kube.objects import Metric, PodAutoscaler, ServerlessService

T0 = 1_700_000_000.0
"""2023-11-14T22:13:20Z."""

POD_AUTOSCALER: dict[str, Any] = {
    "apiVersion": "autoscaling.internal.knative.dev/v1alpha1",
    "kind": "PodAutoscaler",
    "metadata": {
        "namespace": "shop",
        "name": "cart-00002",
        "uid": "pa-uid",
        "resourceVersion": "41",
        "generation": 2,
        "labels": {
            "app": "cart-00002",
            "serving.knative.dev/configuration": "cart",
            "serving.knative.dev/revision": "cart-00002",
            "serving.knative.dev/revisionUID": "rev-uid",
            "serving.knative.dev/service": "cart",
        },
        "annotations": {
            "autoscaling.knative.dev/class": "kpa.autoscaling.knative.dev",
            "autoscaling.knative.dev/target": "7",
            "serving.knative.dev/creator": "someone",
        },
        "managedFields": [{"manager": "controller", "fieldsV1": {"f:spec": {}}}],
    },
    "spec": {
        "containerConcurrency": 10,
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "cart-00002-deployment"},
        "reachability": "Reachable",
        "protocolType": "http1",
    },
}

SERVERLESS_SERVICE: dict[str, Any] = {
    "apiVersion": "networking.internal.knative.dev/v1alpha1",
    "kind": "ServerlessService",
    "metadata": {
        "namespace": "shop",
        "name": "cart-00002",
        "uid": "sks-uid",
        "resourceVersion": "52",
        "generation": 3,
        "labels": {"somebody": "labelled it"},
        "annotations": {"somebody": "annotated it"},
        "finalizers": ["somebody/waits"],
        "ownerReferences": [
            {"apiVersion": "v1", "kind": "Thing", "name": "else", "uid": "other-uid"},
            {
                "apiVersion": "autoscaling.internal.knative.dev/v1alpha1",
                "kind": "PodAutoscaler",
                "name": "cart-00002",
                "uid": "pa-uid",
                "controller": True,
                "blockOwnerDeletion": True,
            },
        ],
        "managedFields": [{"manager": "autoscaler", "fieldsV1": {"f:spec": {}}}],
    },
    "spec": {
        "mode": "Proxy",
        "objectRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "cart-00002-deployment"},
        "protocolType": "http1",
        "numActivators": 3,
    },
    "status": {
        "observedGeneration": 3,
        "serviceName": "cart-00002",
        "privateServiceName": "cart-00002-private",
        "conditions": [
            {
                "type": "ActivatorEndpointsPopulated",
                "status": "True",
                "severity": "Info",
                "lastTransitionTime": "2023-11-14T22:10:00Z",
            },
            {"type": "EndpointsPopulated", "status": "True"},
            {"type": "Ready", "status": "True"},
        ],
    },
}

METRIC: dict[str, Any] = {
    "apiVersion": "autoscaling.internal.knative.dev/v1alpha1",
    "kind": "Metric",
    "metadata": {**SERVERLESS_SERVICE["metadata"], "uid": "metric-uid", "generation": 1},
    "spec": {
        "stableWindow": 60_000_000_000,
        "panicWindow": 6_000_000_000,
        "scrapeTarget": "cart-00002-private",
    },
}


def merged(body: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Copy an object with changes; a change to None takes a field out."""
    result = copy.deepcopy(body)
    for name, value in changes.items():
        if isinstance(value, dict) and isinstance(result.get(name), dict):
            result[name] = merged(result[name], value)
        elif value is None:
            result.pop(name, None)
        else:
            result[name] = value
    return result


def pod_autoscaler(**changes: Any) -> PodAutoscaler:
    return PodAutoscaler.from_json(merged(POD_AUTOSCALER, changes))


def serverless_service(**changes: Any) -> ServerlessService:
    return ServerlessService.from_json(merged(SERVERLESS_SERVICE, changes))


def metric(**changes: Any) -> Metric:
    return Metric.from_json(merged(METRIC, changes))
