"""`kpa simulate` as an operator uses it.

Covered: a real trace's excerpt, table and JSON, both pictures, one line and exit code 2 for what cannot be
used, nothing half-written, the same output for the same seed, no slow imports before they are needed.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from kpa.commands.app import app

TRACE = Path(__file__).with_name("trace.csv")
"""The beginning of the Azure LLM inference trace 2023 (conversation); trace.md has licence and origin."""


def simulate(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["simulate", *map(str, arguments)], env={"COLUMNS": "100"})


def test_a_recorded_trace_is_simulated_as_it_is() -> None:
    result = simulate("--load", TRACE, "--container-concurrency", "5", "--price-per-minute", "0.5")
    assert result.exit_code == 0, result.output
    lines = {line.split("  ")[0]: line.split()[-1] for line in result.stdout.splitlines() if "  " in line}
    assert lines["requests"] == "400"
    assert int(lines["answered"]) + int(lines["in flight at the end"]) == 400
    assert float(lines["price"]) == pytest.approx(float(lines["replica-minutes"]) / 2, abs=0.03)
    assert "service time: mean 3.58 s (of the load)" in result.stdout


def test_json_has_numbers_assumptions_and_states() -> None:
    told = json.loads(simulate("--load", "hold 5 2m", "--json").stdout)
    assert told["summary"]["requests"] == told["summary"]["answered"] + told["summary"]["in_flight"]
    assert told["assumptions"]["start-up time"] == "10s, and 1s until it is known"
    assert told["states"][0] == {
        "at": 0.0, "requested": -1, "ready": 1, "pods": 1, "panicking": False, "proxied": True,
    }  # fmt: skip


def test_the_same_seed_prints_the_same() -> None:
    one, same, other = (simulate("--load", "hold 5 2m", "--json", "--seed", seed).stdout for seed in "112")
    assert one == same != other


def test_settings_and_annotations_count() -> None:
    arguments = ("--load", "hold 20 5m", "--container-concurrency", "5", "--json")
    usual, wide, held = (
        json.loads(simulate(*arguments, *more).stdout)["summary"]
        for more in (
            (),
            ("--set", "container-concurrency-target-percentage=30"),
            ("--annotation", "max-scale=2"),
        )
    )
    assert wide["replica_minutes"] > 1.5 * usual["replica_minutes"]
    assert held["most_ready"] == 2 < usual["most_ready"]


def test_pictures_are_written(tmp_path: Path) -> None:
    png, html = tmp_path / "a.png", tmp_path / "a.html"
    result = simulate("--load", "hold 2 1m, burst 40 20s, hold 1m", "--png", png, "--html", html)
    assert result.exit_code == 0, result.output
    assert png.read_bytes().startswith(b"\x89PNG")
    text = html.read_text()
    for word in ("in flight", "ready", "requested", "panic", "p95", "replica-minutes", "start-up time"):
        assert word in text, word
    for outside in ("src=", "@import", "<script", "<link"):
        assert outside not in text
    assert sorted(tmp_path.iterdir()) == [html, png]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        pytest.param(("--load", "nope.csv"), "'nope.csv' is neither a file nor phases", id="no file"),
        pytest.param(("--load", "idle 5m"), "idle 5m: holds no request", id="no request"),
        pytest.param(
            ("--load", "hold 1 1m", "--set", "max-scal=1"), "unknown key; did you mean max-scale?", id="key"
        ),
        pytest.param(
            ("--load", "hold 1 1m", "--timeout", "0s"), "--timeout '0s' must be a duration", id="timeout"
        ),
        pytest.param(
            ("--load", "hold 1 1m", "--drain-time", "-1s"),
            "--drain-time '-1s' must be a duration",
            id="drain",
        ),
        pytest.param(
            ("--load", "hold 1 1m", "--config", "nope.yaml"), "nope.yaml: No such file", id="config"
        ),
        pytest.param(
            ("--load", "hold 1 1m", "--png", "nope/x.png"), "--png nope/x.png: cannot be written", id="target"
        ),
        pytest.param(
            ("--load", "http://127.0.0.1:9", "--query", "x", "--start", "5", "--end", "5"),
            "--end '5' must be later than --start '5'",
            id="no time",
        ),
        pytest.param(
            ("--load", "http://127.0.0.1:9", "--query", "x", "--start", "soon", "--end", "5"),
            "--start 'soon' must be a date",
            id="no date",
        ),
        pytest.param(
            ("--load", "http://127.0.0.1:9", "--query", "x"), "--query needs --start", id="no start"
        ),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(
    tmp_path: Path, arguments: tuple[str, ...], problem: str
) -> None:
    html = tmp_path / "a.html"
    result = simulate(*arguments, "--html", html)
    assert result.exit_code == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("kpa simulate: ")
    assert problem in line
    assert not list(tmp_path.iterdir())


@pytest.mark.process
def test_the_command_line_starts_without_what_simulations_need() -> None:
    names = ("numpy", "matplotlib", "aiohttp")
    code = f"import sys, kpa.commands.app; print([name for name in {names} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
