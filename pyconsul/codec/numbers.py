"""Numbers and quotes in texts of peers and clients, as Go's strconv reads and writes them."""

from __future__ import annotations

from pyconsul.codec import go_numbers
from pyconsul.errors import DecodeError

quote = go_numbers.quote


def parse_uint(text: str) -> int:
    """One or more ASCII digits, at most 2**64 - 1. Raises DecodeError with strconv.ParseUint's text."""
    try:
        return go_numbers.parse_uint(text)
    except ValueError as error:
        raise DecodeError(str(error)) from error


def parse_int(text: str) -> int:
    """A signed number of 64 bits. Raises DecodeError with strconv.Atoi's text."""
    try:
        return go_numbers.parse_int(text)
    except ValueError as error:
        raise DecodeError(str(error)) from error


def parse_bool(text: str) -> bool:
    """Go's spellings of true and false. Raises DecodeError with strconv.ParseBool's text."""
    try:
        return go_numbers.parse_bool(text)
    except ValueError as error:
        raise DecodeError(str(error)) from error
