"""Events: their form."""

from kpa.kube.events.events import INTERNAL_ERROR, PA_CONTROLLER, Involved, event, repeated
from tests.kpa.kube.kube_samples import METRIC, T0, merged, pod_autoscaler


def test_what_went_wrong_shows_on_its_pod_autoscaler() -> None:
    involved = Involved.pod_autoscaler(pod_autoscaler())
    message = "error reconciling SKS: boom"
    written = event(involved, "Warning", INTERNAL_ERROR, message, PA_CONTROLLER, "autoscaler-1", T0 + 0.5)
    assert written == {
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


def test_an_object_that_was_read_alone_names_itself() -> None:
    assert Involved.of(METRIC) == Involved(METRIC["apiVersion"], "Metric", "shop", "cart-00002", "metric-uid")


def test_an_object_is_one_in_all_its_versions() -> None:
    newer = merged(METRIC, {"metadata": {"resourceVersion": "99"}})
    assert Involved.of(newer) == Involved.of(METRIC)


def test_an_event_about_an_object_of_the_cluster_lies_in_the_default_namespace() -> None:
    body = merged(METRIC, {"metadata": {"namespace": None}})
    written = event(Involved.of(body), "Warning", "UpdateFailed", "", "metric-controller", "", T0)
    assert written["metadata"]["namespace"] == "default"
    assert written["involvedObject"]["namespace"] == ""


def test_an_event_that_happens_again_counts_and_keeps_its_beginning() -> None:
    assert repeated({"count": 1}, T0 + 61) == {"count": 2, "lastTimestamp": "2023-11-14T22:14:21Z"}
