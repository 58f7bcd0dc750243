"""Bools, integers and numbers read as Go reads them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.scalars import INT32_MAX, INT32_MIN, format_float, parse_bool, parse_float, parse_int32

# What Go 1.26's strconv.ParseFloat(text, 64) gives.
GO_NUMBERS = {
    "1": 1.0,
    "+1": 1.0,
    "-1": -1.0,
    ".5": 0.5,
    "5.": 5.0,
    "1e3": 1000.0,
    "1E+3": 1000.0,
    "0x1p-2": 0.25,
    "0X1P+3": 8.0,
    "0x.8p1": 1.0,
    "0x1.p1": 2.0,
    "0x1.fffffffffffffp1023": 1.7976931348623157e308,
    "0x1p-1074": 5e-324,
    "0x_1p0": 1.0,
    "1_000": 1000.0,
    "1_2.3_4e+1_0": 12.34e10,
    "inf": math.inf,
    "+Infinity": math.inf,
    "-INF": -math.inf,
    "1e-400": 0.0,
    "1.7976931348623157e308": 1.7976931348623157e308,
    "9007199254740993": 9007199254740992.0,
    "0x20000000000001p0": 9007199254740992.0,
}
NOT_NUMBERS = [
    "",
    "+",
    ".",
    "e3",
    "1e",
    "1e+",
    "1e1.5",
    "0x10",
    "0x1",
    "0xp1",
    "0x1_p1",
    "_1",
    "1_",
    "1__0",
    "1_.5",
    "+nan",
    "-nan",
    "infi",
    " 1",
    "1 ",
    "1,5",
    "1f",
    "--1",
    "\u0663",
    "1e400",
    "-1e400",
    "0x1p1024",
]
GO_INTEGERS = {
    "0": 0,
    "-0": 0,
    "7": 7,
    "+7": 7,
    "-7": -7,
    "0000000000000000000000007": 7,
    "2147483647": INT32_MAX,
    "-2147483648": INT32_MIN,
}
NOT_INTEGERS = [
    "",
    "+",
    "-",
    "--1",
    "1.0",
    "1e3",
    " 1",
    "1 ",
    "1\n",
    "1_0",
    "0x1",
    "\u0663",
    "2147483648",
    "-2147483649",
    "9" * 5000,
]


@pytest.mark.parametrize("text", ["1", "t", "T", "true", "True", "TRUE"])
def test_go_reads_it_as_true(text: str) -> None:
    assert parse_bool(text) is True


@pytest.mark.parametrize("text", ["0", "f", "F", "false", "False", "FALSE"])
def test_go_reads_it_as_false(text: str) -> None:
    assert parse_bool(text) is False


@pytest.mark.parametrize("text", ["", " true", "true\n", "tRUE", "yes", "on", "no", "01", "2"], ids=repr)
def test_no_other_text_is_a_bool(text: str) -> None:
    with pytest.raises(ValueError, match="not a bool"):
        parse_bool(text)


@pytest.mark.parametrize("text", GO_INTEGERS, ids=repr)
def test_an_integer_is_read_as_go_reads_it(text: str) -> None:
    assert parse_int32(text) == GO_INTEGERS[text]


@pytest.mark.parametrize("text", NOT_INTEGERS, ids=lambda text: repr(text[:24]))
def test_what_go_refuses_as_an_integer_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not an integer|32 bits"):
        parse_int32(text)


@pytest.mark.parametrize("text", GO_NUMBERS, ids=repr)
def test_a_number_is_read_as_go_reads_it(text: str) -> None:
    assert parse_float(text) == GO_NUMBERS[text]


@pytest.mark.parametrize("text", ["nan", "NaN", "NAN"])
def test_nan_is_read(text: str) -> None:
    assert math.isnan(parse_float(text))


def test_a_negative_zero_keeps_its_sign() -> None:
    assert math.copysign(1.0, parse_float("-0")) == -1.0


@pytest.mark.parametrize("text", NOT_NUMBERS, ids=repr)
def test_what_go_refuses_as_a_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a number|64 bits"):
        parse_float(text)


@pytest.mark.parametrize(("value", "text"), [(85.0, "85"), (1.1, "1.1"), (-1.0, "-1"), (1e22, "1e+22")])
def test_a_number_is_written_shortly(value: float, text: str) -> None:
    assert format_float(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_survives_writing_and_reading(value: float) -> None:
    assert parse_float(format_float(value)) == value
    assert parse_float(value.hex()) == value


@given(st.integers())
def test_an_integer_is_read_exactly_if_it_has_32_bits(value: int) -> None:
    if INT32_MIN <= value <= INT32_MAX:
        assert parse_int32(str(value)) == value
    else:
        with pytest.raises(ValueError, match="32 bits"):
            parse_int32(str(value))
