"""Lines of the log: text and JSON, and what a ConfigMap may change of them."""

import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.logs import Form
from kpa.runtime.log_formatters import JsonFormatter, TextFormatter


def record(message: str, *arguments: object, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("kpa.test", logging.INFO, __file__, 1, message, arguments, None)
    made.created = 1787306400.1239
    if fields:
        made.fields = fields
    return made


def test_text_is_one_line_of_words_and_pairs() -> None:
    pairs = {"name": "hello", "stable": 12.3456789, "mode": "no data", "panic": None}
    line = TextFormatter().format(record("recommended %d", 3, **pairs))
    head = "2026-08-21T10:00:00.123Z info kpa.test: recommended 3"
    assert line == f'{head} name=hello stable=12.3457 mode="no data" panic=None'


def test_json_is_one_object_with_every_number_in_full() -> None:
    line = JsonFormatter().format(record("recommended %d", 3, name="hello", stable=12.3456789, panic=None))
    assert json.loads(line) == {
        "time": "2026-08-21T10:00:00.123Z",
        "level": "info",
        "logger": "kpa.test",
        "message": "recommended 3",
        "name": "hello",
        "stable": 12.3456789,
        "panic": None,
    }


def test_a_record_without_fields_needs_none() -> None:
    assert TextFormatter().format(record("ready")).endswith("kpa.test: ready")
    assert json.loads(JsonFormatter().format(record("ready")))["message"] == "ready"


def test_a_traceback_stays_within_the_json_line() -> None:
    failed = record("it broke")
    try:
        raise RuntimeError("why")
    except RuntimeError as error:
        failed.exc_info = (RuntimeError, error, error.__traceback__)
    line = JsonFormatter().format(failed)
    assert "\n" not in line
    assert "RuntimeError: why" in json.loads(line)["error"]
    assert "RuntimeError: why" in TextFormatter().format(failed)


_values = st.text() | st.integers() | st.floats() | st.none() | st.booleans() | st.lists(st.integers())


@given(st.text(), st.dictionaries(st.from_regex("[a-z_]+", fullmatch=True), _values))
def test_no_message_and_no_field_can_break_a_line(message: str, fields: dict[str, object]) -> None:
    made = record(message.replace("%", "%%"))
    made.fields = fields
    assert len(TextFormatter().format(made).splitlines()) == 1
    line = JsonFormatter().format(made)
    assert len(line.splitlines()) == 1
    document = json.loads(line, parse_constant=lambda constant: pytest.fail(constant))
    assert (document["message"], document["level"]) == (message.replace("%", "%%"), "info")


ZAP = Form(
    time_key="ts",
    level_key="severity",
    name_key="name",
    message_key="msg",
    stacktrace_key="stack",
    time_encoder="epoch",
    zap_levels=True,
    initial_fields={"cluster": "west", "size": 3},
)


def test_the_names_of_the_parts_may_be_others_and_no_field_is_lost_to_them() -> None:
    line = JsonFormatter(ZAP).format(record("ready", name="hello", cluster="east"))
    assert json.loads(line) == {
        "ts": 1787306400.1239,
        "severity": "info",
        "name": "kpa.test",
        "msg": "ready",
        "cluster": "east",
        "size": 3,
        "name_": "hello",
    }


@pytest.mark.parametrize(
    ("field", "json_key", "text"),
    [
        ("time_key", "time", "info kpa.test: ready to go"),
        ("level_key", "level", "2026-08-21T10:00:00.123Z kpa.test: ready to go"),
        ("name_key", "logger", "2026-08-21T10:00:00.123Z info ready to go"),
        ("message_key", "message", "2026-08-21T10:00:00.123Z info kpa.test:"),
    ],
)
def test_a_part_without_a_name_is_left_out(field: str, json_key: str, text: str) -> None:
    form = Form(**{field: ""})  # type: ignore[arg-type]
    found = json.loads(JsonFormatter(form).format(record("ready to go")))
    assert set(found) == {"time", "level", "logger", "message"} - {json_key}
    assert TextFormatter(form).format(record("ready to go")) == text


def test_a_traceback_without_a_name_is_left_out() -> None:
    failed = record("it broke")
    failed.exc_info = (RuntimeError, RuntimeError("why"), None)
    form = Form(stacktrace_key="")
    assert "why" not in JsonFormatter(form).format(failed)
    assert "why" not in TextFormatter(form).format(failed)


@pytest.mark.parametrize(
    ("encoder", "time"),
    [
        ("iso8601", "2026-08-21T10:00:00.123Z"),
        ("rfc3339", "2026-08-21T10:00:00Z"),
        ("rfc3339nano", "2026-08-21T10:00:00.123900Z"),
        ("epoch", 1787306400.1239),
        ("millis", 1787306400123.9),
        ("nanos", 1787306400123900000),
    ],
)
def test_times_are_written_as_the_encoder_says(encoder: str, time: Any) -> None:
    found = json.loads(JsonFormatter(Form(time_encoder=encoder)).format(record("ready")))["time"]
    assert (found, type(found)) == (time, type(time))
    line = TextFormatter(Form(time_encoder=encoder)).format(record("ready"))
    assert line.split()[0] == str(time)


@pytest.mark.parametrize(
    ("level", "python", "zap"),
    [
        (logging.INFO, "info", "info"),
        (logging.WARNING, "warning", "warn"),
        (logging.CRITICAL, "critical", "fatal"),
    ],
)
def test_levels_have_the_names_of_python_or_of_zap(level: int, python: str, zap: str) -> None:
    made = record("ready")
    made.levelno, made.levelname = level, logging.getLevelName(level)
    for zap_levels, word in ((False, python), (True, zap)):
        form = Form(zap_levels=zap_levels)
        assert json.loads(JsonFormatter(form).format(made))["level"] == word
        assert TextFormatter(form).format(made).split()[1] == word


def test_initial_fields_stand_in_every_line() -> None:
    form = Form(initial_fields={"data center": "west"})
    assert TextFormatter(form).format(record("ready")).endswith('ready "data center"=west')
