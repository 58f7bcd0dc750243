"""Kubernetes objects as Knative's controllers and a node write them."""

import time

from tests.kube.api import Json

AUTOSCALING = "autoscaling.internal.knative.dev/v1alpha1"
PREFIX = "autoscaling.knative.dev/"
KPA_CLASS = "kpa.autoscaling.knative.dev"


def full_names(annotations: dict[str, str]) -> dict[str, str]:
    """Write out short names of annotations: `min-scale` is `autoscaling.knative.dev/min-scale`."""
    return {name if "/" in name else PREFIX + name: value for name, value in annotations.items()}


def labels(name: str, uid: str) -> dict[str, str]:
    """Return the labels that Knative puts on everything that belongs to a revision."""
    service = name.rsplit("-", 1)[0]
    return {
        "app": name,
        "serving.knative.dev/configuration": service,
        "serving.knative.dev/revision": name,
        "serving.knative.dev/revisionUID": uid,
        "serving.knative.dev/service": service,
    }


def deployment(name: str, uid: str, replicas: int) -> Json:
    """Make the Deployment of a revision.

    Source: `knative/serving pkg/reconciler/revision/resources/deploy.go`
    """
    container = {"name": "user-container", "image": "image"}
    template = {"metadata": {"labels": labels(name, uid)}, "spec": {"containers": [container]}}
    selector = {"matchLabels": {"serving.knative.dev/revisionUID": uid}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": f"{name}-deployment", "labels": labels(name, uid)},
        "spec": {"replicas": replicas, "selector": selector, "template": template},
    }


def pod_autoscaler(
    name: str, uid: str, container_concurrency: int, annotations: dict[str, str], reachability: str
) -> Json:
    """Make the PodAutoscaler of a revision.

    Source: `knative/serving pkg/reconciler/revision/resources/pa.go`
    """
    revision = {"apiVersion": "serving.knative.dev/v1", "kind": "Revision", "name": name, "uid": uid}
    return {
        "apiVersion": AUTOSCALING,
        "kind": "PodAutoscaler",
        "metadata": {
            "name": name,
            "labels": labels(name, uid),
            "annotations": {f"{PREFIX}class": KPA_CLASS, **full_names(annotations)},
            "ownerReferences": [{**revision, "controller": True, "blockOwnerDeletion": True}],
        },
        "spec": {
            "containerConcurrency": container_concurrency,
            "protocolType": "http1",
            "reachability": reachability,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"{name}-deployment"},
        },
    }


def pod(name: str, revision: str, uid: str) -> Json:
    """Make a pod of a revision, as it is once a node was found for it."""
    container = {"name": "queue-proxy", "image": "image"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels(revision, uid)},
        "spec": {"containers": [container], "nodeName": "node"},
    }


def pod_status(ip: str, ready: bool, started_at: float) -> Json:
    """Return the status of a running pod; `started_at` is Unix time in seconds."""
    ready_condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": stamp(time.time())}
    return {
        "phase": "Running",
        "podIP": ip,
        "podIPs": [{"ip": ip}],
        "startTime": stamp(started_at),
        "conditions": [ready_condition],
    }


def deployment_status(generation: int, replicas: int, ready: int) -> Json:
    """Return the status of a Deployment with so many pods."""
    return {
        "observedGeneration": generation,
        "replicas": replicas,
        "updatedReplicas": replicas,
        "readyReplicas": ready,
        "availableReplicas": ready,
    }


def sks_status(sks: Json, ready: int) -> Json:
    """Return the status of a ServerlessService whose revision has so many ready pods.

    There are activators.

    Source: `knative/serving pkg/reconciler/serverlessservice/serverlessservice.go`
    """
    name, mode = sks["metadata"]["name"], sks["spec"]["mode"]
    populated = {"status": "True"}
    if ready == 0:
        message = "K8s Service is not ready"
        populated = {"status": "Unknown", "reason": "NoHealthyBackends", "message": message}
    activator = {
        "status": "True" if mode == "Proxy" or ready == 0 else "False",
        "severity": "Info",
        "reason": "ActivatorEndpointsPopulated",
        "message": "Revision is backed by Activator",
    }
    wanted = {"ActivatorEndpointsPopulated": activator, "EndpointsPopulated": populated, "Ready": populated}
    old = {each["type"]: each for each in sks.get("status", {}).get("conditions", [])}
    return {
        "observedGeneration": sks["metadata"]["generation"],
        "serviceName": name,
        "privateServiceName": f"{name}-private",
        "conditions": [condition(kind, wanted[kind], old.get(kind)) for kind in wanted],
    }


def condition(kind: str, wanted: dict[str, str], old: Json | None) -> Json:
    """Return a condition; its transition time is the old one's if the status is."""
    stays = old is not None and old["status"] == wanted["status"]
    since = old["lastTransitionTime"] if old and stays else stamp(time.time())
    return {"type": kind, "lastTransitionTime": since, **wanted}


def stamp(at: float) -> str:
    """Write a time as Kubernetes does; `at` is Unix time in seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
