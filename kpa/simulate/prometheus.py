"""A level of load over time from a Prometheus range query, or from its saved answer."""

import json
import math
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException
from itertools import pairwise
from typing import Any, NamedTuple

from kpa.simulate.errors import InputError
from kpa.simulate.phases import Stretch

TIMEOUT = 10.0
"""Seconds that Prometheus gets to answer."""

_EXPECTED = 'an answer of /api/v1/query_range: {"data": {"resultType": "matrix", "result": [...]}}'


class RangeQuery(NamedTuple):
    """What Prometheus is asked: an expression, unix seconds of both ends, seconds between two values."""

    expression: str
    start: float
    end: float
    step: float


def fetch_range(url: str, query: RangeQuery) -> tuple[Stretch, ...]:
    """Ask a Prometheus.

    Parameters
    ----------
    url : str
        Of the server, without a path of the API.
    query : RangeQuery

    Raises
    ------
    InputError
        It does not answer, refuses the query, or has no such series.
    """
    names = {"query": query.expression, "start": query.start, "end": query.end, "step": query.step}
    address = f"{url.rstrip('/')}/api/v1/query_range?{urllib.parse.urlencode(names)}"
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT) as answer:
            text: bytes = answer.read()
    except urllib.error.HTTPError as error:
        with error:
            reason = _told_by(error.read())
        raise InputError(f"{url}: Prometheus answers {error.code}: {reason or error.reason}") from error
    except (OSError, ValueError, HTTPException) as error:
        reason = " ".join(str(getattr(error, "reason", error)).split()) or type(error).__name__
        raise InputError(f"{url}: no Prometheus answers there within {TIMEOUT:g} s: {reason}") from error
    return read_range(text, url)


def read_range(text: str | bytes, place: str) -> tuple[Stretch, ...]:
    """Read the answer of a range query with one series: a straight line from each value to the next.

    Parameters
    ----------
    text : str or bytes
        JSON.
    place : str
        Where it is from, for messages.

    Raises
    ------
    InputError
        It is no such answer, has not exactly one series, or its times or values cannot be a load.
    """
    values = _only_series(_parse(text, place), place)
    points = [_point(value, f"{place}: value {number}") for number, value in enumerate(values, start=1)]
    if len(points) < 2:
        raise InputError(f"{place}: holds {len(points)} values; a load needs at least two")
    stretches = []
    for number, ((at, level), (until, next_level)) in enumerate(pairwise(points), 2):
        if until <= at:
            raise InputError(f"{place}: value {number}: time {until:.15g} must be later than the one before")
        stretches.append(Stretch(until - at, level, next_level))
    return tuple(stretches)


def _parse(text: str | bytes, place: str) -> Any:
    try:
        document = json.loads(text)
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"{place}: not JSON: {error}; expected {_EXPECTED}") from error
    if isinstance(document, dict) and document.get("status") == "error":
        raise InputError(f"{place}: Prometheus says: {document.get('error')}")
    return document


def _only_series(document: Any, place: str) -> Sequence[Any]:
    try:
        data = document["data"]
        kind, series = data["resultType"], list(data["result"])
    except (TypeError, KeyError):
        raise InputError(f"{place}: not {_EXPECTED}") from None
    if kind != "matrix":
        raise InputError(f"{place}: resultType is {kind!r}; a range query gives 'matrix'")
    if len(series) != 1:
        hint = "put sum(...) around the query" if series else "nothing matches the query in that time"
        raise InputError(f"{place}: holds {len(series)} series, must be one; {hint}")
    values = series[0].get("values") if isinstance(series[0], dict) else None
    if not isinstance(values, list):
        raise InputError(f"{place}: the series has no values; expected {_EXPECTED}")
    return values


def _point(value: Any, place: str) -> tuple[float, float]:
    try:
        at, level = (float(part) for part in value)
    except (TypeError, ValueError):
        raise InputError(f"{place}: {value!r} must be [unix seconds, text of a number]") from None
    if not (math.isfinite(at) and 0 <= level < math.inf):
        raise InputError(f"{place}: {value!r} must be a load: finite and not negative")
    return at, level


def _told_by(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return ""
