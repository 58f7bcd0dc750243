"""Events: their form, and the two that the controllers send."""

from kpa.kube.events import METRIC_CONTROLLER, Involved, internal_error, repeated, update_failed
from tests.kpa.kube.kube_samples import METRIC, T0, merged, pod_autoscaler


def test_an_error_of_a_pass_shows_on_its_pod_autoscaler() -> None:
    event = internal_error(pod_autoscaler(), "error reconciling SKS: boom", "autoscaler-1", T0 + 0.5)
    assert event == {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": "shop", "name": f"cart-00002.{1_700_000_000_500_000_000:x}"},
        "involvedObject": {
            "apiVersion": "autoscaling.internal.knative.dev/v1alpha1",
            "kind": "PodAutoscaler",
            "namespace": "shop",
            "name": "cart-00002",
            "uid": "pa-uid",
            "resourceVersion": "41",
        },
        "type": "Warning",
        "reason": "InternalError",
        "message": "error reconciling SKS: boom",
        "source": {"component": "podautoscaler-controller"},
        "reportingComponent": "podautoscaler-controller",
        "reportingInstance": "autoscaler-1",
        "firstTimestamp": "2023-11-14T22:13:20Z",
        "lastTimestamp": "2023-11-14T22:13:20Z",
        "count": 1,
    }


def test_a_status_that_could_not_be_written_is_named() -> None:
    event = update_failed(Involved.of(METRIC), "timed out", METRIC_CONTROLLER, "autoscaler-1", T0)
    assert (event["reason"], event["source"]) == ("UpdateFailed", {"component": "metric-controller"})
    assert event["message"] == 'Failed to update status for "cart-00002": timed out'
    assert event["involvedObject"]["kind"] == "Metric"
    assert event["involvedObject"]["resourceVersion"] == "52"


def test_an_event_about_an_object_of_the_cluster_lies_in_the_default_namespace() -> None:
    body = merged(METRIC, {"metadata": {"namespace": None}})
    event = update_failed(Involved.of(body), "", METRIC_CONTROLLER, "", T0)
    assert event["metadata"]["namespace"] == "default"
    assert event["involvedObject"]["namespace"] == ""


def test_an_event_that_happens_again_counts_and_keeps_its_beginning() -> None:
    event = internal_error(pod_autoscaler(), "boom", "", T0)
    assert repeated(event, T0 + 61) == {"count": 2, "lastTimestamp": "2023-11-14T22:14:21Z"}
