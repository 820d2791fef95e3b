"""Consul-shaped JSON: what is written and what is understood."""

from __future__ import annotations

import contextlib
import json as standard
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyconsul.codec import json
from pyconsul.codec.base64 import decode_base64
from pyconsul.codec.numbers import parse_bool, parse_uint
from pyconsul.codec.user_event import UserEvent, decode_user_event, encode_user_event
from pyconsul.errors import DecodeError
from pyconsul.records.kv import KVEntry


def test_markup_is_escaped() -> None:
    assert json.encode({"<a>": "&\u2028\u2029ü"}) == '{"\\u003ca\\u003e":"\\u0026\\u2028\\u2029ü"}'.encode()


def test_pretty() -> None:
    assert json.pretty(b'{"a":[],"b":[1]}') == b'{\n    "a": [],\n    "b": [\n        1\n    ]\n}\n'


@given(st.binary(), st.binary(), st.integers(0, 2**64 - 1), st.text(max_size=5))
def test_entries_are_json_without_markup(key: bytes, value: bytes, flags: int, session: str) -> None:
    data = json.encode_entry(KVEntry(key, value, flags, 1, 2, 3, session))
    assert not any(letter in data for letter in b"<>&")
    fields = standard.loads(data)
    assert fields.pop("Session", "") == session
    assert fields == {
        "LockIndex": 3,
        "Key": json.to_text(key),
        "Flags": flags,
        "Value": b64encode(value).decode() if value else None,
        "CreateIndex": 1,
        "ModifyIndex": 2,
    }


def test_every_wrong_byte_is_one_replacement() -> None:
    assert json.to_text(b"a\xff\xfe\xe2\x82b") == "a\ufffd\ufffd\ufffd\ufffdb"


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b' {"a":1} rest', {"a": 1}),
        (b"null", None),
        (b'{"a":1,"b":2,"a":3}', {"b": 2, "a": 3}),
        (b'"\\ud800x"', "\ufffdx"),
        (b'["\xff"]', ["\ufffd"]),
        (b"18446744073709551615", 2**64 - 1),
    ],
)
def test_the_first_value_counts(data: bytes, value: object) -> None:
    assert json.decode(data) == value


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "EOF"),
        (b" \n", "EOF"),
        (b"[", "unexpected EOF"),
        (b'{"a', "unexpected EOF"),
        (b'{"a":', "unexpected EOF"),
        (b"xx", "invalid character 'x' looking for beginning of value"),
        (b"NaN", None),
        (b"-Infinity", None),
        (b"1e400", None),
        (b"[" * 1000, "exceeded max depth"),
        (b"1" * 10_000, None),
        (b'"\x00"', None),
    ],
)
def test_what_is_no_json(data: bytes, why: str | None) -> None:
    with pytest.raises(DecodeError) as error:
        json.decode(data)
    assert why is None or str(error.value) == why


@given(st.binary())
def test_any_bytes_are_json_or_an_error(data: bytes) -> None:
    with contextlib.suppress(DecodeError):
        json.encode(json.decode(data))


@given(st.binary())
def test_base64(data: bytes) -> None:
    text = b64encode(data).decode()
    assert decode_base64(text) == data
    assert decode_base64("\n".join(text)) == data


@pytest.mark.parametrize("text", ["a", "!!", "YQ", "YQ=", "YQ==x", "Y Q==", "ü", "Y=Q="])
def test_what_is_no_base64(text: str) -> None:
    with pytest.raises(DecodeError):
        decode_base64(text)


def test_numbers_and_truth() -> None:
    assert parse_uint("007") == 7
    assert parse_bool("T") and not parse_bool("FALSE")
    for text in ("", "+1", "1_0", "١", "18446744073709551616", "0x1"):
        with pytest.raises(DecodeError):
            parse_uint(text)
    with pytest.raises(DecodeError):
        parse_bool("yes")


def test_user_events() -> None:
    event = UserEvent("1c2c6b7e-0000-4000-8000-000000000001", "deploy", b"\x00", "n", "s", "t", 1, 7)
    assert decode_user_event(encode_user_event(event), 7) == event
    bare = encode_user_event(UserEvent("1", "x"))
    assert b"nf" not in bare and b"\xa1p" not in bare
    with pytest.raises(DecodeError):
        decode_user_event(b"\x91", 1)


ENTRIES = st.lists(
    st.builds(
        KVEntry,
        st.one_of(st.binary(max_size=20), st.text(max_size=20).map(str.encode)),
        st.binary(max_size=30),
        st.integers(0, 2**64 - 1),
        st.integers(0, 2**63),
        st.integers(0, 2**63),
        st.integers(0, 2**63),
        st.text("abcdef-<>&", max_size=8),
    ),
    max_size=6,
)


@given(ENTRIES)
def test_a_list_of_entries_is_the_entries_one_by_one(entries: list[KVEntry]) -> None:
    assert json.encode_entries(entries) == b"[%b]" % b",".join(map(json.encode_entry, entries))
    names = [entry.key for entry in entries]
    assert json.encode_keys(names) == b"[%b]" % b",".join(map(json.encode_key, names))
