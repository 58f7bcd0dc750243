"""A level of load over time in a few words: `ramp 0..50 5m, hold 10m, burst 400 10s`.

ramp A..B TIME   from one level to another
hold [A] TIME    at a level; without one, at the level reached
burst A TIME     at a level, and then back to the one before
idle TIME        no load
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from config.durations import parse_duration
from kpa.simulate.errors import InputError

WORDS = ("ramp", "hold", "burst", "idle")
_USAGE = "ramp A..B TIME, hold [A] TIME, burst A TIME or idle TIME, such as ramp 0..50 5m, hold 10m"
_LONGEST = 31 * 86_400.0
_HIGHEST = 1e6


class Stretch(NamedTuple):
    """Seconds, and the level at its start and at its end, between which it is a straight line."""

    length: float
    begin: float
    end: float


def parse_phases(text: str) -> tuple[Stretch, ...]:
    """Read phases.

    Raises
    ------
    InputError
        A phase cannot be read; the message names it.

    Examples
    --------
    >>> parse_phases("ramp 0..50 5m, burst 400 10s, hold 1m")[1:]
    (Stretch(length=10.0, begin=400.0, end=400.0), Stretch(length=60.0, begin=50.0, end=50.0))
    """
    stretches: list[Stretch] = []
    level = 0.0
    for number, phase in enumerate(text.split(","), start=1):
        try:
            stretch, level = _parse(phase.split(), level)
        except ValueError:
            raise InputError(f"phase {number} {phase.strip()!r} must be {_USAGE}") from None
        stretches.append(stretch)
    return tuple(stretches)


def _parse(words: Sequence[str], level: float) -> tuple[Stretch, float]:
    """Return a stretch and the level after it."""
    word, *values, duration = words
    length = parse_duration(duration)
    if not 0 < length <= _LONGEST:
        raise ValueError(duration)
    return _READERS[word](length, values, level) if word in _READERS else _refuse(word)


def _ramp(length: float, values: Sequence[str], _level: float) -> tuple[Stretch, float]:
    (ends,) = values
    begin, end = (_level_of(text) for text in ends.split(".."))
    return Stretch(length, begin, end), end


def _hold(length: float, values: Sequence[str], level: float) -> tuple[Stretch, float]:
    if values:
        (text,) = values
        level = _level_of(text)
    return Stretch(length, level, level), level


def _burst(length: float, values: Sequence[str], level: float) -> tuple[Stretch, float]:
    (text,) = values
    high = _level_of(text)
    return Stretch(length, high, high), level


def _idle(length: float, values: Sequence[str], _level: float) -> tuple[Stretch, float]:
    if values:
        raise ValueError(values)
    return Stretch(length, 0.0, 0.0), 0.0


def _refuse(word: str) -> tuple[Stretch, float]:
    raise ValueError(word)


def _level_of(text: str) -> float:
    level = float(text)
    if not 0 <= level <= _HIGHEST:
        raise ValueError(text)
    return level


_READERS: dict[str, Callable[[float, Sequence[str], float], tuple[Stretch, float]]] = {
    "ramp": _ramp,
    "hold": _hold,
    "burst": _burst,
    "idle": _idle,
}
