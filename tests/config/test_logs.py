"""What of `config-logging` is read, whichever way it is written, and what is refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.logs import Form, LogConfig
from config.problems import ConfigError

KNATIVES = {
    "level": "info",
    "development": False,
    "outputPaths": ["stdout"],
    "errorOutputPaths": ["stderr"],
    "encoding": "json",
    "encoderConfig": {
        "timeKey": "ts",
        "levelKey": "level",
        "nameKey": "logger",
        "callerKey": "caller",
        "messageKey": "msg",
        "stacktraceKey": "stacktrace",
        "lineEnding": "",
        "levelEncoder": "",
        "timeEncoder": "iso8601",
        "durationEncoder": "",
        "callerEncoder": "",
    },
}
"""The JSON that Knative ships as an example."""


def of(zap: Any, **others: str) -> LogConfig:
    return LogConfig.from_config_map({"zap-logger-config": json.dumps(zap), **others})


def test_knatives_example_is_read_in_full() -> None:
    form = Form("ts", "level", "logger", "msg", "stacktrace", "iso8601", zap_levels=True)
    assert of(KNATIVES) == LogConfig("info", "json", "stdout", form)
    assert of(KNATIVES).unknown == ()


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"loglevel.autoscaler": "", "zap-logger-config": ""},
        {"zap-logger-config": "null"},
        {"zap-logger-config": '{"level": "", "encoderConfig": null, "initialFields": null}'},
        {"loglevel.controller": "nonsense", "_example": "loglevel.autoscaler: debug"},
    ],
    ids=["none", "empty", "null", "nothing in it", "keys of others"],
)
def test_what_is_not_said_stays_as_the_process_was_started(data: dict[str, str]) -> None:
    assert LogConfig.from_config_map(data) == LogConfig()


@pytest.mark.parametrize(
    ("own", "zap", "level"),
    [
        ("debug", "", "debug"),
        ("WARN", "", "warning"),
        ("warning", "", "warning"),
        ("fatal", "", "error"),
        ("", "debug", "debug"),
        ("error", "debug", "error"),
    ],
    ids=[
        "plain",
        "large letters",
        "as we say it",
        "graver than an error",
        "of the JSON",
        "own before the JSON's",
    ],
)
def test_the_level_is_read(own: str, zap: str, level: str) -> None:
    assert of({"level": zap}, **{"loglevel.autoscaler": own}).level == level


@pytest.mark.parametrize(
    ("zap", "form"),
    [
        ({"encoderConfig": {"messageKey": "msg"}}, Form(message_key="msg")),
        ({"encoderConfig": {"nameKey": ""}}, Form(name_key="")),
        ({"encoderConfig": {"timeEncoder": ""}}, Form(time_encoder="epoch")),
        ({"encoderConfig": {"timeEncoder": "RFC3339Nano"}}, Form(time_encoder="rfc3339nano")),
        ({"encoderConfig": {"levelEncoder": ""}}, Form(zap_levels=True)),
        ({"encoderConfig": {"levelEncoder": "capitalColor"}}, Form(zap_levels=True)),
        ({"encoderConfig": {"levelEncoder": None}}, Form()),
        (
            {"initialFields": {"cluster": "west", "n": 3, "where": {"rack": 2}, "none": None}},
            Form(initial_fields={"cluster": "west", "n": 3, "where": '{"rack": 2}', "none": "null"}),
        ),
    ],
    ids=[
        "one name",
        "a part left out",
        "no time encoder",
        "any case",
        "levels",
        "colors",
        "no levels",
        "fields",
    ],
)
def test_what_is_said_changes_a_line_and_nothing_else(zap: Any, form: Form) -> None:
    assert of(zap) == LogConfig(form=form)


@pytest.mark.parametrize(
    ("zap", "problem"),
    [
        (
            {"level": "loud"},
            "level = 'loud': must be debug, info, warn, warning, error, dpanic, panic or fatal",
        ),
        ({"level": 3}, "level = '3': must be debug, "),
        ({"encoding": "xml"}, "encoding = 'xml': must be json or console"),
        (
            {"outputPaths": ["/var/log/kpa"]},
            'outputPaths = \'["/var/log/kpa"]\': must be ["stdout"] or ["stderr"]',
        ),
        ({"outputPaths": [["stdout"]]}, "outputPaths = '[[\"stdout\"]]': must be "),
        ({"encoderConfig": ["timeKey"]}, "encoderConfig = '[\"timeKey\"]': must be a JSON object"),
        ({"encoderConfig": {"timeKey": 1}}, "encoderConfig.timeKey = '1': must be a string"),
        (
            {"encoderConfig": {"timeEncoder": "sundial"}},
            "encoderConfig.timeEncoder = 'sundial': must be iso8601, rfc3339, rfc3339nano, epoch, millis or",
        ),
        (
            {"encoderConfig": {"levelEncoder": {"layout": "x"}}},
            'encoderConfig.levelEncoder = \'{"layout": "x"}\': must be a string',
        ),
        ({"initialFields": "west"}, "initialFields = 'west': must be a JSON object"),
    ],
)
def test_what_cannot_be_used_is_named(zap: Any, problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        of(zap)
    [told] = refused.value.problems
    assert str(told).startswith(f"zap-logger-config {problem}")


def test_all_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as refused:
        of({"encoding": "xml", "outputPaths": []}, **{"loglevel.autoscaler": "loud"})
    assert [each.key for each in refused.value.problems] == [
        *("loglevel.autoscaler", "zap-logger-config encoding", "zap-logger-config outputPaths")
    ]


@pytest.mark.parametrize("text", ["{", "[]", "debug", "[" * 100_000, '{"a": ' + "9" * 5000 + "}"])
def test_what_is_no_json_object_is_one_problem(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        LogConfig.from_config_map({"zap-logger-config": text})
    [told] = refused.value.problems
    assert (told.key, told.allowed.startswith("a JSON object")) == ("zap-logger-config", True)


def test_slips_of_the_pen_are_named() -> None:
    zap = {"levl": "debug", "sampling": {"initial": 1}, "encoderConfig": {"timekey": "ts", "callerKey": "c"}}
    assert of(zap).warnings({}) == [
        "zap-logger-config levl = 'debug': unknown key, ignored; did you mean level?",
        "zap-logger-config sampling = '{\"initial\": 1}': unknown key, ignored",
        "zap-logger-config encoderConfig.timekey = 'ts': unknown key, ignored; did you mean timeKey?",
    ]


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)
_zap = st.dictionaries(
    st.sampled_from([*KNATIVES, "initialFields"]),
    _json | st.dictionaries(st.sampled_from(["timeKey", "levelEncoder"]), _json),
)


@given(_zap | _json)
def test_any_json_is_taken_or_refused_with_reasons(zap: Any) -> None:
    try:
        texts = of(zap).texts()
    except ConfigError as error:
        texts = {each.key: each.allowed for each in error.problems}
    assert texts
    assert all(texts.values())
