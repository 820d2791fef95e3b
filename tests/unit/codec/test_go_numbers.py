"""Go's numbers and durations, and Go's words for what is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyconsul.codec.go_numbers import INT64_MAX, RangeError, parse_duration, parse_int, parse_int_literal
from pyconsul.codec.quote import quote

S = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("0", 0),
        ("-0", 0),
        ("5s", 5 * S),
        ("1h5m", 3900 * S),
        ("300ms", 300_000_000),
        ("1.5h", 5400 * S),
        (".5s", S // 2),
        ("1.s", S),
        ("-2m", -120 * S),
        ("+1us", 1000),
        ("1µs", 1000),
        ("1μs", 1000),
        ("0.0000000001s", 0),
        ("87600h", 87600 * 3600 * S),
    ],
)
def test_durations(text: str, ns: int) -> None:
    assert parse_duration(text) == ns


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", 'time: invalid duration ""'),
        ("abc", 'time: invalid duration "abc"'),
        ("-", 'time: invalid duration "-"'),
        (".s", 'time: invalid duration ".s"'),
        ("5", 'time: missing unit in duration "5"'),
        ("5.5", 'time: missing unit in duration "5.5"'),
        ("5d", 'time: unknown unit "d" in duration "5d"'),
        ("5s 3m", 'time: unknown unit "s " in duration "5s 3m"'),
        ("9999999h", 'time: invalid duration "9999999h"'),
        ('a"b', 'time: invalid duration "a\\"b"'),
    ],
)
def test_bad_durations(text: str, error: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_duration(text)
    assert str(caught.value) == error


@given(st.text(alphabet="0123456789.-+hmsuµn_x ", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    for read in (parse_duration, parse_int, lambda given: parse_int_literal(given, signed=True)):
        try:
            value = read(text)
        except ValueError as error:
            assert str(error)
        else:
            assert -INT64_MAX - 1 <= value <= INT64_MAX


def test_a_very_long_number_is_out_of_range_at_once() -> None:
    with pytest.raises(RangeError):
        parse_int("9" * 1_000_000)


def test_quote() -> None:
    assert quote('a"b\\c\n\x01é') == '"a\\"b\\\\c\\n\\x01é"'
