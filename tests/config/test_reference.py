"""The shipped ConfigMap, its example block, the documentation and the code agree."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.annotations import ANNOTATIONS
from config.autoscaler import EXAMPLE, SETTINGS, AutoscalerConfig, profile, unknown_keys
from config.config_map import read_config_map
from config.reference import checksum, example, markdown

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "config" / "manifests" / "config-autoscaler.yaml"


@pytest.fixture(name="shipped")
def shipped_map() -> Any:
    return yaml.safe_load(SHIPPED.read_text())


def test_the_shipped_map_says_what_the_code_does_without_it() -> None:
    data = read_config_map(SHIPPED.read_bytes())
    assert AutoscalerConfig.from_config_map(data) == AutoscalerConfig()
    assert unknown_keys(data) == []


def test_the_shipped_map_sets_what_differs_from_knative() -> None:
    differing = {key for key, value in profile("inference").items() if value != profile("knative")[key]}
    assert set(read_config_map(SHIPPED.read_bytes())) == differing | {EXAMPLE}


def test_the_shipped_map_stands_where_knative_reads_it(shipped: Any) -> None:
    assert shipped["metadata"]["name"] == "config-autoscaler"
    assert shipped["metadata"]["namespace"] == "knative-serving"


def test_the_example_block_sets_every_key_to_its_default(shipped: Any) -> None:
    block = yaml.safe_load(shipped["data"][EXAMPLE])
    assert list(block) == list(SETTINGS)
    assert AutoscalerConfig.from_config_map(block) == AutoscalerConfig()


def test_the_example_block_is_made_from_the_code(shipped: Any) -> None:
    assert shipped["data"][EXAMPLE].endswith(example())


def test_the_example_block_explains_every_key(shipped: Any) -> None:
    text = re.sub(r"\s*\n#\s*", " ", shipped["data"][EXAMPLE])
    for setting in SETTINGS.values():
        assert setting.meaning in text
        assert f"Must be {setting.allowed}. {setting.bounds_reason}".strip() in text
        assert setting.reason in text


def test_knatives_webhook_takes_the_example_block_as_unchanged(shipped: Any) -> None:
    annotations = shipped["metadata"]["annotations"]
    assert annotations["knative.dev/example-checksum"] == checksum(shipped["data"][EXAMPLE])


def test_the_checksum_is_knatives() -> None:
    assert checksum("\n a: b\r\n\n\n# c\n") == checksum("a: b\n# c")
    assert checksum("a") == "e8b7be43"


def test_the_documentation_is_made_from_the_code() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text().endswith(markdown() + "\n")


def test_the_documentation_has_a_row_for_each_key_and_annotation() -> None:
    rows = [line for line in markdown().splitlines() if line.startswith("| `")]
    assert len(rows) == 2 * len(SETTINGS) + len(ANNOTATIONS)
    assert all(row.count(" | ") in (2, 6) for row in rows)
