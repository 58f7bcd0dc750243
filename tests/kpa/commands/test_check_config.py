"""`kpa check-config`: exit codes, one line for each error, warnings, the tables; files and stdin."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from config.autoscaler import SETTINGS
from config.readers import READERS
from kpa.commands.check_config import command

SHIPPED = Path(__file__).parents[3] / "config" / "manifests" / "config-autoscaler.yaml"


MAPS = " or ".join(READERS)


def check(file: str | Path, text: str | bytes | None = None) -> Result:
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, [str(file)], input=text)


def config_map(**data: str) -> str:
    lines = "".join(f'  {key.replace("_", "-")}: "{text}"\n' for key, text in data.items())
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: config-autoscaler}}\ndata:\n{lines or '  {}'}"


def rows(result: Result) -> dict[str, list[str]]:
    return {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines() if line.strip()}


def test_a_good_map_gives_a_line_for_each_key() -> None:
    result = check("-", config_map(stable_window="120s", max_scale="10"))
    assert result.exit_code == 0
    assert result.stderr == ""
    table = rows(result)
    assert set(SETTINGS) <= set(table)
    assert table["stable-window"] == ["2m", "set"]
    assert table["max-scale"] == ["10", "set"]
    assert table["max-scale-down-rate"] == ["1.1", "default"]
    assert table["pod-autoscaler-class"] == ["kpa.autoscaling.knative.dev", "default"]
    assert table["profile"] == ["inference"]


def test_the_profile_fills_the_table() -> None:
    table = rows(check("-", config_map(defaults="knative")))
    assert table["profile"] == ["knative"]
    assert table["defaults"] == ["knative", "set"]
    assert table["stable-window"] == ["1m", "default"]


def test_the_shipped_map_is_good() -> None:
    result = check(SHIPPED)
    assert (result.exit_code, result.stderr) == (0, "")


@pytest.mark.parametrize("columns", ["20", "200"])
def test_the_table_is_whole_whatever_the_width_of_the_terminal(
    columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    table = rows(check("-", config_map()))
    assert all(len(table[key]) == 2 for key in SETTINGS)


def test_every_error_has_a_line_and_nothing_else_is_printed() -> None:
    result = check("-", config_map(stable_window="5s", max_scale_up_rate="nan", stable_windw="1m"))
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "stable-window = '5s': must be a duration (such as 90s or 1h30m), 6s to 1h, in whole seconds",
        "max-scale-up-rate = 'nan': must be a number, more than 1",
    ]


def test_an_unknown_key_is_a_warning() -> None:
    result = check("-", config_map(stable_windw="1m"))
    assert result.exit_code == 0
    assert result.stderr == (
        "warning: stable-windw = '1m': unknown key, ignored; did you mean stable-window?\n"
    )
    assert set(SETTINGS) <= set(rows(result))


def test_values_without_quotes_are_named() -> None:
    result = check("-", "kind: ConfigMap\ndata:\n  max-scale: 10\n")
    assert result.exit_code == 1
    assert result.stderr == "max-scale = '10': must be a string, not a number: put it in quotes\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: b: c", "stdin: not YAML: line 1, column 5: mapping values are not allowed here\n"),
        ("", f"stdin: no ConfigMap {MAPS}: found nothing\n"),
        ("kind: Service", f"stdin: no ConfigMap {MAPS}: found Service\n"),
        (b"\xff\xff", "stdin: not YAML: unacceptable character"),
    ],
)
def test_a_text_without_the_map_gives_one_line(text: str | bytes, line: str) -> None:
    result = check("-", text)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith(line)
    assert len(result.stderr.splitlines()) == 1


def test_the_other_maps_that_are_followed_are_checked_too() -> None:
    others = """---
kind: ConfigMap
metadata: {name: config-logging}
data:
  loglevel.autoscaler: warn
  zap-logger-config: '{"encoding": "console", "devlopment": true, "encoderConfig": {"timeKey": ""}}'
---
kind: ConfigMap
metadata: {name: config-network}
data: {mesh-compatibility-mode: Disabled}
"""
    result = check("-", config_map(max_scale="7") + "\n" + others)
    assert result.exit_code == 0
    assert result.stderr == (
        "warning: zap-logger-config devlopment = 'true': unknown key, ignored; did you mean development?\n"
    )
    table = rows(result)
    assert table["max-scale"] == ["7", "set"]
    assert table["level"] == ["warning", "set"]
    assert table["encoding"] == ["console", "set"]
    assert table["timeKey"] == ["left", "out", "set"]
    assert table["messageKey"] == ["message", "default"]
    assert table["mesh-compatibility-mode"] == ["disabled", "set"]
    assert table["enable-mesh-pod-addressability"] == ["false", "default"]
    assert rows(check("-", others))["level"] == ["warning", "set"], "without the autoscaler's own"


def test_an_error_of_another_map_names_the_map() -> None:
    logging = "---\nkind: ConfigMap\nmetadata: {name: config-logging}\ndata: {loglevel.autoscaler: loud}\n"
    result = check("-", config_map(stable_window="5s") + "\n" + logging)
    assert (result.exit_code, result.stdout) == (1, "")
    own, other = result.stderr.splitlines()
    assert own.startswith("stable-window = '5s': must be ")
    assert other.startswith("config-logging: loglevel.autoscaler = 'loud': must be debug, info, warn, ")


def test_a_file_that_cannot_be_read_gives_one_line(tmp_path: Path) -> None:
    missing = check(tmp_path / "none.yaml")
    assert (missing.exit_code, missing.stdout) == (1, "")
    assert missing.stderr == f"{tmp_path}/none.yaml: No such file or directory\n"
    assert check(tmp_path).stderr == f"{tmp_path}: Is a directory\n"


def test_a_file_is_read_as_stdin_is(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(config_map(tick_interval="5s"))
    assert check(file).stdout == check("-", file.read_text()).stdout
