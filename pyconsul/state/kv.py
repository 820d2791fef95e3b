"""The table of keys: a dict for reads of one key and a sorted list of the names for prefixes.

Rules of indexes, locks and writes without change: docs/reference/http-api.md, "Keys" and "Locks".
Every write is one of set, acquire, release, delete or delete_tree with the index of its log entry; all entries that
readers got before stay as they were.
"""

from __future__ import annotations

import weakref
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import islice
from operator import attrgetter

from sortedcontainers import SortedList

from pyconsul.invariant import invariant
from pyconsul.records.kv import KVEntry
from pyconsul.state.effects import Effect, TombstonesLeft
from pyconsul.state.journal import Journal
from pyconsul.state.tombstones import Tombstones, prefix_end
from pyconsul.state.watch import Watches

Names = list[bytes]
Entries = list[KVEntry]
_modify_index = attrgetter("modify_index")
_VIEW_STEP = 512
_DISMANTLE_STEP = 5000


class KVData:
    """All keys, as the table keeps them; made apart from it when a snapshot is read.

    ``order`` holds exactly the keys of ``entries`` (the same bytes objects). ``held`` lists keys by their ``session``
    in lower case: a session that ends loses what it holds in any spelling of its id.
    """

    __slots__ = ("entries", "held", "order")

    def __init__(self, entries: Iterable[KVEntry] = ()) -> None:
        self.entries: dict[bytes, KVEntry] = {entry.key: entry for entry in entries}
        self.order: SortedList[bytes] = SortedList(self.entries)
        self.held: dict[str, set[bytes]] = {}
        for entry in self.entries.values():
            if entry.session:
                self.held.setdefault(entry.session.lower(), set()).add(entry.key)

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[KVEntry]:
        return map(self.entries.__getitem__, self.order)


class KVView:
    """All keys as they were at one moment, iterated in byte order while the table goes on changing; made in no time.

    The table hands over every entry just before it changes or removes it (``keep``), as long as the view has not passed
    that key. What is in the table with a larger CreateIndex than ``index`` and was not kept is newer than the view.
    To be advanced in the thread that changes the table; each step looks at some 500 keys.
    """

    __slots__ = ("__weakref__", "_data", "_gone", "_index", "_kept", "_passed", "_size")

    def __init__(self, data: KVData, index: int) -> None:
        self._data = data
        self._index = index
        self._size = len(data)
        self._kept: dict[bytes, KVEntry] = {}
        self._gone: SortedList[bytes] = SortedList()
        self._passed: bytes | None = None

    def __len__(self) -> int:
        return self._size

    def keep(self, entries: Iterable[KVEntry], removed: bool) -> None:
        """Called with entries that are about to be changed or removed."""
        gone = []
        for entry in entries:
            key = entry.key
            if entry.create_index > self._index or (self._passed is not None and key <= self._passed):
                continue
            if key not in self._kept:
                self._kept[key] = entry
            if removed:
                gone.append(key)
        if gone:
            self._gone.update(gone)

    def __iter__(self) -> Iterator[KVEntry]:
        while batch := self._next_batch():
            yield from batch

    def _next_batch(self) -> Entries:
        """The next entries; [] only at the end."""
        entries, kept = self._data.entries, self._kept
        batch: Entries = []
        while not batch:
            now = self._names_behind(self._data.order)
            gone = self._names_behind(self._gone)
            if not now and not gone:
                break
            names = now
            if gone:
                # Behind the end of a full list there may be more of its kind: go no further than that.
                ends = [run[-1] for run in (now, gone) if len(run) == _VIEW_STEP]
                names = sorted({*now, *gone})
                if ends:
                    names = names[: bisect_right(names, min(ends))]
            for key in names:
                entry = kept.pop(key, None)
                if entry is None:
                    entry = entries[key]
                    if entry.create_index > self._index:
                        continue
                batch.append(entry)
            self._passed = names[-1]
        return batch

    def _names_behind(self, order: SortedList[bytes]) -> Names:
        """The next names of a sorted list behind ``_passed``."""
        passed = self._passed
        names = iter(order) if passed is None else order.irange(passed, None, inclusive=(False, True))
        return list(islice(names, _VIEW_STEP))


class KVTable:
    """Keys, the traces of deleted ones, and which keys a session holds (the fields of KVData, spread out for speed)."""

    def __init__(self, journal: Journal, watches: Watches, effects: list[Effect]) -> None:
        self._journal = journal
        self._watches = watches
        self._effects = effects
        self._take(KVData())
        self._index = 0
        self._views: list[weakref.ref[KVView]] = []
        self.tombstones = Tombstones(journal)

    def dismantle(self) -> Iterator[None]:
        """Empties the table for good, some thousand entries at a step."""
        entries, order = self._data.entries, self._data.order
        while entries:
            for _ in range(min(_DISMANTLE_STEP, len(entries))):
                entries.popitem()
            yield
        while order:
            for _ in range(min(_DISMANTLE_STEP, len(order))):
                order.pop()
            yield

    def _take(self, data: KVData) -> None:
        self._data = data
        self._entries = data.entries
        self._order = data.order
        self._held = data.held

    # Reads

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: bytes) -> KVEntry | None:
        return self._entries.get(key)

    def list(self, prefix: bytes) -> Entries:
        """All entries whose key starts with ``prefix``, in byte order."""
        return list(map(self._entries.__getitem__, self._names(prefix)))

    def keys(self, prefix: bytes, separator: bytes = b"") -> Names:
        """Their names; each cut behind the first ``separator`` that follows the prefix, and listed once."""
        if not separator:
            return list(self._names(prefix))
        cut: Names = []
        bound = prefix  # the names that start with it are inside of the cut name before
        skipping = False
        size, width = len(prefix), len(separator)
        for key in self._names(prefix):
            if skipping and key.startswith(bound):
                continue
            at = key.find(separator, size)
            skipping = at >= 0
            if skipping:
                bound = key[: at + width]
                cut.append(bound)
            else:
                cut.append(key)
        return cut

    def held_by(self, session_id: str) -> Names:
        """The keys a session holds, in byte order."""
        return sorted(self._held.get(session_id.lower(), ()))

    @property
    def index(self) -> int:
        """Of the last change of any key, deletes included; at least 1."""
        return self._index or 1

    def index_of_key(self, key: bytes) -> int:
        """What a read of the key shows: its ModifyIndex, or the store's index when there is none."""
        entry = self._entries.get(key)
        return entry.modify_index if entry is not None else self.index

    def index_of_prefix(self, prefix: bytes) -> int:
        """What a list shows (traces count)."""
        return self._list_index(prefix, self.list(prefix)) if prefix else self.index

    def list_with_index(self, prefix: bytes) -> tuple[Entries, int]:
        """``list`` and ``index_of_prefix`` in one pass."""
        entries = self.list(prefix)
        return entries, self._list_index(prefix, entries)

    def _list_index(self, prefix: bytes, entries: Entries) -> int:
        if not prefix:
            return self.index
        largest = max(map(_modify_index, entries), default=0)
        return self.tombstones.largest_under(prefix, largest) or self.index

    def _names(self, prefix: bytes) -> Iterator[bytes]:
        order = self._order
        if not prefix:
            return iter(order)
        names: Iterator[bytes] = order.irange(prefix, prefix_end(prefix), inclusive=(True, False))
        return names

    # Writes

    def set(self, index: int, key: bytes, value: bytes, flags: int) -> KVEntry:
        """A plain write: keeps the session, sets LockIndex to 0. Returns the entry as it is then."""
        old = self._entries.get(key)
        if old is None:
            return self._insert(KVEntry(key, value, flags, index, index))
        if old.value == value and old.flags == flags and old.lock_index == 0:
            return old
        return self._replace(old, KVEntry(old.key, value, flags, old.create_index, index, 0, old.session))

    def set_cas(self, index: int, key: bytes, value: bytes, flags: int, cas_index: int) -> KVEntry | None:
        """A plain write if ModifyIndex is ``cas_index`` (0: if there is no such key); else None."""
        old = self._entries.get(key)
        if (0 if old is None else old.modify_index) != cas_index:
            return None
        return self.set(index, key, value, flags)

    def acquire(self, index: int, key: bytes, value: bytes, flags: int, session: str) -> KVEntry | None:
        """Takes the lock for a session that is known to exist; None: somebody else holds it."""
        old = self._entries.get(key)
        if old is None:
            return self._insert(KVEntry(key, value, flags, index, index, 1, session))
        lock_index = old.lock_index
        if old.session == "":
            lock_index += 1
        elif old.session != session:
            return None
        elif old.value == value and old.flags == flags:
            return old
        return self._replace(old, KVEntry(old.key, value, flags, old.create_index, index, lock_index, session))

    def release(self, index: int, key: bytes, value: bytes, flags: int, session: str) -> KVEntry | None:
        """Writes and gives the lock up; None: this session does not hold it."""
        old = self._entries.get(key)
        if old is None or old.session != session:
            return None
        return self._replace(old, KVEntry(old.key, value, flags, old.create_index, index, old.lock_index))

    def delete(self, index: int, key: bytes) -> bool:
        """Removes the key and leaves a trace; False: there was none."""
        old = self._entries.get(key)
        if old is None:
            return False
        self._touch(index)
        if self._journal.record:
            self._journal.add(self._undo, key, old)
        if self._views:
            self._keep((old,), True)
        del self._entries[key]
        self._order.remove(key)
        if old.session:
            self._unhold(old)
        self._leave_trace(index, key)
        self._watches.touch_key(key)
        return True

    def delete_cas(self, index: int, key: bytes, cas_index: int) -> bool:
        """Removes the key if ModifyIndex is ``cas_index``; False only when it differs (0 never fits)."""
        old = self._entries.get(key)
        if old is not None and old.modify_index != cas_index:
            return False
        self.delete(index, key)
        return True

    def delete_tree(self, index: int, prefix: bytes) -> int:
        """Removes all keys with the prefix, with one trace at the prefix; returns how many there were."""
        order = self._order
        start = order.bisect_left(prefix)
        end = prefix_end(prefix)
        stop = len(order) if end is None else order.bisect_left(end)
        if start == stop:
            return 0
        names: Names = list(order.islice(start, stop))
        self._touch(index)
        if self._views:
            self._keep(list(map(self._entries.__getitem__, names)), True)
        for key in names:
            old = self._entries.pop(key)
            if old.session:
                self._unhold(old)
            if self._journal.record:
                self._journal.add(self._undo, key, old)
        del order[start:stop]
        if prefix:
            self._leave_trace(index, prefix)
        self._watches.touch_keys(names)
        return len(names)

    def end_session(self, index: int, session_id: str, delete: bool) -> Names:
        """Releases or deletes all keys of a session that has ended; returns their names in byte order."""
        names = self.held_by(session_id)
        for key in names:
            if delete:
                self.delete(index, key)
            else:
                old = self._entries[key]
                new = KVEntry(old.key, old.value, old.flags, old.create_index, index, old.lock_index)
                self._replace(old, new)
        return names

    def _insert(self, entry: KVEntry) -> KVEntry:
        key = entry.key
        self._touch(entry.modify_index)
        if self._journal.record:
            self._journal.add(self._undo, key, None)
        self._entries[key] = entry
        self._order.add(key)
        if entry.session:
            self._hold(entry)
        self._watches.touch_key(key)
        return entry

    def _replace(self, old: KVEntry, new: KVEntry) -> KVEntry:
        key = new.key
        self._touch(new.modify_index)
        if self._journal.record:
            self._journal.add(self._undo, key, old)
        if self._views:
            self._keep((old,), False)
        self._entries[key] = new
        if old.session != new.session:
            if old.session:
                self._unhold(old)
            if new.session:
                self._hold(new)
        self._watches.touch_key(key)
        return new

    def _touch(self, index: int) -> None:
        if self._index != index:
            if self._journal.record:
                self._journal.add(self._undo_index, None, self._index)
            self._index = index

    def _leave_trace(self, index: int, name: bytes) -> None:
        self.tombstones.add(name, index)
        last = self._effects[-1] if self._effects else None
        if not (isinstance(last, TombstonesLeft) and last.index == index):
            self._effects.append(TombstonesLeft(index))

    def _hold(self, entry: KVEntry) -> None:
        self._held.setdefault(entry.session.lower(), set()).add(entry.key)

    def _unhold(self, entry: KVEntry) -> None:
        session = entry.session.lower()
        keys = self._held[session]
        keys.remove(entry.key)
        if not keys:
            del self._held[session]

    # Undo, snapshots

    def _undo(self, key: bytes, old: KVEntry | None) -> None:
        now = self._entries.pop(key, None)
        if now is not None and now.session:
            self._unhold(now)
        if old is None:
            self._order.remove(key)
            return
        self._entries[key] = old
        if now is None:
            self._order.add(old.key)
        if old.session:
            self._hold(old)

    def _undo_index(self, _: object, old: int) -> None:
        self._index = old

    def _keep(self, entries: Iterable[KVEntry], removed: bool) -> None:
        for ref in self._views[:]:
            view = ref()
            if view is None:
                self._views.remove(ref)
            else:
                view.keep(entries, removed)

    def freeze(self, index: int) -> KVView:
        """All keys as they are now; ``index``: of the last applied entry. Writes pay a little until it is dropped."""
        invariant(not self._journal.record, "a view inside a transaction")
        view = KVView(self._data, index)
        self._views.append(weakref.ref(view))
        return view

    def load(self, data: KVData, index: int, tombstones: Iterable[tuple[bytes, int]]) -> None:
        """Replaces everything by ``data``, which belongs to the table then.

        ``index``: ``stored_index`` of the source; ``tombstones`` as TombstoneView gives them.
        """
        self._take(data)
        self._views = []  # they go on reading the data that was replaced
        self._index = index
        self.tombstones.load(tombstones)

    @property
    def stored_index(self) -> int:
        """``index`` as a snapshot keeps it: 0 when nothing was ever written."""
        return self._index
