"""`kpa check-config`: exit codes, one line for each error, warnings, the tables; files and stdin."""

import json
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
        "config-autoscaler: stable-window = '5s': must be a duration (such as 90s or 1h30m), 6s to 1h, "
        "in whole seconds",
        "config-autoscaler: max-scale-up-rate = 'nan': must be a number, more than 1",
    ]


def test_an_unknown_key_is_a_warning() -> None:
    result = check("-", config_map(stable_windw="1m"))
    assert result.exit_code == 0
    assert result.stderr == (
        "warning: config-autoscaler: stable-windw = '1m': unknown key, ignored; did you mean stable-window?\n"
    )
    assert set(SETTINGS) <= set(rows(result))


def test_values_without_quotes_are_named() -> None:
    result = check("-", "kind: ConfigMap\ndata:\n  max-scale: 10\n")
    assert result.exit_code == 1
    assert result.stderr == (
        "config-autoscaler: max-scale = '10': must be a string, not a number: put it in quotes\n"
    )


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
        "warning: config-logging: zap-logger-config devlopment = 'true': unknown key, ignored; "
        "did you mean development?\n"
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
    assert own.startswith("config-autoscaler: stable-window = '5s': must be ")
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


BAD: dict[str, dict[str, str]] = {
    "config-autoscaler": {"max-scale": "-1"},
    "config-deployment": {"progress-deadline": "0s"},
    "config-network": {"mesh-compatibility-mode": "perhaps"},
    "config-logging": {"loglevel.autoscaler": "loud"},
    "config-observability": {"metrics-protocol": "zipkin"},
    "config-leader-election": {"buckets": "0"},
}
"""A bad value for each ConfigMap that kpa reads."""


def objects(data: dict[str, dict[str, str]]) -> list[dict[str, object]]:
    return [{"kind": "ConfigMap", "metadata": {"name": name}, "data": keys} for name, keys in data.items()]


def serving(config: object) -> str:
    return json.dumps({"kind": "KnativeServing", "metadata": {"name": "serving"}, "spec": {"config": config}})


@pytest.mark.parametrize(
    "text",
    [
        "\n---\n".join(map(json.dumps, objects(BAD))),
        json.dumps({"kind": "List", "items": objects(BAD)}),
        serving({name.removeprefix("config-"): data for name, data in BAD.items()}),
        serving(BAD),
    ],
    ids=["documents", "List", "KnativeServing", "KnativeServing with prefixes"],
)
def test_all_errors_of_all_six_maps_are_printed(text: str) -> None:
    result = check("-", text)
    assert (result.exit_code, result.stdout) == (1, "")
    printed = [line.split(": must be ")[0] for line in result.stderr.splitlines()]
    assert printed == [f"{name}: {key} = {bad!r}" for name, keys in BAD.items() for key, bad in keys.items()]


def test_each_of_the_six_maps_has_a_table() -> None:
    data = {
        "deployment": {"progress-deadline": "90s"},
        "leader-election": {"buckets": "7"},
        "observability": {"tracing-protocol": "grpc"},
    }
    result = check("-", serving(data))
    assert result.exit_code == 0
    assert result.stderr == (
        "warning: config-observability: tracing-protocol = 'grpc' has no effect: nothing is traced\n"
    )
    table = rows(result)
    assert table["progress-deadline"] == ["1m30s", "set"]
    assert table["buckets"] == ["7", "set"]
    assert table["lease-duration"] == ["1m", "default"]
    assert table["tracing-protocol"] == ["grpc", "set"]


def test_maps_may_have_the_names_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\n---\n".join(map(json.dumps, objects({"config-kpa": BAD["config-leader-election"]})))
    assert check("-", text).stderr.startswith("stdin: ConfigMap config-kpa: unknown")
    monkeypatch.setenv("CONFIG_LEADERELECTION_NAME", "config-kpa")
    assert check("-", text).stderr.startswith("config-kpa: buckets = '0': must be ")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "{kind: ConfigMap, metadata: {name: config-autoscalr}}",
            "ConfigMap config-autoscalr: unknown; did you mean config-autoscaler?",
        ),
        (serving({"autoscalr": {}}), "ConfigMap config-autoscalr: unknown; did you mean config-autoscaler?"),
        (
            "{kind: ConfigMap, metadata: {name: zzz}}",
            f"ConfigMap zzz: unknown; kpa reads {', '.join(READERS)}",
        ),
        ("stable-window: 60s", "a document without kind: must be a ConfigMap, a List of ConfigMaps, or a "),
        (
            "{kind: List, items: [3]}",
            "a number: must be a ConfigMap, a List of ConfigMaps, or a KnativeServing",
        ),
        (serving([]), "KnativeServing serving: spec.config must be names of ConfigMaps: found a list"),
    ],
    ids=["slip", "slip in a KnativeServing", "other name", "no kind", "no object in a List", "no config"],
)
def test_what_is_unknown_is_refused_beside_a_good_map(text: str, line: str) -> None:
    result = check("-", f"{config_map()}\n---\n{text}")
    assert (result.exit_code, result.stdout) == (1, "")
    [printed] = result.stderr.splitlines()
    assert printed.startswith(f"stdin: {line}")


def test_a_map_that_is_there_twice_is_refused() -> None:
    result = check("-", f"{config_map()}\n---\n{serving({'autoscaler': {}})}")
    assert (result.exit_code, result.stderr) == (1, "stdin: more than one ConfigMap config-autoscaler\n")


def test_other_maps_of_knative_and_other_objects_are_warnings() -> None:
    other = "{kind: Deployment, metadata: {name: autoscaler}}"
    result = check("-", "\n---\n".join([other, config_map(), serving({"gc": {"x": 3}})]))
    assert result.exit_code == 0
    assert result.stderr.splitlines() == [
        "warning: Deployment autoscaler: not checked, kpa does not read it",
        "warning: ConfigMap config-gc: not checked, kpa does not read it",
    ]
    assert set(SETTINGS) <= set(rows(result))


def test_data_that_are_no_mapping_are_refused_with_all_other_errors() -> None:
    result = check("-", f"{config_map(max_scale='x')}\n---\n{serving({'network': [1]})}")
    assert result.exit_code == 1
    own, network = result.stderr.splitlines()
    assert own.startswith("config-autoscaler: max-scale = 'x': must be ")
    assert network == "data of ConfigMap config-network must be keys with strings: found a list"
