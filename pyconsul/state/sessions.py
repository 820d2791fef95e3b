"""The table of sessions, and what happens when one ends.

Rules: docs/reference/http-api.md, "Sessions". Time (TTL, lock-delay) is the server's business, told by effects.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable

import msgspec

from pyconsul.errors import ApplyError
from pyconsul.records.session import Session
from pyconsul.state.effects import Effect, SessionCreated, SessionEnded
from pyconsul.state.journal import Journal
from pyconsul.state.kv import KVTable
from pyconsul.state.table import Marks, Table
from pyconsul.state.watch import Watches

_MARK = "sessions"
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_DELETE = "delete"


def normal_session_id(session_id: str) -> str:
    """The id in lower case. Raises ApplyError with Consul's text for what is no UUID."""
    if len(session_id.encode("utf-8", "surrogatepass")) != 36:
        raise ApplyError("failed session lookup: index error: UUID must be 36 characters")
    if not _UUID.fullmatch(session_id):
        raise ApplyError(f"failed session lookup: index error: Invalid UUID: {session_id}")
    return session_id.lower()


def checks_of(session: Session) -> list[str]:
    """The ids of all checks that a session depends on."""
    ids = [*session.checks, *(session.node_checks or ())]
    ids.extend(ref.id for ref in session.service_checks or ())
    return ids


def _check_keys(session: Session) -> Iterable[Hashable]:
    node = session.node.lower()
    return {(node, check.lower()) for check in checks_of(session)}


Names = list[bytes]
Sessions = list[Session]
Effects = list[Effect]


class SessionTable:
    """Sessions by id, in any case of letters. ``index`` is that of the last creation or end of any session."""

    def __init__(self, journal: Journal, watches: Watches, marks: Marks, effects: Effects, kv: KVTable) -> None:
        self._watches = watches
        self._marks = marks
        self._effects = effects
        self._kv = kv
        self._table: Table[str, Session] = Table(
            journal,
            lambda session: session.id,
            node=lambda session: (session.node.lower(),),
            check=_check_keys,
        )

    # Reads

    def __len__(self) -> int:
        return len(self._table)

    def get(self, session_id: str) -> Session | None:
        """Raises ApplyError for what is no UUID (the text is the same for reads and writes)."""
        return self._table.get(normal_session_id(session_id))

    def list(self) -> Sessions:
        """All, by id."""
        return self._table.values()

    def of_node(self, node: str) -> Sessions:
        """Those of a node, by id; the name in any case of letters."""
        return self._table.find("node", node.lower())

    def keys_of(self, session_id: str) -> Names:
        """The keys it holds, in byte order."""
        return self._kv.held_by(session_id)

    @property
    def index(self) -> int:
        return self._marks.get(_MARK) or 1

    # Writes

    def create(self, index: int, session: Session) -> Session:
        """Stores a session whose node and checks have been looked at. Raises ApplyError for a bad or taken id."""
        session_id = normal_session_id(session.id)
        if session_id in self._table:
            raise ApplyError(f"session {session_id!r} exists already")
        stored = msgspec.structs.replace(session, id=session_id, create_index=index, modify_index=index)
        self._table.put(stored)
        self._moved(index, stored)
        self._effects.append(SessionCreated(stored))
        return stored

    def end(self, index: int, session: Session) -> None:
        """Removes a session and releases or deletes the keys that it holds."""
        self._table.delete(session.id)
        self._moved(index, session)
        keys = self._kv.end_session(index, session.id, session.behavior == _DELETE)
        self._effects.append(SessionEnded(session, keys))

    def end_of_node(self, index: int, node: str) -> None:
        for session in self.of_node(node):
            self.end(index, session)

    def end_of_check(self, index: int, node: str, check_id: str) -> None:
        """All sessions that depend on a check of a node."""
        for session in self._table.find("check", (node.lower(), check_id.lower())):
            self.end(index, session)

    def load(self, sessions: Iterable[Session]) -> None:
        self._table.load(sessions)

    def _moved(self, index: int, session: Session) -> None:
        self._marks.set(_MARK, index)
        self._watches.touch("sessions")
        self._watches.touch("session", session.id)
        self._watches.touch("node_sessions", session.node.lower())
