"""Each setting in force says where it comes from."""

from config.annotations import ANNOTATIONS, PREFIX
from config.autoscaler import SETTINGS, AutoscalerConfig
from config.provenance import SettingSource, provenance

WINDOW = "autoscaling.knative.dev/window"


def found(config: dict[str, str], annotations: dict[str, str]) -> dict[str, SettingSource]:
    return {each.key: each for each in provenance(AutoscalerConfig.from_config_map(config), annotations)}


def test_every_key_and_every_other_annotation_has_one_line() -> None:
    listed = provenance(AutoscalerConfig(), {})
    keys = [setting.key for setting in listed]
    assert len(set(keys)) == len(keys)
    assert set(SETTINGS) <= set(keys)
    named = {setting.annotation for setting in SETTINGS.values()}
    others = {
        each.names[0] for each in ANNOTATIONS.values() if each.names[0].removeprefix(PREFIX) not in named
    }
    assert {name.rpartition("/")[2] for name in others} <= set(keys)
    assert {setting.source for setting in listed} == {"default"}


def test_an_annotation_comes_before_the_config_map_and_that_before_the_default() -> None:
    assert found({"stable-window": "2m"}, {WINDOW: "90s"})["stable-window"] == SettingSource(
        "stable-window", "1m30s", f"annotation {WINDOW}"
    )
    assert found({"stable-window": "2m"}, {})["stable-window"] == SettingSource(
        "stable-window", "2m", "ConfigMap"
    )
    assert found({}, {})["stable-window"] == SettingSource("stable-window", "3m", "default")


def test_the_name_under_which_an_annotation_was_found_is_told() -> None:
    name = "autoscaling.knative.dev/minScale"
    assert found({}, {name: "2"})["min-scale"].source == f"annotation {name}"


def test_an_annotation_that_does_not_parse_counts_as_absent() -> None:
    assert found({"stable-window": "2m"}, {WINDOW: "soon"})["stable-window"].source == "ConfigMap"


def test_annotations_without_a_key_say_what_holds_without_them() -> None:
    assert found({}, {})["activation-scale"] == SettingSource("activation-scale", "off", "default")
    own = {"autoscaling.knative.dev/activation-scale": "3"}
    assert found({}, own)["activation-scale"].value == "3"
