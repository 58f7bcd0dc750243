"""The JSON of revisions: the pinned form, and that reading gives back what was written."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpa.controller.status import Comparison, RevisionStatus
from kpa.web.api.api import (
    FleetResponse,
    fleet_from_json,
    fleet_to_json,
    revision_from_json,
    revision_to_json,
)
from tests.kpa.controller.status_samples import SAMPLE, revision_statuses, sample


def test_a_revision_is_written_with_these_fields() -> None:
    assert revision_to_json(SAMPLE) == {
        "namespace": "shop",
        "name": "cart-00002",
        "service": "cart",
        "configuration": "cart-config",
        "metric": "concurrency",
        "recommended": 5,
        "requested": 4,
        "replicas": 3,
        "ready": 2,
        "not_ready": 6,
        "pending": 1,
        "terminating": 7,
        "pods": 8,
        "stable": 12.5,
        "panic": 40.25,
        "target": 7.0,
        "total": 10.0,
        "excess_burst_capacity": -231.25,
        "panicking": True,
        "mode": "panic",
        "activity": "active",
        "rule": "load",
        "min_scale": 0,
        "max_scale": 9,
        "next_event": {"what": "scale to zero", "at": 1350.0},
    }


def test_a_comparison_is_written_where_there_is_one() -> None:
    document = revision_to_json(sample(comparison=Comparison(5, 3, 100.0, 50.0, 10.0, 300.0, 180.0)))
    assert document["comparison"] == {
        "ours": 5,
        "theirs": 3,
        "since": 100.0,
        "compared": 50.0,
        "differed": 10.0,
        "our_pods": 300.0,
        "their_pods": 180.0,
    }


def test_what_is_not_known_is_null() -> None:
    document = revision_to_json(sample(stable=None, panic=None, next_event=None))
    assert (document["stable"], document["panic"], document["next_event"]) == (None, None, None)


@given(st.floats(0, 1e10), st.text(), st.lists(revision_statuses, max_size=3))
def test_reading_gives_back_what_was_written(
    time: float, profile: str, statuses: list[RevisionStatus]
) -> None:
    text = fleet_to_json(time, profile, statuses)
    assert "\n" not in text
    assert fleet_from_json(text) == FleetResponse(time, profile, tuple(statuses))


def test_fields_of_a_newer_kpa_are_ignored() -> None:
    compared = sample(comparison=Comparison(5, 3))
    document = revision_to_json(compared)
    document["comparison"]["colour"] = "blue"
    assert revision_from_json({**document, "colour": "blue"}) == compared


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mode": "wild"}, "mode 'wild' of shop/cart-00002: allowed are stable, panic, no data, fixed"),
        ({"activity": ""}, "activity '' of shop/cart-00002: allowed are activating, active, inactive"),
        ({"next_event": {"what": "x"}}, "not a revision: at"),
        ({"next_event": 5}, "not a revision: .*subscriptable"),
        ({"comparison": {"ours": 1}}, "not a revision: theirs"),
    ],
    ids=["mode", "activity", "half an event", "no event at all", "half a comparison"],
)
def test_a_revision_of_another_form_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        revision_from_json({**revision_to_json(SAMPLE), **change})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>",
        "[]",
        "7",
        "{}",
        '{"time": 1, "profile": "inference", "revisions": [{}]}',
        '{"time": null}',
    ],
)
def test_an_answer_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        fleet_from_json(text)


def test_a_number_that_json_cannot_say_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        fleet_to_json(0.0, "inference", [sample(target=math.inf)])


def test_the_document_names_time_and_profile() -> None:
    document = json.loads(fleet_to_json(12.5, "knative", []))
    assert document == {"time": 12.5, "profile": "knative", "revisions": []}
