"""Numbers and truth values in requests, as Go's strconv reads them: what is wrong is the caller's fault."""

from __future__ import annotations

from pyconsul.codec import go_numbers
from pyconsul.codec.go_numbers import UINT64_MAX
from pyconsul.codec.quote import quote
from pyconsul.errors import DecodeError

__all__ = ["UINT64_MAX", "parse_bool", "parse_uint", "quote"]


def parse_uint(text: str) -> int:
    """One or more ASCII digits, at most 2**64 - 1. Raises DecodeError with strconv.ParseUint's text."""
    try:
        return go_numbers.parse_uint(text)
    except ValueError as error:
        raise DecodeError(str(error)) from None


def parse_bool(text: str) -> bool:
    """Go's spellings of true and false. Raises DecodeError with strconv.ParseBool's text."""
    try:
        return go_numbers.parse_bool(text)
    except ValueError as error:
        raise DecodeError(str(error)) from None
