"""What a transaction answers."""

from __future__ import annotations

from typing import Union

import msgspec

from pyconsul.records.catalog import Check, Node, Service
from pyconsul.records.kv import KVEntry


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
