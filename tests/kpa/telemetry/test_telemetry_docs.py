"""docs/telemetry.md names what is exported, served and logged, no more and no less."""

import re
from collections import Counter
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from kpa.controller.decision_log import decision_fields
from kpa.controller.status import Comparison
from kpa.telemetry.telemetry import Telemetry
from kpa.telemetry.wiring import follow_forwarding
from kpa.web.api.api import revision_to_json
from tests.kpa.controller.status_samples import named

DOCUMENT = (Path(__file__).parents[3] / "docs" / "telemetry.md").read_text()
ROW = re.compile(
    r"^\| `(?P<name>\w+)` \| (?P<type>gauge|counter|histogram) \| (?P<labels>[^|]+) \|", re.MULTILINE
)
BY_THE_CLIENT = ("process_", "python_")
SCOPE = {"otel_scope_name", "otel_scope_version", "otel_scope_schema_url"}
CONFIGURATION = {"k8s_namespace_name", "kn_service_name", "kn_configuration_name", *SCOPE}
LABELS = {
    "-": set(),
    "revision": CONFIGURATION | {"kn_revision_name"},
    "configuration": CONFIGURATION,
    "older": {"namespace_name", "service_name", "configuration_name", "revision_name"},
}


@pytest.fixture(scope="module")
def exported() -> dict[str, tuple[str, set[str]]]:
    """Type and label names of every series, by the name that people query."""
    telemetry = Telemetry(legacy=True)
    telemetry.follow("kpa_scrape_failures", "Scrapes of a pod that gave no stat.", {"timeout": 1})
    telemetry.follow("kpa_stats_dropped", "Stats received that nobody can use.", {"implausible": 1})
    follow_forwarding(telemetry, Counter(sent=1))
    statuses = [named("a", comparison=Comparison(5, 3)), named("b", metric="rps")]
    for status in statuses:
        telemetry.observe_scrape(status.key, 0.1)
    found = {}
    for family in text_string_to_metric_families(telemetry.render(statuses).body.decode()):
        if family.name.startswith(BY_THE_CLIENT):
            continue
        name = f"{family.name}_total" if family.type == "counter" else family.name
        found[name] = (family.type, {label for one in family.samples for label in one.labels} - {"le"})
    return found


def labels(word: str) -> set[str]:
    """What a word in the column of labels stands for."""
    return LABELS[word] if word in LABELS else set(re.findall(r"`(\w+)`", word))


def documented() -> dict[str, tuple[str, set[str]]]:
    rows = [match.groupdict() for match in ROW.finditer(DOCUMENT)]
    names = [row["name"] for row in rows]
    assert len(names) == len(set(names))
    return {
        row["name"]: (
            row["type"],
            {label for word in row["labels"].split(",") for label in labels(word.strip())},
        )
        for row in rows
    }


def test_every_exported_series_is_documented_with_type_and_labels(
    exported: dict[str, tuple[str, set[str]]],
) -> None:
    assert documented() == exported


@pytest.mark.parametrize("label", sorted(LABELS["revision"] | LABELS["older"]))
def test_every_label_of_a_revision_is_named(label: str) -> None:
    assert f"`{label}`" in DOCUMENT


def test_the_columns_of_older_names_lead_to_documented_series() -> None:
    names = documented()
    pairs = re.findall(r"^\| `autoscaler_\w+` \| gauge \| older \| `(\w+)` \|$", DOCUMENT, re.MULTILINE)
    assert len(pairs) == 14
    assert set(pairs) <= names.keys()


def test_every_field_of_a_revision_in_the_api_is_documented() -> None:
    fields = DOCUMENT[DOCUMENT.index("## API fields") : DOCUMENT.index("## Logs")]
    names = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", fields, re.MULTILINE)))
    assert sorted(names) == sorted(revision_to_json(named("a", comparison=Comparison(5, 3))))


def test_the_example_of_a_log_line_has_every_field_of_a_decision() -> None:
    line = DOCUMENT[DOCUMENT.index(": recommended 1 -> 3") :].split("\n\n")[0]
    assert re.findall(r"(\w+)=", line) == list(decision_fields(None, named("a")))
