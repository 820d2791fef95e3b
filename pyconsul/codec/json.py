"""JSON as Consul writes and reads it.

Written: compact UTF-8 in which ``<``, ``>``, ``&``, U+2028 and U+2029 are escaped, so that a browser never takes an
answer for markup, or indented by four spaces with a final line feed. Read: the first value of a body counts, what
follows is ignored, field names match in any case, and bytes that are not UTF-8 count as U+FFFD.
"""

from __future__ import annotations

import codecs
import json as _json
import re
from binascii import b2a_base64
from collections.abc import Iterable
from typing import Any

import msgspec

from pyconsul.errors import DecodeError
from pyconsul.records.kv import KVEntry

DEPTH_MAX = 200
"""Deeper nesting is refused before it can exhaust the stack."""

_MARKUP = (
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    (b"&", b"\\u0026"),
    (b"\xe2\x80\xa8", b"\\u2028"),
    (b"\xe2\x80\xa9", b"\\u2029"),
)
_is_plain = re.compile(rb"[ -!#-%\'-;=?-\[\]-\x7f]*").fullmatch
_encode = msgspec.json.Encoder().encode


def encode(value: object) -> bytes:
    """Compact JSON of dicts, lists, texts, numbers, None; fields in the order of the dict."""
    data = _encode(value)
    if b"<" in data or b">" in data or b"&" in data or b"\xe2\x80" in data:
        for letter, escaped in _MARKUP:
            data = data.replace(letter, escaped)
    return data


def pretty(data: bytes) -> bytes:
    """The indented form of compact JSON."""
    return msgspec.json.format(data, indent=4) + b"\n"


def _replace_each_byte(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\ufffd", error.start + 1


GO_TEXT = "pyconsul.replace-each-byte"
"""Error handler of ``bytes.decode``: each byte that is not UTF-8 becomes one U+FFFD, as in Go."""

codecs.register_error(GO_TEXT, _replace_each_byte)


def to_text(data: bytes) -> str:
    """UTF-8 to text; each byte that does not fit becomes one U+FFFD, as in Go."""
    return data.decode("utf-8", GO_TEXT)


def encode_key(key: bytes) -> bytes:
    """The name of a key as a JSON string, quotes included."""
    if _is_plain(key):
        return b'"%b"' % key
    return encode(to_text(key))


def encode_entry(entry: KVEntry, value_shown: bool = True) -> bytes:
    """A KV entry: HTTP reference, "Entry". An empty value, and one that is not to be shown, is null."""
    if entry.value and value_shown and not entry.session and _is_plain(entry.key):
        # Nearly every entry; the general form below gives the same bytes for it in twice the time.
        return b'{"LockIndex":%d,"Key":"%b","Flags":%d,"Value":"%b","CreateIndex":%d,"ModifyIndex":%d}' % (
            entry.lock_index,
            entry.key,
            entry.flags,
            b2a_base64(entry.value, newline=False),
            entry.create_index,
            entry.modify_index,
        )
    if value_shown and entry.value:
        value = b'"%b"' % b2a_base64(entry.value, newline=False)
    else:
        value = b"null"
    session = b',"Session":%b' % encode(entry.session) if entry.session else b""
    return b'{"LockIndex":%d,"Key":%b,"Flags":%d,"Value":%b%b,"CreateIndex":%d,"ModifyIndex":%d}' % (
        entry.lock_index,
        encode_key(entry.key),
        entry.flags,
        value,
        session,
        entry.create_index,
        entry.modify_index,
    )


class _Shown(msgspec.Struct, gc=False, omit_defaults=False):
    """A KV entry as JSON; its fields are those of ``encode_entry``, in their order."""

    LockIndex: int
    Key: str
    Flags: int
    Value: bytes | None
    Session: str | msgspec.UnsetType
    CreateIndex: int
    ModifyIndex: int


def encode_entries(entries: Iterable[KVEntry]) -> bytes:
    """A list of KV entries, the same bytes as ``encode_entry`` of each, in half the time when they are many."""
    unset = msgspec.UNSET
    return encode(
        [
            _Shown(
                entry.lock_index,
                entry.key.decode("utf-8", GO_TEXT),
                entry.flags,
                entry.value or None,
                entry.session or unset,
                entry.create_index,
                entry.modify_index,
            )
            for entry in entries
        ]
    )


def encode_keys(names: Iterable[bytes]) -> bytes:
    """A list of names of keys."""
    return encode(list(map(to_text, names)))


class _Refused(ValueError):
    """A number that JSON does not have."""


def _no_constant(name: str) -> Any:
    raise _Refused(name)


def _last_counts(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of equal names the last counts, and it is also the last in order (names in other cases follow the same rule)."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        found.pop(name, None)
        found[name] = value
    return found


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise _Refused(f"the number {text[:40]} is out of range")
    return value


_decoder = _json.JSONDecoder(object_pairs_hook=_last_counts, parse_constant=_no_constant, parse_float=_finite)
_not_space = re.compile(r"[^ \t\n\r]").search
_surrogates = re.compile("[\ud800-\udfff]")


def decode(data: bytes) -> Any:
    """The first JSON value in the data.

    Raises DecodeError: ``EOF`` when there is nothing, ``unexpected EOF`` when it is cut off, else a text that names the
    first wrong letter.
    """
    text = to_text(data)
    begin = _not_space(text)
    if begin is None:
        raise DecodeError("EOF")
    if _nested_too_deep(text):
        raise DecodeError("exceeded max depth")
    try:
        value, _ = _decoder.raw_decode(text, begin.start())
    except _json.JSONDecodeError as error:
        raise DecodeError(_explain(text, error)) from error
    except (RecursionError, ValueError) as error:  # a number with more digits than Python converts
        raise DecodeError(f"invalid JSON: {error}") from error
    if "\\u" in text:
        value = _without_surrogates(value)
    return value


def _nested_too_deep(text: str) -> bool:
    """Whether it may be nested too deep; brackets inside of strings are only looked at when there are many."""
    if text.count("[") + text.count("{") <= DEPTH_MAX:
        return False
    depth, inside, escaped = 0, False, False
    for letter in text:
        if inside:
            if escaped:
                escaped = False
            elif letter == "\\":
                escaped = True
            elif letter == '"':
                inside = False
        elif letter == '"':
            inside = True
        elif letter in "[{":
            depth += 1
            if depth > DEPTH_MAX:
                return True
        elif letter in "]}":
            depth -= 1
    return False


def _explain(text: str, error: _json.JSONDecodeError) -> str:
    cut_off = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string")
    if cut_off:
        return "unexpected EOF"
    letter = text[error.pos]
    shown = "'\\''" if letter == "'" else f"'{letter}'"
    return f"invalid character {shown} looking for beginning of value"


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return _surrogates.sub("\ufffd", value)
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(name): _without_surrogates(item) for name, item in value.items()}
    return value
