"""Arrivals from comma-separated values, columns by name.

A time column (seconds, or dates such as 2023-11-16 18:15:46.680), and what a request takes: seconds of work,
or tokens read and written. Everything else is skipped.
"""

import csv
import math
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple, TextIO

from kpa.simulate.errors import InputError
from kpa.simulate.moments import parse_moment

TIME_COLUMNS = ("timestamp", "time", "at")
SERVICE_COLUMN = "service_time"
TOKEN_COLUMNS = ("contexttokens", "generatedtokens")
_EXPECTED = (
    "the first line must name timestamp (or time, or at), and may name service_time (seconds), or "
    "ContextTokens and GeneratedTokens"
)
_MOST_SECONDS = 1e6
_MOST_TOKENS = 1e7


class TokenRates(NamedTuple):
    """Speed of a model, tokens a second.

    The defaults are of the order of a 13B model on one accelerator. They make the conversation trace of the
    Azure LLM inference traces keep about 16 requests in flight.
    """

    prefill: float = 8000.0
    decode: float = 75.0

    def service(self, context: int, generated: int) -> float:
        """Seconds of work: the context is read at one rate, then the answer is written at the other.

        Examples
        --------
        >>> TokenRates(prefill=1000, decode=50).service(context=500, generated=100)
        2.5
        """
        return context / self.prefill + generated / self.decode


class Row(NamedTuple):
    """One request: seconds since the first one, seconds of work (nan where the file does not say)."""

    at: float
    service: float


class _Columns(NamedTuple):
    """Places of the columns that are read; -1 is none."""

    time: int
    service: int
    context: int
    generated: int


def read_table(path: Path, rates: TokenRates, seconds: float = math.inf) -> list[Row]:
    """Read the requests of a file.

    Parameters
    ----------
    path : Path
    rates : TokenRates
        Turn tokens into work.
    seconds : float
        The file is not looked at beyond this time after its first request, so it may be of any size.

    Raises
    ------
    InputError
        The file cannot be read, lacks a column or a request, is not in order of time, or holds a bad value.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(takewhile(lambda row: row.at <= seconds, _rows(file, str(path), rates)))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file in UTF-8") from error
    except csv.Error as error:
        raise InputError(f"{path}: not comma-separated values: {error}") from error
    if not rows:
        raise InputError(f"{path}: holds no request; {_EXPECTED}, each further line is one request")
    return rows


def _rows(file: TextIO, path: str, rates: TokenRates) -> Iterator[Row]:
    lines = csv.reader(file)
    columns = _find_columns(next(lines, []), path)
    first = before = -math.inf
    for fields in lines:
        if not fields:
            continue
        place = f"{path}, line {lines.line_num}"
        moment = _moment(_field(fields, columns.time), place)
        if moment < before:
            raise InputError(
                f"{place}: time {_field(fields, columns.time)!r} is earlier than the line before; "
                "requests must be in order of time"
            )
        first, before = moment if first == -math.inf else first, moment
        yield Row(round(moment - first, 7), _service(fields, columns, rates, place))


def _find_columns(header: Sequence[str], path: str) -> _Columns:
    names = [name.strip().lower() for name in header]
    time = next((names.index(name) for name in TIME_COLUMNS if name in names), -1)
    if time < 0:
        found = ", ".join(header) or "nothing"
        raise InputError(f"{path}: no column timestamp; {_EXPECTED}; it names {found[:200]}")
    service, *tokens = (
        names.index(name) if name in names else -1 for name in (SERVICE_COLUMN, *TOKEN_COLUMNS)
    )
    if -1 in tokens:
        tokens = [-1, -1]
    return _Columns(time, service, *tokens)


def _field(fields: Sequence[str], column: int) -> str:
    return fields[column].strip() if column < len(fields) else ""


def _moment(text: str, place: str) -> float:
    try:
        seconds = parse_moment(text)
    except ValueError:
        raise InputError(
            f"{place}: time {text!r} must be seconds, or a date such as 2023-11-16 18:15:46.680"
        ) from None
    if not (math.isfinite(seconds) and seconds >= 0):
        raise InputError(f"{place}: time {text!r} must not be negative")
    return seconds


def _service(fields: Sequence[str], columns: _Columns, rates: TokenRates, place: str) -> float:
    if columns.service >= 0:
        return _number(_field(fields, columns.service), SERVICE_COLUMN, _MOST_SECONDS, place)
    if columns.context < 0:
        return math.nan
    context = _number(_field(fields, columns.context), "ContextTokens", _MOST_TOKENS, place)
    generated = _number(_field(fields, columns.generated), "GeneratedTokens", _MOST_TOKENS, place)
    return rates.service(int(context), int(generated))


def _number(text: str, column: str, most: float, place: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= most:
        raise InputError(f"{place}: {column} {text!r} must be a number from 0 to {most:g}")
    return value
