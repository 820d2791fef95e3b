"""Traces of deletes: they keep the index of a list from falling when keys vanish from it.

A trace is (key or prefix that was deleted, index of the delete); a later delete of the same name replaces it. It is
dropped by a command in the log some time later. Rules: docs/reference/http-api.md, "Index of key reads".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from sortedcontainers import SortedDict

from pyconsul.state.journal import Journal


def prefix_end(prefix: bytes) -> bytes | None:
    """The smallest bytes behind all that start with ``prefix``; None: there is no such bound."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes((stripped[-1] + 1,)) if stripped else None


class Tombstones:
    """``_by_age`` lists (index, name) oldest first and may hold names that a later delete has replaced."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._index_of: SortedDict[bytes, int] = SortedDict()
        self._by_age: deque[tuple[int, bytes]] = deque()

    def __len__(self) -> int:
        return len(self._index_of)

    @property
    def newest(self) -> int:
        """No trace has a larger index. 0: there are none."""
        return self._by_age[-1][0] if self._by_age else 0

    @property
    def oldest(self) -> int:
        """No trace has a smaller index. 0: there are none."""
        return self._by_age[0][0] if self._by_age else 0

    def add(self, name: bytes, index: int) -> None:
        """``index`` is never smaller than that of an earlier call."""
        if self._journal.record:
            self._journal.add(self._undo, name, self._index_of.get(name))
        self._index_of[name] = index
        self._by_age.append((index, name))

    def largest_under(self, prefix: bytes, above: int = 0) -> int:
        """The largest index of a trace that starts with ``prefix``, or ``above`` if that is larger."""
        if self.newest <= above:
            return above
        largest = above
        for name in self._index_of.irange(prefix, prefix_end(prefix), inclusive=(True, False)):
            index = self._index_of[name]
            if index > largest:
                largest = index
        return largest

    def reap(self, index: int) -> int:
        """Drops all traces up to ``index``; returns how many."""
        dropped = 0
        while self._by_age and self._by_age[0][0] <= index:
            at, name = self._by_age.popleft()
            if self._index_of.get(name) == at:
                del self._index_of[name]
                dropped += 1
        return dropped

    def items(self) -> list[tuple[bytes, int]]:
        """(name, index) in byte order."""
        return list(self._index_of.items())

    def load(self, items: Iterable[tuple[bytes, int]]) -> None:
        self._index_of = SortedDict(items)
        self._by_age = deque(sorted((index, name) for name, index in self._index_of.items()))

    def _undo(self, name: bytes, old: int | None) -> None:
        self._by_age.pop()
        if old is None:
            del self._index_of[name]
        else:
            self._index_of[name] = old
