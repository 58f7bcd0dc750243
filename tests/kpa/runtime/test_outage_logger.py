"""Log lines of an outage: the first failure, the first success after it, levels and fields."""

import logging

import pytest

from kpa.runtime.outage_logger import OutageLogger

LOG = logging.getLogger("test")


def test_an_outage_is_one_line_and_its_end_another(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    outage = OutageLogger(LOG, "API server")
    outage.succeeded()
    for attempt in range(3):
        outage.failed(OSError(f"refused {attempt}"), 0.123)
    assert outage.lasts
    outage.succeeded()
    outage.succeeded()
    assert not outage.lasts
    assert caplog.record_tuples == [
        ("test", logging.WARNING, "API server unreachable; retrying in 0.12 s: refused 0"),
        ("test", logging.INFO, "API server reachable again"),
    ]


def test_the_next_outage_is_logged_too(caplog: pytest.LogCaptureFixture) -> None:
    outage = OutageLogger(LOG, "file", "cannot be written", "written again")
    outage.failed("disk full")
    outage.succeeded()
    outage.failed("read-only")
    assert caplog.messages == ["file cannot be written: disk full", "file cannot be written: read-only"]


def test_an_expected_outage_has_its_own_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    OutageLogger(LOG, "replica", level=logging.INFO).failed("old version")
    assert caplog.record_tuples == [("test", logging.INFO, "replica unreachable: old version")]


def test_lines_carry_fields(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    outage = OutageLogger(LOG, "autoscaler")
    outage.failed("closed", 1.0, {"url": "ws://a"})
    outage.succeeded({"unreported_seconds": 2.0})
    assert {record.filename for record in caplog.records} == {"test_outage_logger.py"}
    assert [record.__dict__["fields"] for record in caplog.records] == [
        {"url": "ws://a"},
        {"unreported_seconds": 2.0},
    ]
