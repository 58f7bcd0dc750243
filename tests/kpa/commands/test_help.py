"""The help of all commands in a terminal of 80 columns. Left out: what the texts say (docs/commands.md)."""

import re

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from kpa.commands.app import app

COMMANDS = get_command(app).commands  # type: ignore[attr-defined]


def help_of(*arguments: str) -> str:
    result = CliRunner().invoke(app, [*arguments, "--help"], env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"})
    assert result.exit_code == 0
    return result.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_no_option_name_is_cut(name: str) -> None:
    shown = set(re.findall(r"(?<!\S)--?[\w-]+(?=[\s,])", help_of(name)))
    options = {option for parameter in COMMANDS[name].params for option in parameter.opts}
    assert "--help" in shown
    assert {option for option in options if option.startswith("-")} - shown == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_no_line_is_longer_than_the_terminal(name: str) -> None:
    assert [line for line in help_of(name).splitlines() if len(line) > 80] == []


def test_no_summary_of_a_command_is_cut() -> None:
    text = help_of()
    assert [name for name in COMMANDS if not re.search(rf"^  {name} .*\.$", text, re.MULTILINE)] == []
    assert "..." not in text.replace("[ARGS]...", "")
