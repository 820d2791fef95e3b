"""Go's integers, and Go's words for what is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyconsul.codec.go_numbers import INT64_MAX, RangeError, parse_int, parse_int_literal
from pyconsul.errors import DecodeError


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("-12", -12), ("+5", 5), ("0010", 10), ("-0", 0)])
def test_decimal_only(text: str, value: int) -> None:
    assert parse_int(text) == value


@pytest.mark.parametrize("text", ["", "-", "+-1", "0x10", "1_0", " 1", "1.0", "\u0661"])
def test_everything_else_is_refused_by_name(text: str) -> None:
    with pytest.raises(DecodeError, match=r"^strconv\.Atoi: parsing \".*\": invalid syntax$"):
        parse_int(text)


def test_the_limits_of_64_bits() -> None:
    assert parse_int(str(INT64_MAX)) == INT64_MAX
    assert parse_int(str(-INT64_MAX - 1)) == -INT64_MAX - 1
    with pytest.raises(RangeError, match="value out of range"):
        parse_int(str(INT64_MAX + 1))
    assert parse_int_literal("0xffffffffffffffff", signed=False) == 2 * INT64_MAX + 1
    with pytest.raises(RangeError):
        parse_int_literal("0x1_0000_0000_0000_0000", signed=False)


@given(st.text(alphabet="0123456789.-+xXobBaf_ ", max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        value = parse_int_literal(text, signed=True)
    except DecodeError as error:
        assert str(error)
    else:
        assert -INT64_MAX - 1 <= value <= INT64_MAX


def test_a_very_long_number_is_out_of_range_at_once() -> None:
    with pytest.raises(RangeError):
        parse_int("9" * 1_000_000)
