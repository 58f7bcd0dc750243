"""Fresh random traces: `kpa replay` decides what Knative's collector and autoscaler decide.

Left out: changed settings of a live revision, which the form of a trace cannot say, and ticks before earlier
ones with a scale-down delay, which end Knative's process.
"""

import gzip
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.peer import traces
from tests.peer.programs import program
from tests.peer.queues import ROOT

pytestmark = pytest.mark.peer

GOLDEN = ROOT / "tests" / "golden" / "decisions.jsonl.gz"
TRACES = 80
AVERAGES = 1e-6  # what the averages may differ by, absolute up to 1 and relative above


def decided_by_knative(asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return run([str(program("decisions"))], asked)


def decided_by_kpa(asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return run([sys.executable, "-m", "kpa", "replay", "-"], asked)


def run(command: list[str], asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    text = "".join(json.dumps(trace) + "\n" for trace in asked)
    done = subprocess.run(
        command, cwd=ROOT, input=text, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def differences(theirs: list[dict[str, Any]], ours: list[dict[str, Any]]) -> Iterator[str]:
    """Yield one line for each trace's first different decision, with all that is needed to repeat it."""
    for expected, actual in zip(theirs, ours, strict=True):
        pairs = list(zip(expected["decisions"], actual["decisions"], strict=True))
        for number, (a, b) in enumerate(pairs):
            exact = all(a[key] == b[key] for key in ("at", "valid", "desired", "excess"))
            close = all(abs(a[key] - b[key]) <= AVERAGES * max(1, abs(a[key])) for key in ("stable", "panic"))
            if not (exact and close):
                yield f"{expected['name']} decision {number}: Knative {a}, kpa {b}, {expected['spec']}"
                break


@pytest.mark.parametrize("seed", [11, 12, 13, 14, 15, 16])
def test_fresh_traces_are_decided_as_knative_decides_them(seed: int) -> None:
    asked = list(traces.generate(seed, TRACES))

    theirs = decided_by_knative(asked)
    ours = decided_by_kpa(asked)

    assert sum(len(trace["decisions"]) for trace in theirs) > 1000
    assert "\n".join(differences(theirs, ours)) == ""


def test_the_peer_repeats_its_recorded_decisions() -> None:
    with gzip.open(GOLDEN, "rt") as lines:
        recorded = [json.loads(line) for line in lines]

    again = decided_by_knative([trace | {"decisions": []} for trace in recorded])

    assert [trace["decisions"] for trace in again] == [trace["decisions"] for trace in recorded]


def test_traces_of_one_seed_are_always_the_same_and_of_many_kinds() -> None:
    drawn = list(traces.generate(1, 300))

    assert drawn == list(traces.generate(1, 300))
    for key in (
        "metric",
        "algorithm",
        "stable_window",
        "scale_down_delay",
        "target_burst_capacity",
        "reachable",
    ):
        assert len({trace["spec"][key] for trace in drawn}) > 1
    steps = [step for trace in drawn for step in trace["steps"]]
    assert any("stats" not in step for step in steps)
    assert any(step.get("ready") == 0 for step in steps)
    assert any(
        after["at"] < before["at"]
        for trace in drawn
        for before, after in zip(trace["steps"], trace["steps"][1:], strict=False)
    )
