"""A pod as Knative's controller makes it and an API server tells of it, managed fields included: 14 kB."""

from typing import Any

_QUEUE_ENV = [
    "SERVING_NAMESPACE",
    "SERVING_SERVICE",
    "SERVING_CONFIGURATION",
    "SERVING_REVISION",
    "QUEUE_SERVING_PORT",
    "QUEUE_SERVING_TLS_PORT",
    "CONTAINER_CONCURRENCY",
    "REVISION_TIMEOUT_SECONDS",
    "REVISION_RESPONSE_START_TIMEOUT_SECONDS",
    "REVISION_IDLE_TIMEOUT_SECONDS",
    "SERVING_POD",
    "SERVING_POD_IP",
    "SERVING_LOGGING_CONFIG",
    "SERVING_LOGGING_LEVEL",
    "SERVING_REQUEST_LOG_TEMPLATE",
    "SERVING_ENABLE_REQUEST_LOG",
    "SERVING_ENABLE_PROBE_REQUEST_LOG",
    "USER_PORT",
    "SYSTEM_NAMESPACE",
    "SERVING_READINESS_PROBE",
    "ENABLE_HTTP_FULL_DUPLEX",
    "ROOT_CA",
    "ENABLE_MULTI_CONTAINER_PROBES",
    "OBSERVABILITY_CONFIG",
    "HOST_IP",
]


def knative_pod(index: int, version: int, *, ready: bool = True) -> dict[str, Any]:
    """Make the JSON of a pod: the index names it, the version is its resource version."""
    revision, digest = f"hello-{index // 3:05d}", "sha256:" + "0123456789abcdef" * 4
    pod: dict[str, Any] = {
        "metadata": _metadata(revision, index, version),
        "spec": _spec(revision, digest),
        "status": _status(index, digest, ready),
    }
    pod["metadata"]["managedFields"] = [
        _managed("kube-controller-manager", {"metadata": pod["metadata"], "spec": pod["spec"]}),
        _managed("kubelet", {"status": pod["status"]}) | {"subresource": "status"},
    ]
    return {"kind": "Pod", "apiVersion": "v1", **pod}


def _metadata(revision: str, index: int, version: int) -> dict[str, Any]:
    uid = f"5f1c6ac1-9a42-4a4e-9c55-{index:012d}"
    owner = {"kind": "ReplicaSet", "name": f"{revision}-deployment-6c8f7b", "controller": True}
    labels = {
        f"serving.knative.dev/{name}": uid for name in ("configurationUID", "revisionUID", "serviceUID")
    }
    labels |= {f"serving.knative.dev/{name}": "hello" for name in ("configuration", "service")}
    return {
        "name": f"{revision}-deployment-6c8f7b-{index:05d}",
        "generateName": f"{revision}-deployment-6c8f7b-",
        "namespace": "default",
        "uid": uid,
        "resourceVersion": str(version),
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": {
            **labels,
            "app": revision,
            "pod-template-hash": "6c8f7b",
            "serving.knative.dev/configurationGeneration": "1",
            "serving.knative.dev/revision": revision,
        },
        "annotations": {
            "autoscaling.knative.dev/class": "kpa.autoscaling.knative.dev",
            "autoscaling.knative.dev/target": "10",
            "serving.knative.dev/creator": "kubernetes-admin",
        },
        "ownerReferences": [{**owner, "apiVersion": "apps/v1", "uid": uid, "blockOwnerDeletion": True}],
    }


def _spec(revision: str, digest: str) -> dict[str, Any]:
    mounts = [
        {
            "name": "kube-api-access-x2x7k",
            "readOnly": True,
            "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
        }
    ]
    common = {
        "terminationMessagePath": "/dev/termination-log",
        "imagePullPolicy": "IfNotPresent",
        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "25m", "memory": "100Mi"}},
        "volumeMounts": mounts,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    ports = {
        "http-queueadm": 8022,
        "http-autometric": 9090,
        "http-usermetric": 9091,
        "queue-port": 8012,
        "https": 8112,
    }
    probe = {
        "httpGet": {
            "path": "/",
            "port": 8012,
            "scheme": "HTTP",
            "httpHeaders": [{"name": "K", "value": "queue"}],
        }
    }
    return {
        "volumes": [{"name": "kube-api-access-x2x7k", "projected": {"sources": [], "defaultMode": 420}}],
        "containers": [
            {
                "name": "user-container",
                "image": f"ghcr.io/knative/helloworld-go@{digest}",
                "ports": [{"name": "user-port", "containerPort": 8080, "protocol": "TCP"}],
                "env": [
                    {"name": n, "value": revision}
                    for n in ("PORT", "K_REVISION", "K_CONFIGURATION", "K_SERVICE")
                ],
                "lifecycle": {
                    "preStop": {"httpGet": {"path": "/wait-for-drain", "port": 8022, "scheme": "HTTP"}}
                },
                **common,
            },
            {
                "name": "queue-proxy",
                "image": f"gcr.io/knative-releases/knative.dev/serving/cmd/queue@{digest}",
                "ports": [{"name": n, "containerPort": p, "protocol": "TCP"} for n, p in ports.items()],
                "env": [{"name": name, "value": f"{revision}-value"} for name in _QUEUE_ENV],
                "readinessProbe": {**probe, "timeoutSeconds": 1, "periodSeconds": 10, "failureThreshold": 3},
                **common,
            },
        ],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 300,
        "dnsPolicy": "ClusterFirst",
        "serviceAccountName": "default",
        "nodeName": "node-1",
        "securityContext": {},
        "schedulerName": "default-scheduler",
        "tolerations": [
            {
                "key": f"node.kubernetes.io/{key}",
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": 300,
            }
            for key in ("not-ready", "unreachable")
        ],
        "enableServiceLinks": False,
        "preemptionPolicy": "PreemptLowerPriority",
    }


def _status(index: int, digest: str, ready: bool) -> dict[str, Any]:
    began, truth = "2026-01-01T00:00:05Z", {True: "True", False: "False"}[ready]
    ip = f"10.{index >> 16 & 255}.{index >> 8 & 255}.{index & 255}"
    kinds = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    return {
        "phase": "Running",
        "conditions": [
            {"type": kind, "status": truth, "lastProbeTime": None, "lastTransitionTime": began}
            for kind in kinds
        ],
        "hostIP": "10.0.0.1",
        "hostIPs": [{"ip": "10.0.0.1"}],
        "podIP": ip,
        "podIPs": [{"ip": ip}],
        "startTime": began,
        "containerStatuses": [
            {
                "name": name,
                "state": {"running": {"startedAt": began}},
                "lastState": {},
                "ready": ready,
                "restartCount": 0,
                "image": digest,
                "imageID": digest,
                "containerID": f"containerd://{digest}",
                "started": True,
            }
            for name in ("queue-proxy", "user-container")
        ],
        "qosClass": "Burstable",
    }


def _managed(manager: str, owned: dict[str, Any]) -> dict[str, Any]:
    return {
        "manager": manager,
        "operation": "Update",
        "apiVersion": "v1",
        "time": "2026-01-01T00:00:05Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": _fields(owned),
    }


def _fields(value: Any) -> dict[str, Any]:
    """Name all fields of a value the way managed fields do."""
    if isinstance(value, dict):
        return {f"f:{name}": _fields(field) for name, field in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        key = next(iter(value[0]))
        return {f'k:{{"{key}":"{item[key]}"}}': {".": {}, **_fields(item)} for item in value}
    return {}
