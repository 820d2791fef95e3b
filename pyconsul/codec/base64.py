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
