"""Transactions: the verbs, their results and their texts.

``precheck`` is asked before anything runs (by the leader too, which alone knows the lock-delays); ``Runner.run``
carries out or evaluates all operations, each as if those before it had not failed. Making the whole atomic is the
caller's part. Rules: docs/reference/http-api.md, "Transactions".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic

from pyconsul.codec.quote import quote
from pyconsul.errors import ApplyError
from pyconsul.invariant import invariant
from pyconsul.records.catalog import Check, Node, Service
from pyconsul.records.kv import KVEntry
from pyconsul.records.txn import (
    CheckOp,
    CheckResult,
    KVOp,
    KVResult,
    NodeOp,
    NodeResult,
    OpError,
    OpResult,
    ServiceOp,
    ServiceResult,
    TxnOp,
)
from pyconsul.state.catalog import Catalog, Row
from pyconsul.state.kv import KVTable
from pyconsul.state.locks import Locks
from pyconsul.state.registration import Registration

KV_READS = frozenset({"get", "get-tree", "check-index", "check-session", "check-not-exists"})
KV_WRITES = frozenset({"set", "cas", "lock", "unlock", "delete", "delete-tree", "delete-cas"})
_WILDCARDS = frozenset({"0.0.0.0", "::", "[::]"})
_NODE_ID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")


def is_read(ops: Sequence[TxnOp]) -> bool:
    """Whether a transaction changes nothing by its verbs alone: it need not go through the log."""
    return all(op.verb not in KV_WRITES if isinstance(op, KVOp) else op.verb == "get" for op in ops)


def precheck(ops: Sequence[TxnOp], lock_delayed: Callable[[bytes], bool] = lambda key: False) -> list[OpError]:
    """What is wrong with operations before any runs. ``lock_delayed`` tells which keys nobody may lock now."""
    errors = []
    for at, op in enumerate(ops):
        what = _precheck(op, lock_delayed)
        if what:
            errors.append(OpError(at, what))
    return errors


def _precheck(op: TxnOp, lock_delayed: Callable[[bytes], bool]) -> str:
    if isinstance(op, KVOp):
        if not op.key and op.verb != "delete-tree":
            return "Must provide key"
        if op.verb == "lock" and lock_delayed(op.key):
            return f"failed to lock key {quote(op.key)} due to lock delay"
        return ""
    if op.verb == "get":
        return ""
    if isinstance(op, NodeOp):
        return node_error(op.node)
    if isinstance(op, ServiceOp):
        return service_error(op.service)
    return ""


def node_error(node: Node) -> str:
    """Consul's text for a node that cannot be written or deleted; "": fine."""
    if not node.node:
        return "Must provide node"
    if node.id and len(node.id.encode("utf-8", "surrogatepass")) != 36:
        return "Bad node ID: uuid string is wrong length"
    if node.id and not _NODE_ID.fullmatch(node.id):
        return "Bad node ID: uuid is improperly formatted"
    return ""


def service_error(service: Service) -> str:
    """Consul's text for a service that cannot be written or deleted; "": fine."""
    if service.id and not service.service:
        return "Must provide service name with ID"
    if service.address in _WILDCARDS:
        return "Invalid service address"
    return ""


class Runner:
    """Carries out operations on the tables of one store. ``index`` is that of the log entry (0: reads only)."""

    def __init__(self, kv: KVTable, locks: Locks, catalog: Catalog, registration: Registration) -> None:
        self._kv = kv
        self._locks = locks
        self._catalog = catalog
        self._registration = registration

    def run(self, index: int, ops: Sequence[TxnOp]) -> tuple[list[OpResult], list[OpError]]:
        """All results and all errors, in the order of the operations."""
        results: list[OpResult] = []
        errors: list[OpError] = []
        for at, op in enumerate(ops):
            try:
                if isinstance(op, KVOp):
                    self._kv_op(index, op, results)
                else:
                    result = self._catalog_op(index, op)
                    if result is not None:
                        results.append(result)
            except ApplyError as error:
                errors.append(OpError(at, str(error)))
        return results, errors

    # Keys

    def _kv_op(self, index: int, op: KVOp, results: list[OpResult]) -> None:
        if op.verb in KV_READS:
            self._kv_read(op, results)
        elif op.verb in KV_WRITES:
            invariant(index > 0, "a write in a transaction that only reads", verb=op.verb)
            entry = self._kv_write(index, op)
            if entry is not None:
                results.append(KVResult(entry, False))
        else:
            raise ApplyError(f"unknown KV verb {quote(op.verb)}")

    def _kv_read(self, op: KVOp, results: list[OpResult]) -> None:
        if op.verb == "get-tree":
            results.extend(KVResult(entry, True) for entry in self._kv.list(op.key))
            return
        entry = self._kv.get(op.key)
        name = quote(op.key)
        if op.verb == "check-not-exists":
            if entry is not None:
                raise ApplyError(f"key {name} exists")
        elif op.verb == "get":
            if entry is None:
                raise ApplyError(f"key {name} doesn't exist")
            results.append(KVResult(entry, True))
        elif op.verb == "check-index":
            if entry is None:
                raise ApplyError(f"failed to check index, key {name} doesn't exist")
            if entry.modify_index != op.index:
                raise ApplyError(
                    f"failed index check for key {name}, current modify index {entry.modify_index} != {op.index}"
                )
            results.append(KVResult(entry, False))
        else:
            if entry is None:
                raise ApplyError(f"failed to check session, key {name} doesn't exist")
            if entry.session != op.session:
                raise ApplyError(
                    f"failed session check for key {name}, "
                    f"current session {quote(entry.session)} != {quote(op.session)}"
                )
            results.append(KVResult(entry, False))

    def _kv_write(self, index: int, op: KVOp) -> KVEntry | None:
        kv, key = self._kv, op.key
        entry: KVEntry | None = None
        if op.verb == "set":
            entry = kv.set(index, key, op.value, op.flags)
        elif op.verb == "cas":
            entry = kv.set_cas(index, key, op.value, op.flags, op.index)
            if entry is None:
                raise ApplyError(f"failed to set key {quote(key)}, index is stale")
        elif op.verb == "lock":
            entry = self._locks.acquire(index, key, op.value, op.flags, op.session)
            if entry is None:
                raise ApplyError(f"failed to lock key {quote(key)}, lock is already held")
        elif op.verb == "unlock":
            entry = self._locks.release(index, key, op.value, op.flags, op.session)
            if entry is None:
                raise ApplyError(f"failed to unlock key {quote(key)}, lock isn't held, or is held by another session")
        elif op.verb == "delete":
            kv.delete(index, key)
        elif op.verb == "delete-tree":
            kv.delete_tree(index, key)
        elif not kv.delete_cas(index, key, op.index):
            raise ApplyError(f"failed to delete key {quote(key)}, index is stale")
        return entry

    # Catalog

    def _catalog_op(self, index: int, op: NodeOp | ServiceOp | CheckOp) -> OpResult | None:
        if isinstance(op, NodeOp):
            return self._node_op(index, op)
        if isinstance(op, ServiceOp):
            return self._service_op(index, op)
        return self._check_op(index, op)

    def _node_op(self, index: int, op: NodeOp) -> NodeResult | None:
        node = op.node

        def shown() -> Node | None:
            return self._catalog.node_by_id(node.id) if node.id else self._catalog.node(node.node)

        target = Target(
            "Node",
            f"node {quote(node.node)}",
            node,
            shown,
            lambda: self._catalog.node(node.node),
            lambda: self._registration.put_node(index, node),
            lambda: self._registration.delete_node(index, node.node),
        )
        found = carry_out(op.verb, target)
        return None if found is None else NodeResult(found)

    def _service_op(self, index: int, op: ServiceOp) -> ServiceResult | None:
        service = op.service

        def now() -> Service | None:
            return self._catalog.service(service.node, service.id)

        target = Target(
            "Service",
            f"service {quote(service.id)} on node {quote(service.node)}",
            service,
            now,
            now,
            lambda: self._registration.put_service(index, service),
            lambda: self._registration.delete_service(index, service.node, service.id),
        )
        found = carry_out(op.verb, target)
        return None if found is None else ServiceResult(found)

    def _check_op(self, index: int, op: CheckOp) -> CheckResult | None:
        check = op.check

        def now() -> Check | None:
            return self._catalog.check(check.node, check.check_id)

        target = Target(
            "Check",
            f"check {quote(check.check_id)} on node {quote(check.node)}",
            check,
            now,
            now,
            lambda: self._registration.put_check(index, check),
            lambda: self._registration.delete_check(index, check.node, check.check_id),
        )
        found = carry_out(op.verb, target)
        return None if found is None else CheckResult(found)


@dataclass(frozen=True)
class Target(Generic[Row]):
    """A row of the catalog that an operation is about. ``kind`` and ``name`` are for texts."""

    kind: str
    name: str
    wanted: Row
    shown: Callable[[], Row | None]
    """What ``get`` answers with, and a write after it."""
    replaced: Callable[[], Row | None]
    """What check-and-set compares: a node is shown by its id, but written over by its name."""
    put: Callable[[], object]
    delete: Callable[[], object]


def carry_out(verb: str, target: Target[Row]) -> Row | None:
    """What is in the catalog afterwards; None: nothing, as was asked for. Raises ApplyError."""
    if verb == "get":
        found = target.shown()
        if found is None:
            raise ApplyError(f"{target.name} doesn't exist")
        return found
    now = target.replaced() if verb in ("cas", "delete-cas") else None
    if verb == "cas" and stale(now, target.wanted):
        raise ApplyError(f"failed to set {target.name}, index is stale")
    if verb == "delete-cas" and (now is None or stale(now, target.wanted)):
        raise ApplyError(f"failed to delete {target.name}, index is stale")
    if verb in ("set", "cas"):
        target.put()
        found = target.shown()
        invariant(found is not None, "what was written is not there", what=target.name)
        return found
    if verb in ("delete", "delete-cas"):
        target.delete()
        return None
    raise ApplyError(f"unknown {target.kind} verb {quote(verb)}")


def stale(now: Node | Service | Check | None, wanted: Node | Service | Check) -> bool:
    """Whether check-and-set refuses: ``wanted.modify_index`` 0 wants nothing to be there."""
    return (0 if now is None else now.modify_index) != wanted.modify_index
