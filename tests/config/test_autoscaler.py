"""The ConfigMap's keys: both profiles, each rule on both sides of its boundary, all problems at once.

Left out: documents around the map (`test_config_map`), random maps (`test_autoscaler_properties`).
"""

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from config.autoscaler import SETTINGS, AutoscalerConfig, profile, unknown_keys
from config.problems import ConfigError

KNATIVE = {
    "tick_interval": 2.0,
    "missing_stats": "zero",
    "stable_window": 60.0,
    "panic_window_percentage": 10.0,
    "panic_threshold_percentage": 200.0,
    "container_concurrency_target_percentage": 70.0,
    "container_concurrency_target_default": 100.0,
    "requests_per_second_target_default": 200.0,
    "target_burst_capacity": 211.0,
    "activator_capacity": 100.0,
    "max_scale_up_rate": 1000.0,
    "max_scale_down_rate": 2.0,
    "scale_rate_period": 0.0,
    "scale_down_delay": 0.0,
    "enable_scale_to_zero": True,
    "scale_to_zero_grace_period": 30.0,
    "scale_to_zero_pod_retention_period": 0.0,
    "allow_zero_initial_scale": False,
    "initial_scale": 1,
    "min_scale": 0,
    "max_scale": 0,
    "max_scale_limit": 0,
    "pod_autoscaler_class": "kpa.autoscaling.knative.dev",
    "defaults": "knative",
}
INFERENCE = KNATIVE | {
    "missing_stats": "hold",
    "stable_window": 180.0,
    "panic_window_percentage": 13.0,
    "container_concurrency_target_percentage": 85.0,
    "max_scale_up_rate": 20.0,
    "max_scale_down_rate": 1.1,
    "scale_rate_period": 15.0,
    "scale_down_delay": 60.0,
    "scale_to_zero_grace_period": 60.0,
    "scale_to_zero_pod_retention_period": 1800.0,
    "defaults": "inference",
}

GOOD: dict[str, dict[str, Any]] = {
    "tick-interval": {"1s": 1.0, "2500ms": 2.5, "60s": 60.0},
    "stable-window": {"6s": 6.0, "1h": 3600.0, "90s": 90.0},
    "panic-window-percentage": {"1": 1.0, "100": 100.0, "12.5": 12.5},
    "panic-threshold-percentage": {"110": 110.0, "1000": 1000.0},
    "container-concurrency-target-percentage": {
        "100": 100.0,
        "1.5": 1.5,
        "1": 1.0,
        "0.7": 0.7,
        "0x1p-3": 0.125,
    },
    "container-concurrency-target-default": {"1": 1.0, "1e3": 1000.0},
    "requests-per-second-target-default": {"0.01": 0.01, "1e6": 1e6},
    "target-burst-capacity": {"0": 0.0, "-1": -1.0, "70.5": 70.5},
    "activator-capacity": {"1": 1.0, "1000": 1000.0},
    "max-scale-up-rate": {"1.001": 1.001, "1e9": 1e9},
    "max-scale-down-rate": {"1.001": 1.001, "5": 5.0},
    "scale-rate-period": {"0": 0.0, "10m": 600.0},
    "scale-down-delay": {"0": 0.0, "1s": 1.0, "48h": 172_800.0},
    "enable-scale-to-zero": {"TRUE": True, "f": False},
    "scale-to-zero-grace-period": {"1ns": 1e-9, "10m": 600.0},
    "scale-to-zero-pod-retention-period": {"0": 0.0, "500ms": 0.5},
    "allow-zero-initial-scale": {"1": True, "0": False},
    "initial-scale": {"1": 1, "+5": 5},
    "min-scale": {"0": 0, "2147483647": 2147483647},
    "max-scale": {"0": 0, "3": 3},
    "max-scale-limit": {"0": 0},
    "pod-autoscaler-class": {
        " kpa.autoscaling.knative.dev ": "kpa.autoscaling.knative.dev",
        "hpa.autoscaling.knative.dev": "hpa.autoscaling.knative.dev",
    },
    "defaults": {"inference": "inference", "knative\n": "knative"},
    "missing-stats": {"hold": "hold", "zero": "zero"},
}
NO_NUMBERS = ["nan", "inf", "-inf", "", " 1", "ten"]
NO_INTEGERS = ["-1", "1.0", "2147483648", "", "one", " 1"]
NO_DURATIONS = ["", "10", "-1s", "1d", "forever", "3000000h"]
NO_BOOLS = ["", "yes", "tRUE", "2"]
BAD = {
    "tick-interval": ["999ms", "60001ms", "0", *NO_DURATIONS],
    "stable-window": ["5s", "5999ms", "6500ms", "3601s", *NO_DURATIONS],
    "panic-window-percentage": ["0.999", "100.001", *NO_NUMBERS],
    "panic-threshold-percentage": ["109.999", "1000.001", "0", "-200", *NO_NUMBERS],
    "container-concurrency-target-percentage": ["0", "-1", "100.001", *NO_NUMBERS],
    "container-concurrency-target-default": ["0", "-1", "0.0117", *NO_NUMBERS],
    "requests-per-second-target-default": ["0.0099", "-1", *NO_NUMBERS],
    "target-burst-capacity": ["-0.5", "-1.1", "-2", *NO_NUMBERS],
    "activator-capacity": ["0.999", "0", *NO_NUMBERS],
    "max-scale-up-rate": ["1", "0.5", *NO_NUMBERS],
    "max-scale-down-rate": ["1", "0", *NO_NUMBERS],
    "scale-rate-period": ["601s", "1500ms", *NO_DURATIONS],
    "scale-down-delay": ["500ms", "1m0.5s", *NO_DURATIONS],
    "enable-scale-to-zero": NO_BOOLS,
    "scale-to-zero-grace-period": ["0", "0s", *NO_DURATIONS],
    "scale-to-zero-pod-retention-period": ["-1ns", *NO_DURATIONS],
    "allow-zero-initial-scale": NO_BOOLS,
    "initial-scale": ["0", *NO_INTEGERS],
    "min-scale": NO_INTEGERS,
    "max-scale": NO_INTEGERS,
    "max-scale-limit": NO_INTEGERS,
    "pod-autoscaler-class": ["", "kpa", "keda.autoscaling.knative.dev", "KPA.autoscaling.knative.dev"],
    "defaults": ["", "Knative", "default"],
    "missing-stats": ["", "Hold", "ignore"],
}


def _keys(texts: Mapping[str, Iterable[str]]) -> list[Any]:
    return [pytest.param(key, text, id=f"{key}={text!r}") for key in texts for text in texts[key]]


def refusal(data: dict[str, str]) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        AutoscalerConfig.from_config_map(data)
    return caught.value


def test_an_empty_map_gives_the_profile_for_inference() -> None:
    assert AutoscalerConfig.from_config_map({}).model_dump() == INFERENCE
    assert AutoscalerConfig().model_dump() == INFERENCE


def test_the_profile_knative_gives_knatives_defaults() -> None:
    assert AutoscalerConfig.from_config_map({"defaults": "knative"}).model_dump() == KNATIVE
    assert AutoscalerConfig(defaults="knative").model_dump() == KNATIVE


def test_a_key_that_is_set_wins_over_its_profile() -> None:
    config = AutoscalerConfig.from_config_map({"defaults": "knative", "stable-window": "2m"})
    assert config.model_dump() == KNATIVE | {"stable_window": 120.0}
    assert AutoscalerConfig(defaults="knative", stable_window=120.0) == config


def test_the_tables_of_this_file_know_every_key() -> None:
    assert set(GOOD) == set(BAD) == set(SETTINGS)
    assert {key.replace("-", "_") for key in SETTINGS} == set(KNATIVE)


@pytest.mark.parametrize(("key", "text"), _keys(GOOD))
def test_a_value_within_its_bounds_is_read(key: str, text: str) -> None:
    assert AutoscalerConfig.from_config_map({key: text}).value_of(key) == GOOD[key][text]


@pytest.mark.parametrize(("key", "text"), _keys(BAD))
def test_a_value_out_of_its_bounds_is_refused_by_name(key: str, text: str) -> None:
    (problem,) = refusal({key: text}).problems
    assert (problem.key, problem.value) == (key, text)
    assert problem.allowed
    assert str(problem).startswith(f"{key} = {text!r}: must be ")
    assert "\n" not in str(problem)


@pytest.mark.parametrize("data", [{"_example": "stable-window: nonsense"}, {"stable-windw": "x"}])
def test_what_nothing_reads_changes_nothing(data: dict[str, str]) -> None:
    assert AutoscalerConfig.from_config_map(data) == AutoscalerConfig()


def test_all_problems_are_reported_at_once_in_the_order_of_the_keys() -> None:
    data = {
        "max-scale": "-3",
        "stable-window": "1s",
        "min-scale": "many",
        "initial-scale": "0",
        "max-scale-up-rate": "nan",
        "target-burst-capacity": "12",
    }
    error = refusal(data)
    assert [problem.key for problem in error.problems] == [
        "stable-window",
        "max-scale-up-rate",
        "initial-scale",
        "min-scale",
        "max-scale",
    ]
    assert str(error).splitlines() == [str(problem) for problem in error.problems]


def test_a_problem_names_key_value_and_range() -> None:
    (problem,) = refusal({"stable-window": "5s"}).problems
    assert str(problem) == (
        "stable-window = '5s': must be a duration (such as 90s or 1h30m), 6s to 1h, in whole seconds"
    )


def test_a_long_value_is_shortened_in_the_message_only() -> None:
    (problem,) = refusal({"min-scale": "9\n" * 1000}).problems
    assert problem.value == "9\n" * 1000
    assert len(str(problem)) < 250


@pytest.mark.parametrize(
    ("text", "fraction"), [("85", 0.85), ("70", 0.7), ("1.5", 0.015), ("1", 1.0), ("0.7", 0.7), ("100", 1.0)]
)
def test_a_target_percentage_of_one_or_less_is_a_fraction(text: str, fraction: float) -> None:
    config = AutoscalerConfig.from_config_map({"container-concurrency-target-percentage": text})
    assert config.container_concurrency_target_fraction == fraction


@pytest.mark.parametrize(
    ("data", "blamed"),
    [
        ({"min-scale": "4", "max-scale": "3"}, "min-scale"),
        ({"max-scale-limit": "3"}, "max-scale"),
        ({"max-scale-limit": "3", "max-scale": "4"}, "max-scale"),
        ({"initial-scale": "0"}, "initial-scale"),
        ({"initial-scale": "0", "allow-zero-initial-scale": "false"}, "initial-scale"),
        (
            {
                "container-concurrency-target-percentage": "50",
                "container-concurrency-target-default": "0.0199",
            },
            "container-concurrency-target-default",
        ),
        (
            {
                "container-concurrency-target-percentage": "0.0001",
                "container-concurrency-target-default": "99",
            },
            "container-concurrency-target-default",
        ),
    ],
)
def test_keys_that_do_not_fit_together_are_refused(data: dict[str, str], blamed: str) -> None:
    (problem,) = refusal(data).problems
    assert problem.key == blamed
    assert problem.value == data.get(blamed, "0")


@pytest.mark.parametrize(
    "data",
    [
        {"min-scale": "3", "max-scale": "3"},
        {"min-scale": "3", "max-scale": "0"},
        {"max-scale-limit": "3", "max-scale": "3"},
        {"max-scale-limit": "3", "max-scale": "1"},
        {"initial-scale": "0", "allow-zero-initial-scale": "true"},
        {"container-concurrency-target-percentage": "50", "container-concurrency-target-default": "0.02"},
    ],
)
def test_keys_that_just_fit_together_are_good(data: dict[str, str]) -> None:
    config = AutoscalerConfig.from_config_map(data)
    assert {key: float(config.value_of(key)) for key in data if data[key] != "true"} == {
        key: float(text) for key, text in data.items() if text != "true"
    }


def test_a_key_that_is_bad_in_itself_breaks_no_rule_with_others() -> None:
    assert [problem.key for problem in refusal({"min-scale": "9", "max-scale": "x"}).problems] == [
        "max-scale"
    ]


def test_values_given_directly_obey_the_same_rules() -> None:
    with pytest.raises(ConfigError) as caught:
        AutoscalerConfig(stable_window=5.0, min_scale=4, max_scale=3)
    assert [(each.key, each.value) for each in caught.value.problems] == [
        ("stable-window", "5s"),
        ("min-scale", "4"),
    ]


def test_settings_do_not_change_and_take_no_other_fields() -> None:
    config = AutoscalerConfig()
    with pytest.raises(ValidationError, match="frozen"):
        config.stable_window = 90.0  # type: ignore[misc]
    with pytest.raises(ValidationError, match=r"kpa\.autoscaling"):
        AutoscalerConfig(pod_autoscaler_class="kpa")  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="Extra inputs"):
        AutoscalerConfig(panic_window=6.0)  # type: ignore[call-arg]


@pytest.mark.parametrize("key", SETTINGS)
def test_every_key_says_what_it_means_and_why(key: str) -> None:
    setting = SETTINGS[key]
    sentences = [setting.meaning, setting.reason, *filter(None, [setting.bounds_reason])]
    assert all(sentence.endswith(".") and sentence[0] != " " for sentence in sentences)
    assert bool(setting.bounds_reason) == (setting.bounds.describe(setting.kind) != "")


@pytest.mark.parametrize("name", ["inference", "knative"])
def test_defaults_survive_writing_and_reading(name: str) -> None:
    texts = {key: SETTINGS[key].kind.format(value) for key, value in profile(name).items()}
    assert AutoscalerConfig.from_config_map(texts) == AutoscalerConfig(defaults=name)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("stable-windw", "stable-window"),
        ("panic-window", "panic-window-percentage"),
        ("scale-down-delai", "scale-down-delay"),
        ("enableScaleToZero", "enable-scale-to-zero"),
        ("qqq", None),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_known_one(key: str, nearest: str | None) -> None:
    (unknown,) = unknown_keys({key: "1", "stable-window": "60s", "_example": "x"})
    assert (unknown.key, unknown.value, unknown.nearest) == (key, "1", nearest)
    assert (f"did you mean {nearest}?" in str(unknown)) == (nearest is not None)
