"""Rules of annotations that take more than one of them, or words.

Source: `knative/serving pkg/apis/autoscaling/annotation_validation.go`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from config.autoscaler import AutoscalerConfig
from config.rules import Broken, initial_scale_rule, max_scale_rule

KPA_CLASS = "kpa.autoscaling.knative.dev"
HPA_CLASS = "hpa.autoscaling.knative.dev"

_ALGORITHMS = ("", "linear", "weighted-exponential", "weightedExponential")

ALLOWED_CLASS = f"{KPA_CLASS}, {HPA_CLASS}, or a class of another domain"
ALLOWED_METRIC = "concurrency or rps"
ALLOWED_ALGORITHM = "linear or weighted-exponential"
"""What the texts of these annotations must be."""


def broken_rules(values: Mapping[str, Any], config: AutoscalerConfig) -> Iterator[Broken]:
    """Rules that annotations break.

    Parameters
    ----------
    values : Mapping[str, Any]
        By the names of `config.annotations.ANNOTATIONS`, each within its own bounds.
    config : AutoscalerConfig
        The cluster's.
    """
    yield from _words(values, config)
    yield from _max_scale(values, config)
    yield from _activation_scale(values)
    must_be = initial_scale_rule(values.get("initial_scale", 1), config.allow_zero_initial_scale)
    if must_be:
        yield "initial_scale", must_be


def _words(values: Mapping[str, Any], config: AutoscalerConfig) -> Iterator[Broken]:
    """Class, metric and algorithm; classes of other makers have words of their own."""
    named = values.get("pod_autoscaler_class")
    if named is not None and named.endswith(".knative.dev") and named not in (KPA_CLASS, HPA_CLASS):
        yield "pod_autoscaler_class", ALLOWED_CLASS
    scaled_by = named if named is not None else config.pod_autoscaler_class
    metric = values.get("metric")
    if scaled_by == KPA_CLASS and metric not in (None, "concurrency", "rps"):
        yield "metric", ALLOWED_METRIC
    if scaled_by == HPA_CLASS and metric == "":
        yield "metric", "the name of a metric"
    if named == KPA_CLASS and values.get("metric_aggregation_algorithm", "") not in _ALGORITHMS:
        yield "metric_aggregation_algorithm", ALLOWED_ALGORITHM


def _max_scale(values: Mapping[str, Any], config: AutoscalerConfig) -> Iterator[Broken]:
    largest, limit = values.get("max_scale"), config.max_scale_limit
    if largest is None:
        return
    must_be = max_scale_rule(largest, limit)
    if must_be:
        yield "max_scale", must_be
    elif 0 < largest < values.get("min_scale", 0):
        yield "max_scale", f"at least min-scale ({values['min_scale']}), or 0 for no limit"


def _activation_scale(values: Mapping[str, Any]) -> Iterator[Broken]:
    scale, least, most = (values.get(f"{each}_scale", 0) for each in ("activation", "min", "max"))
    if scale and scale < least:
        yield "activation_scale", f"at least min-scale ({least})"
    elif scale and 0 < most < scale:
        yield "activation_scale", f"at most max-scale ({most})"
