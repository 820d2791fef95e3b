"""The whole replicated state in memory: all tables behind one object.

Everything is used from one thread. Readers may keep the records they got; they never change in place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from pyconsul.errors import ApplyError
from pyconsul.records.autopilot import AutopilotConfig
from pyconsul.records.catalog import Check, Coordinate, Node, Service
from pyconsul.records.session import Session
from pyconsul.records.txn import TxnOp, TxnResult
from pyconsul.state import txn
from pyconsul.state.catalog import Catalog
from pyconsul.state.effects import Effect
from pyconsul.state.journal import Journal
from pyconsul.state.kv import KVData, KVTable, KVView
from pyconsul.state.locks import Locks
from pyconsul.state.registration import Registration
from pyconsul.state.sessions import SessionTable
from pyconsul.state.table import Marks
from pyconsul.state.tombstones import TombstoneView
from pyconsul.state.watch import Watches

T = TypeVar("T")


class Contents(msgspec.Struct):
    """Everything a snapshot holds. ``kv_index`` is 0 if no key was ever written.

    Each table is in the order of its keys, tombstones newest first.
    """

    index: int
    kv: KVData | KVView
    kv_index: int
    tombstones: TombstoneView | list[tuple[bytes, int]]
    sessions: list[Session]
    nodes: list[Node]
    services: list[Service]
    checks: list[Check]
    coordinates: list[Coordinate]
    marks: list[tuple[str, int]]
    autopilot: AutopilotConfig | None


class Store:
    """``kv``, ``sessions``, ``catalog``: the tables, to be read. ``watches``: where blocked readers register.

    ``registration``, ``locks`` and the tables' writing methods are for the state machine only. ``effects``
    collects what the server has to know of. ``applied_index`` is that of the last log entry in it.
    """

    def __init__(self) -> None:
        self.journal = Journal()
        self.effects: list[Effect] = []
        self.watches = Watches()
        self.marks = Marks(self.journal)
        self.kv = KVTable(self.journal, self.watches, self.effects)
        self.sessions = SessionTable(self.journal, self.watches, self.marks, self.effects, self.kv)
        self.catalog = Catalog(self.journal, self.watches, self.marks)
        self.locks = Locks(self.kv, self.sessions)
        self.registration = Registration(self.catalog, self.sessions)
        self.applied_index = 0
        self._txn = txn.Runner(self.kv, self.locks, self.catalog, self.registration)
        self._autopilot: AutopilotConfig | None = None

    def autopilot_config(self) -> AutopilotConfig | None:
        """None: never set; the defaults hold."""
        return self._autopilot

    def set_autopilot_config(self, index: int, config: dict[str, bool | int | str], cas_index: int) -> bool:
        """False: ``cas_index`` is stale (-1: any fits; 0: only if there is none yet)."""
        old = self._autopilot
        if cas_index >= 0 and (0 if old is None else old.modify_index) != cas_index:
            return False
        self._autopilot = AutopilotConfig(config, index if old is None else old.create_index, index)
        self.watches.touch("table", "autopilot")
        return True

    def atomically(self, change: Callable[[], T]) -> T:
        """Runs a change; when it raises ApplyError nothing of it remains."""
        journal, effects = self.journal, len(self.effects)
        journal.begin()
        try:
            result = change()
        except ApplyError:
            journal.rollback()
            self.watches.discard()
            del self.effects[effects:]
            raise
        journal.commit()
        return result

    def txn(self, index: int, ops: Sequence[TxnOp]) -> TxnResult:
        """All operations, or none if any fails."""
        errors = txn.precheck(ops)
        if errors:
            return TxnResult([], errors)
        try:
            return self.atomically(lambda: self._run(index, ops))
        except _Refused as refused:
            return refused.result

    def _run(self, index: int, ops: Sequence[TxnOp]) -> TxnResult:
        results, errors = self._txn.run(index, ops)
        if errors:
            raise _Refused(TxnResult([], errors))
        return TxnResult(results, [])

    def txn_read(self, ops: Sequence[TxnOp]) -> TxnResult:
        """Evaluates a transaction for which ``txn.is_read`` holds; changes nothing."""
        errors = txn.precheck(ops)
        if not errors:
            results, errors = self._txn.run(0, ops)
        return TxnResult([], errors) if errors else TxnResult(results, [])

    def freeze(self) -> Contents:
        """Everything as it is at ``applied_index``, whatever is applied afterwards (see KVView)."""
        return Contents(
            index=self.applied_index,
            kv=self.kv.freeze(self.applied_index),
            kv_index=self.kv.stored_index,
            tombstones=self.kv.tombstones.freeze(),
            sessions=self.sessions.list(),
            nodes=self.catalog.nodes(),
            services=self.catalog.services(),
            checks=self.catalog.checks(),
            coordinates=self.catalog.coordinates(),
            marks=self.marks.items(),
            autopilot=self._autopilot,
        )

    def replace(self, contents: Contents) -> None:
        """Takes over ``contents`` (which must not be used afterwards) and wakes all watches. Effects are dropped."""
        kv = contents.kv if isinstance(contents.kv, KVData) else KVData(contents.kv)
        self.kv.load(kv, contents.kv_index, contents.tombstones)
        self.sessions.load(contents.sessions)
        self.catalog.node_table.load(contents.nodes)
        self.catalog.service_table.load(contents.services)
        self.catalog.check_table.load(contents.checks)
        self.catalog.coordinate_table.load(contents.coordinates)
        self.marks.load(contents.marks)
        self._autopilot = contents.autopilot
        self.applied_index = contents.index
        self.effects.clear()
        self.watches.fire_all()


class _Refused(ApplyError):
    """Carries a transaction's errors out of the atomic part."""

    def __init__(self, result: TxnResult) -> None:
        super().__init__("transaction refused")
        self.result = result
