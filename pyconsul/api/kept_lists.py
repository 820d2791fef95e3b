"""Lists of keys that were encoded since the last change of any key.

One write under a prefix wakes all who wait for it, and all of them get the same list: it is encoded once. The same
holds for those who ask again and again for what does not change.
"""

from __future__ import annotations

import weakref

from pyconsul.state.kv import KVTable

LISTS_MAX = 16
BODY_BYTES_MAX = 1_048_576

Question = tuple[bytes, bytes | None]
"""The prefix, and the separator of names (None: entries are listed)."""


class KeptLists:
    """Holds for one state of one table only: any change of any key, and any trace of a delete that goes, drops all."""

    __slots__ = ("_kept", "_state", "_table")

    def __init__(self) -> None:
        self._table: weakref.ref[KVTable] | None = None
        self._state = (0, 0)
        self._kept: dict[Question, tuple[int, bytes]] = {}

    def find(self, table: KVTable, question: Question) -> tuple[int, bytes] | None:
        """The index and the body of the list, if it is kept."""
        state = (table.index, table.tombstones.oldest)
        if state != self._state or self._table is None or self._table() is not table:
            self._kept.clear()
            self._table, self._state = weakref.ref(table), state
            return None
        return self._kept.get(question)

    def keep(self, question: Question, index: int, body: bytes) -> None:
        """To be called right after ``find``. Index 1 is also that of a table without any change, and keeps nothing."""
        if index > 1 and len(body) <= BODY_BYTES_MAX and len(self._kept) < LISTS_MAX:
            self._kept[question] = (index, body)
