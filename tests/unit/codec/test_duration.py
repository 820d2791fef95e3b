"""Go durations, both ways."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyconsul.codec.duration import HOUR, MINUTE, SECOND, format_duration, parse_duration
from pyconsul.errors import DecodeError


@pytest.mark.parametrize(
    ("text", "duration_ns"),
    [
        ("10s", 10 * SECOND),
        ("1m30s", 90 * SECOND),
        ("1.5h", 90 * MINUTE),
        ("+5s", 5 * SECOND),
        ("-5s", -5 * SECOND),
        ("0", 0),
        ("-0", 0),
        (".5s", SECOND // 2),
        ("5.s", 5 * SECOND),
        ("10us", 10_000),
        ("10µs", 10_000),
        ("10μs", 10_000),
        ("5ns", 5),
        ("0.3333333333333333333h", 1_199_999_999_999),
        ("2562047h47m16.854775807s", 2**63 - 1),
    ],
)
def test_durations(text: str, duration_ns: int) -> None:
    assert parse_duration(text) == duration_ns


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", 'time: invalid duration ""'),
        ("abc", 'time: invalid duration "abc"'),
        ("-", 'time: invalid duration "-"'),
        (".s", 'time: invalid duration ".s"'),
        ("10", 'time: missing unit in duration "10"'),
        ("1h60", 'time: missing unit in duration "1h60"'),
        ("10x", 'time: unknown unit "x" in duration "10x"'),
        ("5S", 'time: unknown unit "S" in duration "5S"'),
        ("5m-1s", 'time: unknown unit "m-" in duration "5m-1s"'),
        ("1 h", 'time: unknown unit " h" in duration "1 h"'),
        ('a"\\', 'time: invalid duration "a\\"\\\\"'),
        ("2562047h47m16.854775808s", 'time: invalid duration "2562047h47m16.854775808s"'),
        ("5é", 'time: unknown unit "\\xc3\\xa9" in duration "5\\xc3\\xa9"'),
        ("99999999999999999999x", 'time: invalid duration "99999999999999999999x"'),
        ("9" * 5000 + "s", f'time: invalid duration "{"9" * 5000}s"'),
    ],
)
def test_what_is_no_duration(text: str, why: str) -> None:
    with pytest.raises(DecodeError) as error:
        parse_duration(text)
    assert str(error.value) == why


@pytest.mark.parametrize(
    ("duration_ns", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1_100, "1.1µs"),
        (250_000_000, "250ms"),
        (1_500_000_000, "1.5s"),
        (MINUTE, "1m0s"),
        (90 * SECOND, "1m30s"),
        (24 * HOUR, "24h0m0s"),
        (-90 * MINUTE, "-1h30m0s"),
    ],
)
def test_the_normal_form(duration_ns: int, text: str) -> None:
    assert format_duration(duration_ns) == text


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_the_normal_form_means_the_same(duration_ns: int) -> None:
    assert parse_duration(format_duration(duration_ns)) == duration_ns


@given(st.text())
def test_any_text_is_a_duration_or_an_error(text: str) -> None:
    with contextlib.suppress(DecodeError):
        assert isinstance(parse_duration(text), int)
