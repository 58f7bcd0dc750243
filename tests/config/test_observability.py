"""`config-observability`: what is read, what is refused, and the warnings of what has no effect."""

import pytest

from config.observability import ObservabilityConfig
from config.problems import ConfigError


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ({}, ObservabilityConfig("none", "none", "disabled")),
        ({"metrics-protocol": "", "metrics-endpoint": "x:1"}, ObservabilityConfig()),
        ({"metrics-protocol": "prometheus"}, ObservabilityConfig("prometheus")),
    ],
    ids=["defaults", "empty, and keys of others", "set"],
)
def test_what_asks_for_nothing_has_no_warning(data: dict[str, str], found: ObservabilityConfig) -> None:
    config = ObservabilityConfig.from_config_map(data)
    assert config == found
    assert config.warnings(data) == []


def test_each_value_without_effect_has_a_warning() -> None:
    data = {"metrics-protocol": "grpc", "tracing-protocol": "stdout", "runtime-profiling": "enabled"}
    config = ObservabilityConfig.from_config_map(data)
    assert config.texts() == data
    assert config.warnings(data) == [
        "metrics-protocol = 'grpc' has no effect: /metrics is served on port 9090 always",
        "tracing-protocol = 'stdout' has no effect: nothing is traced",
        "runtime-profiling = 'enabled' has no effect: port 8008 answers 404 always",
    ]


def test_every_value_that_knative_does_not_know_is_named() -> None:
    with pytest.raises(ConfigError) as refused:
        ObservabilityConfig.from_config_map({"metrics-protocol": "zipkin", "runtime-profiling": "often"})
    assert str(refused.value).splitlines() == [
        "metrics-protocol = 'zipkin': must be none or prometheus or http/protobuf or grpc",
        "runtime-profiling = 'often': must be disabled or enabled",
    ]
