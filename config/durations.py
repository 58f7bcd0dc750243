"""Durations: texts such as `1h30m` and seconds.

Source: the Go standard library's `time.ParseDuration`, which reads each duration of a ConfigMap or annotation
for Knative (`knative/pkg configmap/parser/parse.go`).
"""

import math
import re
from fractions import Fraction
from functools import lru_cache

NANOSECONDS = 1_000_000_000  # in a second
_MAX = 2**63 - 1  # nanoseconds that Go's 64 bits hold
_UNITS = {
    "ns": 1,
    "us": 1_000,
    "\u00b5s": 1_000,  # micro sign
    "\u03bcs": 1_000,  # Greek letter mu
    "ms": 1_000_000,
    "s": NANOSECONDS,
    "m": 60 * NANOSECONDS,
    "h": 3600 * NANOSECONDS,
}
_PART = re.compile(r"(?P<whole>[0-9]*)(?:\.(?P<fraction>[0-9]*))?(?P<unit>[^.0-9]+)")


def parse_duration(text: str) -> float:
    """Seconds from a Go duration: a sign, then numbers with units, largest first or not.

    Units are h, m, s, ms, us (or a mu before the s) and ns; only zero may go without one. Fractions below a
    nanosecond are cut off.

    Raises
    ------
    ValueError
        Not a duration, or beyond 64 bits of nanoseconds (about 292 years).

    Examples
    --------
    >>> parse_duration("1h30m"), parse_duration("1.5s"), parse_duration("0")
    (5400.0, 1.5, 0.0)
    """
    negative = text.startswith("-")
    rest = text[1:] if text[:1] in ("-", "+") else text
    total = 0 if rest == "0" else _sum_of_parts(rest)
    if total > _MAX + negative:
        raise ValueError(f"beyond 64 bits of nanoseconds: {text[:40]!r}")
    return (-total if negative else total) / NANOSECONDS


def format_duration(seconds: float) -> str:
    """Shortest usual text of a duration, to the nanosecond; `parse_duration` reads the same seconds from it.

    Raises
    ------
    ValueError
        Not finite, or beyond 64 bits of nanoseconds.

    Examples
    --------
    >>> format_duration(5400), format_duration(180), format_duration(1.5), format_duration(0.25)
    ('1h30m', '3m', '1.5s', '250ms')
    """
    if not abs(seconds) <= _MAX / NANOSECONDS:
        raise ValueError(f"not a duration: {seconds!r} s")
    total = min(nanoseconds(abs(seconds)), _MAX)
    sign = "-" if seconds < 0 and total else ""
    if total < NANOSECONDS:
        return sign + _below_a_second(total)
    minutes, rest = divmod(total, _UNITS["m"])
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours}h" * (hours > 0), f"{minutes}m" * (minutes > 0), _decimal(rest, "s") if rest else ""]
    return sign + "".join(parts)


@lru_cache(maxsize=1024)  # few windows are in use, by many revisions
def nanoseconds(seconds: float) -> int:
    """Whole nanoseconds nearest to a number of seconds, without the error that a product of floats has.

    Raises
    ------
    ValueError, OverflowError
        Not finite.
    """
    return round(Fraction(seconds) * NANOSECONDS)


def _sum_of_parts(text: str) -> int:
    total = position = 0
    while position < len(text) or not text:
        part = _PART.match(text, position)
        if part is None or not (part["whole"] or part["fraction"]) or part["unit"] not in _UNITS:
            raise ValueError(f"not a duration: {text!r}")
        total += _nanoseconds_of(part["whole"], part["fraction"] or "", _UNITS[part["unit"]])
        position = part.end()
    return total


def _nanoseconds_of(whole: str, fraction: str, unit: int) -> int:
    """Count nanoseconds of one part; a fraction passes through a float, as in Go, so that the last agrees."""
    if len(whole.lstrip("0")) > 19:  # 2**63 has 19 digits
        raise ValueError(f"beyond 64 bits of nanoseconds: {whole[:40]!r}")
    numerator, scale = 0, 1.0
    for digit in fraction:
        longer = 10 * numerator + int(digit)
        if longer > _MAX + 1:
            break  # digits beyond 64 bits do not count
        numerator, scale = longer, 10.0 * scale
    return int(whole or "0") * unit + math.trunc(numerator * (unit / scale))


def _below_a_second(total: int) -> str:
    for unit in ("ms", "us"):
        if total >= _UNITS[unit]:
            return _decimal(total * (NANOSECONDS // _UNITS[unit]), unit)
    return f"{total}ns" if total else "0s"


def _decimal(billionths: int, unit: str) -> str:
    whole, rest = divmod(billionths, NANOSECONDS)
    return f"{whole}.{rest:09d}".rstrip("0").rstrip(".") + unit
