"""Structured logs through the standard library: `key=value` text for people, JSON lines for machines.

Loggers are the usual ones. Fields go in by `extra={"fields": {...}}`; texts of a record never carry secrets,
because nothing here writes annotations, environment variables or request headers.
"""

import json
import logging
import queue
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

from kpa.status import RevisionStatus

Format = Literal["text", "json"]
FORMATS: tuple[Format, ...] = ("text", "json")
LEVELS = ("debug", "info", "warning", "error")
WAITING_LINES = 10_000


class TextFormatter(logging.Formatter):
    """`2026-08-21T10:00:00.123Z info kpa.service: desired 1 -> 3 namespace=default name=hello-00001`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and the traceback below it if there is one."""
        pairs = [f"{key}={_text(value)}" for key, value in _fields(record).items()]
        message = _one_line(record.getMessage())
        line = f"{_time(record)} {record.levelname.lower()} {record.name}: {' '.join([message, *pairs])}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, then the fields, and `error` with a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """One line whatever the values are; what JSON cannot say is written as text."""
        fixed = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fixed["error"] = self.formatException(record.exc_info)
        return json.dumps(
            fixed | {key: _plain(value) for key, value in _fields(record).items() if key not in fixed}
        )


class Writer(logging.Handler):
    """Hands lines to a thread that writes them: a stalled reader of the logs never stalls the service.

    At most `WAITING_LINES` wait; further ones are dropped and counted in a line of their own.
    """

    def __init__(self, stream: TextIO, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self._stream = stream
        self._dropped = 0
        # A simple queue: the garbage collector may log in the middle of our own logging.
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="kpa-logs", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue one line; never waits."""
        if self._lines.qsize() >= WAITING_LINES:
            self._dropped += 1
            return
        try:
            self._lines.put(self.format(record))
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Write what waits, for at most two seconds."""
        super().close()
        self._lines.put(None)
        self._thread.join(timeout=2.0)

    def _write(self) -> None:
        told = 0
        while (line := self._lines.get()) is not None:
            dropped = self._dropped
            if dropped > told:
                line = f"{self.format(_dropped_record(dropped - told))}\n{line}"
                told = dropped
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
            except (OSError, ValueError):
                continue  # nobody reads any more; the service goes on


def configure(format: str = "text", level: str = "info", stream: TextIO | None = None) -> Writer:
    """Send all logs of the process to `stream` (standard error by default), instead of where they went.

    Raises
    ------
    ValueError
        An unknown format or level; the message names the allowed ones.
    """
    if format not in FORMATS:
        raise ValueError(f"log format {format!r}: allowed are {', '.join(FORMATS)}")
    _check_level(level)
    writer = Writer(stream or sys.stderr, JsonFormatter() if format == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[writer], force=True)
    return writer


def set_level(level: str) -> None:
    """Log from another severity on.

    Raises
    ------
    ValueError
        An unknown level; the message names the allowed ones.
    """
    _check_level(level)
    logging.getLogger().setLevel(level.upper())


def decision_fields(old: RevisionStatus | None, new: RevisionStatus) -> dict[str, Any]:
    """Every number that led to a changed decision; empty if it is the same as before.

    A decision is changed when desired, wanted, mode or activity are; without an `old` one, all are unknown.
    """
    if old is not None and old.decision == new.decision:
        return {}
    return {
        "namespace": new.key.namespace,
        "name": new.key.name,
        "desired_before": old.desired if old else -1,
        "desired": new.desired,
        "wanted_before": old.wanted if old else -1,
        "wanted": new.wanted,
        "replicas": new.replicas,
        "ready": new.ready,
        "metric": new.metric,
        "stable": new.stable,
        "panic": new.panic,
        "target": new.target,
        "total": new.total,
        "excess_burst_capacity": new.excess_burst_capacity,
        "mode": new.mode,
        "activity": new.activity,
        "rule": str(new.rule),
        "min_scale": new.min_scale,
        "max_scale": new.max_scale,
    }


def log_decision(logger: logging.Logger, old: RevisionStatus | None, new: RevisionStatus) -> None:
    """Log one line if the decision has changed."""
    fields = decision_fields(old, new)
    if fields:
        before, after = fields["desired_before"], fields["desired"]
        change = f"desired {before} -> {after}" if before != after else f"desired {after}"
        logger.info(change, extra={"fields": fields})


def _check_level(level: str) -> None:
    if level not in LEVELS:
        raise ValueError(f"log level {level!r}: allowed are {', '.join(LEVELS)}")


def _fields(record: logging.LogRecord) -> Mapping[str, Any]:
    fields: Mapping[str, Any] = getattr(record, "fields", {})
    return fields


def _time(record: logging.LogRecord) -> str:
    return (
        datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def _plain(value: object) -> object:
    if isinstance(value, float) and value - value != 0:
        return str(value)  # inf and nan
    return value if isinstance(value, str | int | float | None) else str(value)


def _text(value: object) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    plain = text.isprintable() and not any(character in text for character in ' "=')
    return text if plain and text else json.dumps(text)


def _one_line(message: str) -> str:
    return message if message.isprintable() else json.dumps(message)


def _dropped_record(count: int) -> logging.LogRecord:
    message = f"{count} log lines dropped: the reader of the logs is too slow"
    return logging.LogRecord("kpa.logs", logging.WARNING, __file__, 0, message, (), None)
