"""Cluster, annotations and spec joined: windows, targets, initial scale, and what the engine may rely on."""

import math
from dataclasses import fields
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.annotations import ANNOTATIONS, PREFIX
from config.autoscaler import AutoscalerConfig
from config.resolve import LARGEST_NUMBER, LONGEST_DELAY, LONGEST_WINDOW, RevisionSettings, resolve

KNATIVE = AutoscalerConfig(defaults="knative")


def resolved(
    annotations: dict[str, str] | None = None, container_concurrency: int = 0, **settings: Any
) -> RevisionSettings:
    named = {name if "/" in name else PREFIX + name: text for name, text in (annotations or {}).items()}
    return resolve(KNATIVE.model_copy(update=settings), named, container_concurrency)


def test_without_annotations_the_cluster_decides() -> None:
    assert resolve(AutoscalerConfig(), {}, container_concurrency=0) == RevisionSettings(
        metric="concurrency",
        aggregation="linear",
        stable_window=180.0,
        panic_window=23.0,
        target_value=85.0,
        total_value=100.0,
        panic_threshold=2.0,
        max_scale_up_rate=20.0,
        max_scale_down_rate=1.1,
        scale_rate_period=15.0,
        scale_down_delay=60.0,
        target_burst_capacity=211.0,
        activation_scale=0,
        initial_scale=1,
        min_scale=0,
        max_scale=0,
        container_concurrency=0,
        reachable=True,
        activator_capacity=100.0,
        enable_scale_to_zero=True,
        scale_to_zero_grace_period=60.0,
        scale_to_zero_pod_retention_period=1800.0,
        progress_deadline=600.0,
        missing_stats="hold",
    )


def test_annotations_take_the_place_of_the_clusters_values() -> None:
    settings = resolved(
        {
            "metric": "rps",
            "metric-aggregation-algorithm": "weighted-exponential",
            "window": "2m",
            "panic-window-percentage": "20",
            "panic-threshold-percentage": "150",
            "target": "30",
            "target-utilization-percentage": "50",
            "target-burst-capacity": "-1",
            "scale-down-delay": "30s",
            "activation-scale": "3",
            "initial-scale": "4",
            "min-scale": "2",
            "max-scale": "9",
            "scale-to-zero-pod-retention-period": "90s",
            "serving.knative.dev/progress-deadline": "5m",
        }
    )
    assert (settings.metric, settings.aggregation) == ("rps", "weighted-exponential")
    assert (settings.stable_window, settings.panic_window, settings.panic_threshold) == (120.0, 24.0, 1.5)
    assert (settings.total_value, settings.target_value, settings.target_burst_capacity) == (30.0, 15.0, -1.0)
    assert (settings.activation_scale, settings.initial_scale) == (3, 4)
    assert (settings.min_scale, settings.max_scale) == (2, 9)
    assert settings.scale_down_delay == 30.0
    assert settings.scale_to_zero_pod_retention_period == 90.0
    assert settings.progress_deadline == 300.0


@pytest.mark.parametrize(
    ("window", "percentage", "seconds"),
    [
        ("60s", "10", 6.0),
        ("10s", "25", 3.0),
        ("60s", "51", 31.0),
        ("180s", "13", 23.0),
        ("6s", "1", 1.0),
        ("6s", "25", 2.0),
        ("10s", "24.99", 2.0),
        ("50s", "51", 26.0),
        ("50s", "50.99", 25.0),
        ("1h", "100", 3600.0),
        ("60s", "0", 1.0),
        ("60s", "150", 90.0),
    ],
)
def test_the_panic_window_is_whole_seconds_half_away_from_zero(
    window: str, percentage: str, seconds: float
) -> None:
    assert resolved({"window": window, "panic-window-percentage": percentage}).panic_window == seconds


@given(st.integers(6, 3600), st.integers(100, 10_000))
def test_the_panic_window_is_the_nearest_second(window: int, hundredths: int) -> None:
    settings = resolved(stable_window=float(window), panic_window_percentage=hundredths / 100)
    exact = Fraction(window * hundredths, 10_000)
    halfway = exact - math.floor(exact) == Fraction(1, 2)
    nearest = max(1, math.floor(exact + Fraction(1, 2)))
    # On a half, the last bit of the percentage decides, as it does in the peer's arithmetic.
    assert settings.panic_window in ({nearest, nearest - 1} if halfway else {nearest})


@pytest.mark.parametrize(
    ("annotations", "container_concurrency", "total", "target"),
    [
        ({}, 0, 100.0, 70.0),
        ({}, 10, 10.0, 7.0),
        ({}, 1, 1.0, 0.7),
        ({"target": "5"}, 10, 5.0, 3.5),
        ({"target": "20"}, 10, 10.0, 7.0),
        ({"target": "20"}, 0, 20.0, 14.0),
        ({"target": "20", "metric": "concurrency"}, 10, 10.0, 7.0),
        ({"target": "20", "metric": "memory"}, 10, 20.0, 14.0),
        ({"target-utilization-percentage": "100"}, 10, 10.0, 10.0),
        ({"target-utilization-percentage": "1"}, 1, 1.0, 0.01),
        ({"target": "0.005"}, 0, 0.005, 0.01),
        ({"target": "0"}, 0, 0.0, 0.01),
        ({"metric": "rps"}, 10, 200.0, 140.0),
        ({"metric": "rps", "target": "20"}, 10, 20.0, 14.0),
        ({"metric": "rps", "target-utilization-percentage": "80"}, 0, 200.0, 160.0),
    ],
)
def test_the_target_is_a_share_of_what_a_pod_takes(
    annotations: dict[str, str], container_concurrency: int, total: float, target: float
) -> None:
    settings = resolved(annotations, container_concurrency)
    assert settings.total_value == total
    assert settings.target_value == pytest.approx(target, rel=1e-15)


def test_rps_does_not_follow_the_share_of_concurrency() -> None:
    settings = resolved({"metric": "rps"}, container_concurrency_target_percentage=50.0)
    assert settings.target_value == 140.0


@pytest.mark.parametrize(
    ("text", "allowed", "cluster", "scale"),
    [
        ("5", False, 1, 5),
        ("0", True, 1, 0),
        ("0", False, 3, 3),
        ("x", True, 3, 3),
        ("-1", True, 3, 3),
        ("x", True, 0, 0),
    ],
)
def test_a_revision_begins_with_none_only_where_the_cluster_allows_it(
    text: str, allowed: bool, cluster: int, scale: int
) -> None:
    settings = resolved({"initial-scale": text}, allow_zero_initial_scale=allowed, initial_scale=cluster)
    assert settings.initial_scale == scale


@pytest.mark.parametrize(("text", "scale"), [("2", 2), ("1", 0), ("0", 0), ("-3", 0), ("x", 0)])
def test_an_activation_scale_below_two_is_off(text: str, scale: int) -> None:
    assert resolved({"activation-scale": text}).activation_scale == scale


@pytest.mark.parametrize(
    ("text", "aggregation"),
    [
        ("linear", "linear"),
        ("weightedExponential", "weighted-exponential"),
        ("Weighted-Exponential", "linear"),
        ("", "linear"),
    ],
)
def test_an_unknown_aggregation_is_linear(text: str, aggregation: str) -> None:
    assert resolved({"metric-aggregation-algorithm": text}).aggregation == aggregation


def test_min_scale_is_kept_for_a_revision_that_nothing_points_at() -> None:
    settings = resolve(KNATIVE, {PREFIX + "min-scale": "3"}, 0, reachable=False)
    assert (settings.min_scale, settings.reachable) == (3, False)


def test_windows_and_numbers_beyond_all_use_are_cut() -> None:
    endless = resolved(
        {"window": "100000h", "scale-down-delay": "100000h", "panic-window-percentage": "1e300"}
    )
    assert (endless.stable_window, endless.panic_window) == (LONGEST_WINDOW,) * 2
    assert endless.scale_down_delay == LONGEST_DELAY
    huge = resolved(
        {"target": "1e308", "target-utilization-percentage": "1e308", "target-burst-capacity": "1e308"},
        max_scale_up_rate=1e308,
    )
    assert (huge.total_value, huge.target_value, huge.target_burst_capacity) == (LARGEST_NUMBER,) * 3
    assert huge.max_scale_up_rate == LARGEST_NUMBER


NUMBERS = st.one_of(
    st.integers(-3, 5000).map(str), st.floats().map(repr), st.sampled_from(["1e308", "5e-324", "nan", "inf"])
)
DURATIONS = st.one_of(st.integers(-3, 10**9).map("{}s".format), st.sampled_from(["1ns", "2562047h", "0"]))
NAMES = st.sampled_from([annotation.names[0] for annotation in ANNOTATIONS.values()])


@given(st.dictionaries(NAMES, st.one_of(NUMBERS, DURATIONS, st.text(max_size=5))), st.integers(0, 1000))
def test_the_engine_gets_values_that_it_can_work_with(annotations: dict[str, str], limit: int) -> None:
    settings = resolve(AutoscalerConfig(), annotations, limit)
    values = {field.name: getattr(settings, field.name) for field in fields(settings)}
    numbers = {name: value for name, value in values.items() if not isinstance(value, str)}
    assert all(math.isfinite(value) for value in numbers.values())
    assert all(value >= 0 for name, value in numbers.items() if name != "target_burst_capacity")
    assert settings.target_burst_capacity >= 0 or settings.target_burst_capacity == -1
    assert 0 < settings.stable_window <= LONGEST_WINDOW
    assert 1 <= settings.panic_window <= LONGEST_WINDOW
    assert settings.panic_window % 1 == 0
    assert 0.01 <= settings.target_value <= LARGEST_NUMBER
    assert settings.activation_scale != 1
