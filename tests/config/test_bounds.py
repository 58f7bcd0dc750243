"""A ConfigMap key and its annotation refuse the same values; the exceptions are named."""

import pytest

from config.annotations import PREFIX, validate
from config.autoscaler import SETTINGS, AutoscalerConfig
from config.problems import ConfigError
from config.settings import DURATION, INTEGER, NUMBER

TEXTS = {
    NUMBER: (
        *("-2", "-1", "-0.5", "0", "0.009", "0.01", "0.5", "0.99", "1", "99", "100", "100.5", "109", "110"),
        *("999", "1000", "1001", "1e30", "inf", "nan", "", "x", "1s"),
    ),
    DURATION: (
        *(
            "-1s",
            "0",
            "0s",
            "1ns",
            "1s",
            "5s",
            "5999ms",
            "6s",
            "6500ms",
            "59m59s",
            "1h",
            "1h1ns",
            "1h1s",
            "25h",
        ),
        *("1h1s", "25h", "", "x", "6"),
    ),
    INTEGER: ("-1", "0", "1", "2", "2147483647", "2147483648", "1.0", "", "x"),
}
"""Texts at and around the ends of all ranges."""

STRICTER = {
    "container-concurrency-target-percentage": {"0.009", "0.01", "0.5", "0.99"},  # fractions in the ConfigMap
    "container-concurrency-target-default": set[str](),
    "scale-down-delay": {"1h1s", "25h"},
    "scale-to-zero-pod-retention-period": {"1h1ns", "1h1s", "25h"},
}
"""Texts that the ConfigMap takes and the annotation refuses, as in Knative."""

LOOSER = {"container-concurrency-target-default": {"0.01"}}
"""Texts that the annotation takes and the ConfigMap refuses: its percentage makes the target too small."""

KEYS = [key for key, setting in SETTINGS.items() if setting.annotation and setting.kind in TEXTS]


def refused_by_config_map(key: str, text: str) -> bool:
    try:
        AutoscalerConfig.from_config_map({key: text})
    except ConfigError:
        return True
    return False


def refused_by_annotation(key: str, text: str) -> bool:
    return bool(validate({PREFIX + SETTINGS[key].annotation: text}, AutoscalerConfig()))


@pytest.mark.parametrize("key", KEYS)
def test_a_key_and_its_annotation_refuse_the_same(key: str) -> None:
    texts = TEXTS[SETTINGS[key].kind]
    config_map = {text for text in texts if refused_by_config_map(key, text)}
    annotation = {text for text in texts if refused_by_annotation(key, text)}
    assert annotation - config_map == STRICTER.get(key, set())
    assert config_map - annotation == LOOSER.get(key, set())
    assert config_map
    assert set(texts) - annotation


def test_all_keys_with_an_annotation_are_compared() -> None:
    assert len(KEYS) == 12
