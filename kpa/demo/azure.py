"""Reading the Azure LLM inference traces: comma-separated arrivals with token counts."""

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, TextIO

from kpa.demo.trace import Arrival, Trace

COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")


class TraceError(ValueError):
    """A trace file cannot be used; the message is one line and names file, line and what is expected."""


class TokenRates(NamedTuple):
    """Speed of the model that is played, tokens a second.

    The defaults are of the order of a 13B model on one accelerator. They make the conversation trace keep
    about 22 requests in flight.
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


def read_azure_trace(path: Path, rates: TokenRates, seconds: float) -> Trace:
    """Read the first seconds of a trace; the columns TIMESTAMP, ContextTokens, GeneratedTokens, in any order.

    Parameters
    ----------
    path : Path
    rates : TokenRates
        Turn token counts into work.
    seconds : float
        Recorded time to read; the file is not looked at beyond, so it may be of any size.

    Raises
    ------
    TraceError
        The file cannot be read, lacks a column or a request, is not in order of time or holds a bad value.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            arrivals = tuple(_arrivals(file, str(path), rates, seconds))
    except OSError as error:
        raise TraceError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TraceError(f"{path}: not a text file in UTF-8") from error
    except csv.Error as error:
        raise TraceError(f"{path}: not comma-separated values: {error}") from error
    if not arrivals:
        raise TraceError(f"{path}: holds no request")
    return Trace(path.name, arrivals)


def _arrivals(file: TextIO, path: str, rates: TokenRates, seconds: float) -> Iterator[Arrival]:
    rows = csv.DictReader(file)
    if missing := [name for name in COLUMNS if name not in (rows.fieldnames or ())]:
        raise TraceError(
            f"{path}: no column {', '.join(missing)}; the first line must name {', '.join(COLUMNS)}"
        )
    first = before = None
    for row in rows:
        line = f"{path}, line {rows.line_num}"
        moment = _moment(row["TIMESTAMP"], line)
        if before is not None and moment < before:
            raise TraceError(f"{line}: TIMESTAMP {row['TIMESTAMP']} is earlier than the line before")
        first, before = first or moment, moment
        at = (moment - first).total_seconds()
        if at > seconds:
            return
        context, generated = (_tokens(row[name], name, line) for name in COLUMNS[1:])
        yield Arrival(at, rates.service(context, generated))


def _moment(text: str | None, line: str) -> datetime:
    try:
        moment = datetime.fromisoformat((text or "").strip())
    except ValueError:
        raise TraceError(f"{line}: TIMESTAMP {text!r} is no time such as 2023-11-16 18:15:46.680") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _tokens(text: str | None, column: str, line: str) -> int:
    try:
        tokens = int(text or "")
    except ValueError:
        tokens = -1
    if not 0 <= tokens <= 10_000_000:
        raise TraceError(f"{line}: {column} {text!r} is no whole number from 0 to 10000000")
    return tokens
