"""KServe's `serving.kserve.io/v1beta1 InferenceService`, read as a service of this machine."""

from kpa.local.manifests.container import NEEDS_COMMAND, choose_container, read_template
from kpa.local.manifests.fields import Fields
from kpa.local.manifests.knative import PREFIX
from kpa.local.manifests.spec import ServiceSpec

METRICS = ("concurrency", "rps")
"""Metrics of the KPA class; KServe gives cpu and memory to other autoscalers."""

DEFAULT_MIN_REPLICAS = 1
"""KServe's `DefaultMinReplicas`: an InferenceService goes to zero only when asked to."""


def read_inference_service(document: Fields, namespace: str, name: str) -> ServiceSpec | None:
    """Read one InferenceService as KServe's controller turns it into a Knative Service `NAME-predictor`.

    Scaling fields of the predictor overrule annotations of the same meaning. Source: `kserve/kserve
    pkg/controller/v1beta1/inferenceservice/reconcilers/knative/ksvc_reconciler.go`.

    Returns
    -------
    ServiceSpec or None
        None when so much is missing that nothing can be said of a service.
    """
    metadata = document.section("metadata")
    annotations = metadata.text_map("annotations") if metadata else {}
    spec = document.section("spec")
    predictor = spec.section("predictor") if spec else None
    if spec is None or predictor is None:
        document.report.say("spec.predictor", "is missing; it holds the container")
        return None
    spec.ignore_unread()  # transformer, explainer
    annotations |= predictor.text_map("annotations")
    annotations |= _scaling(predictor)
    container = _container(predictor)
    if container is None:
        return None
    template = read_template(predictor, container, "timeout")
    predictor.skip("labels")
    predictor.ignore_unread()
    return ServiceSpec(namespace, name, f"{name}-predictor", annotations, template, document.report.file)


def _scaling(predictor: Fields) -> dict[str, str]:
    """Scaling fields as annotations of the revision template."""
    least = predictor.whole("minReplicas")
    most = predictor.whole("maxReplicas") or 0
    least = DEFAULT_MIN_REPLICAS if least is None else least
    annotations = {"min-scale": str(least)}
    if most and least > most:
        predictor.refuse("minReplicas", f"at most maxReplicas, which is {most}")
    elif most:
        annotations["max-scale"] = str(most)
    target = predictor.whole("scaleTarget", 1)
    if target is not None:
        annotations["target"] = str(target)
    metric = predictor.text("scaleMetric")
    if metric and metric not in METRICS:
        predictor.refuse(
            "scaleMetric", f"{' or '.join(METRICS)} (cpu and memory are scaled by other autoscalers)"
        )
    elif metric:
        annotations["metric"] = metric
    return {PREFIX + key: value for key, value in annotations.items()}


def _container(predictor: Fields) -> Fields | None:
    """The predictor's own container, or its model with a command."""
    if "containers" in predictor:
        return choose_container(predictor)
    model = predictor.section("model")
    if model is not None:
        return model
    predictor.report.say(
        predictor.path, f"has neither containers nor a model with a command; {NEEDS_COMMAND}"
    )
    return None
