"""Rules that join several keys.

Source: `knative/serving pkg/autoscaler/config/config.go`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from config.scalars import format_float

SMALLEST_TARGET = 0.01
"""Smallest target of a pod: requests in flight, or per second."""

Broken = tuple[str, str]
"""The key to blame, and what it must be."""


def target_fraction(percentage: float) -> float:
    """Fraction from a target percentage, which below or at 1 is a fraction already.

    Examples
    --------
    >>> target_fraction(85.0), target_fraction(0.7), target_fraction(1.0)
    (0.85, 0.7, 1.0)
    """
    return percentage / 100.0 if percentage > 1.0 else percentage


def initial_scale_rule(initial_scale: int, allow_zero: bool) -> str:
    """What an initial scale must be, of a ConfigMap or an annotation; empty if it may be used."""
    return "" if initial_scale or allow_zero else "at least 1 unless allow-zero-initial-scale is true"


def max_scale_rule(max_scale: int, limit: int) -> str:
    """What a largest scale must be, of a ConfigMap or an annotation; empty if it may be used.

    Examples
    --------
    >>> max_scale_rule(0, limit=20), max_scale_rule(20, limit=20), max_scale_rule(0, limit=0)
    ('1 to max-scale-limit (20)', '', '')
    """
    return f"1 to max-scale-limit ({limit})" if limit > 0 and not 1 <= max_scale <= limit else ""


def broken_rules(values: Mapping[str, Any]) -> Iterator[Broken]:
    """Rules between keys that the values break; a rule of which a value is missing counts as kept.

    Parameters
    ----------
    values : Mapping[str, Value]
        By ConfigMap key, each within its own bounds.
    """
    for rule in (_target, _initial_scale, _max_scale, _min_scale):
        try:
            yield from rule(values)
        except KeyError:
            continue


def _target(values: Mapping[str, Any]) -> Iterator[Broken]:
    key = "container-concurrency-target-default"
    fraction = target_fraction(values["container-concurrency-target-percentage"])
    if fraction * values[key] < SMALLEST_TARGET:
        least = format_float(SMALLEST_TARGET)
        yield key, f"such that its container-concurrency-target-percentage is at least {least}"


def _initial_scale(values: Mapping[str, Any]) -> Iterator[Broken]:
    must_be = initial_scale_rule(values["initial-scale"], values["allow-zero-initial-scale"])
    if must_be:
        yield "initial-scale", must_be


def _max_scale(values: Mapping[str, Any]) -> Iterator[Broken]:
    must_be = max_scale_rule(values["max-scale"], values["max-scale-limit"])
    if must_be:
        yield "max-scale", must_be


def _min_scale(values: Mapping[str, Any]) -> Iterator[Broken]:
    largest = values["max-scale"]
    if 0 < largest < values["min-scale"]:
        yield "min-scale", f"at most max-scale ({largest})"
