"""Numbers and quotes in texts, as Go's strconv reads and writes them."""

from __future__ import annotations

from pyconsul.errors import DecodeError

UINT64_MAX = 2**64 - 1
_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE = frozenset(("0", "f", "F", "FALSE", "false", "False"))
_NAMED = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}


def parse_uint(text: str) -> int:
    """One or more ASCII digits, at most 2**64 - 1. Raises DecodeError with strconv.ParseUint's text."""
    if not (text.isascii() and text.isdigit()):
        raise DecodeError(f"strconv.ParseUint: parsing {quote(text)}: invalid syntax")
    # Python refuses to convert very long texts of digits; zeros in front do not count.
    significant = text.lstrip("0") or "0"
    value = int(significant) if len(significant) <= 20 else UINT64_MAX + 1
    if value > UINT64_MAX:
        raise DecodeError(f"strconv.ParseUint: parsing {quote(text)}: value out of range")
    return value


def parse_bool(text: str) -> bool:
    """Go's spellings of true and false. Raises DecodeError with strconv.ParseBool's text."""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise DecodeError(f"strconv.ParseBool: parsing {quote(text)}: invalid syntax")


def quote(text: str) -> str:
    """A Go string literal in double quotes; printable letters stay as they are."""
    parts = []
    for letter in text:
        if letter in '"\\':
            parts.append("\\" + letter)
        elif letter.isprintable():
            parts.append(letter)
        elif letter in _NAMED:
            parts.append(_NAMED[letter])
        elif letter < " " or letter == "\x7f":
            parts.append(f"\\x{ord(letter):02x}")
        elif letter <= "\uffff":
            parts.append(f"\\u{ord(letter):04x}")
        else:
            parts.append(f"\\U{ord(letter):08x}")
    return '"' + "".join(parts) + '"'
