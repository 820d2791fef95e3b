"""Go's texts for numbers, truth values and durations, with Go's words for what is wrong.

Clients and scripts see these words (``strconv.Atoi: parsing "two": invalid syntax``), so they are kept to the letter.
Every function raises ValueError; its text is what Go's converter says. Imports next to nothing: every command starts
here.
"""

from __future__ import annotations

from pyconsul.codec.quote import quote

INT64_MAX = (1 << 63) - 1
UINT64_MAX = (1 << 64) - 1

TRUE_WORDS = frozenset(("1", "t", "T", "TRUE", "true", "True"))
FALSE_WORDS = frozenset(("0", "f", "F", "FALSE", "false", "False"))

_BASES = {"x": 16, "X": 16, "o": 8, "O": 8, "b": 2, "B": 2}

UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "\u00b5s": 1_000,  # micro sign
    "\u03bcs": 1_000,  # Greek letter mu
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
"""Nanoseconds per unit of a duration."""


class RangeError(ValueError):
    """The text is a number, but one that does not fit."""


def parse_bool(text: str) -> bool:
    """``strconv.ParseBool``."""
    if text in TRUE_WORDS:
        return True
    if text in FALSE_WORDS:
        return False
    raise ValueError(f"strconv.ParseBool: parsing {quote(text)}: invalid syntax")


def parse_int(text: str, function: str = "Atoi") -> int:
    """``strconv.Atoi``: decimal digits with an optional sign, 64 bits."""
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not digits or not _all_in(digits, "0123456789"):
        raise ValueError(f"strconv.{function}: parsing {quote(text)}: invalid syntax")
    value = _bounded(digits, 10)
    limit = INT64_MAX + 1 if text[0] == "-" else INT64_MAX
    if value > limit:
        raise RangeError(f"strconv.{function}: parsing {quote(text)}: value out of range")
    return -value if text[0] == "-" else value


def parse_uint(text: str) -> int:
    """``strconv.ParseUint`` with base 10 and 64 bits."""
    if not text or not _all_in(text, "0123456789"):
        raise ValueError(f"strconv.ParseUint: parsing {quote(text)}: invalid syntax")
    value = _bounded(text, 10)
    if value > UINT64_MAX:
        raise RangeError(f"strconv.ParseUint: parsing {quote(text)}: value out of range")
    return value


def parse_int_literal(text: str, *, signed: bool) -> int:
    """``strconv.ParseInt``/``ParseUint`` with base 0: ``0x``, ``0o``, ``0b``, a leading ``0`` for octal, and ``_``."""
    function = "ParseInt" if signed else "ParseUint"
    sign = text[:1] if signed and text[:1] in ("+", "-") else ""
    digits = text[len(sign) :]
    base = 10
    prefixed = False
    if len(digits) > 1 and digits[0] == "0":
        prefixed = True
        base = _BASES.get(digits[1], 8)
        digits = digits[2:] if digits[1] in _BASES else digits[1:]
    # An underscore may stand between digits and after a prefix, nowhere else.
    parts = digits.split("_")
    if prefixed and len(parts) > 1 and parts[0] == "":
        parts = parts[1:]
    alphabet = "0123456789abcdef"[:base]
    if not all(parts) or not _all_in("".join(parts).lower(), alphabet):
        raise ValueError(f"strconv.{function}: parsing {quote(text)}: invalid syntax")
    value = _bounded("".join(parts), base)
    limit = UINT64_MAX if not signed else INT64_MAX + 1 if sign == "-" else INT64_MAX
    if value > limit:
        raise RangeError(f"strconv.{function}: parsing {quote(text)}: value out of range")
    return -value if sign == "-" else value


def parse_duration(text: str) -> int:
    """``time.ParseDuration``: ``1h5m``, ``300ms``, ``-1.5h``; nanoseconds."""
    wrong = f"time: invalid duration {_quote_time(text)}"
    rest = text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return 0
    if not rest:
        raise ValueError(wrong)
    total = 0
    while rest:
        whole, rest = _digits(rest)
        fraction = ""
        if rest[:1] == ".":
            fraction, rest = _digits(rest[1:])
        if not whole and not fraction:
            raise ValueError(wrong)
        count = _bounded(whole, 10)
        if count > INT64_MAX:
            raise RangeError(wrong)
        end = 0
        while end < len(rest) and rest[end] not in ".0123456789":
            end += 1
        unit, rest = rest[:end], rest[end:]
        if not unit:
            raise ValueError(f"time: missing unit in duration {_quote_time(text)}")
        if unit not in UNITS_NS:
            raise ValueError(f"time: unknown unit {_quote_time(unit)} in duration {_quote_time(text)}")
        total += count * UNITS_NS[unit]
        # Go drops digits of a fraction that no longer matter; 18 are more than a nanosecond needs.
        fraction = fraction[:18]
        if fraction:
            total += int(fraction) * UNITS_NS[unit] // 10 ** len(fraction)
        if total > INT64_MAX:
            raise RangeError(wrong)
    return -total if text[0] == "-" else total


def _quote_time(text: str) -> str:
    """The quotes of Go's time package: what is not plain ASCII is written as ``\\x`` and its UTF-8 bytes."""
    parts = []
    for letter in text:
        if letter in '"\\':
            parts.append("\\" + letter)
        elif " " <= letter < "\x80":
            parts.append(letter)
        else:
            parts.extend(f"\\x{byte:02x}" for byte in letter.encode("utf-8", "replace"))
    return '"' + "".join(parts) + '"'


def _digits(text: str) -> tuple[str, str]:
    end = 0
    while end < len(text) and text[end] in "0123456789":
        end += 1
    return text[:end], text[end:]


def _all_in(text: str, alphabet: str) -> bool:
    return all(char in alphabet for char in text)


def _bounded(digits: str, base: int) -> int:
    """The number, or something above 64 bits when it is longer than any such number; never quadratic work."""
    digits = digits.lstrip("0")
    if len(digits) > 64:
        return UINT64_MAX + 1
    return int(digits, base) if digits else 0
