"""The state machine: one function per command, called with committed log entries in their order.

The same entries give the same state, results and effects on every server: nothing here looks at clocks, randomness,
configuration, or the order of a set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pyconsul.errors import ApplyError, PyconsulError
from pyconsul.fsm import commands
from pyconsul.fsm.commands import AnyCommand
from pyconsul.fsm.snapshot import read_snapshot, write_snapshot
from pyconsul.invariant import invariant
from pyconsul.records.catalog import Coordinate
from pyconsul.state.effects import Effect
from pyconsul.state.store import Contents, Store

Handler = Callable[[int, Any], object]


class StateMachine:
    """Applies commands to a store; the only writer of it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._watches = store.watches
        self._handlers: dict[type, Handler] = {
            commands.KVSet: self._kv_set,
            commands.KVCas: self._kv_cas,
            commands.KVLock: self._kv_lock,
            commands.KVUnlock: self._kv_unlock,
            commands.KVDelete: self._kv_delete,
            commands.KVDeleteCas: self._kv_delete_cas,
            commands.KVDeleteTree: self._kv_delete_tree,
            commands.SessionCreate: self._session_create,
            commands.SessionDestroy: self._session_destroy,
            commands.Register: self._register,
            commands.Deregister: self._deregister,
            commands.Txn: self._txn,
            commands.TombstoneReap: self._tombstone_reap,
            commands.AutopilotConfigSet: self._autopilot_config_set,
            commands.CoordinateBatch: self._coordinate_batch,
        }

    @property
    def applied_index(self) -> int:
        """Of the last entry that is in the store."""
        return self.store.applied_index

    def apply(self, index: int, command: AnyCommand) -> object:
        """The command's result (see its docstring), or an ApplyError instance when it is refused.

        Wakes the watches that the entry concerns, before it returns. Raises PyconsulError for what is no command.
        """
        handler = self._handlers.get(type(command))
        if handler is None:
            raise PyconsulError(f"the log has a command that this version does not know: {type(command).__name__}")
        store = self.store
        if index <= store.applied_index:
            invariant(False, "an entry is applied twice", index=index, applied=store.applied_index)
        store.applied_index = index
        result: object
        try:
            result = handler(index, command)
        except ApplyError as error:
            result = error
        if self._watches.pending:
            self._watches.fire()
        return result

    def apply_bytes(self, index: int, data: bytes) -> object:
        """``apply`` of an entry's data. Raises DecodeError (a PyconsulError) when it cannot be read."""
        return self.apply(index, commands.decode(data))

    def skip(self, index: int) -> None:
        """An entry without a command (a new leader's, a configuration) counts as applied."""
        invariant(index > self.store.applied_index, "an entry is applied twice", index=index)
        self.store.applied_index = index

    def drain_effects(self) -> list[Effect]:
        """What the server has to know of the entries applied since the last call, in their order."""
        effects = self.store.effects
        if not effects:
            return []
        drained = effects[:]
        effects.clear()
        return drained

    # Snapshots

    def snapshot(self) -> Iterator[bytes]:
        """Chunks of at most 64 KiB with the state as it is now, whatever is applied while they are fetched.

        Neither the call nor a step takes more than some milliseconds. The steps are to be made in the thread that
        applies commands (encoding shares tables with it); the chunks may go anywhere.
        """
        return write_snapshot(self.store.freeze())

    def restore(self, chunks: Iterable[bytes]) -> None:
        """Replaces the store's contents and wakes all watches. Raises DecodeError, and then has changed nothing."""
        self.adopt(read_snapshot(chunks))

    def adopt(self, contents: Contents) -> None:
        """The second half of ``restore``, for callers that read the snapshot in another thread."""
        self.store.replace(contents)

    def dismantle(self) -> Iterator[None]:
        """Takes the state apart in steps of a few milliseconds: freeing a million entries at once takes long, and left
        to the garbage collector they stay for long. Nobody may use the state machine, or read its store, any more."""
        self._handlers.clear()
        return self.store.kv.dismantle()

    # Keys

    def _kv_set(self, index: int, command: commands.KVSet) -> object:
        self.store.kv.set(index, command.key, command.value, command.flags)
        return True

    def _kv_cas(self, index: int, command: commands.KVCas) -> object:
        entry = self.store.kv.set_cas(index, command.key, command.value, command.flags, command.index)
        return entry is not None

    def _kv_lock(self, index: int, command: commands.KVLock) -> object:
        entry = self.store.locks.acquire(index, command.key, command.value, command.flags, command.session)
        return entry is not None

    def _kv_unlock(self, index: int, command: commands.KVUnlock) -> object:
        entry = self.store.locks.release(index, command.key, command.value, command.flags, command.session)
        return entry is not None

    def _kv_delete(self, index: int, command: commands.KVDelete) -> object:
        self.store.kv.delete(index, command.key)
        return True

    def _kv_delete_cas(self, index: int, command: commands.KVDeleteCas) -> object:
        return self.store.kv.delete_cas(index, command.key, command.index)

    def _kv_delete_tree(self, index: int, command: commands.KVDeleteTree) -> object:
        self.store.kv.delete_tree(index, command.prefix)
        return True

    # Sessions

    def _session_create(self, index: int, command: commands.SessionCreate) -> object:
        return self.store.registration.create_session(index, command.session).id

    def _session_destroy(self, index: int, command: commands.SessionDestroy) -> object:
        session = self.store.sessions.get(command.id)
        if session is not None:
            self.store.sessions.end(index, session)
        return True

    # Catalog

    def _register(self, index: int, command: commands.Register) -> object:
        register = self.store.registration.register
        self.store.atomically(
            lambda: register(index, command.node, command.service, command.checks, command.skip_node_update)
        )
        return True

    def _deregister(self, index: int, command: commands.Deregister) -> object:
        self.store.registration.deregister(index, command.node, command.service_id, command.check_id)
        return True

    def _coordinate_batch(self, index: int, command: commands.CoordinateBatch) -> object:
        self.store.registration.put_coordinates(index, [Coordinate(*update) for update in command.updates])
        return True

    # The rest

    def _txn(self, index: int, command: commands.Txn) -> object:
        return self.store.txn(index, command.ops)

    def _tombstone_reap(self, _: int, command: commands.TombstoneReap) -> object:
        self.store.kv.tombstones.reap(command.index)
        return True

    def _autopilot_config_set(self, index: int, command: commands.AutopilotConfigSet) -> object:
        return self.store.set_autopilot_config(index, command.config, command.cas_index)
