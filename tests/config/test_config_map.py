"""Finding the ConfigMap in a YAML text, and refusing what is none, in one line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.config_map import read_config_map
from config.problems import ConfigError, DocumentError

CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: config-autoscaler\ndata:\n  stable-window: 2m\n"
NETWORK = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: config-network\ndata: {}\n"
DEPLOYMENT = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: autoscaler\n"


def refusal(text: str | bytes) -> str:
    with pytest.raises(DocumentError) as caught:
        read_config_map(text)
    message = str(caught.value)
    assert caught.value.problems == ()
    assert len(message.splitlines()) == 1
    return message


@pytest.mark.parametrize(
    "text",
    [CONFIG, CONFIG.encode(), "---\n---\n" + CONFIG, "---\n".join([DEPLOYMENT, NETWORK, CONFIG, NETWORK])],
    ids=["alone", "bytes", "after empty documents", "among others"],
)
def test_the_map_is_found(text: str | bytes) -> None:
    assert read_config_map(text) == {"stable-window": "2m"}


@pytest.mark.parametrize("data", ["", "data:", "data: {}"])
def test_a_map_without_data_has_no_keys(data: str) -> None:
    assert read_config_map("kind: ConfigMap\n" + data) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no ConfigMap config-autoscaler: found nothing"),
        (NETWORK, "no ConfigMap config-autoscaler: found ConfigMap config-network"),
        (DEPLOYMENT, "no ConfigMap config-autoscaler: found Deployment autoscaler"),
        (
            "---\n".join([DEPLOYMENT, "- 1\n", "3\n", "a: b\n"]),
            "no ConfigMap config-autoscaler: found Deployment autoscaler, a list, a number, "
            "a document without kind",
        ),
        (
            f"{CONFIG}---\n{CONFIG}",
            "more than one ConfigMap config-autoscaler: found ConfigMap config-autoscaler, "
            "ConfigMap config-autoscaler",
        ),
        (
            "kind: ConfigMap\ndata: [1]",
            "data of ConfigMap config-autoscaler must be keys with strings: found a list",
        ),
        (
            "kind: ConfigMap\ndata: x",
            "data of ConfigMap config-autoscaler must be keys with strings: found a text",
        ),
        ("a: b: c", "not YAML: line 1, column 5: mapping values are not allowed here"),
        (CONFIG + "  stable-window: 3m\n", "not YAML: line 7, column 3: key 'stable-window' is there twice"),
    ],
)
def test_what_is_not_the_map_is_described(text: str, message: str) -> None:
    assert refusal(text) == message


@pytest.mark.parametrize(
    "text",
    [
        b"\xff\xfe\x00",
        b"\x00",
        b"kind: \xc3\x28",
        "a: 2020-13-45",
        "[" * 1200,
        "{a",
        "a: &x *y",
        "!!python/name:a b",
    ],
    ids=lambda text: repr(text[:20]),
)
def test_what_is_no_yaml_is_refused(text: str | bytes) -> None:
    assert refusal(text).startswith("not YAML")


def test_values_that_are_no_strings_are_named_with_all_other_bad_keys() -> None:
    data = {
        "min-scale": "3",
        "max-scale-up-rate": "1.5",
        "enable-scale-to-zero": "yes",
        "max-scale": "",
        "initial-scale": "{a: b}",
        "1": "x",
        "stable-window": "1s",
    }
    lines = "".join(f"  {key}: {text}\n" for key, text in data.items())
    with pytest.raises(ConfigError) as caught:
        read_config_map(f"kind: ConfigMap\ndata:\n{lines}")
    assert str(caught.value).splitlines() == [
        "min-scale = '3': must be a string, not a number: put it in quotes",
        "max-scale-up-rate = '1.5': must be a string, not a number: put it in quotes",
        "enable-scale-to-zero = 'true': must be a string, not a bool: put it in quotes",
        "max-scale = 'null': must be a string, not nothing: put it in quotes",
        "initial-scale = 'a mapping': must be a string, not a mapping",
        "1 = 'x': must be under a key that is a string: put the key in quotes",
        "stable-window = '1s': must be a duration (such as 90s or 1h30m), 6s to 1h, in whole seconds",
    ]


def test_a_value_that_contains_itself_is_refused() -> None:
    with pytest.raises(ConfigError, match="must be a string, not a mapping"):
        read_config_map("kind: ConfigMap\ndata:\n  min-scale: &a\n    b: *a\n")


@given(
    st.one_of(
        st.text(), st.binary(), st.text("-[]{}:,&*!|>'\"#%@ \na1").map("kind: ConfigMap\ndata: {}".format)
    )
)
def test_any_text_is_a_map_of_strings_or_refused(text: str | bytes) -> None:
    try:
        data = read_config_map(text)
    except ConfigError:
        return
    assert all(isinstance(key, str) and isinstance(value, str) for key, value in data.items())
