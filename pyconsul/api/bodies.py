"""JSON bodies of requests: fields by name in any case of letters, each with the type it must have.

All functions raise DecodeError with texts like those of Go's decoder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pyconsul.api.limits import HttpSettings
from pyconsul.api.request import Request
from pyconsul.codec.base64 import decode_base64
from pyconsul.codec.duration import parse_duration
from pyconsul.codec.numbers import UINT64_MAX
from pyconsul.errors import CallerError, DecodeError

Convert = Callable[[Any], Any]
Spec = Mapping[str, tuple[str, Convert]]
"""Name in lower case -> (name in the result, conversion)."""


class nullable:
    """A conversion that keeps null (others leave the default in its place)."""

    def __init__(self, convert: Convert) -> None:
        self._convert = convert

    def __call__(self, value: Any) -> Any:
        return None if value is None else self._convert(value)


def read_body(request: Request, settings: HttpSettings) -> bytes:
    """The body of an endpoint without a limit of its own. Raises CallerError (413)."""
    limit = settings.other_body_max
    if request.body is None or len(request.body) > limit:
        size = f"({request.announced} bytes)" if request.announced is not None else ""
        raise CallerError(f"Request body{size} too large, max size: {limit} bytes.", 413)
    return request.body


def object_fields(value: Any, spec: Spec, strict: bool = True) -> dict[str, Any]:
    """The fields that were given, converted; null is an object without fields. ``strict``: unknown ones are errors."""
    found: dict[str, Any] = {}
    for name, item in an_object(value).items():
        entry = spec.get(name.lower())
        if entry is None:
            if strict:
                raise DecodeError(f'json: unknown field "{name}"')
            continue
        target, convert = entry
        if item is not None or isinstance(convert, nullable):
            found.pop(target, None)
            found[target] = convert(item)
    return found


def an_object(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _wrong_type(value, "object")
    return value


def a_list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise _wrong_type(value, "list")
    return value


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong_type(value, "string")
    return value


def boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _wrong_type(value, "bool")
    return value


def integer(value: Any) -> int:
    """A whole number of 64 bits with sign."""
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise _wrong_type(value, "int")
    return value


def unsigned(value: Any) -> int:
    """A whole number of 64 bits without sign."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= UINT64_MAX:
        raise _wrong_type(value, "uint64")
    return value


def number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _wrong_type(value, "float64")
    return float(value)


def text_list(value: Any) -> list[str]:
    """Null items count as empty texts."""
    return ["" if item is None else text(item) for item in a_list(value)]


def text_map(value: Any) -> dict[str, str]:
    return {name: "" if item is None else text(item) for name, item in an_object(value).items()}


def any_object(value: Any) -> dict[str, Any]:
    return an_object(value)


def byte_string(value: Any) -> bytes:
    """Base64."""
    return decode_base64(text(value))


def duration(value: Any) -> int:
    """Nanoseconds: a text in Go's notation or a number."""
    if isinstance(value, str):
        return parse_duration(value) if value else 0
    return integer(value)


def ignored(value: Any) -> Any:
    return value


def _wrong_type(value: Any, wanted: str) -> DecodeError:
    kinds = {dict: "object", list: "array", str: "string", bool: "bool", type(None): "null"}
    return DecodeError(f"json: cannot unmarshal {kinds.get(type(value), 'number')} into Go value of type {wanted}")
