"""An ordered table of immutable rows with secondary indexes, for everything but keys (those have their own: kv.py)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from sortedcontainers import SortedDict

from pyconsul.invariant import invariant
from pyconsul.state.journal import Journal

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Table(Generic[K, V]):
    """Rows by primary key, read in its order. ``indexes`` name functions from a row to the values it is found under.

    A secondary index keeps sets of primary keys; they are sorted when read, so the order never depends on hashing.
    """

    def __init__(
        self,
        journal: Journal,
        key_of: Callable[[V], K],
        **indexes: Callable[[V], Iterable[Hashable]],
    ) -> None:
        self._journal = journal
        self._key_of = key_of
        self._index_functions = indexes
        self._rows: SortedDict[K, V] = SortedDict()
        self._indexes: dict[str, dict[Hashable, set[K]]] = {name: {} for name in indexes}

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, key: object) -> bool:
        return key in self._rows

    def get(self, key: K) -> V | None:
        row: V | None = self._rows.get(key)
        return row

    def values(self) -> list[V]:
        """All rows in the order of their keys."""
        return list(self._rows.values())

    def range(self, low: K, high: K) -> Iterator[V]:
        """Rows with ``low`` <= key < ``high``, in order. The table must not change meanwhile."""
        for key in self._rows.irange(low, high, inclusive=(True, False)):
            yield self._rows[key]

    def find(self, index: str, value: Hashable) -> list[V]:
        """Rows that a secondary index knows under ``value``, in the order of their primary keys."""
        keys = self._indexes[index].get(value)
        if not keys:
            return []
        rows = self._rows
        if len(keys) == 1:
            return [rows[key] for key in keys]
        return [rows[key] for key in sorted(keys)]  # type: ignore[type-var]

    def has(self, index: str, value: Hashable) -> bool:
        """Whether ``find`` would find anything."""
        return value in self._indexes[index]

    def index_values(self, index: str) -> Iterable[Any]:
        """The values under which a secondary index knows rows, in no order."""
        return self._indexes[index].keys()

    def put(self, row: V) -> V | None:
        """Inserts or replaces; returns what was there."""
        key = self._key_of(row)
        old: V | None = self._rows.get(key)
        if self._journal.record:
            self._journal.add(self._undo, key, old)
        self._set(key, old, row)
        return old

    def delete(self, key: K) -> V | None:
        """Removes the row if there is one; returns it."""
        old: V | None = self._rows.get(key)
        if old is not None:
            if self._journal.record:
                self._journal.add(self._undo, key, old)
            self._set(key, old, None)
        return old

    def load(self, rows: Iterable[V]) -> None:
        """Replaces everything (restore of a snapshot)."""
        invariant(not self._journal.record, "a table is loaded inside a transaction")
        self._rows.clear()
        for index in self._indexes.values():
            index.clear()
        for row in rows:
            key = self._key_of(row)
            self._set(key, self._rows.get(key), row)

    def _undo(self, key: K, old: V | None) -> None:
        self._set(key, self._rows.get(key), old)

    def _set(self, key: K, old: V | None, new: V | None) -> None:
        for name, function in self._index_functions.items():
            index = self._indexes[name]
            if old is not None:
                for value in function(old):
                    keys = index[value]
                    keys.discard(key)
                    if not keys:
                        del index[value]
            if new is not None:
                for value in function(new):
                    index.setdefault(value, set()).add(key)
        if new is None:
            del self._rows[key]
        else:
            self._rows[key] = new


class Marks:
    """Named Raft indexes ("nodes": last change of any node), journaled like rows."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._marks: dict[str, int] = {}

    def get(self, name: str) -> int:
        """0: never set."""
        return self._marks.get(name, 0)

    def set(self, name: str, index: int) -> None:
        if self._journal.record:
            self._journal.add(self._undo, name, self._marks.get(name))
        self._marks[name] = index

    def drop(self, name: str) -> None:
        old = self._marks.pop(name, None)
        if old is not None and self._journal.record:
            self._journal.add(self._undo, name, old)

    def items(self) -> list[tuple[str, int]]:
        """Sorted by name."""
        return sorted(self._marks.items())

    def load(self, items: Iterable[tuple[str, int]]) -> None:
        self._marks = dict(items)

    def _undo(self, name: str, old: int | None) -> None:
        if old is None:
            self._marks.pop(name, None)
        else:
            self._marks[name] = old
