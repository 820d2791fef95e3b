"""MessagePack as gossip peers write it: the old specification, text and bytes both in the "raw" family.

Emitted: raw strings only, no ``bin``. Accepted: everything, strings always come back as ``bytes``. Text is UTF-8,
not validated; other bytes survive a round trip as surrogate escapes. Source: docs/design/gossip.md, "Codec".
"""

from __future__ import annotations

from typing import Any

import msgpack

from pyconsul.errors import DecodeError

# A list header makes the decoder allocate room for all its elements before one was read. Long lists are therefore
# read element by element (serf_messages.py); everything else has short ones.
LIST_LENGTH_MAX = 1024
READ_SIZE = 16 * 1024  # bytes that a decoder of a stream allocates at first; it grows with what is fed

_BAD_INPUT = (ValueError, TypeError, OverflowError, RecursionError, msgpack.UnpackException)
_packer = msgpack.Packer(use_bin_type=False, unicode_errors="surrogateescape", autoreset=True)


def _no_extension(code: int, data: bytes) -> Any:
    raise ValueError(f"extension type {code}")


def pack(value: object) -> bytes:
    """Encodes dicts, lists, str, bytes, int, bool, float and None."""
    packed: bytes = _packer.pack(value)
    return packed


def unpack_prefix(data: bytes) -> tuple[Any, bytes]:
    """The first object of ``data`` and the bytes after it. Raises DecodeError."""
    try:
        value = msgpack.unpackb(
            data, raw=True, strict_map_key=False, ext_hook=_no_extension, max_array_len=LIST_LENGTH_MAX
        )
    except msgpack.ExtraData as extra:
        return extra.unpacked, bytes(extra.extra)
    except _BAD_INPUT as error:
        raise DecodeError(f"bad msgpack: {error}") from None
    return value, b""


def unpack_map(data: bytes) -> dict[Any, Any]:
    """The map at the start of ``data``; what follows is ignored, as peers do. Raises DecodeError."""
    value, _ = unpack_prefix(data)
    if not isinstance(value, dict):
        raise DecodeError(f"expected a msgpack map, got {type(value).__name__}")
    return value


class Incremental:
    """Objects out of bytes that arrive in pieces. ``size_max``: bytes that may wait for their object's end.

    All methods raise DecodeError on bad bytes; ``next`` and friends return None while more is needed.
    """

    def __init__(self, size_max: int) -> None:
        self._unpacker = msgpack.Unpacker(
            raw=True,
            strict_map_key=False,
            ext_hook=_no_extension,
            read_size=min(size_max, READ_SIZE),
            max_buffer_size=size_max,
            max_array_len=LIST_LENGTH_MAX,
        )
        self._fed = 0

    def feed(self, data: bytes) -> None:
        try:
            self._unpacker.feed(data)
        except msgpack.BufferFull:
            raise DecodeError("message too long") from None
        self._fed += len(data)

    def next_map(self) -> dict[Any, Any] | None:
        try:
            value = self._unpacker.unpack()
        except msgpack.OutOfData:
            return None
        except _BAD_INPUT as error:
            raise DecodeError(f"bad msgpack: {error}") from None
        if not isinstance(value, dict):
            raise DecodeError(f"expected a msgpack map, got {type(value).__name__}")
        return value

    def bytes_left(self) -> int:
        consumed: int = self._unpacker.tell()
        return self._fed - consumed

    def read_bytes(self, count: int) -> bytes | None:
        if self.bytes_left() < count:
            return None
        data: bytes = self._unpacker.read_bytes(count)
        return data


class Cursor:
    """Reads a complete buffer piece by piece, so that long lists and maps cost only what they really hold."""

    def __init__(self, data: bytes) -> None:
        self._unpacker = msgpack.Unpacker(
            raw=True,
            strict_map_key=False,
            ext_hook=_no_extension,
            max_buffer_size=max(1, len(data)),
            max_array_len=LIST_LENGTH_MAX,
        )
        self._unpacker.feed(data)
        self._data = data

    def _call(self, name: str) -> Any:
        try:
            return getattr(self._unpacker, name)()
        except msgpack.OutOfData:
            raise DecodeError("msgpack cut short") from None
        except _BAD_INPUT as error:
            raise DecodeError(f"bad msgpack: {error}") from None

    def value(self) -> Any:
        return self._call("unpack")

    def is_nil(self) -> bool:
        """True, and consumed, when the next object is nil."""
        position = self._unpacker.tell()
        if position < len(self._data) and self._data[position] == 0xC0:
            self._call("skip")
            return True
        return False

    def map_length(self) -> int:
        length: int = self._call("read_map_header")
        return length

    def list_length(self) -> int:
        length: int = self._call("read_array_header")
        return length
