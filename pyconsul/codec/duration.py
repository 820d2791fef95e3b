"""Go-style durations: ``1m30s`` and nanoseconds, both ways. HTTP reference, "Durations"."""

from __future__ import annotations

from pyconsul.errors import DecodeError

MICROSECOND = 1_000
MILLISECOND = 1_000_000
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE

INT64_MAX = 2**63 - 1

_UNITS = {
    "ns": 1,
    "us": MICROSECOND,
    "\u00b5s": MICROSECOND,  # micro sign
    "\u03bcs": MICROSECOND,  # Greek letter mu
    "ms": MILLISECOND,
    "s": SECOND,
    "m": MINUTE,
    "h": HOUR,
}
_DIGITS = "0123456789"
_FRACTION_DIGITS_MAX = 18  # more do not change a number of nanoseconds


def parse_duration(text: str) -> int:
    """Nanoseconds. Raises DecodeError with the text that Go would give."""
    rest, negative = text, False
    if rest[:1] in ("+", "-"):
        negative, rest = rest[0] == "-", rest[1:]
    if rest == "0":
        return 0
    if not rest:
        raise _invalid(text)
    total = 0
    while rest:
        whole, rest = _leading_digits(rest)
        fraction = ""
        if rest[:1] == ".":
            fraction, rest = _leading_digits(rest[1:])
        if not whole and not fraction:
            raise _invalid(text)
        unit, rest = _leading_unit(rest)
        if not unit:
            raise DecodeError(f"time: missing unit in duration {quote(text)}")
        factor = _UNITS.get(unit)
        if factor is None:
            raise DecodeError(f"time: unknown unit {quote(unit)} in duration {quote(text)}")
        if len(whole.lstrip("0")) > 19:
            raise _invalid(text)
        total += int(whole.lstrip("0") or "0") * factor
        if fraction:
            kept = fraction[:_FRACTION_DIGITS_MAX]
            total += int(kept) * factor // 10 ** len(kept)
        if total > INT64_MAX:
            raise _invalid(text)
    return -total if negative else total


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


def quote(text: str) -> str:
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


def _leading_digits(text: str) -> tuple[str, str]:
    end = 0
    while end < len(text) and text[end] in _DIGITS:
        end += 1
    return text[:end], text[end:]


def _leading_unit(text: str) -> tuple[str, str]:
    end = 0
    while end < len(text) and text[end] != "." and text[end] not in _DIGITS:
        end += 1
    return text[:end], text[end:]


def _invalid(text: str) -> DecodeError:
    return DecodeError(f"time: invalid duration {quote(text)}")
