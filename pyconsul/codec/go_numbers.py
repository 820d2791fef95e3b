"""Go's texts for integers beyond ``pyconsul.codec.numbers``: with signs, and in the spelling of Go's source text.

Scripts see the words for what is wrong (``strconv.Atoi: parsing "two": invalid syntax``), so they are kept to the
letter. Cheap to import: every command starts through here.
"""

from __future__ import annotations

from pyconsul.codec.numbers import UINT64_MAX, quote
from pyconsul.errors import DecodeError

INT64_MAX = (1 << 63) - 1

_BASES = {"x": 16, "X": 16, "o": 8, "O": 8, "b": 2, "B": 2}


class RangeError(DecodeError):
    """The text is a number, but one that does not fit."""


def parse_int(text: str, function: str = "Atoi") -> int:
    """``strconv.Atoi``: decimal digits with an optional sign, 64 bits. Raises DecodeError or RangeError."""
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not digits or not _all_in(digits, "0123456789"):
        raise DecodeError(f"strconv.{function}: parsing {quote(text)}: invalid syntax")
    value = _bounded(digits, 10)
    limit = INT64_MAX + 1 if text[0] == "-" else INT64_MAX
    if value > limit:
        raise RangeError(f"strconv.{function}: parsing {quote(text)}: value out of range")
    return -value if text[0] == "-" else value


def parse_int_literal(text: str, *, signed: bool) -> int:
    """``strconv.ParseInt``/``ParseUint`` with base 0: ``0x``, ``0o``, ``0b``, a leading ``0`` for octal, ``_``.

    Raises DecodeError or RangeError.
    """
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
        raise DecodeError(f"strconv.{function}: parsing {quote(text)}: invalid syntax")
    value = _bounded("".join(parts), base)
    limit = UINT64_MAX if not signed else INT64_MAX + 1 if sign == "-" else INT64_MAX
    if value > limit:
        raise RangeError(f"strconv.{function}: parsing {quote(text)}: value out of range")
    return -value if sign == "-" else value


def _all_in(text: str, alphabet: str) -> bool:
    return all(char in alphabet for char in text)


def _bounded(digits: str, base: int) -> int:
    """The number, or something above 64 bits when it is longer than any such number; never quadratic work."""
    digits = digits.lstrip("0")
    if len(digits) > 64:
        return UINT64_MAX + 1
    return int(digits, base) if digits else 0
