"""The keys of `config-network` that are read, their texts, and what is refused."""

import pytest

from config.network import MeshMode, NetworkConfig
from config.problems import ConfigError


@pytest.mark.parametrize(
    ("data", "mode", "addressable"),
    [
        pytest.param({}, "auto", False, id="defaults"),
        pytest.param({"mesh-compatibility-mode": "disabled"}, "disabled", False, id="disabled"),
        pytest.param({"mesh-compatibility-mode": "ENABLED"}, "enabled", False, id="any case"),
        pytest.param({"enable-mesh-pod-addressability": "T"}, "auto", True, id="Go's bools"),
        pytest.param({"rollout-duration": "soon", "http-protocol": "x"}, "auto", False, id="others' keys"),
    ],
)
def test_what_concerns_us_is_read(data: dict[str, str], mode: MeshMode, addressable: bool) -> None:
    assert NetworkConfig.from_config_map(data) == NetworkConfig(mode, addressable)


def test_every_bad_value_is_named() -> None:
    data = {"mesh-compatibility-mode": "maybe", "enable-mesh-pod-addressability": "yes"}
    with pytest.raises(ConfigError) as refused:
        NetworkConfig.from_config_map(data)
    assert [str(problem) for problem in refused.value.problems] == [
        "mesh-compatibility-mode = 'maybe': must be auto, enabled or disabled",
        "enable-mesh-pod-addressability = 'yes': must be true or false",
    ]


@pytest.mark.parametrize("text", ["", " auto", "on"])
def test_a_mode_is_one_of_three_words(text: str) -> None:
    with pytest.raises(ConfigError):
        NetworkConfig.from_config_map({"mesh-compatibility-mode": text})
