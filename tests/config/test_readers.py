"""The six readers: what they have in common, and the names of their ConfigMaps."""

import pytest

from config.autoscaler import AutoscalerConfig
from config.leader_election import LeaderElectionConfig
from config.logs import LogConfig
from config.observability import ObservabilityConfig
from config.readers import READERS, Config, Names


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_an_empty_map_has_the_defaults_and_no_warning(reader: type[Config]) -> None:
    config = reader.from_config_map({})
    assert config == reader()
    assert config.warnings({}) == []
    assert all(config.texts().values())


@pytest.mark.parametrize("reader", [each for each in READERS.values() if each is not LogConfig])
def test_the_texts_of_a_map_are_read_as_the_same_values(reader: type[Config]) -> None:
    config = reader()
    assert reader.from_config_map(config.texts()) == config


def test_the_usual_names_are_those_of_knative() -> None:
    assert Names().readers() == READERS


def test_four_maps_may_have_another_name() -> None:
    variables = ("AUTOSCALER", "LEADERELECTION", "LOGGING", "OBSERVABILITY")
    names = Names.from_environment({f"CONFIG_{each}_NAME": each.lower() for each in variables})
    assert names.readers() == {
        "autoscaler": AutoscalerConfig,
        "config-deployment": READERS["config-deployment"],
        "config-network": READERS["config-network"],
        "logging": LogConfig,
        "observability": ObservabilityConfig,
        "leaderelection": LeaderElectionConfig,
    }
