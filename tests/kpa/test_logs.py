"""Logs: both formats, fields, decisions, and a writer that never waits.

Left out: loggers and levels themselves, which are the standard library's.
"""

import io
import json
import logging
import os
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpa import logs
from kpa.logs import (
    JsonFormatter,
    TextFormatter,
    Writer,
    configure,
    decision_fields,
    log_decision,
    set_level,
)
from tests.kpa.status_samples import SAMPLE, sample


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, as it was before."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    yield root
    root.handlers, root.level = handlers, level


def record(message: str, *arguments: object, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("kpa.test", logging.INFO, __file__, 1, message, arguments, None)
    made.created = 1787306400.1239
    if fields:
        made.fields = fields
    return made


def test_text_is_one_line_of_words_and_pairs() -> None:
    pairs = {"name": "hello", "stable": 12.3456789, "mode": "no data", "panic": None}
    line = TextFormatter().format(record("desired %d", 3, **pairs))
    head = "2026-08-21T10:00:00.123Z info kpa.test: desired 3"
    assert line == f'{head} name=hello stable=12.3457 mode="no data" panic=None'


def test_json_is_one_object_with_every_number_in_full() -> None:
    line = JsonFormatter().format(record("desired %d", 3, name="hello", stable=12.3456789, panic=None))
    assert json.loads(line) == {
        "time": "2026-08-21T10:00:00.123Z",
        "level": "info",
        "logger": "kpa.test",
        "message": "desired 3",
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


@pytest.mark.parametrize("format", ["text", "json"])
def test_configure_sends_all_logs_to_the_stream(root: logging.Logger, format: str) -> None:
    stream = io.StringIO()
    first = configure(stream=io.StringIO())
    writer = configure(format, "warning", stream)
    logging.getLogger("somewhere.else").warning("careful")
    logging.getLogger("somewhere.else").info("not of interest")
    writer.close()
    (line,) = stream.getvalue().splitlines()
    assert "careful" in line
    assert (line[0] == "{") is (format == "json")
    assert first not in root.handlers


@pytest.mark.parametrize(
    ("format", "level", "message"),
    [
        ("xml", "info", "log format 'xml': allowed are text, json"),
        ("text", "loud", "log level 'loud': allowed are debug, info, warning, error"),
    ],
    ids=["format", "level"],
)
def test_unknown_settings_are_refused_by_name(format: str, level: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        configure(format, level)


def test_a_stalled_reader_stops_nobody_and_what_is_lost_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "WAITING_LINES", 10)
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream, os.fdopen(reading) as reader:
        writer = Writer(stream, TextFormatter())
        for number in range(200):
            writer.emit(record(f"line {number} {'x' * 10_000}"))
        lines: list[str] = []
        thread = threading.Thread(target=lambda: lines.extend(reader))
        thread.start()
        writer.close()
        stream.close()
        thread.join(30)
    notices = [line for line in lines if "log lines dropped: the reader of the logs is too slow" in line]
    lost = sum(int(line.split("kpa.logs: ")[1].split()[0].strip('"')) for line in notices)
    assert lost > 100
    assert lost + len(lines) - len(notices) == 200


def test_closing_gives_up_on_a_reader_that_does_not_come() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading) as reader, os.fdopen(writing, "w") as stream:
        writer = Writer(stream, TextFormatter())
        writer.emit(record("x" * 1_000_000))
        writer.close()
        assert len(reader.readline()) > 1_000_000


def test_a_closed_stream_is_no_error() -> None:
    stream = io.StringIO()
    stream.close()
    writer = Writer(stream, TextFormatter())
    writer.emit(record("unheard"))
    writer.close()
    assert not writer._thread.is_alive()


def test_a_changed_decision_comes_with_every_number_that_led_to_it() -> None:
    old = sample(desired=2, wanted=2)
    assert decision_fields(old, SAMPLE) == {
        "namespace": "shop",
        "name": "cart-00002",
        "desired_before": 2,
        "desired": 5,
        "wanted_before": 2,
        "wanted": 4,
        "replicas": 3,
        "ready": 2,
        "metric": "concurrency",
        "stable": 12.5,
        "panic": 40.25,
        "target": 7.0,
        "total": 10.0,
        "excess_burst_capacity": -231.25,
        "mode": "panic",
        "activity": "active",
        "rule": "load",
        "min_scale": 0,
        "max_scale": 9,
    }


@pytest.mark.parametrize(
    ("change", "is_a_decision"),
    [
        ({"desired": 4}, True),
        ({"wanted": 3}, True),
        ({"mode": "stable"}, True),
        ({"activity": "inactive"}, True),
        ({"ready": 0}, False),
        ({"stable": 0.0, "panic": None}, False),
        ({"excess_burst_capacity": 1.0}, False),
    ],
    ids=["desired", "wanted", "mode", "activity", "ready", "load", "capacity"],
)
def test_only_a_changed_decision_is_logged(
    caplog: pytest.LogCaptureFixture, change: dict[str, object], is_a_decision: bool
) -> None:
    with caplog.at_level(logging.INFO):
        log_decision(logging.getLogger("kpa.test"), sample(**change), SAMPLE)
    assert len(caplog.records) == is_a_decision


def test_a_decision_reads_as_a_sentence(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        log_decision(logging.getLogger("kpa.test"), None, SAMPLE)
        log_decision(logging.getLogger("kpa.test"), sample(wanted=1), SAMPLE)
    assert caplog.messages == ["desired -1 -> 5", "desired 5"]


def test_the_level_can_be_set_while_the_process_runs(root: logging.Logger) -> None:
    stream = io.StringIO()
    writer = configure("text", "info", stream)
    logging.getLogger("kpa.test").debug("before")
    set_level("debug")
    logging.getLogger("kpa.test").debug("after")
    writer.close()
    assert "before" not in stream.getvalue()
    assert "after" in stream.getvalue()
    with pytest.raises(ValueError, match="'loud': allowed are debug, info, warning, error"):
        set_level("loud")
