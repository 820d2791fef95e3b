"""Transactions: the verbs, their results and their texts.

``precheck`` is asked before anything runs (by the leader too, which alone knows the lock-delays); ``Runner.run``
carries out or evaluates all operations, each as if those before it had not failed. Making the whole atomic is the
caller's part. Rules: docs/reference/http-api.md, "Transactions".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

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
from pyconsul.state.catalog import Catalog
from pyconsul.state.kv import KVTable
from pyconsul.state.locks import Locks
from pyconsul.state.quote import quoted
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
            return f"failed to lock key {quoted(op.key)} due to lock delay"
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
                elif isinstance(op, NodeOp):
                    self._node_op(index, op, results)
                elif isinstance(op, ServiceOp):
                    self._service_op(index, op, results)
                else:
                    self._check_op(index, op, results)
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
            raise ApplyError(f"unknown KV verb {quoted(op.verb)}")

    def _kv_read(self, op: KVOp, results: list[OpResult]) -> None:
        if op.verb == "get-tree":
            results.extend(KVResult(entry, True) for entry in self._kv.list(op.key))
            return
        entry = self._kv.get(op.key)
        name = quoted(op.key)
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
                    f"current session {quoted(entry.session)} != {quoted(op.session)}"
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
                raise ApplyError(f"failed to set key {quoted(key)}, index is stale")
        elif op.verb == "lock":
            entry = self._locks.acquire(index, key, op.value, op.flags, op.session)
            if entry is None:
                raise ApplyError(f"failed to lock key {quoted(key)}, lock is already held")
        elif op.verb == "unlock":
            entry = self._locks.release(index, key, op.value, op.flags, op.session)
            if entry is None:
                raise ApplyError(f"failed to unlock key {quoted(key)}, lock isn't held, or is held by another session")
        elif op.verb == "delete":
            kv.delete(index, key)
        elif op.verb == "delete-tree":
            kv.delete_tree(index, key)
        elif not kv.delete_cas(index, key, op.index):
            raise ApplyError(f"failed to delete key {quoted(key)}, index is stale")
        return entry

    # Catalog

    def _find_node(self, node: Node) -> Node | None:
        return self._catalog.node_by_id(node.id) if node.id else self._catalog.node(node.node)

    def _node_op(self, index: int, op: NodeOp, results: list[OpResult]) -> None:
        node, verb, name = op.node, op.verb, quoted(op.node.node)
        if verb == "get":
            found = self._find_node(node)
            if found is None:
                raise ApplyError(f"node {name} doesn't exist")
            results.append(NodeResult(found))
            return
        now = self._catalog.node(node.node)
        if verb == "cas" and stale(now, node):
            raise ApplyError(f"failed to set node {name}, index is stale")
        if verb == "delete-cas" and (now is None or now.modify_index != node.modify_index):
            raise ApplyError(f"failed to delete node {name}, index is stale")
        if verb in ("set", "cas"):
            self._registration.put_node(index, node)
            found = self._find_node(node)
            invariant(found is not None, "a node that was written is not there", node=node.node)
            results.append(NodeResult(found))  # type: ignore[arg-type]
        elif verb in ("delete", "delete-cas"):
            self._registration.delete_node(index, node.node)
        else:
            raise ApplyError(f"unknown Node verb {quoted(verb)}")

    def _service_op(self, index: int, op: ServiceOp, results: list[OpResult]) -> None:
        service, verb = op.service, op.verb
        name = f"service {quoted(service.id)} on node {quoted(service.node)}"
        now = self._catalog.service(service.node, service.id)
        if verb == "get" and now is None:
            raise ApplyError(f"{name} doesn't exist")
        if verb == "cas" and stale(now, service):
            raise ApplyError(f"failed to set {name}, index is stale")
        if verb == "delete-cas" and (now is None or now.modify_index != service.modify_index):
            raise ApplyError(f"failed to delete {name}, index is stale")
        if verb in ("set", "cas"):
            self._registration.put_service(index, service)
            now = self._catalog.service(service.node, service.id)
        elif verb in ("delete", "delete-cas"):
            self._registration.delete_service(index, service.node, service.id)
            now = None
        elif verb != "get":
            raise ApplyError(f"unknown Service verb {quoted(verb)}")
        if now is not None:
            results.append(ServiceResult(now))

    def _check_op(self, index: int, op: CheckOp, results: list[OpResult]) -> None:
        check, verb = op.check, op.verb
        name = f"check {quoted(check.check_id)} on node {quoted(check.node)}"
        now = self._catalog.check(check.node, check.check_id)
        if verb == "get" and now is None:
            raise ApplyError(f"{name} doesn't exist")
        if verb == "cas" and stale(now, check):
            raise ApplyError(f"failed to set {name}, index is stale")
        if verb == "delete-cas" and (now is None or now.modify_index != check.modify_index):
            raise ApplyError(f"failed to delete {name}, index is stale")
        if verb in ("set", "cas"):
            self._registration.put_check(index, check)
            now = self._catalog.check(check.node, check.check_id)
        elif verb in ("delete", "delete-cas"):
            self._registration.delete_check(index, check.node, check.check_id)
            now = None
        elif verb != "get":
            raise ApplyError(f"unknown Check verb {quoted(verb)}")
        if now is not None:
            results.append(CheckResult(now))


def stale(now: Node | Service | Check | None, wanted: Node | Service | Check) -> bool:
    """Whether check-and-set refuses: ``wanted.modify_index`` 0 wants nothing to be there."""
    return (0 if now is None else now.modify_index) != wanted.modify_index
