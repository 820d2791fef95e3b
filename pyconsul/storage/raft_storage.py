"""Everything below ``<data-dir>/raft``: the log, the vote, the snapshots, the lock that keeps others out.

All methods are synchronous and called from one thread (for snapshot writers, see snapshots.py). What is on disk after a
crash at any point, and what opening does about it, is in docs/design/storage.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

import msgspec

from pyconsul.errors import CorruptionError, LockedError
from pyconsul.invariant import invariant
from pyconsul.raft.messages import Entry, HardState, SnapshotMeta
from pyconsul.storage.files import PID_BYTES, Files, Guard, Progress
from pyconsul.storage.recovery import TEMPORARY, Replay, remedy, replay, segment_names
from pyconsul.storage.segment import FRAME_BYTES
from pyconsul.storage.snapshot_file import NAME, SnapshotDamage, SnapshotInfo, verify
from pyconsul.storage.snapshots import SnapshotStore
from pyconsul.storage.terms import UNKNOWN
from pyconsul.storage.wal import Wal

LOCK = "lock"
SNAPSHOTS = "snapshots"
SEGMENT_BYTES = 16 << 20
MAX_SAVE_BYTES = 64 << 20


class Recovered(msgspec.Struct):
    """What was on disk when the storage was opened.

    ``entries`` follow the snapshot (or begin at index 1). ``trailing`` are the entries before them that are still
    stored, the last of them at the snapshot's index; they help slow followers and are empty otherwise.
    ``torn_bytes``: length of an unfinished write that was cut off. ``damaged``: a snapshot file that was passed over.
    """

    hard_state: HardState
    entries: list[Entry]
    snapshot: SnapshotMeta | None
    torn_bytes: int = 0
    trailing: list[Entry] = msgspec.field(default_factory=list)
    damaged: Path | None = None


class RaftStorage:
    """Made by ``open``. After a StorageError from a write all further writes are refused with StorageError."""

    def __init__(self, path: Path, files: Files, lock: int, guard: Guard) -> None:
        self.path = path
        self._files = files
        self._lock = lock
        self._guard = guard
        self._closed = False
        self._wal: Wal
        self.snapshots: SnapshotStore
        self.recovered: Recovered

    @classmethod
    def open(
        cls,
        path: Path | str,
        files: Files | None = None,
        progress: Progress | None = None,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> RaftStorage:
        """Takes the lock, reads everything, cuts off a torn tail. ``progress(done, total)`` counts bytes.

        Raises LockedError, CorruptionError, DiskFullError, StorageError.
        """
        path = Path(path)
        files = Files() if files is None else files
        guard = Guard()
        with guard.change("create", path):
            files.make_dir(path / SNAPSHOTS)
        lock = _take_lock(path, files, guard)
        storage = cls(path, files, lock, guard)
        try:
            storage._recover(progress, segment_bytes)
        except BaseException:
            files.close(lock)
            raise
        return storage

    def save(self, hard_state: HardState | None, entries: Sequence[Entry]) -> None:
        """Makes both durable in one write and one sync; entries overwrite a stored suffix.

        More than 64 MiB of entries take several writes (the commit index comes with the last of them).
        Raises DiskFullError (nothing has changed), StorageError (from then on always).
        """
        if not entries and (hard_state is None or hard_state == self._wal.hard_state):
            self._guard.check()
            return
        while len(entries) > 1:
            fits = _fitting(entries)
            if fits == len(entries):
                break
            early = hard_state and HardState(hard_state.term, hard_state.vote, self._wal.hard_state.commit)
            self._wal.append(early, entries[:fits])
            entries = entries[fits:]
        self._wal.append(hard_state, entries)

    def compact(self, index: int) -> None:
        """Deletes segments all of whose entries are at ``index`` or before it. A snapshot there or later must exist.

        Raises StorageError.
        """
        newest = self.snapshots.newest()
        covered = 0 if newest is None else newest[0].index
        invariant(index <= covered, "what is deleted is in a snapshot", index=index, snapshot=covered)
        # Holding on to what was recovered would keep all those entries in memory for good.
        self.recovered = Recovered(self.recovered.hard_state, [], self.recovered.snapshot, self.recovered.torn_bytes)
        self._wal.compact(index)

    def close(self) -> None:
        """Lets go of the lock. Safe to call twice. Raises StorageError."""
        if self._closed:
            return
        self._closed = True
        try:
            self.snapshots.close()
            self._wal.close()
        finally:
            self._files.close(self._lock)

    @property
    def files(self) -> Files:
        """For what else is in the folder."""
        return self._files

    @property
    def failed(self) -> str | None:
        """Text of the failure after which nothing is written any more; None as long as all is well."""
        return self._guard.failed

    @property
    def first_index(self) -> int:
        """Index of the first entry that is stored (or would be)."""
        return self._wal.terms.base_index + 1

    @property
    def last_index(self) -> int:
        """Index of the last stored entry, or of the snapshot that the log goes on after."""
        return self._wal.terms.last_index

    def _recover(self, progress: Progress | None, segment_bytes: int) -> None:
        snapshots_path = self.path / SNAPSHOTS
        self._remove_temporaries(self.path)
        self._remove_temporaries(snapshots_path)
        names = _snapshot_names(self._files, self._guard, snapshots_path)
        log_bytes = self._log_bytes()
        total = log_bytes + (self._size(snapshots_path / names[-1]) if names else 0)

        def report(before: int, done: int) -> None:
            if progress is not None:
                progress(before + done, total)

        found = replay(self.path, self._files, self._guard, partial(report, 0))
        if names and not found.segments:
            raise CorruptionError(
                f"{self.path} holds snapshots but no log, so it is unknown how this server voted; {remedy(self.path)}"
            )
        kept, damaged = self._verified(found, snapshots_path, names, partial(report, log_bytes))
        meta = kept[-1][1].meta if kept else None
        recovered = _join(found, meta)
        recovered.damaged = damaged
        self._wal = Wal(self.path, self._files, self._guard, found, segment_bytes)
        self.snapshots = SnapshotStore(snapshots_path, self._files, self._guard, kept, self._snapshot_installed)
        if meta is not None:
            self._snapshot_installed(meta)
        self.recovered = recovered
        report(total, 0)

    def _snapshot_installed(self, meta: SnapshotMeta) -> None:
        """When the stored log does not lead to the snapshot, it is void: the log goes on after the snapshot.

        If it does, what follows the snapshot stays (Raft dissertation, section 5.1 and figure 5.3).
        """
        if meta.index >= self._wal.terms.base_index and not _leads_to(self._wal.terms, meta):
            self._wal.reset(meta.index, meta.term)

    def _verified(
        self, found: Replay, root: Path, names: list[str], progress: Callable[[int], None]
    ) -> tuple[list[tuple[Path, SnapshotInfo]], Path | None]:
        """The newest snapshot, verified, and a damaged one that was passed over for it.

        That is allowed only if the log holds everything up to the damaged one and reaches back to the older one, so
        that nothing this server ever acknowledged is missing. Raises CorruptionError, StorageError.
        """
        if not names:
            return [], None
        path = root / names[-1]
        try:
            with self._guard.reading(path):
                return [(path, verify(self._files, path, progress))], None
        except SnapshotDamage as damage:
            error = CorruptionError(
                f"{path} is damaged at byte {damage.offset}: {damage.reason}, and the log does not make up for it; "
                f"{remedy(self.path)}"
            )
            index, term = _index_and_term(names[-1])
            if found.term_at(index) != term or (len(names) == 1 and found.base_index > 0):
                raise error from damage
        if len(names) == 1:
            return [], path
        older = root / names[-2]
        try:
            with self._guard.reading(older):
                info = verify(self._files, older, progress)
        except SnapshotDamage as damage:
            raise error from damage
        if info.meta.index < found.base_index or not _leads_to(found, info.meta):
            raise error
        return [(older, info)], path

    def _remove_temporaries(self, path: Path) -> None:
        """Files that a crash left under a temporary name were never part of the state."""
        with self._guard.reading(path):
            names = self._files.names(path)
        for name in names:
            if name.endswith(TEMPORARY):
                with self._guard.final("remove", path / name):
                    self._files.remove(path / name)

    def _log_bytes(self) -> int:
        with self._guard.reading(self.path):
            names = segment_names(self._files.names(self.path))
        return sum(self._size(self.path / name) for name in names)

    def _size(self, path: Path) -> int:
        with self._guard.reading(path):
            handle = self._files.open_read(path)
            try:
                return self._files.size(handle)
            finally:
                self._files.close(handle)


class _Log(Protocol):
    base_index: int
    base_term: int

    def term_at(self, index: int) -> int | None: ...


def _leads_to(log: _Log, meta: SnapshotMeta) -> bool:
    """Whether the log contains, or begins right after, the last entry that the snapshot covers."""
    if meta.index == log.base_index:
        return log.base_term in (UNKNOWN, meta.term)
    return log.term_at(meta.index) == meta.term


def _join(found: Replay, meta: SnapshotMeta | None) -> Recovered:
    """Log and snapshot as one state. Raises CorruptionError if part of it is missing."""
    covered = 0 if meta is None else meta.index
    if found.base_index > covered:
        reason = f"the log begins after entry {found.base_index}, but the newest snapshot ends at entry {covered}"
        raise found.corruption(found.segments[0].path, 0, reason)
    last = covered
    if meta is None:
        entries, trailing = found.entries, []
    elif _leads_to(found, meta):
        split = covered - found.base_index
        entries, trailing = found.entries[split:], found.entries[:split]
    else:
        entries, trailing = [], []
    last += len(entries)
    if found.hard_state.commit > last:
        reason = f"entries up to {found.hard_state.commit} were committed, but the log ends at {last}"
        raise found.corruption(found.segments[-1].path, found.end, reason)
    return Recovered(found.hard_state, entries, meta, found.torn_bytes, trailing)


def _index_and_term(name: str) -> tuple[int, int]:
    match = NAME.fullmatch(name)
    invariant(match is not None, "only names of snapshots come here", name=name)
    return (int(match[2]), int(match[1])) if match else (0, 0)


def _snapshot_names(files: Files, guard: Guard, path: Path) -> list[str]:
    """Names of finished snapshots, the newest last."""
    with guard.reading(path):
        names = files.names(path)
    return sorted((name for name in names if NAME.fullmatch(name)), key=_index_and_term)


def _fitting(entries: Sequence[Entry]) -> int:
    """How many entries go into one write: at least one, and no more than MAX_SAVE_BYTES after it."""
    size = 0
    for count, entry in enumerate(entries):
        size += FRAME_BYTES + len(entry.data)
        if size > MAX_SAVE_BYTES and count:
            return count
    return len(entries)


def _take_lock(path: Path, files: Files, guard: Guard) -> int:
    """Raises LockedError, StorageError, DiskFullError."""
    lock_path = path / LOCK
    with guard.change("lock", lock_path):
        handle = files.lock(lock_path)
    if handle is not None:
        return handle
    with guard.reading(lock_path):
        reader = files.open_read(lock_path)
        try:
            pid = files.read(reader, PID_BYTES, 0).strip()
        finally:
            files.close(reader)
    holder = f" (pid {pid.decode()})" if pid.isdigit() else ""
    raise LockedError(
        f"{path} is in use by another pyconsul process{holder}: stop that one or choose another data directory"
    )
