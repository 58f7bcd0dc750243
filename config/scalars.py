"""Bools, integers and numbers as Go reads them, because Knative's texts are read by Go.

Source: the Go standard library's `strconv` (`ParseBool`, `ParseInt` with base 10 and 32 bits, `ParseFloat`
with 64 bits), which `knative/pkg configmap/parser/parse.go` and `knative/serving
pkg/apis/autoscaling/v1alpha1/pa_lifecycle.go` call. Python's own `int()` and `float()` accept spaces, other
scripts' digits and more, and refuse hexadecimal numbers.
"""

import math
import re

INT32_MAX = 2**31 - 1
INT32_MIN = -(2**31)

_TRUE = frozenset({"1", "t", "T", "true", "True", "TRUE"})
_FALSE = frozenset({"0", "f", "F", "false", "False", "FALSE"})
_INTEGER = re.compile(r"[+-]?[0-9]+")
_NAMED = re.compile(r"nan|[+-]?inf(?:inity)?", re.IGNORECASE)
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?", re.IGNORECASE)
_HEXADECIMAL = re.compile(r"[+-]?0x(?:[0-9a-f]+\.?[0-9a-f]*|\.[0-9a-f]+)p[+-]?[0-9]+", re.IGNORECASE)


def parse_bool(text: str) -> bool:
    """Bool from one of 1, t, T, true, True, TRUE, 0, f, F, false, False, FALSE.

    Raises
    ------
    ValueError
        Any other text, spaces around a good one included.

    Examples
    --------
    >>> parse_bool("T"), parse_bool("FALSE")
    (True, False)
    """
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f"not a bool: {text!r}")


def parse_int32(text: str) -> int:
    """Integer of 32 bits from decimal digits with an optional sign.

    Raises
    ------
    ValueError
        Anything else: spaces, underscores, fractions, other bases, or a number beyond 32 bits.

    Examples
    --------
    >>> parse_int32("+7")
    7
    """
    if not _INTEGER.fullmatch(text):
        raise ValueError(f"not an integer: {text!r}")
    digits = text.lstrip("+-").lstrip("0")
    value = int(digits or "0") if len(digits) <= 10 else INT32_MAX + 2  # ten digits hold any of 32 bits
    value = -value if text.startswith("-") else value
    if not INT32_MIN <= value <= INT32_MAX:
        raise ValueError(f"beyond 32 bits: {text[:20]!r}")
    return value


def parse_float(text: str) -> float:
    """Number of 64 bits from a decimal or hexadecimal text, `inf` or `nan`.

    A hexadecimal number needs its exponent (`0x1p-2`); an underscore may stand between two digits, and after
    the prefix `0x`. Callers that need a finite number check that.

    Raises
    ------
    ValueError
        Anything else, and a finite text that only infinity could hold.

    Examples
    --------
    >>> parse_float("0x1p-2"), parse_float(".5e1"), parse_float("-Inf")
    (0.25, 5.0, -inf)
    """
    if _NAMED.fullmatch(text):
        return float(text)
    digits = _without_underscores(text)
    if _DECIMAL.fullmatch(digits):
        value = float(digits)
    elif _HEXADECIMAL.fullmatch(digits):
        value = _from_hexadecimal(digits)
    else:
        raise ValueError(f"not a number: {text!r}")
    if math.isinf(value):
        raise ValueError(f"beyond 64 bits: {text[:20]!r}")
    return value


def format_float(value: float) -> str:
    """Shortest text that reads back as the same number, whole numbers without a point.

    Examples
    --------
    >>> format_float(85.0), format_float(1.1)
    ('85', '1.1')
    """
    text = repr(float(value))
    return text.removesuffix(".0")


def _without_underscores(text: str) -> str:
    if "_" not in text:
        return text
    hexadecimal = re.match(r"[+-]?0[xX]", text) is not None
    digit, before = ("[0-9a-fA-F]", "[0-9a-fA-FxX]") if hexadecimal else ("[0-9]", "[0-9]")
    return re.sub(f"(?<={before})_(?={digit})", "", text)


def _from_hexadecimal(text: str) -> float:
    try:
        return float.fromhex(text)
    except OverflowError:
        return math.inf
