"""Structured logs through the standard library: `key=value` text for people, JSON lines for machines.

Loggers are the usual ones. Fields go in by `extra={"fields": {...}}`; texts of a record never carry secrets,
because nothing here writes annotations, environment variables or request headers.
"""

import logging
import queue
import sys
import threading
from typing import Literal, TextIO

from config.logs import Form, LogConfig
from kpa.runtime.log_formatters import JsonFormatter, TextFormatter

Format = Literal["text", "json"]
FORMATS: tuple[Format, ...] = ("text", "json")
LEVELS = ("debug", "info", "warning", "error")
WAITING_LINES = 10_000


class Writer(logging.Handler):
    """Hands lines to a thread that writes them: a stalled reader of the logs never stalls the service.

    At most `WAITING_LINES` wait; further ones are dropped and counted in a line of their own.
    """

    def __init__(self, stream: TextIO, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self._given = self._stream = stream
        self._dropped = 0
        # A simple queue: the garbage collector may log in the middle of our own logging.
        self._lines: queue.SimpleQueue[tuple[TextIO, str] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="kpa-logs", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue one line; never waits."""
        if self._lines.qsize() >= WAITING_LINES:
            self._dropped += 1
            return
        try:
            self._lines.put((self._stream, self.format(record)))
        except Exception:
            self.handleError(record)

    def turn_to(self, stream: TextIO | None, formatter: logging.Formatter) -> None:
        """Write to another stream, or to the one that was given first, in another form, from now on."""
        self.setFormatter(formatter)
        self._stream = stream or self._given

    def close(self) -> None:
        """Write what waits, for at most two seconds."""
        super().close()
        self._lines.put(None)
        self._thread.join(timeout=2.0)

    def _write(self) -> None:
        told = 0
        while (waiting := self._lines.get()) is not None:
            stream, line = waiting
            dropped = self._dropped
            if dropped > told:
                line = f"{self.format(_dropped_record(dropped - told))}\n{line}"
                told = dropped
            try:
                stream.write(line + "\n")
                stream.flush()
            except (OSError, ValueError):
                continue  # nobody reads any more; the service goes on


def configure(format: str = "text", level: str = "info", stream: TextIO | None = None) -> Writer:
    """Send all logs of the process to `stream` (standard error by default), instead of where they went.

    Raises
    ------
    ValueError
        An unknown format or level; the message names the allowed ones.
    """
    for name, found, allowed in (("format", format, FORMATS), ("level", level, LEVELS)):
        if found not in allowed:
            raise ValueError(f"log {name} {found!r}: allowed are {', '.join(allowed)}")
    writer = Writer(stream or sys.stderr, _formatter(format))
    logging.basicConfig(level=level.upper(), handlers=[writer], force=True)
    return writer


def follow(config: LogConfig, format: str, level: str) -> None:
    """Log as a ConfigMap says from now on; what it does not say is as the process was started.

    Parameters
    ----------
    config : LogConfig
    format, level : str
        That the process was started with, as `configure` takes them.
    """
    root = logging.getLogger()
    root.setLevel((config.level or level).upper())
    stream = getattr(sys, config.output) if config.output else None
    for handler in root.handlers:
        if isinstance(handler, Writer):
            handler.turn_to(stream, _formatter(config.format or format, config.form))


def _formatter(format: str, form: Form | None = None) -> logging.Formatter:
    return JsonFormatter(form) if format == "json" else TextFormatter(form)


def _dropped_record(count: int) -> logging.LogRecord:
    message = f"{count} log lines dropped: the reader of the logs is too slow"
    return logging.LogRecord("kpa.runtime.logs", logging.WARNING, __file__, 0, message, (), None)
