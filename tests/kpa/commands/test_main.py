"""The command `kpa` starts the data plane without the imports of its other commands.

Covered: what is imported, exit codes. Left out: what the programs do (tests/kpa/dataplane).
"""

import subprocess
import sys

import pytest
import typer

from kpa.commands import activator
from kpa.dataplane.activator.__main__ import command_line

pytestmark = pytest.mark.process

HEAVY = ("typer", "rich", "numpy", "pydantic", "yaml", "kubernetes")


@pytest.mark.parametrize(
    "arguments", [["queue-proxy"], ["activator", "--no-such-option"]], ids=lambda it: it[0]
)
def test_the_data_plane_starts_without_heavy_imports(arguments: list[str]) -> None:
    """Both end with 2: the one lacks `USER_PORT`, the other does not know its option."""
    code = (
        "import sys; from kpa.commands.main import main\n"
        f"sys.argv[1:] = {arguments!r}\n"
        "try: main()\n"
        f"finally: print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert (done.returncode, done.stdout) == (2, "[]\n"), done.stderr


def test_the_help_of_the_activator_has_the_options_that_are_read() -> None:
    application = typer.Typer(add_completion=False)
    application.command()(activator.command)
    shown = {
        option.opts[0]: (option.required, None if option.required else option.default)
        for option in typer.main.get_command(application).params
        if option.name != "help"
    }
    read = {
        action.option_strings[-1]: (action.required, action.default)
        for action in command_line()._actions
        if action.dest != "help"
    }
    assert shown == read


def test_help_names_every_command() -> None:
    done = subprocess.run([sys.executable, "-m", "kpa", "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    for name in ("serve", "local", "queue-proxy", "activator", "check-config"):
        assert name in done.stdout
