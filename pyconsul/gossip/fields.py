"""Messages as tables of fields: one table drives both directions of the codec.

Missing keys and nil mean the field's zero value, unknown keys are ignored, keys are emitted in ascending order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, Self

import msgspec

from pyconsul.errors import DecodeError
from pyconsul.gossip.dialect import pack, unpack_map


class Kind(NamedTuple):
    """How a field is read from msgpack, and shown to it. Both functions raise DecodeError for a wrong type or range."""

    load: Callable[[Any], Any]
    dump: Callable[[Any], Any]
    zero: Any


def _same(value: Any) -> Any:
    return value


def load_text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if value is None:
        return ""
    raise DecodeError(f"expected text, got {type(value).__name__}")


def shown(text: str) -> str:
    """The text without what could not be decoded: for people and for JSON, not for the wire."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def load_bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if value is None:
        return b""
    if isinstance(value, list) and all(type(item) is int and 0 <= item <= 255 for item in value):
        return bytes(value)
    raise DecodeError(f"expected bytes, got {type(value).__name__}")


def _dump_bytes(value: bytes) -> bytes | None:
    return value or None


def _integer(low: int, high: int) -> Kind:
    def load(value: Any) -> int:
        if value is None:
            return 0
        if type(value) is not int or not low <= value <= high:
            raise DecodeError(f"expected an integer from {low} to {high}, got {value!r:.40}")
        return value

    return Kind(load, _same, 0)


def _load_bool(value: Any) -> bool:
    if value is None:
        return False
    if value in (0, 1) and isinstance(value, int):
        return bool(value)
    raise DecodeError(f"expected a boolean, got {type(value).__name__}")


def _load_float(value: Any) -> float:
    if value is None:
        return 0.0
    if isinstance(value, (float, int)) and not isinstance(value, bool):
        return float(value)
    raise DecodeError(f"expected a number, got {type(value).__name__}")


def load_list(value: Any) -> list[Any]:
    if value is None:
        return []
    if isinstance(value, list):
        return value
    raise DecodeError(f"expected a list, got {type(value).__name__}")


def load_map(value: Any) -> dict[Any, Any]:
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    raise DecodeError(f"expected a map, got {type(value).__name__}")


TEXT = Kind(load_text, _same, "")
BYTES = Kind(load_bytes, _dump_bytes, b"")
BYTES_NEVER_NIL = Kind(load_bytes, _same, b"")
U8 = _integer(0, 2**8 - 1)
U16 = _integer(0, 2**16 - 1)
U32 = _integer(0, 2**32 - 1)
U64 = _integer(0, 2**64 - 1)
I64 = _integer(-(2**63), 2**63 - 1)
BOOL = Kind(_load_bool, _same, False)
FLOAT = Kind(_load_float, _same, 0.0)
FLOATS = Kind(lambda value: tuple(_load_float(item) for item in load_list(value)), list, ())
BYTE_STRINGS = Kind(lambda value: tuple(load_bytes(item) for item in load_list(value)), lambda v: list(v) or None, ())
TEXTS = Kind(lambda value: tuple(load_text(item) for item in load_list(value)), lambda v: list(v) or None, ())
TEXT_MAP = Kind(
    lambda value: {load_text(key): load_text(item) for key, item in load_map(value).items()}, dict, msgspec.UNSET
)


class Field(NamedTuple):
    """``wire``: the key. ``omit``: left out when it has the zero value."""

    wire: str
    name: str
    kind: Kind
    omit: bool = False


class Mapped(msgspec.Struct, frozen=True):
    """Base of everything whose body is one map. Subclasses list FIELDS in ascending order of their keys."""

    FIELDS: ClassVar[tuple[Field, ...]] = ()

    def to_map(self) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for wire, name, kind, omit in self.FIELDS:
            value = getattr(self, name)
            if not (omit and value == kind.zero):
                result[wire] = kind.dump(value)
        return result

    @classmethod
    def from_map(cls, body: dict[Any, Any]) -> Self:
        """Raises DecodeError when a field has a wrong type or is out of range."""
        values: dict[str, Any] = {}
        for wire, name, kind, _ in cls.FIELDS:
            raw = body.get(wire.encode())
            try:
                values[name] = kind.load(raw)
            except DecodeError as error:
                raise DecodeError(f"{cls.__name__}.{wire}: {error}") from None
        return cls(**values)

    def body(self) -> bytes:
        return pack(self.to_map())

    @classmethod
    def from_body(cls, data: bytes) -> Self:
        return cls.from_map(unpack_map(data))
