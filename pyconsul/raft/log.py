"""The log in memory, and which part of it is durable, committed and applied.

What always holds between the positions:

    offset <= applied <= applying <= commit <= last_index
    stable <= handed <= last_index                               handed out to the driver; of that, known to be on disk
    offset <= stable                                             what was dropped is covered by a snapshot on disk

``commit`` may be above ``stable``: a majority of the others has those entries (Raft dissertation, section 10.2.1).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Sequence
from operator import attrgetter

from pyconsul.invariant import invariant
from pyconsul.raft.messages import Entry, SnapshotMeta

_term_of = attrgetter("term")


class Log:
    """Entries ``offset + 1`` … ``last_index`` in a plain list; what is before them is in a snapshot."""

    __slots__ = (
        "_batches", "applied", "applying", "commit", "entries", "handed", "last_index", "offset", "offset_term",
        "snapshot", "stable",
    )  # fmt: skip

    def __init__(self, entries: Sequence[Entry], snapshot: SnapshotMeta | None, commit: int) -> None:
        """Takes what was found on disk. Entries that do not continue from the snapshot are left out."""
        self.snapshot = snapshot
        covered = snapshot.index if snapshot is not None else 0
        self.offset = covered
        self.offset_term = snapshot.term if snapshot is not None else 0
        self.entries: list[Entry] = []
        if entries:
            first, last = entries[0].index, entries[-1].index
            invariant(last - first + 1 == len(entries), "the stored log has a gap", first=first, last=last)
            invariant(first <= covered + 1, "entries after the snapshot are missing", first=first, snapshot=covered)
            if first == covered + 1:
                self.entries = list(entries)
            elif last >= covered and entries[covered - first].term == self.offset_term:
                # The first entry stands for all before it: of an entry's predecessors only the term is ever asked.
                self.offset, self.offset_term = first, entries[0].term
                self.entries = list(entries[1:])
        self.last_index = self.offset + len(self.entries)
        self.stable = self.handed = self.last_index
        self.applied = self.applying = covered
        self.commit = max(covered, min(commit, self.last_index))
        # What was handed out for storing, oldest first: last index, its term, and up to where it is still in the log.
        self._batches: deque[list[int]] = deque()

    @property
    def last_term(self) -> int:
        return self.entries[-1].term if self.entries else self.offset_term

    def term(self, index: int) -> int | None:
        """The term of the entry, None when it is not in the log (any more, or yet)."""
        position = index - self.offset
        if position == 0:
            return self.offset_term
        if 0 < position <= len(self.entries):
            return self.entries[position - 1].term
        return None

    def known_term(self, index: int) -> int:
        term = self.term(index)
        if term is None:
            invariant(False, "not in the log", index=index, offset=self.offset, last=self.last_index)
            raise AssertionError
        return term

    def up_to_date(self, last_index: int, last_term: int) -> bool:
        """Whether a log that ends so holds at least as much as this one (Raft dissertation, section 3.6.1)."""
        own = self.last_term
        return last_term > own or (last_term == own and last_index >= self.last_index)

    # ---- growing and shrinking

    def append(self, entries: list[Entry]) -> None:
        """Adds entries that follow the last one."""
        first, last = entries[0].index, self.last_index
        invariant(first == last + 1, "entries must follow the log", first=first, last=last)
        self.entries += entries
        self.last_index += len(entries)

    def new_part(self, entries: list[Entry]) -> int:
        """How many of the entries are here already: the position of the first that is missing or differs.

        The entries follow one that is in the log, at or after ``offset``. Two logs that agree in the term at an index
        agree in all before it, so looking at the last common index is mostly enough.
        """
        start = entries[0].index - self.offset - 1
        common = min(len(entries), len(self.entries) - start)
        if common <= 0 or self.entries[start + common - 1].term == entries[common - 1].term:
            return max(common, 0)
        mine = self.entries
        for position in range(common):
            if mine[start + position].term != entries[position].term:
                return position
        return common

    def cut(self, index: int) -> None:
        """Drops the entries at ``index`` and after: another leader's entries take their place."""
        invariant(index > self.commit, "a committed entry would be overwritten", index=index, commit=self.commit)
        del self.entries[index - self.offset - 1 :]
        self.last_index = self.offset + len(self.entries)
        self._invalidate(index)

    def _invalidate(self, index: int) -> None:
        before = index - 1
        self.stable = min(self.stable, before)
        self.handed = min(self.handed, before)
        for batch in self._batches:
            batch[2] = min(batch[2], before)

    def compact(self, index: int) -> None:
        """Drops the entries up to ``index`` from memory."""
        if index <= self.offset:
            return
        invariant(index <= self.applied, "entries not yet applied would be dropped", index=index, applied=self.applied)
        invariant(
            self.snapshot is not None and index <= self.snapshot.index,
            "entries that no snapshot covers would be dropped", index=index, snapshot=self.snapshot,
        )  # fmt: skip
        self.offset_term = self.known_term(index)
        del self.entries[: index - self.offset]
        self.offset = index

    def install(self, meta: SnapshotMeta) -> bool:
        """The state machine now is that of the snapshot. True when the entries after it were kept: they follow it."""
        kept = self.term(meta.index) == meta.term
        if kept:
            del self.entries[: meta.index - self.offset]
        else:
            # The log ends before the snapshot, or it went another way with entries that were never committed.
            commit = self.commit
            invariant(commit <= meta.index, "a snapshot contradicts the log", commit=commit, snapshot=meta.index)
            self._invalidate(self.offset + 1)
            self.entries.clear()
        self.offset, self.offset_term = meta.index, meta.term
        self.last_index = self.offset + len(self.entries)
        self.stable = max(self.stable, meta.index)
        self.handed = max(self.handed, meta.index)
        self.commit = max(self.commit, meta.index)
        self.applying = self.applied = meta.index
        self.snapshot = meta
        return kept

    # ---- work for the driver

    def take_unstored(self) -> list[Entry]:
        """Entries not handed out for storing yet. Each is handed out once, unless it was overwritten."""
        if self.handed == self.last_index:
            return []
        entries = self.entries[self.handed - self.offset :]
        self.handed = self.last_index
        self._batches.append([self.last_index, entries[-1].term, self.last_index])
        return entries

    def persisted(self, index: int, term: int) -> bool:
        """What was handed out, up to the batch that ended so, is on disk. True when ``stable`` grew.

        Comparing the term with the log's would not be enough: an entry can be overwritten and come back (Raft
        dissertation, figure 3.7), and then an early report must not speak for the later write. So each batch remembers
        how much of it is still in the log.
        """
        batches = self._batches
        if not any(batch[0] == index and batch[1] == term for batch in batches):
            return False
        stable = self.stable
        while True:
            batch = batches.popleft()
            stable = max(stable, batch[2])
            if batch[0] == index and batch[1] == term:
                break
        grew = stable > self.stable
        self.stable = stable
        return grew

    def take_committed(self, limit: int) -> list[Entry]:
        """Committed entries not handed out for applying yet, at most ``limit``."""
        if self.applying == self.commit:
            return []
        start = self.applying - self.offset
        entries = self.entries[start : min(start + limit, self.commit - self.offset)]
        self.applying += len(entries)
        return entries

    def set_applied(self, index: int) -> None:
        if index > self.applied:
            invariant(index <= self.applying, "applied more than was handed out", index=index, handed=self.applying)
            self.applied = index

    # ---- for replication

    def batch(self, start: int, max_entries: int, max_bytes: int) -> list[Entry]:
        """Entries from ``start`` on: at least one, within the limits as far as one entry allows."""
        position = start - self.offset - 1
        entries = self.entries[position : position + max_entries]
        size = 0
        for count, entry in enumerate(entries):
            size += len(entry.data)
            if size > max_bytes and count:
                return entries[:count]
        return entries

    def first_of_term(self, index: int) -> int:
        """The first index with the same term as the entry at ``index`` has, as far as the log reaches back."""
        term = self.known_term(index)
        position = bisect_left(self.entries, term, hi=max(index - self.offset, 0), key=_term_of)
        return self.offset + position + 1

    def last_of_term(self, term: int) -> int:
        """The last index with this term, 0 when the log holds none."""
        position = bisect_right(self.entries, term, key=_term_of)
        if position and self.entries[position - 1].term == term:
            return self.offset + position
        return self.offset if self.offset_term == term else 0
