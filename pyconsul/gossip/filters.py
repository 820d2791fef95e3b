"""Whom a query is for: lists of names, and patterns for values of tags."""

from __future__ import annotations

from collections.abc import Sequence

from pyconsul.codec.pattern import Pattern
from pyconsul.errors import DecodeError
from pyconsul.gossip.dialect import pack, unpack_map, unpack_prefix
from pyconsul.gossip.fields import load_list, load_text

NODE_FILTER = 0
TAG_FILTER = 1


def node_filter(names: Sequence[str]) -> bytes:
    return bytes((NODE_FILTER,)) + pack(list(names))


def tag_filter(tag: str, expression: str) -> bytes:
    """Raises DecodeError when the expression is not understood."""
    Pattern(expression)
    return bytes((TAG_FILTER,)) + pack({"Expr": expression, "Tag": tag})


def matches(filters: Sequence[bytes], name: str, tags: dict[str, str]) -> bool:
    """Whether all filters let a member with this name and these tags pass. Raises DecodeError."""
    return all(_matches(item, name, tags) for item in filters)


def _matches(item: bytes, name: str, tags: dict[str, str]) -> bool:
    if not item:
        raise DecodeError("empty query filter")
    if item[0] == NODE_FILTER:
        value, _ = unpack_prefix(item[1:])
        return name in {load_text(entry) for entry in load_list(value)}
    if item[0] == TAG_FILTER:
        body = unpack_map(item[1:])
        pattern = Pattern(load_text(body.get(b"Expr")))
        return pattern.search(tags.get(load_text(body.get(b"Tag")), ""))
    raise DecodeError(f"unknown query filter {item[0]}")
