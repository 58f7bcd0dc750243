"""Any map of texts gives settings within their bounds, or problems that name every bad key."""

import math

from hypothesis import example, given
from hypothesis import strategies as st

from config.autoscaler import SETTINGS, AutoscalerConfig, unknown_keys
from config.problems import ConfigError

TEXTS = st.one_of(
    st.sampled_from(
        [
            "0",
            "1",
            "-1",
            "7",
            "100",
            "110",
            "0.5",
            "1e9",
            "0x1p3",
            "1_0",
            "nan",
            "inf",
            "true",
            "f",
            "0s",
            "1ns",
            "1500ms",
            "6s",
            "90s",
            "1h",
            "2h",
            "knative",
            "hold",
        ]
    ),
    st.integers(-5, 2000).map(str),
    st.floats().map(repr),
    st.integers(0, 10_000).map(lambda seconds: f"{seconds}s"),
    st.text(max_size=8),
)
KEYS = st.one_of(st.sampled_from(list(SETTINGS)), st.text(max_size=12))
JOINED = {"min-scale", "max-scale", "initial-scale", "container-concurrency-target-default"}
"""Keys that a rule with other keys may blame, though they are good in themselves or not there at all."""


def is_bad(key: str, text: str) -> bool:
    """Say whether a text is bad in itself; the oracle reads nothing but the table of settings."""
    setting = SETTINGS[key]
    try:
        value = setting.kind.parse(text)
    except ValueError:
        return True
    return not setting.holds(value)


def read(data: dict[str, str]) -> tuple[AutoscalerConfig | None, ConfigError]:
    try:
        return AutoscalerConfig.from_config_map(data), ConfigError(())
    except ConfigError as error:
        return None, error


@given(st.dictionaries(KEYS, TEXTS, max_size=30))
@example({"max-scale-limit": "5", "min-scale": "x"})
def test_a_map_gives_good_settings_or_names_every_bad_key(data: dict[str, str]) -> None:
    bad = {key for key, text in data.items() if key in SETTINGS and is_bad(key, text)}
    config, refusal = read(data)
    if config is None:
        named = [problem.key for problem in refusal.problems]
        assert len(named) == len(set(named)) > 0
        assert bad <= set(named) <= bad | JOINED
        assert len(str(refusal).splitlines()) == len(named)
        return
    assert not bad
    for key, setting in SETTINGS.items():
        value = config.value_of(key)
        assert setting.holds(value)
        assert isinstance(value, str) or math.isfinite(value)
        if key in data:
            assert setting.kind.parse(data[key]) == value
    assert AutoscalerConfig.model_validate(config.model_dump()) == config


@given(st.dictionaries(KEYS, TEXTS, max_size=30))
def test_a_key_is_either_known_or_reported_as_unknown(data: dict[str, str]) -> None:
    unknown = unknown_keys(data)
    assert {each.key for each in unknown} == set(data) - set(SETTINGS) - {"_example"}
    assert all(each.nearest is None or each.nearest in SETTINGS for each in unknown)
