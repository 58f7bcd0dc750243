"""Recorded loads through the command: forms of input, bad input; decisions are tried in tests/scaler."""

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.process

SPEC = {
    "stable_window": 60,
    "panic_window": 6,
    "target_value": 7,
    "total_value": 10,
    "target_burst_capacity": 211,
    "panic_threshold": 2,
    "max_scale_up_rate": 1000,
    "max_scale_down_rate": 2,
    "initial_ready": 1,
}
TRACE = {
    "name": "one",
    "base": 1_700_000_000,
    "spec": SPEC,
    "steps": [
        {"at": 0, "tick": True},
        {"at": 1, "stats": [[80.0, 10.0, 3.0, 0.0]], "tick": True},
        {"at": 2.5, "ready": 10, "stats": [[70.0, 0.0, 3.0, 0.0]], "tick": True},
    ],
    "decisions": [{"at": 0, "desired": 99}],
}
DECISIONS = [
    {"at": 0, "valid": False, "stable": 0, "panic": 0, "desired": 0, "excess": 0},
    {"at": 1, "valid": True, "stable": 70.0, "panic": 70.0, "desired": 10, "excess": 10 - 211 - 70},
    {"at": 2.5, "valid": True, "stable": 70.0, "panic": 70.0, "desired": 10, "excess": 100 - 211 - 70},
]


def run(*arguments: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, "-m", "kpa", "replay", *arguments], input=stdin, capture_output=True, timeout=60
    )


def lines(*traces: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(trace).encode() + b"\n" for trace in traces)


def test_a_file_is_read_plain_or_compressed_or_from_standard_input(tmp_path: Path) -> None:
    data = lines(TRACE, TRACE | {"name": "two"}) + b"\n"
    plain, packed = tmp_path / "traces", tmp_path / "packed"
    plain.write_bytes(data)
    packed.write_bytes(gzip.compress(data))
    outputs = [run(str(plain)), run(str(packed)), run("-", stdin=data), run("-", stdin=gzip.compress(data))]
    assert [output.returncode for output in outputs] == [0] * 4
    assert len({output.stdout for output in outputs}) == 1
    made = [json.loads(line) for line in outputs[0].stdout.splitlines()]
    assert [trace["name"] for trace in made] == ["one", "two"]
    assert made[0] == TRACE | {"decisions": DECISIONS}


def test_traces_one_by_one_decide_as_a_fleet_does() -> None:
    data = lines(TRACE, TRACE | {"base": 1_600_000_001})
    assert run("-", "--one-by-one", stdin=data).stdout == run("-", stdin=data).stdout


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{", "line 1: not a JSON object"),
        (b"[]", "line 1: "),
        (
            lines(TRACE | {"spec": SPEC | {"target_value": 0}}),
            "line 1: spec.target_value: Input should be gr",
        ),
        (lines(TRACE | {"spec": SPEC | {"windows": 1}}), "line 1: spec.windows: Extra inputs are not perm"),
        (lines(TRACE | {"steps": [{"at": "x"}]}), "line 1: steps.0.at: "),
        (lines(TRACE | {"steps": [{"at": 0, "stats": [[1, 2]]}]}), "line 1: steps.0.stats.0."),
    ],
    ids=["no JSON", "no object", "bad value", "unknown key", "bad step", "short stat"],
)
def test_a_line_that_is_no_trace_is_named(line: bytes, message: str) -> None:
    output = run("-", stdin=line)
    assert output.returncode == 2
    assert message in output.stderr.decode()
    assert len(output.stderr.splitlines()) == 1


def test_traces_before_a_bad_line_are_not_lost(tmp_path: Path) -> None:
    output = run("-", "--one-by-one", stdin=lines(TRACE) + b"nonsense\n")
    assert output.returncode == 2
    assert len(output.stdout.splitlines()) == 1


def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    output = run(str(tmp_path / "none"))
    assert output.returncode == 2
    assert b"No such file" in output.stderr
    output = run("-", stdin=gzip.compress(lines(TRACE))[:40])
    assert output.returncode == 2
    assert b"kpa replay: -:" in output.stderr
