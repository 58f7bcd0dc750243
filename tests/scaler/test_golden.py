"""Decisions recorded from Knative's own autoscaler, reproduced by the engine."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from kpa.simulate.replay import open_traces, replay

GOLDEN = Path(__file__).parent.parent / "golden" / "decisions.jsonl.gz"
DECISIONS = 19_920
TOLERANCE = 1e-6
"""Weighted averages are sums of other order than the peer's; linear ones agree to the last bit."""


@pytest.fixture(scope="module")
def recorded() -> list[dict[str, Any]]:
    with gzip.open(GOLDEN) as lines:
        return [json.loads(line) for line in lines]


@pytest.mark.parametrize("as_fleet", [True, False], ids=["as a fleet", "one by one"])
def test_every_recorded_decision_is_reproduced(recorded: list[dict[str, Any]], as_fleet: bool) -> None:
    compared = 0
    for trace, ours in zip(recorded, replay(open_traces(str(GOLDEN)), as_fleet), strict=True):
        assert ours["name"] == trace["name"]
        for made, expected in zip(ours["decisions"], trace["decisions"], strict=True):
            for name in ("at", "valid", "desired", "excess"):
                assert made[name] == expected[name], (trace["name"], made, expected)
            for name in ("stable", "panic"):
                assert abs(made[name] - expected[name]) <= TOLERANCE, (trace["name"], made, expected)
            compared += 1
    assert compared == DECISIONS
