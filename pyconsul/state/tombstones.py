"""Traces of deletes: they keep the index of a list from falling when keys vanish from it.

A trace is (key or prefix that was deleted, index of the delete); a later delete of the same name replaces it. It is
dropped by a command in the log some time later. Rules: docs/reference/http-api.md, "Index of key reads".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from sortedcontainers import SortedDict

from pyconsul.state.journal import Journal


def prefix_end(prefix: bytes) -> bytes | None:
    """The smallest bytes behind all that start with ``prefix``; None: there is no such bound."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes((stripped[-1] + 1,)) if stripped else None


class TombstoneView:
    """All traces as they were at one moment: (name, index), newest first."""

    __slots__ = ("_by_age", "_size")

    def __init__(self, by_age: list[tuple[int, bytes]], size: int) -> None:
        self._by_age = by_age
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[tuple[bytes, int]]:
        seen: set[bytes] = set()
        for index, name in reversed(self._by_age):
            if name not in seen:
                seen.add(name)
                yield name, index


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

    def freeze(self) -> TombstoneView:
        return TombstoneView(list(self._by_age), len(self._index_of))

    def load(self, items: Iterable[tuple[bytes, int]]) -> None:
        """Replaces everything; ``items`` in the order of TombstoneView."""
        newest_first = list(items)
        self._index_of = SortedDict(newest_first)
        self._by_age = deque((index, name) for name, index in reversed(newest_first))

    def _undo(self, name: bytes, old: int | None) -> None:
        self._by_age.pop()
        if old is None:
            del self._index_of[name]
        else:
            self._index_of[name] = old
