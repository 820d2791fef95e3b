"""The operations of a transaction, and what it answers."""

from __future__ import annotations

from typing import Union

import msgspec

from pyconsul.records.catalog import Check, Node, Service
from pyconsul.records.kv import KVEntry


class KVOp(msgspec.Struct, array_like=True, frozen=True, gc=False, tag=1):
    """A KV operation of a transaction; ``verb`` as in the HTTP reference (set, cas, lock, …, or an unknown one)."""

    verb: str
    key: bytes
    value: bytes = b""
    flags: int = 0
    index: int = 0
    session: str = ""


class NodeOp(msgspec.Struct, array_like=True, frozen=True, tag=2):
    """A node operation of a transaction; ``node.modify_index`` is the index to compare with."""

    verb: str
    node: Node


class ServiceOp(msgspec.Struct, array_like=True, frozen=True, tag=3):
    """A service operation of a transaction; ``service.modify_index`` is the index to compare with."""

    verb: str
    service: Service


class CheckOp(msgspec.Struct, array_like=True, frozen=True, tag=4):
    """A check operation of a transaction; ``check.modify_index`` is the index to compare with."""

    verb: str
    check: Check


TxnOp = Union[KVOp, NodeOp, ServiceOp, CheckOp]  # noqa: UP007


class KVResult(msgspec.Struct, array_like=True, tag=1):
    """``with_value``: whether the answer shows the value (get, get-tree) or null."""

    entry: KVEntry
    with_value: bool


class NodeResult(msgspec.Struct, array_like=True, tag=2):
    node: Node


class ServiceResult(msgspec.Struct, array_like=True, tag=3):
    service: Service


class CheckResult(msgspec.Struct, array_like=True, tag=4):
    check: Check


OpResult = Union[KVResult, NodeResult, ServiceResult, CheckResult]  # noqa: UP007


class OpError(msgspec.Struct, array_like=True):
    """``op_index`` counts from 0; ``what`` is Consul's text."""

    op_index: int
    what: str


class TxnResult(msgspec.Struct, array_like=True):
    """Either ``errors`` is empty and ``results`` count, or nothing was changed."""

    results: list[OpResult]
    errors: list[OpError]
