"""Settings of the sample model from the environment, and the work of a request from its query."""

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import parse_qs


class WorkSettings(NamedTuple):
    """What the environment says; seconds, and requests served at once (0 is unlimited)."""

    port: int = 8080
    load: float = 0.0
    service: float = 0.0
    batch: int = 0


class Work(NamedTuple):
    """What one request asks for: seconds, number, MB, number, number a second."""

    sleep: float = 0.0
    prime: int = 0
    bloat: int = 0
    tokens: int = 0
    rate: float = 50.0


def read_settings(environment: Mapping[str, str]) -> WorkSettings:
    """Read the settings from environment variables.

    Raises
    ------
    ValueError
        A value is no number or out of range; the message names variable and value.
    """
    return WorkSettings(
        port=int(_number(environment, "PORT", 8080, 0, 65535, whole=True)),
        load=_number(environment, "LOAD_SECONDS", 0, 0, 3600),
        service=_number(environment, "SERVICE_SECONDS", 0, 0, 3600),
        batch=int(_number(environment, "BATCH_SIZE", 0, 0, 10_000, whole=True)),
    )


def read_work(query: str, service: float) -> Work:
    """Read what a query asks for; `service` seconds stand in for a missing `sleep`.

    Raises
    ------
    ValueError
        A parameter is unknown, no number or out of range.

    Examples
    --------
    >>> read_work("sleep=100&tokens=5", service=0.5)
    Work(sleep=0.1, prime=0, bloat=0, tokens=5, rate=50.0)
    """
    values = {name: given[0] for name, given in parse_qs(query, keep_blank_values=True).items()}
    if unknown := sorted(values.keys() - set(Work._fields)):
        raise ValueError(f"unknown parameter {unknown[0]!r}; known are {', '.join(Work._fields)}")
    return Work(
        sleep=_number(values, "sleep", service * 1000, 0, 3_600_000) / 1000,
        prime=int(_number(values, "prime", 0, 0, 10_000_000, whole=True)),
        bloat=int(_number(values, "bloat", 0, 0, 1024, whole=True)),
        tokens=int(_number(values, "tokens", 0, 0, 100_000, whole=True)),
        rate=_number(values, "rate", 50.0, 0.1, 10_000),
    )


def _number(
    values: Mapping[str, str], name: str, default: float, low: float, high: float, whole: bool = False
) -> float:
    text = values.get(name)
    if text is None:
        return default
    kind = "whole number" if whole else "number"
    problem = ValueError(f"{name}={text!r} is not a {kind} from {low:g} to {high:.15g}")
    try:
        value = int(text) if whole else float(text)
    except ValueError:
        raise problem from None
    if not low <= value <= high:  # false for nan too
        raise problem
    return value


def largest_prime_below(limit: int) -> int:
    """Return the largest prime not above `limit`, 0 when there is none; work on purpose, by a sieve."""
    if limit < 2:
        return 0
    is_prime = bytearray([1]) * (limit + 1)
    for number in range(2, int(limit**0.5) + 1):
        if is_prime[number]:
            start = number * number
            is_prime[start::number] = bytes(len(range(start, limit + 1, number)))
    return is_prime.rfind(1)
