"""Logs: decisions, a writer that never waits, and how a process follows its ConfigMap.

Left out: the lines themselves (test_log_lines), loggers and levels, which are the standard library's.
"""

import io
import json
import logging
import os
import threading
from collections.abc import Iterator

import pytest

from config.logs import Form, LogConfig
from kpa.controller.decision_log import decision_fields, log_decision
from kpa.runtime import logs
from kpa.runtime.log_formatters import TextFormatter
from kpa.runtime.logs import Writer, configure, follow
from tests.kpa.controller.status_samples import SAMPLE, sample


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, as it was before."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    yield root
    root.handlers, root.level = handlers, level


def record(message: str) -> logging.LogRecord:
    return logging.LogRecord("kpa.test", logging.INFO, __file__, 1, message, (), None)


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
    lost = sum(int(line.split("kpa.runtime.logs: ")[1].split()[0].strip('"')) for line in notices)
    assert lost > 100
    assert lost + len(lines) - len(notices) == 200


def test_closing_gives_up_on_a_reader_that_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading) as reader, os.fdopen(writing, "w") as stream:
        writer = Writer(stream, TextFormatter())
        join = writer._thread.join
        monkeypatch.setattr(writer._thread, "join", lambda timeout: join(timeout / 20))
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
    old = sample(recommended=2, requested=2)
    assert decision_fields(old, SAMPLE) == {
        "namespace": "shop",
        "name": "cart-00002",
        "recommended_before": 2,
        "recommended": 5,
        "requested_before": 2,
        "requested": 4,
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
        ({"recommended": 4}, True),
        ({"requested": 3}, True),
        ({"mode": "stable"}, True),
        ({"activity": "inactive"}, True),
        ({"ready": 0}, False),
        ({"stable": 0.0, "panic": None}, False),
        ({"excess_burst_capacity": 1.0}, False),
    ],
    ids=["recommended", "requested", "mode", "activity", "ready", "load", "capacity"],
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
        log_decision(logging.getLogger("kpa.test"), sample(requested=1), SAMPLE)
        log_decision(logging.getLogger("kpa.test"), SAMPLE, SAMPLE, (1, 4))
    assert caplog.messages == ["recommended -1 -> 5", "recommended 5", "scaled from 1 to 4"]


def test_a_config_map_is_followed_while_the_process_runs_and_what_it_leaves_out_is_as_before(
    root: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, output = io.StringIO(), io.StringIO()
    monkeypatch.setattr("sys.stdout", output)
    writer = configure("text", "warning", given)
    log = logging.getLogger("kpa.test")
    named = LogConfig("info", "json", "stdout", Form(message_key="msg"))
    for config in (named, LogConfig(level="error"), LogConfig()):
        log.debug("nothing")
        log.info("one")
        log.warning("two")
        log.error("three")
        follow(config, "text", "warning")
    log.info("one")
    log.warning("two")
    writer.close()
    assert [json.loads(line)["msg"] for line in output.getvalue().splitlines()] == ["one", "two", "three"]
    assert [line.partition("kpa.test: ")[2] for line in given.getvalue().splitlines()] == [
        *("two", "three"),  # as it was started
        "three",  # error
        "two",  # as it was started
    ]
