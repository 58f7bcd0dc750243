"""Children of a PodAutoscaler: what is made, what is kept in step, whose they are; a Metric's status."""

from dataclasses import replace
from typing import Any

import pytest

from config.autoscaler import AutoscalerConfig
from config.resolve import RevisionSettings, resolve
from kpa.kube.objects import Metric
from kpa.kube.objects.conditions import Condition
from kpa.kube.objects.metric_status import metric_conditions, metric_status_body
from kpa.kube.objects.owned_resources import NotOwned, metric_body, metric_spec, sks_body, sks_spec
from metrics.sampling.failures import ScrapeProblem
from tests.kpa.kube.kube_samples import (
    METRIC,
    POD_AUTOSCALER,
    SERVERLESS_SERVICE,
    T0,
    metric,
    pod_autoscaler,
    serverless_service,
)

PA = pod_autoscaler()
KNATIVE = AutoscalerConfig.from_config_map({"defaults": "knative"})
OWNER = {
    "apiVersion": "autoscaling.internal.knative.dev/v1alpha1",
    "kind": "PodAutoscaler",
    "name": "cart-00002",
    "uid": "pa-uid",
    "controller": True,
    "blockOwnerDeletion": True,
}
TARGET = POD_AUTOSCALER["spec"]["scaleTargetRef"]
ANNOTATIONS = POD_AUTOSCALER["metadata"]["annotations"]


def settings(**annotations: str) -> RevisionSettings:
    named = {f"autoscaling.knative.dev/{name.replace('_', '-')}": text for name, text in annotations.items()}
    return resolve(KNATIVE, named, container_concurrency=10)


# ServerlessService.


def test_a_new_serverless_service_is_proxied_by_two_activators() -> None:
    assert sks_body(PA, None, sks_spec(PA, proxied=True)) == {
        "apiVersion": "networking.internal.knative.dev/v1alpha1",
        "kind": "ServerlessService",
        "metadata": {
            "namespace": "shop",
            "name": "cart-00002",
            "labels": POD_AUTOSCALER["metadata"]["labels"],
            "annotations": ANNOTATIONS,
            "ownerReferences": [OWNER],
        },
        "spec": {"mode": "Proxy", "objectRef": TARGET, "protocolType": "http1", "numActivators": 2},
    }


def test_the_metric_annotation_is_no_business_of_a_serverless_service() -> None:
    pa = pod_autoscaler(metadata={"annotations": {"autoscaling.knative.dev/metric": "rps"}})
    body = sks_body(pa, None, sks_spec(pa, proxied=True))
    assert body is not None
    assert body["metadata"]["annotations"] == ANNOTATIONS


def test_a_serverless_service_that_is_as_it_should_be_is_left_alone() -> None:
    assert sks_body(PA, serverless_service(), sks_spec(PA, proxied=True, activators=3)) is None


@pytest.mark.parametrize(
    ("proxied", "activators", "spec"),
    [(False, 3, {"mode": "Serve"}), (True, 4, {"mode": "Proxy", "numActivators": 4})],
    ids=["mode", "activators"],
)
def test_a_serverless_service_with_another_spec_is_written_back_whole(
    proxied: bool, activators: int, spec: dict[str, Any]
) -> None:
    body = sks_body(PA, serverless_service(), sks_spec(PA, proxied, activators))
    assert body is not None
    assert body["spec"] == {**SERVERLESS_SERVICE["spec"], **spec}
    sent = SERVERLESS_SERVICE["metadata"]
    assert body["metadata"] == {name: value for name, value in sent.items() if name != "managedFields"}


@pytest.mark.parametrize(
    "spec",
    [
        {"protocolType": "h2c"},
        {"objectRef": {"name": "another"}},
        {"numActivators": None},
        {"mode": None},
    ],
    ids=["protocol", "target", "activators", "mode"],
)
def test_whatever_differs_in_a_spec_is_put_right(spec: dict[str, Any]) -> None:
    body = sks_body(PA, serverless_service(spec=spec), sks_spec(PA, proxied=True, activators=3))
    assert body is not None
    assert body["spec"] == SERVERLESS_SERVICE["spec"]


@pytest.mark.parametrize("references", [None, [{**OWNER, "uid": "other"}], [{**OWNER, "controller": False}]])
def test_a_serverless_service_of_another_owner_is_left_alone(references: Any) -> None:
    sks = serverless_service(metadata={"ownerReferences": references})
    with pytest.raises(
        NotOwned, match=r"^error reconciling SKS: PA: cart-00002 does not own SKS: cart-00002$"
    ) as raised:
        sks_body(PA, sks, sks_spec(PA, proxied=False))
    assert raised.value.kind == "ServerlessService"


# Metric.


def test_a_new_metric_has_all_annotations_and_the_default_one() -> None:
    assert metric_body(PA, None, metric_spec(settings(), "cart-00002-private")) == {
        "apiVersion": "autoscaling.internal.knative.dev/v1alpha1",
        "kind": "Metric",
        "metadata": {
            "namespace": "shop",
            "name": "cart-00002",
            "labels": POD_AUTOSCALER["metadata"]["labels"],
            "annotations": {**ANNOTATIONS, "autoscaling.knative.dev/metric": "concurrency"},
            "ownerReferences": [OWNER],
        },
        "spec": {
            "stableWindow": 60_000_000_000,
            "panicWindow": 6_000_000_000,
            "scrapeTarget": "cart-00002-private",
        },
    }


def test_a_metric_of_requests_a_second_says_so() -> None:
    pa = pod_autoscaler(metadata={"annotations": {"autoscaling.knative.dev/metric": "rps"}})
    body = metric_body(pa, None, metric_spec(settings(), "p"))
    assert body is not None
    assert body["metadata"]["annotations"]["autoscaling.knative.dev/metric"] == "rps"


@pytest.mark.parametrize(
    ("window", "percentage", "stable", "panic"),
    [
        ("60s", "10", 60, 6),
        ("10s", "25", 10, 3),
        ("60s", "51", 60, 31),
        ("180s", "13", 180, 23),
        ("6s", "1", 6, 1),
        ("1h", "100", 3600, 3600),
    ],
)
def test_windows_are_whole_seconds_in_nanoseconds(
    window: str, percentage: str, stable: int, panic: int
) -> None:
    spec = metric_spec(settings(window=window, panic_window_percentage=percentage), "p")
    assert (spec.stable_window, spec.panic_window) == (stable * 10**9, panic * 10**9)


def test_a_window_that_no_gatekeeper_let_pass_is_written_to_the_nanosecond() -> None:
    assert metric_spec(settings(window="6.1s"), "p").stable_window == 6_100_000_000


@pytest.mark.parametrize(("burst", "target"), [("-1", ""), ("0", "p"), ("1", "p"), ("200", "p")])
def test_only_a_revision_whose_activators_see_all_is_not_scraped(burst: str, target: str) -> None:
    assert metric_spec(settings(target_burst_capacity=burst), "p").scrape_target == target


def test_a_metric_that_is_as_it_should_be_is_left_alone_whatever_its_annotations() -> None:
    pa = pod_autoscaler(
        metadata={"annotations": {"autoscaling.knative.dev/metric-aggregation-algorithm": "x"}}
    )
    assert metric_body(pa, metric(), metric_spec(settings(), "cart-00002-private")) is None


def test_a_metric_with_another_spec_is_written_back_whole() -> None:
    body = metric_body(PA, metric(), metric_spec(settings(window="30s"), "cart-00002-private"))
    assert body is not None
    assert body["spec"] == {**METRIC["spec"], "stableWindow": 30 * 10**9, "panicWindow": 3 * 10**9}
    assert body["metadata"]["finalizers"] == ["somebody/waits"]
    assert body["metadata"]["resourceVersion"] == "52"


def test_a_metric_of_another_owner_is_left_alone() -> None:
    theirs = metric(metadata={"ownerReferences": [{**OWNER, "uid": "other"}]})
    with pytest.raises(
        NotOwned, match=r"^error reconciling Metric: PA: cart-00002 does not own Metric: cart-00002$"
    ) as raised:
        metric_body(PA, theirs, metric_spec(settings(), "p"))
    assert raised.value.kind == "Metric"


# A Metric's status.


REPEATED = ScrapeProblem(
    "DidNotReceiveStat", "unsuccessful scrape: did not receive stat from an unscraped pod"
)
BOOM = ScrapeProblem("CollectionFailed", "boom")


@pytest.mark.parametrize(
    ("problem", "told"),
    [
        (None, Condition("Ready", "True", since=T0)),
        (REPEATED, Condition("Ready", "False", "DidNotReceiveStat", REPEATED.text, since=T0)),
        (
            BOOM,
            Condition(
                "Ready",
                "False",
                "CollectionFailed",
                "Failed to reconcile metric collection: boom",
                since=T0,
            ),
        ),
    ],
    ids=["collects", "no stat", "other"],
)
def test_a_metric_says_whether_load_is_collected(problem: ScrapeProblem | None, told: Condition) -> None:
    assert metric_conditions(metric(), problem, T0 + 0.5) == (told,)
    body = metric_status_body(metric(), problem, T0 + 0.5)
    assert body is not None
    assert body["status"] == {"observedGeneration": 1, "conditions": [told.to_json()]}
    assert body["metadata"]["resourceVersion"] == "52"


def observed(problem: ScrapeProblem | None) -> Metric:
    return replace(metric(), observed_generation=1, conditions=metric_conditions(metric(), problem, T0))


@pytest.mark.parametrize("problem", [None, REPEATED, BOOM], ids=["none", "no stat", "other"])
def test_the_same_result_is_written_once(problem: ScrapeProblem | None) -> None:
    assert metric_status_body(observed(problem), problem, T0 + 60) is None


def test_another_failure_is_written() -> None:
    assert metric_status_body(observed(BOOM), BOOM._replace(text="b"), T0 + 60) is not None
    assert metric_status_body(observed(BOOM), None, T0 + 60) is not None


def test_a_new_generation_is_observed_without_moving_times() -> None:
    body = metric_status_body(replace(observed(None), generation=2), None, T0 + 60)
    assert body is not None
    assert body["status"]["observedGeneration"] == 2
    assert body["status"]["conditions"] == [observed(None).conditions[0].to_json()]
