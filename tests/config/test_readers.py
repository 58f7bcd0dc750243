"""The six readers: what they have in common, and the names of their ConfigMaps."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.autoscaler import AutoscalerConfig
from config.leader_election import LeaderElectionConfig
from config.logs import LogConfig
from config.observability import ObservabilityConfig
from config.problems import ConfigError
from config.readers import READERS, Config, Names


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_an_empty_map_has_the_defaults_and_no_warning(reader: type[Config]) -> None:
    config = reader.from_config_map({})
    assert config == reader()
    assert config.warnings({}) == []
    assert all(config.texts().values())


HUGE = "9" * 5000
"""More digits than Python's `int` reads."""

ODD = [
    HUGE,
    f"-{HUGE}",
    f"{HUGE}s",
    "1e999",
    "nan",
    "\u0661",
    "\ud800",
    '{"a":' * 3000,
    f'{{"level":{HUGE}}}',
    "",
    " ",
]


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@pytest.mark.parametrize("text", ODD, ids=lambda text: text[:4] or "none")
def test_no_text_of_a_key_is_worse_than_a_config_error(reader: type[Config], text: str) -> None:
    for key in reader().texts():
        with suppress(ConfigError):
            reader.from_config_map({key: text})
        reader().warnings({key: text})


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@given(st.data())
def test_any_texts_are_values_or_a_config_error(reader: type[Config], data: st.DataObject) -> None:
    keys = st.sampled_from(sorted(reader().texts()))
    texts = data.draw(
        st.dictionaries(keys, st.text(max_size=12) | st.from_regex(r"[+-]?[0-9.]{1,9}(ms|s|m|h)?"))
    )
    with suppress(ConfigError):
        reader.from_config_map(texts)


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
