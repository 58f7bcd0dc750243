"""Description of a setting: its kind of text, its range, and its documentation."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from config.durations import format_duration, parse_duration
from config.scalars import format_float, parse_bool, parse_float, parse_int32

Value = bool | int | float | str


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of text.

    Attributes
    ----------
    noun : str
        What such a text is, to be read after "must be".
    parse : Callable[[str], Value]
        Raises ValueError for any other text.
    format : Callable[[Any], str]
        The text of a value.
    """

    noun: str
    parse: Callable[[str], Value]
    format: Callable[[Any], str]


BOOL = Kind("true or false", parse_bool, lambda value: "true" if value else "false")
INTEGER = Kind("an integer of 32 bits", parse_int32, str)
NUMBER = Kind("a number", parse_float, format_float)
DURATION = Kind("a duration (such as 90s or 1h30m)", parse_duration, format_duration)


def one_of(*choices: str) -> Kind:
    """Kind of a text that is one of a few words; spaces around it are ignored, as in Knative."""

    def parse(text: str) -> str:
        word = text.strip()
        if word not in choices:
            raise ValueError(f"not one of {choices}: {text!r}")
        return word

    return Kind(" or ".join(choices), parse, str)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueRange:
    """Range of the values that may be used, both ends included.

    Attributes
    ----------
    low, high : float
        Smallest and largest value, in the setting's unit.
    above : float
        Values must be larger than this; a lower end that is not included.
    also : float or None
        One more value, outside the range.
    whole : bool
        Fractions are rejected.
    """

    low: float = -math.inf
    high: float = math.inf
    above: float = -math.inf
    also: float | None = None
    whole: bool = False

    def hold(self, value: float) -> bool:
        """Return whether a value may be used; infinity and NaN never may."""
        if not math.isfinite(value):
            return False
        inside = self.low <= value <= self.high and value > self.above
        return value == self.also or (inside and not (self.whole and value % 1))

    def describe(self, kind: Kind) -> str:
        """Range in words, numbers written as texts of the kind; empty if every finite value may be used."""
        text, low, high, above = kind.format, self.low, self.high, self.above
        ends = [
            f"{text(low)} to {text(high)}" if math.isfinite(low) and math.isfinite(high) else "",
            f"at least {text(low)}" if math.isfinite(low) and math.isinf(high) else "",
            f"more than {text(above)}" if math.isfinite(above) else "",
            f"at most {text(high)}" if math.isinf(low) and math.isfinite(high) else "",
            "in whole seconds" if self.whole else "",
        ]
        described = ", ".join(filter(None, ends))
        return described + (f", or {text(self.also)}" if self.also is not None else "")


def allowed(kind: Kind, bounds: ValueRange) -> str:
    """What a text of a kind may be, to be read after "must be".

    Examples
    --------
    >>> allowed(DURATION, ValueRange(low=6.0, high=3600.0, whole=True))
    'a duration (such as 90s or 1h30m), 6s to 1h, in whole seconds'
    """
    return ", ".join(filter(None, [kind.noun, bounds.describe(kind)]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One ConfigMap key: its meaning, its defaults, its bounds, and the reasons of both.

    Attributes
    ----------
    kind : Kind
    meaning : str
        One or two sentences for an operator.
    unit : str
        What a number counts; empty where the kind says it.
    knative : Value
        Default in the profile `knative`; the field's own default belongs to the profile `inference`.
    reason : str
        Why the profile `inference` has its default.
    bounds : ValueRange
    bounds_reason : str
        Why these; empty if every value of the kind may be used.
    annotation : str
        Annotation of a revision that overrides it, without prefix; empty if there is none.
    """

    kind: Kind
    meaning: str
    knative: Value
    reason: str
    unit: str = ""
    bounds: ValueRange = field(default_factory=ValueRange)
    bounds_reason: str = ""
    annotation: str = ""

    @property
    def allowed(self) -> str:
        """What a text may be, to be read after "must be"."""
        return allowed(self.kind, self.bounds)

    def holds(self, value: Value) -> bool:
        """Return whether a value may be used."""
        return isinstance(value, str) or self.bounds.hold(value)
