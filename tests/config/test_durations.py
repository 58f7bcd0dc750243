"""Durations read and written as Go does: signs, fractions, units, limits of 64 bits; both directions."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.durations import NANOSECONDS, format_duration, nanoseconds, parse_duration

# Nanoseconds that Go 1.26's time.ParseDuration gives.
GO = {
    "0": 0,
    "+0": 0,
    "-0": 0,
    "00s": 0,
    "1.s": 1_000_000_000,
    ".5s": 500_000_000,
    "1h1h": 7_200_000_000_000,
    "1s1h": 3_601_000_000_000,
    "1h30m": 5_400_000_000_000,
    "-1.5h": -5_400_000_000_000,
    "1\u00b5s": 1_000,
    "1\u03bcs": 1_000,
    "1us": 1_000,
    "250ms": 250_000_000,
    "1ns": 1,
    "0.1ns": 0,
    "0.9999999999s": 999_999_999,
    "0.3333333333333333333h": 1_200_000_000_000,
    "0.830103483285477580700h": 2_988_372_539_827,
    "0.100000000000000000000h": 360_000_000_000,
    "1.0000000000000000000000000001s": 1_000_000_000,
    "0.00000000000000000000000000000001h": 0,
    "39h9m14.425s": 140_954_425_000_000,
    "9223372036.854775807s": 2**63 - 1,
    "9223372036854775807.9ns": 2**63 - 1,
    "-9223372036854775808ns": -(2**63),
}
GO_REFUSES = [
    "",
    "-",
    ".s",
    "1",
    "1.5",
    "0.0",
    " 1s",
    "1s ",
    "1 s",
    "1S",
    "1d",
    "1sec",
    "1_0s",
    "1e3s",
    "0x1s",
    "\u0663s",
    "infs",
    "+-1s",
    "1h-1m",
    "9223372036.854775808s",
    "9223372036854775808ns",
    "3000000h",
    "9" * 5000 + "s",
]


@pytest.mark.parametrize("text", GO, ids=repr)
def test_a_duration_is_read_as_go_reads_it(text: str) -> None:
    assert parse_duration(text) == GO[text] / NANOSECONDS


@pytest.mark.parametrize("text", GO_REFUSES, ids=lambda text: repr(text[:24]))
def test_what_go_refuses_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|64 bits"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (-0.0, "0s"),
        (1e-9, "1ns"),
        (1.5e-6, "1.5us"),
        (0.25, "250ms"),
        (0.9999, "999.9ms"),
        (1, "1s"),
        (1.5, "1.5s"),
        (59.999999999, "59.999999999s"),
        (60, "1m"),
        (180, "3m"),
        (61, "1m1s"),
        (3600, "1h"),
        (3601, "1h1s"),
        (5400, "1h30m"),
        (-90, "-1m30s"),
        (86_400, "24h"),
    ],
)
def test_a_duration_is_written_shortly(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -math.inf, 1e10, -1e10])
def test_what_is_no_duration_is_not_written(seconds: float) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        format_duration(seconds)


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_duration_of_go_survives_writing_and_reading(count: int) -> None:
    seconds = parse_duration(f"{count}ns")
    assert seconds == count / NANOSECONDS
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.integers(0, 10**6), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999_999_999))
def test_parts_add_up(hours: int, minutes: int, seconds: int, rest: int) -> None:
    text = f"{hours}h{minutes}m{seconds}.{rest:09d}s"
    exact = (hours * 3600 + minutes * 60 + seconds) * NANOSECONDS + rest
    assert parse_duration(text) == exact / NANOSECONDS


@given(st.text("0123456789.+-hmsnu\u00b5 ", max_size=12))
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    try:
        seconds = parse_duration(text)
    except ValueError:
        return
    assert math.isfinite(seconds)


@given(st.integers(-(2**52), 2**52))
def test_nanoseconds_of_seconds_are_exact(count: int) -> None:
    assert nanoseconds(count / NANOSECONDS) == count
