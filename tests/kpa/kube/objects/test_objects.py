"""Trimmed objects: what is read, what is shared, what a pod costs, how pods are counted."""

import json
import tracemalloc
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from kpa.kube.api.metadata import from_time, key_of, to_time, unpacked_metadata
from kpa.kube.objects import ObjectReference, PodCounts, PodInfo, ScaleTarget, count_pods
from kpa.kube.objects.conditions import Condition
from metrics.key import Key
from tests.kpa.kube.kube_samples import (
    SERVERLESS_SERVICE,
    T0,
    merged,
    metric,
    pod_autoscaler,
    serverless_service,
)

POD: dict[str, Any] = {
    "metadata": {
        "namespace": "shop",
        "name": "cart-00002-deployment-5d9c8b7f6-x2x4z",
        "creationTimestamp": "2023-11-14T22:13:00Z",
        "labels": {"serving.knative.dev/revision": "cart-00002", "app": "cart-00002"},
    },
    "spec": {"containers": [{"name": "user-container", "image": "registry.example/cart:2"}]},
    "status": {
        "phase": "Running",
        "podIP": "10.1.2.3",
        "startTime": "2023-11-14T22:13:20Z",
        "conditions": [{"type": "Ready", "status": "True"}, {"type": "PodScheduled", "status": "True"}],
    },
}


def pod(**changes: Any) -> PodInfo:
    return PodInfo.from_json(merged(POD, changes))


def test_a_pod_autoscaler_keeps_what_is_read_of_it() -> None:
    pa = pod_autoscaler()
    assert pa.key == Key("shop", "cart-00002")
    assert (pa.uid, pa.resource_version, pa.generation, pa.deleted) == ("pa-uid", "41", 2, False)
    assert pa.container_concurrency == 10
    assert pa.scale_target == ObjectReference("apps/v1", "Deployment", "cart-00002-deployment")
    assert (pa.revision, pa.protocol_type, pa.is_ours) == ("cart-00002", "http1", True)
    assert pa.status.desired_scale is None
    assert pa.status.conditions == ()


@pytest.mark.parametrize(
    ("reachability", "reachable"),
    [("Reachable", True), (None, True), ("", True), ("Unreachable", False)],
    ids=["reachable", "absent", "not known", "unreachable"],
)
def test_only_what_is_said_to_be_unreachable_is(reachability: str | None, reachable: bool) -> None:
    assert pod_autoscaler(spec={"reachability": reachability}).reachable is reachable


@pytest.mark.parametrize("text", ["hpa.autoscaling.knative.dev", "", None], ids=["hpa", "empty", "absent"])
def test_pod_autoscalers_of_other_classes_are_not_ours(text: str | None) -> None:
    annotations = {"autoscaling.knative.dev/class": text}
    assert not pod_autoscaler(metadata={"annotations": annotations}).is_ours


def test_a_bare_pod_autoscaler_is_read_too() -> None:
    pa = pod_autoscaler(metadata={"labels": None, "annotations": None}, spec=None)
    assert (dict(pa.labels), dict(pa.annotations), pa.container_concurrency) == ({}, {}, 0)
    assert not pa.is_ours


def test_a_pod_autoscaler_on_its_way_out_says_so() -> None:
    assert pod_autoscaler(metadata={"deletionTimestamp": "2023-11-14T22:13:20Z"}).deleted


def test_a_status_is_written_as_it_was_read() -> None:
    status = {
        "serviceName": "cart-00002",
        "metricsServiceName": "",
        "desiredScale": 0,
        "actualScale": 3,
        "observedGeneration": 2,
        "annotations": {"somebody": "noted"},
        "conditions": [
            {"type": "Ready", "status": "False", "reason": "NoTraffic", "message": "None."},
            {
                "type": "Theirs",
                "status": "True",
                "severity": "Info",
                "lastTransitionTime": "2023-11-14T22:13:20Z",
            },
        ],
    }
    assert pod_autoscaler(status=status).status.to_json() == status


def test_a_status_of_nothing_has_the_names_that_the_schema_wants() -> None:
    assert pod_autoscaler().status.to_json() == {
        "serviceName": "",
        "metricsServiceName": "",
        "observedGeneration": 0,
        "conditions": [],
    }


def test_a_serverless_service_keeps_its_owner_its_spec_and_since_when_it_is_proxied() -> None:
    sks = serverless_service()
    assert sks.owner == "pa-uid"
    assert (sks.spec.mode, sks.spec.num_activators) == ("Proxy", 3)
    assert (sks.service_name, sks.private_service_name) == ("cart-00002", "cart-00002-private")
    assert sks.proxied_since == T0 - 200
    assert sks.is_ready


@pytest.mark.parametrize(
    ("generation", "ready", "is_ready"),
    [(3, "True", True), (4, "True", False), (3, "False", False), (3, "Unknown", False), (3, None, False)],
    ids=["observed", "not observed", "not ready", "not known", "no condition"],
)
def test_a_serverless_service_is_ready_once_its_spec_was_seen(
    generation: int, ready: str | None, is_ready: bool
) -> None:
    conditions = [{"type": "Ready", "status": ready}] if ready else []
    sks = serverless_service(metadata={"generation": generation}, status={"conditions": conditions})
    assert sks.is_ready is is_ready


@pytest.mark.parametrize("status", ["False", "Unknown", None])
def test_a_serverless_service_without_activators_in_its_path_is_proxied_since_never(
    status: str | None,
) -> None:
    since = "2023-11-14T22:10:00Z"
    populated = {"type": "ActivatorEndpointsPopulated", "status": status, "lastTransitionTime": since}
    sks = serverless_service(status={"conditions": [populated] if status else []})
    assert sks.proxied_since is None


def test_a_child_without_controller_has_no_owner() -> None:
    references = [{"apiVersion": "v1", "kind": "Thing", "name": "else", "uid": "other-uid"}]
    assert serverless_service(metadata={"ownerReferences": references}).owner == ""
    assert metric(metadata={"ownerReferences": None}).owner == ""


def test_metadata_comes_back_whole_but_for_managed_fields() -> None:
    sent = SERVERLESS_SERVICE["metadata"]
    kept = unpacked_metadata(serverless_service().metadata)
    assert kept == {name: value for name, value in sent.items() if name != "managedFields"}


def test_a_metric_keeps_its_spec_in_nanoseconds() -> None:
    assert metric().spec == (60_000_000_000, 6_000_000_000, "cart-00002-private")


@pytest.mark.parametrize(("replicas", "read"), [(3, 3), (0, 0), (None, 1)], ids=["some", "none", "unsaid"])
def test_a_scale_target_has_one_replica_unless_it_says_otherwise(replicas: int | None, read: int) -> None:
    body = {"metadata": {"namespace": "shop", "name": "d"}, "spec": {"replicas": replicas}}
    assert ScaleTarget.from_json(merged(body, {})).replicas == read


def test_a_pod_keeps_what_is_read_of_it() -> None:
    assert pod() == PodInfo(
        Key("shop", "cart-00002-deployment-5d9c8b7f6-x2x4z"),
        "cart-00002",
        "10.1.2.3",
        "Running",
        True,
        T0,
        False,
    )


def test_a_pod_that_no_node_has_taken_yet_counts_from_its_creation() -> None:
    assert pod(status=None) == PodInfo(pod().key, "cart-00002", "", "", False, T0 - 20, False)


def test_a_pod_with_other_fields_changed_is_the_same_value() -> None:
    touched = {"resourceVersion": "7", "annotations": {"somebody": "touched it"}}
    assert pod(metadata=touched) == pod()


def test_pods_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        pod().ready = False  # type: ignore[misc]


def test_a_pod_takes_less_than_a_kibibyte() -> None:
    texts = [json.dumps(merged(POD, {"metadata": {"name": f"{pod().key.name}-{i}"}})) for i in range(1000)]
    tracemalloc.start()
    kept = {trimmed.key: trimmed for trimmed in (PodInfo.from_json(json.loads(text)) for text in texts)}
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(kept) == 1000
    assert size / 1000 < 1024


GONE = {"deletionTimestamp": "2023-11-14T22:14:00Z"}
UNREADY = {"conditions": [{"type": "Ready", "status": "False"}]}
PENDING = {"phase": "Pending", **UNREADY}


@pytest.mark.parametrize(
    ("counted", "counts"),
    [
        (pod(), (1, 0, 0, 0)),
        (pod(status=UNREADY), (0, 1, 0, 0)),
        (pod(status={"conditions": None}), (0, 1, 0, 0)),
        (pod(metadata=GONE), (0, 1, 0, 1)),
        (pod(status=PENDING), (0, 1, 1, 0)),
        (pod(status=PENDING, metadata=GONE), (0, 1, 1, 0)),
        (pod(status={"phase": "Succeeded"}), (0, 0, 0, 0)),
        (pod(status={"phase": "Failed"}), (0, 0, 0, 0)),
        (pod(status={"phase": "Unknown"}), (0, 0, 0, 0)),
    ],
    ids=["ready", "unready", "no condition", "going", "pending", "pending, going", "done", "failed", "lost"],
)
def test_a_pod_counts_by_its_state(counted: PodInfo, counts: tuple[int, int, int, int]) -> None:
    assert count_pods([counted]) == PodCounts(*counts)
    assert counted.takes_requests is (counts[0] == 1)


def test_counts_add_up() -> None:
    assert count_pods([pod(), pod(), pod(metadata=GONE), pod(status=PENDING)]) == PodCounts(2, 2, 1, 1)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2023-11-14T22:13:20Z", T0),
        ("2023-11-14T22:13:20.25Z", T0 + 0.25),
        ("2023-11-14T22:13:20.123456789Z", T0 + 0.123456),
        ("2023-11-15T00:13:20+02:00", T0),
        ("", None),
        (None, None),
        ("yesterday", None),
        (17, None),
    ],
)
def test_times_are_read(text: object, seconds: float | None) -> None:
    read = from_time(text)
    assert read is None if seconds is None else read == pytest.approx(seconds, abs=1e-6)


def test_times_are_written_in_whole_seconds_that_have_passed() -> None:
    assert to_time(T0) == "2023-11-14T22:13:20Z"
    assert to_time(T0 + 0.999) == "2023-11-14T22:13:20Z"


def test_a_condition_whose_time_is_nonsense_has_none() -> None:
    read = Condition.from_json({"type": "Ready", "status": "True", "lastTransitionTime": "soon"})
    assert read == Condition("Ready", "True")
    assert read.to_json() == {"type": "Ready", "status": "True"}


def test_a_cache_and_what_it_keeps_share_a_key() -> None:
    body = {"metadata": {"namespace": "default", "name": "hello-00001"}}
    key = key_of(body)
    assert key == ("default", "hello-00001")
    assert key_of(json.loads(json.dumps(body))) is key
    assert key_of({"metadata": {"name": "cluster-wide"}}) == ("", "cluster-wide")
