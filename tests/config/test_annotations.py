"""Annotations: what the autoscaler makes of any text, and what the gatekeeper refuses.

Left out: how a value joins the cluster's (`test_resolve`).
"""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.annotations import ANNOTATIONS, PREFIX, read_overrides, unknown_annotations, validate
from config.autoscaler import AutoscalerConfig

DEADLINE = "serving.knative.dev/progress-deadline"
KPA = "kpa.autoscaling.knative.dev"
HPA = "hpa.autoscaling.knative.dev"

GOOD = {
    "class": [KPA, HPA, "mine.example.com"],
    "metric": ["concurrency", "rps"],
    "metric-aggregation-algorithm": ["linear", "weighted-exponential", "weightedExponential", "", "whatever"],
    "min-scale": ["0", "2147483647"],
    "max-scale": ["0", "1"],
    "initial-scale": ["1", "20"],
    "activation-scale": ["2", "10"],
    "target": ["0.01", "1e6"],
    "target-utilization-percentage": ["1", "100", "70.5"],
    "target-burst-capacity": ["0", "-1", "211.5"],
    "window": ["6s", "1h", "90s"],
    "panic-window-percentage": ["1", "100"],
    "panic-threshold-percentage": ["110", "1000"],
    "scale-down-delay": ["0", "1h", "15s"],
    "scale-to-zero-pod-retention-period": ["0", "1h", "1500ms"],
    DEADLINE: ["0s", "10m"],
}
BAD = {
    "class": ["keda.autoscaling.knative.dev", "KPA.knative.dev"],
    "metric": ["", "cpu", "RPS"],
    "min-scale": ["-1", "1.5", "2147483648", "", " 1"],
    "max-scale": ["-1", "many", "1_0"],
    "initial-scale": ["0", "-1", "x", "2147483648"],
    "activation-scale": ["1", "0", "-2", "2.5"],
    "target": ["0.0099", "0", "-1", "nan", "inf", "ten"],
    "target-utilization-percentage": ["0.999", "100.001", "nan", "70%"],
    "target-burst-capacity": ["-0.1", "-2", "inf", "x"],
    "window": ["5999ms", "3601s", "6500ms", "60", ""],
    "panic-window-percentage": ["0.99", "100.01", "nan"],
    "panic-threshold-percentage": ["109.9", "1000.1", "nan"],
    "scale-down-delay": ["-1s", "3601s", "1500ms", "5"],
    "scale-to-zero-pod-retention-period": ["-1ns", "3600001ms", "5"],
    DEADLINE: ["-1s", "1500ms", "600"],
}


def named(name: str) -> str:
    return name if "/" in name else PREFIX + name


def pairs(texts: dict[str, list[str]]) -> list[Any]:
    return [pytest.param(named(key), text, id=f"{key}={text!r}") for key in texts for text in texts[key]]


def blamed(annotations: dict[str, str], **settings: Any) -> list[str]:
    config = AutoscalerConfig(**settings)
    problems = validate({named(name): text for name, text in annotations.items()}, config)
    return [problem.key.removeprefix(PREFIX) for problem in problems]


@pytest.mark.parametrize(("name", "text"), pairs(GOOD))
def test_an_annotation_within_its_range_passes(name: str, text: str) -> None:
    assert validate({name: text}, AutoscalerConfig()) == []


@pytest.mark.parametrize(("name", "text"), pairs(BAD))
def test_an_annotation_out_of_its_range_is_refused_by_name(name: str, text: str) -> None:
    (problem,) = validate({name: text}, AutoscalerConfig())
    assert (problem.key, problem.value) == (name, text)
    assert str(problem).startswith(f"{name} = {text!r}: must be ")


def test_the_tables_of_this_file_know_every_annotation() -> None:
    names = {annotation.names[0] for annotation in ANNOTATIONS.values()}
    assert {named(name) for name in GOOD} == names
    assert {named(name) for name in BAD} == names - {named("metric-aggregation-algorithm")}


def test_all_problems_are_reported_at_once() -> None:
    assert blamed({"window": "1s", "min-scale": "x", "target": "0"}) == ["target", "window", "min-scale"]


@pytest.mark.parametrize(
    ("annotations", "wrong"),
    [
        ({"min-scale": "3", "max-scale": "2"}, ["max-scale"]),
        ({"min-scale": "3", "max-scale": "3"}, []),
        ({"min-scale": "3", "max-scale": "0"}, []),
        ({"min-scale": "3", "activation-scale": "2"}, ["activation-scale"]),
        ({"min-scale": "3", "activation-scale": "3"}, []),
        ({"max-scale": "3", "activation-scale": "4"}, ["activation-scale"]),
        ({"max-scale": "3", "activation-scale": "3"}, []),
        ({"max-scale": "0", "activation-scale": "4"}, []),
        ({"minScale": "3", "maxScale": "2"}, ["maxScale"]),
    ],
)
def test_counts_must_be_in_order(annotations: dict[str, str], wrong: list[str]) -> None:
    assert blamed(annotations) == wrong


@pytest.mark.parametrize(
    ("text", "wrong"),
    [("1", []), ("5", []), ("6", ["max-scale"]), ("0", ["max-scale"]), ("-1", ["max-scale"])],
)
def test_max_scale_stays_within_the_clusters_limit(text: str, wrong: list[str]) -> None:
    assert blamed({"max-scale": text}, max_scale_limit=5, max_scale=5) == wrong


def test_the_clusters_limit_says_nothing_of_revisions_without_max_scale() -> None:
    assert blamed({"min-scale": "9"}, max_scale_limit=5, max_scale=5) == []


def test_an_initial_scale_of_zero_needs_the_clusters_leave() -> None:
    assert blamed({"initial-scale": "0"}) == ["initial-scale"]
    assert blamed({"initial-scale": "0"}, allow_zero_initial_scale=True) == []


@pytest.mark.parametrize(
    ("annotations", "default_class", "wrong"),
    [
        ({"metric": "cpu", "class": KPA}, HPA, ["metric"]),
        ({"metric": "cpu", "class": HPA}, KPA, []),
        ({"metric": "cpu"}, HPA, []),
        ({"metric": "", "class": HPA}, KPA, ["metric"]),
        ({"metric": "", "class": "mine.example.com"}, KPA, []),
        ({"metric-aggregation-algorithm": "mean", "class": KPA}, KPA, ["metric-aggregation-algorithm"]),
        ({"metric-aggregation-algorithm": "", "class": KPA}, KPA, []),
        ({"metricAggregationAlgorithm": "weightedExponential", "class": KPA}, KPA, []),
        ({"metric-aggregation-algorithm": "mean"}, KPA, []),
        ({"metric-aggregation-algorithm": "mean", "class": HPA}, KPA, []),
    ],
)
def test_words_are_those_of_the_class(
    annotations: dict[str, str], default_class: str, wrong: list[str]
) -> None:
    assert blamed(annotations, pod_autoscaler_class=default_class) == wrong


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("window", "2s", 2.0),
        ("window", "2h", 7200.0),
        ("window", "6500ms", 6.5),
        ("target", "0.001", 0.001),
        ("target", "0", 0.0),
        ("target-utilization-percentage", "150", 150.0),
        ("panic-window-percentage", "0", 0.0),
        ("panic-threshold-percentage", "5", 5.0),
        ("scale-down-delay", "2h", 7200.0),
        ("activation-scale", "1", 1),
        ("initial-scale", "0", 0),
        ("metric", "cpu", "cpu"),
    ],
)
def test_a_value_out_of_its_range_is_used_as_it_is(name: str, text: str, value: object) -> None:
    assert list(read_overrides({named(name): text}).values()) == [value]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("min-scale", "x"),
        ("min-scale", "-1"),
        ("max-scale", "-5"),
        ("initial-scale", "-1"),
        ("target", "-3"),
        ("target", "nan"),
        ("target", "inf"),
        ("target-burst-capacity", "-2"),
        ("target-burst-capacity", "inf"),
        ("target-utilization-percentage", "-70"),
        ("panic-window-percentage", "nan"),
        ("panic-threshold-percentage", "-200"),
        ("window", "0"),
        ("window", "-60s"),
        ("window", "60"),
        ("scale-down-delay", "-1s"),
        ("scale-to-zero-pod-retention-period", "-1s"),
        (DEADLINE, "-1s"),
    ],
)
def test_what_cannot_be_worked_with_counts_as_absent(name: str, text: str) -> None:
    assert read_overrides({named(name): text}) == {}


def test_a_burst_capacity_of_minus_one_is_read() -> None:
    assert read_overrides({named("target-burst-capacity"): "-1"}) == {"target_burst_capacity": -1.0}


@pytest.mark.parametrize("annotation", [each for each in ANNOTATIONS.values() if len(each.names) > 1])
def test_the_alternate_name_counts_only_where_the_first_is_absent(annotation: Any) -> None:
    first, alternate = annotation.names
    good = "linear" if "algorithm" in first else "7s" if "delay" in first or "period" in first else "7"
    assert len(read_overrides({alternate: good})) == 1
    assert read_overrides({alternate: good}) == read_overrides({first: good})
    if "algorithm" not in first:
        assert read_overrides({first: "bad", alternate: good}) == {}


@given(
    st.dictionaries(st.sampled_from([n for a in ANNOTATIONS.values() for n in a.names]), st.text(max_size=9))
)
def test_any_texts_are_read_as_finite_values(annotations: dict[str, str]) -> None:
    values = read_overrides(annotations).values()
    assert all(isinstance(value, str) or math.isfinite(value) for value in values)


@given(
    st.dictionaries(
        st.sampled_from([annotation.names[0] for annotation in ANNOTATIONS.values()]),
        st.one_of(
            st.integers(-2, 200).map(str), st.floats().map(repr), st.integers(0, 9999).map("{}s".format)
        ),
    )
)
def test_what_the_gatekeeper_lets_pass_the_autoscaler_reads(annotations: dict[str, str]) -> None:
    bad = {problem.key for problem in validate(annotations, AutoscalerConfig())}
    passed = {name: text for name, text in annotations.items() if name not in bad}
    assert len(read_overrides(passed)) == len(passed)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("min-scales", "min-scale"),
        ("windows", "window"),
        ("targetUtilisationPercentage", "targetUtilizationPercentage"),
        ("qqq", None),
    ],
)
def test_an_unknown_annotation_is_named_with_the_nearest_known_one(name: str, nearest: str | None) -> None:
    annotations = {named(name): "1", named("minScale"): "1", "other.example.com/min-scales": "1"}
    (unknown,) = unknown_annotations(annotations)
    assert (unknown.key, unknown.value) == (named(name), "1")
    assert unknown.nearest == (named(nearest) if nearest else None)
