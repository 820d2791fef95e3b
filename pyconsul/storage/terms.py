"""Which term the entry at each index has, without keeping the entries: terms only grow, so runs are enough."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from pyconsul.invariant import invariant
from pyconsul.raft.messages import Entry

UNKNOWN = -1  # the term of a base that is no longer stored


class Terms:
    """The shape of the stored log: it holds the entries after ``base_index`` up to ``last_index``.

    ``base_term`` is the term of the entry at ``base_index``, UNKNOWN if nothing on disk tells it.
    Always: run starts and run terms both grow strictly; the first run starts at ``base_index + 1``.
    """

    def __init__(self, base_index: int = 0, base_term: int = 0) -> None:
        self.reset(base_index, base_term)

    def reset(self, base_index: int, base_term: int) -> None:
        """Forgets everything; the log goes on after the given entry."""
        self.base_index = base_index
        self.base_term = base_term
        self.last_index = base_index
        self._starts: list[int] = []
        self._terms: list[int] = []

    @property
    def last_term(self) -> int:
        return self._terms[-1] if self._terms else self.base_term

    def term_at(self, index: int) -> int | None:
        """None: no such entry is stored (or the base's term is not known)."""
        if index == self.base_index and self.base_term != UNKNOWN:
            return self.base_term
        if not self.base_index < index <= self.last_index:
            return None
        return self._terms[bisect_right(self._starts, index) - 1]

    def check(self, entries: Sequence[Entry]) -> None:
        """Raises InvariantError unless the entries may follow, or overwrite the end of, what is stored."""
        first = entries[0].index
        invariant(
            self.base_index < first <= self.last_index + 1,
            "entries continue the stored log",
            first=first,
            base=self.base_index,
            last=self.last_index,
        )
        invariant(entries[-1].index == first + len(entries) - 1, "entries have consecutive indexes", first=first)
        before = self.term_at(first - 1)
        invariant(before is None or before <= entries[0].term, "terms do not go back", index=first, before=before)

    def place(self, entries: Sequence[Entry]) -> None:
        """The entries are stored; whatever stood at their first index or after it is gone."""
        first = entries[0].index
        while self._starts and self._starts[-1] >= first:
            self._starts.pop()
            self._terms.pop()
        term = self._terms[-1] if self._terms else None
        if entries[0].term == entries[-1].term == term:
            self.last_index = entries[-1].index
            return
        for entry in entries:
            if entry.term != term:
                term = entry.term
                self._starts.append(entry.index)
                self._terms.append(term)
        self.last_index = entries[-1].index

    def drop_to(self, index: int) -> None:
        """Entries up to ``index`` are no longer stored."""
        if index <= self.base_index:
            return
        invariant(index <= self.last_index, "only stored entries are dropped", index=index, last=self.last_index)
        term = self.term_at(index)
        at = bisect_right(self._starts, index)
        if at and (at == len(self._starts) or self._starts[at] > index + 1) and index < self.last_index:
            self._starts[at - 1] = index + 1
            at -= 1
        del self._starts[:at], self._terms[:at]
        self.base_index = index
        self.base_term = UNKNOWN if term is None else term
