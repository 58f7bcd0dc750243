"""`kpa demo` as a command: which trace it makes of its options, its exit codes.

Left out: the run itself, see test_run.
"""

from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from kpa.commands import demo
from kpa.demo.child import ChildError
from kpa.demo.trace import Arrival, ArrivalTrace, builtin_trace

CSV = "TIMESTAMP,ContextTokens,GeneratedTokens\n2024-05-10 00:00:00,0,150\n2024-05-10 00:10:00,8000,0\n"


@pytest.fixture
def traces(monkeypatch: pytest.MonkeyPatch) -> list[ArrivalTrace]:
    """Traces that the command would have played."""
    played: list[ArrivalTrace] = []

    async def note(scenario: Any, trace: ArrivalTrace, console: Any) -> int:
        played.append(trace)
        return 0

    monkeypatch.setattr("kpa.demo.run.demonstrate", note)
    return played


def invoke(*arguments: str | float | Path) -> Result:
    app = typer.Typer()
    app.command()(demo.command)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    path = tmp_path / "trace.csv"
    path.write_text(CSV)
    return path


def test_without_options_the_builtin_trace_is_played(traces: list[ArrivalTrace]) -> None:
    assert invoke().exit_code == 0
    assert traces == [builtin_trace()]


def test_speed_and_length_apply_to_the_builtin_trace(traces: list[ArrivalTrace]) -> None:
    assert invoke("--speed", 2, "--seconds", 20).exit_code == 0
    assert traces == [builtin_trace().sped_up(2).first(20)]


def test_a_file_is_played_ten_times_as_fast_for_two_minutes(
    traces: list[ArrivalTrace], recorded: Path
) -> None:
    assert invoke("--trace", recorded).exit_code == 0
    assert traces[0].arrivals == (Arrival(5, 0.2), Arrival(65, 0.1))


def test_speed_length_and_rates_apply_to_a_file(traces: list[ArrivalTrace], recorded: Path) -> None:
    options = ("--speed", 20, "--seconds", 29, "--decode-rate", 150)
    assert invoke("--trace", recorded, *options).exit_code == 0
    assert traces[0].arrivals == (Arrival(5, 0.05),)


def test_a_bad_file_ends_with_status_2_and_one_line(traces: list[ArrivalTrace], tmp_path: Path) -> None:
    result = invoke("--trace", tmp_path / "none.csv")
    assert result.exit_code == 2
    assert result.stderr == f"{tmp_path}/none.csv: No such file or directory\n"
    assert traces == []


@pytest.mark.parametrize("option", [("--speed", 0), ("--seconds", -5), ("--decode-rate", 0)], ids=str)
def test_a_bad_option_ends_with_status_2(traces: list[ArrivalTrace], option: tuple[str, int]) -> None:
    assert invoke(*map(str, option)).exit_code == 2


def test_the_status_of_the_run_is_the_exit_status(monkeypatch: pytest.MonkeyPatch) -> None:
    async def interrupted(*arguments: object) -> int:
        return 130

    monkeypatch.setattr("kpa.demo.run.demonstrate", interrupted)
    assert invoke().exit_code == 130


def test_a_kpa_local_that_does_not_start_ends_with_status_1(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*arguments: object) -> int:
        raise ChildError("kpa local ended with status 1")

    monkeypatch.setattr("kpa.demo.run.demonstrate", broken)
    result = invoke()
    assert (result.exit_code, result.stderr) == (1, "kpa local ended with status 1\n")


def test_the_help_names_every_option() -> None:
    text = invoke("--help").stdout
    for name in ("--trace", "--speed", "--seconds", "--prefill-rate", "--decode-rate"):
        assert name in text
