"""Lines of the log: `key=value` text for people, JSON for machines, laid out as a `Form` says.

Fields of a record go in by `extra={"fields": {...}}`. Whatever their values are, a line stays one line.

Source: `uber-go/zap zapcore/encoder.go` for the encoders. Its console lines have tabs between their parts and
JSON for the fields; our text is the same under both names, so that `kubectl logs` reads well.
"""

import json
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from config.logs import Form


class TextFormatter(logging.Formatter):
    """`2026-08-21T10:00:00.123Z info kpa.service: desired 1 -> 3 namespace=default name=hello-00001`."""

    def __init__(self, form: Form | None = None) -> None:
        super().__init__()
        self._form = form or Form()

    def format(self, record: logging.LogRecord) -> str:
        """One line, and the traceback below it if there is one; a part without a name is left out."""
        form = self._form
        parts = [
            str(_time(record, form)) if form.time_key else "",
            _level(record, form) if form.level_key else "",
            f"{record.name}:" if form.name_key else "",
            _one_line(record.getMessage()) if form.message_key else "",
        ]
        fields = {**form.initial_fields, **_fields(record)}
        pairs = [f"{_text(key)}={_text(value)}" for key, value in fields.items()]
        line = " ".join(filter(None, [*parts, *pairs]))
        if record.exc_info and form.stacktrace_key:
            return f"{line}\n{self.formatException(record.exc_info)}"
        return line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, then the fields, and `error` with a traceback."""

    def __init__(self, form: Form | None = None) -> None:
        super().__init__()
        self._form = form or Form()

    def format(self, record: logging.LogRecord) -> str:
        """One line whatever the values are; what JSON cannot say is written as text.

        A field that has the name of another part gets a `_` behind its own.
        """
        form = self._form
        fixed = {
            form.time_key: _time(record, form),
            form.level_key: _level(record, form),
            form.name_key: record.name,
            form.message_key: record.getMessage(),
        }
        if record.exc_info:
            fixed[form.stacktrace_key] = self.formatException(record.exc_info)
        fixed.pop("", None)
        fields = {**form.initial_fields, **_fields(record)}
        return json.dumps(
            fixed | {f"{key}_" if key in fixed else key: _plain(value) for key, value in fields.items()}
        )


def _fields(record: logging.LogRecord) -> Mapping[str, Any]:
    fields: Mapping[str, Any] = getattr(record, "fields", {})
    return fields


def _time(record: logging.LogRecord, form: Form) -> str | float:
    return _TIMES[form.time_encoder](record.created)


def _iso(precision: str) -> Callable[[float], str]:
    def write(created: float) -> str:
        text = datetime.fromtimestamp(created, UTC).isoformat(timespec=precision)
        return text.replace("+00:00", "Z")

    return write


_TIMES: Mapping[str, Callable[[float], str | float]] = {
    "iso8601": _iso("milliseconds"),
    "rfc3339": _iso("seconds"),
    "rfc3339nano": _iso("microseconds"),  # no clock of ours says more
    "epoch": lambda created: created,
    "millis": lambda created: created * 1e3,
    "nanos": lambda created: round(created * 1e6) * 1000,
}


def _level(record: logging.LogRecord, form: Form) -> str:
    name = record.levelname.lower()
    return _ZAP_LEVELS.get(name, name) if form.zap_levels else name


_ZAP_LEVELS = {"warning": "warn", "critical": "fatal"}


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
