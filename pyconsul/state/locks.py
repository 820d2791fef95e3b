"""Acquire and release by the id of a session, with Consul's texts for ids that are none."""

from __future__ import annotations

from pyconsul.codec.quote import quote
from pyconsul.errors import ApplyError
from pyconsul.records.kv import KVEntry
from pyconsul.state.kv import KVTable
from pyconsul.state.sessions import SessionTable

MISSING_SESSION = "missing session"


class Locks:
    """Where keys and sessions meet. Lock-delay is not here: it is wall-clock time, and the leader's to judge."""

    def __init__(self, kv: KVTable, sessions: SessionTable) -> None:
        self._kv = kv
        self._sessions = sessions

    def acquire(self, index: int, key: bytes, value: bytes, flags: int, session: str) -> KVEntry | None:
        """None: another holder. Raises ApplyError: no session given, not a UUID, unknown."""
        if not session:
            raise ApplyError(MISSING_SESSION)
        if self._sessions.get(session) is None:
            raise ApplyError(f"invalid session {quote(session)}")
        return self._kv.acquire(index, key, value, flags, session)

    def release(self, index: int, key: bytes, value: bytes, flags: int, session: str) -> KVEntry | None:
        """None: this id does not hold the key (it need not be a session). Raises ApplyError: no session given."""
        if not session:
            raise ApplyError(MISSING_SESSION)
        return self._kv.release(index, key, value, flags, session)
