"""Standard base64 with padding, strict, as Go's encoding/json reads byte strings."""

from __future__ import annotations

import binascii

from pyconsul.errors import DecodeError


def decode_base64(text: str) -> bytes:
    """The bytes. Line feeds and carriage returns are skipped. Raises DecodeError."""
    try:
        data = text.encode("ascii").translate(None, b"\r\n")
        return binascii.a2b_base64(data, strict_mode=True) if data else b""
    except (UnicodeEncodeError, binascii.Error) as error:
        raise DecodeError(f"illegal base64 data: {error}") from error


_ALPHABET = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")


def corrupt_at(text: str) -> int | None:
    """The byte at which Go's decoder gives up (``illegal base64 data at input byte N``); None when it does not."""
    data = text.encode("utf-8", "replace")
    places = [at for at, byte in enumerate(data) if byte not in b"\r\n"]
    in_group = 0
    for number, at in enumerate(places):
        if data[at] in _ALPHABET:
            in_group = (in_group + 1) % 4
            continue
        if data[at] != ord("=") or in_group < 2:
            return at
        rest = places[number + 1 :]
        if in_group == 2:
            if not rest:
                return len(data)
            if data[rest[0]] != ord("="):
                return rest[0]
            rest = rest[1:]
        return rest[0] if rest else None
    return places[-in_group] if in_group else None
