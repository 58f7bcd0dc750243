"""`kpa tune` as an operator uses it.

Covered: tables, JSON, picture, a ConfigMap that kpa check-config takes, exit codes, one line for what cannot
be used.
"""

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from kpa.commands.app import app

pytestmark = pytest.mark.timeout(300)  # they compute all the time

WAVE = "hold 4 20s, ramp 4..12 20s, hold 12 20s, ramp 12..4 10s"
SERVICE = ("--load", WAVE, "--service-time", "lognormal 1.5s 0.6", "--start-up-time", "10s")
QUICK = (*SERVICE, "--container-concurrency", "4", "--candidates", "10", "--held-out", "40")
OBJECTIVE = ("--objective", "queue p95 < 3s, min replica-minutes")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "150"})


def test_a_recommendation_can_be_applied(tmp_path: Path) -> None:
    written, png = tmp_path / "config.yaml", tmp_path / "front.png"
    result = run("tune", *QUICK, *OBJECTIVE, "--set", "max-scale=20", "--write", written, "--png", png)
    assert result.exit_code == 0, result.output
    data = yaml.safe_load(written.read_text())["data"]
    assert data["max-scale"] == "20"
    assert len(data) > 1
    checked = run("check-config", written)
    assert checked.exit_code == 0, checked.output
    assert png.read_bytes().startswith(b"\x89PNG")
    assert sorted(tmp_path.iterdir()) == [written, png]
    for text in (
        "Objective queue-p95 < 3s, min replica-minutes", "the part that the search saw",
        "the later part, not seen", "today (profile inference)", "profile knative", "Front", "Changes",
        "kind: ConfigMap",
        "its limits hold", "autoscaling.knative.dev/",
    ):  # fmt: skip
        assert text in result.stdout, text


def test_json_has_both_parts_and_the_front() -> None:
    told = json.loads(run("tune", *QUICK, *OBJECTIVE, "--json").stdout)
    assert told["holds"] is True
    assert set(told["verdicts"]) == {"recommended", "today (profile inference)", "profile knative"}
    costs = [one["replica-minutes"] for one in told["front"]]
    waits = [one["queue-p95"] for one in told["front"]]
    assert costs == sorted(costs)
    assert waits == sorted(waits, reverse=True)
    assert told["candidates"] == 21


def test_limits_that_nothing_can_keep_are_exit_code_1() -> None:
    result = run("tune", *QUICK, "--objective", "p50 < 1ms, min replica-minutes")
    assert result.exit_code == 1
    assert "its limits do NOT hold" in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        pytest.param(("--objective", "min cost"), "unknown metric 'cost'", id="objective"),
        pytest.param((*OBJECTIVE, "--set", "max-scal=3"), "unknown key; did you mean max-scale?", id="key"),
        pytest.param(
            (*OBJECTIVE, "--load", "nope.csv"), "'nope.csv' is neither a file nor phases", id="load"
        ),
        pytest.param((*OBJECTIVE, "--warm-up", "soon"), "--warm-up 'soon' must be a duration", id="warm-up"),
        pytest.param((*OBJECTIVE, "--write", "nope/x"), "--write nope/x: cannot be written", id="target"),
        pytest.param((*OBJECTIVE, "--annotation", "metric=rps"), "this one has metric rps", id="metric"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(arguments: tuple[str, ...], problem: str) -> None:
    result = run("tune", *QUICK, *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("kpa tune: ")
    assert problem in line
