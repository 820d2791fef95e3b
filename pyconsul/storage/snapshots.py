"""The snapshots of one server: written here or received in pieces, verified before they replace an older one.

The newest two are kept, and those that are held for somebody. A writer may be used by another thread than the one that
saves the log: it touches only its own
file, and the list of snapshots is behind a lock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from pyconsul.errors import DecodeError, DiskFullError, RetryError
from pyconsul.invariant import invariant
from pyconsul.raft.messages import SnapshotMeta
from pyconsul.storage.files import Files, Guard, read_all, write_all
from pyconsul.storage.recovery import TEMPORARY
from pyconsul.storage.snapshot_file import (
    LENGTH,
    SUFFIX,
    SnapshotDamage,
    SnapshotInfo,
    encode_header,
    file_name,
    new_hash,
    read_state,
    verify,
)

KEEP = 2
SYNC_EVERY_BYTES = 8 << 20  # a writer syncs as it goes, so that the last sync, and saves beside it, stay short
RECEIVED = "received"


class SnapshotWriter:
    """A snapshot in the making, under a temporary name. Ends by ``commit`` or ``abort``; a failed write aborts it."""

    def __init__(self, store: SnapshotStore, files: Files, guard: Guard, root: Path, meta: SnapshotMeta) -> None:
        """Raises DiskFullError, StorageError."""
        self.meta = meta
        self._store = store
        self._files = files
        self._guard = guard
        self._root = root
        self._id = files.unique_id()
        self._path = root / (file_name(meta, self._id) + TEMPORARY)
        self._hash = new_hash()
        self._size = 0
        self._synced = 0
        self._data_bytes = 0
        self._open = False
        with guard.change("create", self._path):
            self._handle = files.create(self._path)
        self._open = True
        self._append(encode_header(meta, self._id))

    def write(self, data: bytes) -> None:
        """Adds to the state. Raises DiskFullError (and gives up this snapshot), StorageError."""
        invariant(self._open, "the snapshot is still being written")
        self._append(data)
        self._data_bytes += len(data)
        if self._size - self._synced >= SYNC_EVERY_BYTES:
            self._sync()

    def commit(self) -> None:
        """Syncs, reads everything back, gives the file its name and lets go of older snapshots.

        Raises DiskFullError (and gives up this snapshot), StorageError.
        """
        invariant(self._open, "the snapshot is still being written")
        length = LENGTH.pack(self._data_bytes)
        self._hash.update(length)
        self._append(length + self._hash.digest())
        self._sync()
        self._close()
        try:
            self._store.keep(self._path, self.meta)
        except SnapshotDamage as damage:
            raise self._guard.broken(
                f"{self._path} reads back differently from how it was written: {damage.reason}: check the disk"
            ) from damage

    def abort(self) -> None:
        """Removes what was written. Does nothing after ``commit`` or ``abort``. Raises StorageError."""
        if self._open:
            self._close()
            with self._guard.final("remove", self._path):
                self._files.remove(self._path)

    def _append(self, data: bytes) -> None:
        try:
            with self._guard.change("write to", self._path):
                write_all(self._files, self._handle, data, self._size)
        except DiskFullError:
            self.abort()
            raise
        self._size += len(data)
        self._hash.update(data)

    def _sync(self) -> None:
        with self._guard.final("sync", self._path):
            self._files.sync(self._handle)
        self._synced = self._size

    def _close(self) -> None:
        self._open = False
        self._files.close(self._handle)


class _Incoming:
    """A snapshot being received. ``size`` bytes of it are in the file."""

    def __init__(self, meta: SnapshotMeta, path: Path, handle: int) -> None:
        self.meta = meta
        self.path = path
        self.handle = handle
        self.size = 0


class SnapshotStore:
    """The folder of snapshots. All of ``found`` (newest last) are verified.

    ``installed(meta)`` is called when a received snapshot has become the newest one.
    """

    def __init__(
        self,
        root: Path,
        files: Files,
        guard: Guard,
        found: list[tuple[Path, SnapshotInfo]],
        installed: Callable[[SnapshotMeta], None],
    ) -> None:
        self.root = root
        self._files = files
        self._guard = guard
        self._installed = installed
        self._lock = threading.Lock()  # around _kept, held for moments only
        self._keeping = threading.Lock()  # around a change of the folder; taken before _lock
        self._kept = found
        self._held: frozenset[int] = frozenset()
        self._incoming: _Incoming | None = None

    def hold(self, indexes: Collection[int]) -> None:
        """The snapshots at these indexes stay beside the newest two, until the next call."""
        with self._lock:
            self._held = frozenset(indexes)

    def create(self, meta: SnapshotMeta) -> SnapshotWriter:
        """Begins a snapshot of the state at ``meta.index``. Raises DiskFullError, StorageError."""
        return SnapshotWriter(self, self._files, self._guard, self.root, meta)

    def newest(self) -> tuple[SnapshotMeta, int, Path] | None:
        """Meta, size of the whole file in bytes (as it travels), path; None: there is none."""
        with self._lock:
            if not self._kept:
                return None
            path, info = self._kept[-1]
        return info.meta, info.size, path

    def info(self, index: int) -> tuple[SnapshotMeta, int, Path] | None:
        """As ``newest``, for the snapshot at this index; None when it is not kept."""
        with self._lock:
            for path, info in self._kept:
                if info.meta.index == index:
                    return info.meta, info.size, path
        return None

    def read(self, index: int, offset: int, size: int) -> bytes:
        """Part of the file of the snapshot at ``index``, as ``receive`` takes it; b"" at its end.

        Raises RetryError when that snapshot is no longer kept (start again with ``newest()``), StorageError.
        """
        path, _ = self._find(index)
        with self._guard.reading(path):
            try:
                handle = self._files.open_read(path)
            except FileNotFoundError:
                raise _gone(index) from None
            try:
                return read_all(self._files, handle, size, offset)
            finally:
                self._files.close(handle)

    def state(self, index: int) -> Iterator[bytes]:
        """The state that was written for the snapshot at ``index``, in pieces whose borders mean nothing.

        Raises RetryError when that snapshot is no longer kept, StorageError.
        """
        path, info = self._find(index)
        with self._guard.reading(path):
            yield from read_state(self._files, path, info)

    def receive(self, meta: SnapshotMeta, offset: int, data: bytes) -> int:
        """Stores a piece of a snapshot file from another server; returns the offset of the piece wanted next.

        Offset 0, or another ``meta``, starts again. A piece that does not continue what is there is left out.
        Raises DiskFullError (what came so far is given up), StorageError.
        """
        incoming = self._incoming
        if incoming is None or offset == 0 or incoming.meta != meta:
            self.forget()
            if offset != 0:
                return 0
            path = self.root / f"{RECEIVED}-{meta.term}-{meta.index}{TEMPORARY}"
            with self._guard.change("create", path):
                incoming = self._incoming = _Incoming(meta, path, self._files.create(path))
        if offset == incoming.size:
            try:
                with self._guard.change("write to", incoming.path):
                    write_all(self._files, incoming.handle, data, offset)
            except DiskFullError:
                self.forget()
                raise
            incoming.size += len(data)
        return incoming.size

    def finish(self, meta: SnapshotMeta) -> None:
        """The last piece is there: syncs, verifies, and makes it the newest snapshot.

        Raises DecodeError when the bytes are not a snapshot with this ``meta`` (they are given up: the transfer starts
        again at offset 0; older snapshots are untouched), DiskFullError, StorageError.
        """
        incoming = self._incoming
        if incoming is None or incoming.meta != meta:
            raise DecodeError(f"no snapshot at index {meta.index} is being received")
        with self._guard.final("sync", incoming.path):
            self._files.sync(incoming.handle)
        self._files.close(incoming.handle)
        self._incoming = None
        try:
            self.keep(incoming.path, meta)
        except SnapshotDamage as damage:
            self._remove(incoming.path)
            raise DecodeError(f"the snapshot received for index {meta.index} is damaged: {damage.reason}") from damage
        self._installed(meta)

    def forget(self) -> None:
        """Gives up what was received so far. Raises StorageError."""
        if self._incoming is not None:
            incoming, self._incoming = self._incoming, None
            self._files.close(incoming.handle)
            self._remove(incoming.path)

    def keep(self, temporary: Path, meta: SnapshotMeta) -> None:
        """Verifies a synced file and makes it one of the snapshots; removes those beyond the newest two.

        Raises SnapshotDamage (the file is left where it is), DiskFullError, StorageError.
        """
        with self._guard.reading(temporary):
            info = verify(self._files, temporary)
        if info.meta != meta:
            raise SnapshotDamage(0, f"it says that it is of index {info.meta.index} and term {info.meta.term}")
        # Two of these at once (one written here, one received) must not remove each other's file.
        with self._keeping:
            self._keep_verified(temporary, info)

    def _keep_verified(self, temporary: Path, info: SnapshotInfo) -> None:
        path = self.root / file_name(info.meta, info.id)
        try:
            with self._guard.change("rename", temporary):
                self._files.rename(temporary, path)
        except DiskFullError:
            self._remove(temporary)
            raise
        with self._guard.final("sync", self.root):
            self._files.sync_dir(self.root)
        with self._lock:
            kept = [*(one for one in self._kept if one[0] != path), (path, info)]
            kept.sort(key=lambda one: (one[1].meta.index, one[1].meta.term))
            self._kept = [*(one for one in kept[:-KEEP] if one[1].meta.index in self._held), *kept[-KEEP:]]
            names = {one[0].name for one in self._kept}
        self._prune(names)

    def close(self) -> None:
        """Gives up what is being received, unless the disk failed. Raises StorageError."""
        if self._guard.failed is None:
            self.forget()

    def _prune(self, names: set[str]) -> None:
        with self._guard.reading(self.root):
            present = self._files.names(self.root)
        for name in present:
            if name.endswith(SUFFIX) and name not in names:
                self._remove(self.root / name)

    def _remove(self, path: Path) -> None:
        with self._guard.final("remove", path):
            self._files.remove(path)

    def _find(self, index: int) -> tuple[Path, SnapshotInfo]:
        with self._lock:
            for path, info in self._kept:
                if info.meta.index == index:
                    return path, info
        raise _gone(index)


def _gone(index: int) -> RetryError:
    return RetryError(f"the snapshot at index {index} is no longer kept")
