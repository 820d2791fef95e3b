"""Go-style durations: ``1m30s`` and nanoseconds, both ways. HTTP reference, "Durations"."""

from __future__ import annotations

from pyconsul.codec import go_numbers
from pyconsul.errors import DecodeError

MICROSECOND = 1_000
MILLISECOND = 1_000_000
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE


def parse_duration(text: str) -> int:
    """Nanoseconds. Raises DecodeError with the text that Go would give."""
    try:
        return go_numbers.parse_duration(text)
    except ValueError as error:
        raise DecodeError(str(error)) from None


def format_duration(duration_ns: int) -> str:
    """Go's normal form: ``1h0m0s``, ``1.5s``, ``250ms``, ``0s``."""
    if duration_ns == 0:
        return "0s"
    sign, left = ("-", -duration_ns) if duration_ns < 0 else ("", duration_ns)
    if left < SECOND:
        for unit, factor in (("ms", MILLISECOND), ("µs", MICROSECOND), ("ns", 1)):
            if left >= factor:
                return sign + _decimal(left, factor) + unit
    minutes, seconds_ns = divmod(left, MINUTE)
    text = _decimal(seconds_ns, SECOND) + "s"
    if minutes:
        hours, minutes = divmod(minutes, 60)
        text = f"{minutes}m{text}"
        if hours:
            text = f"{hours}h{text}"
    return sign + text


def _decimal(value: int, factor: int) -> str:
    whole, rest = divmod(value, factor)
    if not rest:
        return str(whole)
    return f"{whole}.{str(rest).rjust(len(str(factor)) - 1, '0').rstrip('0')}"
