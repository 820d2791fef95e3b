"""A file system in memory that forgets what was not synced: for tests, the simulator and ``-dev`` agents.

The model of a crash. A file keeps what was synced. Of each later write, any set of 512-byte sectors may have reached
the disk; the others hold what they held before, or zeros where the file was shorter. Creations, renames and removals
reach the disk in their order, any number of them. Folders exist for ever. Not in the model: sectors torn within, bytes
that change by themselves, a sync that lies.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

from pyconsul.storage.files import Files

SECTOR_BYTES = 512


class _File:
    """``now`` is what reads see, ``synced`` what a crash leaves at least, ``unsynced`` the changes between the two.

    A change is (offset, data) of a write, or (size, None) of a truncation.
    """

    def __init__(self) -> None:
        self.now = bytearray()
        self.synced = bytearray()
        self.unsynced: list[tuple[int, bytes | None]] = []
        self.locked = False


class MemoryFiles(Files):
    """See above. Two ``RaftStorage`` over one object see the same files and the same locks.

    ``reserves``: whether room can be reserved; in memory nothing is gained by it, but a crash may leave the zeros.
    """

    reserves = False

    def __init__(self) -> None:
        self._names: dict[Path, _File] = {}
        self._synced_names: dict[Path, _File] = {}
        self._unsynced_names: list[tuple[Path, Path | None, _File]] = []  # (name, new name or None: removed, file)
        self._handles: dict[int, _File] = {}
        self._last_handle = 0
        self._last_id = 0

    def crash(self, keep: Callable[[], bool] = lambda: False) -> None:
        """The machine stops. ``keep`` says for each sector and name that was not synced whether it is on the disk."""
        for name, new, file in self._unsynced_names:
            if not keep():
                break
            self._change_name(self._synced_names, name, new, file)
        self._unsynced_names.clear()
        self._names = dict(self._synced_names)
        self._handles.clear()
        for file in dict.fromkeys(self._names.values()):  # in an order that repeats
            data = bytearray(file.synced)
            for offset, change in file.unsynced:
                if change is None:
                    if keep():
                        _resize(data, offset)
                else:
                    _write_sectors(data, offset, change, keep)
            file.now, file.synced, file.unsynced, file.locked = data, bytearray(data), [], False

    def kill(self) -> None:
        """The process stops and the machine goes on: everything written stays, locks and handles are gone."""
        self._handles.clear()
        for file in self._names.values():
            file.locked = False

    def contents(self, path: Path) -> bytes:
        """What a file holds now."""
        return bytes(self._find(path).now)

    def damage(self, path: Path, offset: int, data: bytes) -> None:
        """Changes bytes on the disk behind everybody's back."""
        file = self._find(path)
        file.now[offset : offset + len(data)] = data
        file.synced = bytearray(file.now)

    def make_dir(self, path: Path) -> None:
        pass

    def names(self, path: Path) -> list[str]:
        return sorted(name.name for name in self._names if name.parent == path)

    def lock(self, path: Path) -> int | None:
        file = self._names.get(path)
        if file is None:
            file = self._names[path] = self._synced_names[path] = _File()
        if file.locked:
            return None
        file.locked = True
        return self._handle(file)

    def create(self, path: Path) -> int:
        if path in self._names:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        file = _File()
        self._rename_later(path, path, file)
        return self._handle(file)

    def open(self, path: Path) -> int:
        return self._handle(self._find(path))

    def open_read(self, path: Path) -> int:
        return self._handle(self._find(path))

    def size(self, handle: int) -> int:
        return len(self._handles[handle].now)

    def read(self, handle: int, size: int, offset: int) -> bytes:
        return bytes(memoryview(self._handles[handle].now)[offset : offset + size])

    def write(self, handle: int, data: bytes | memoryview, offset: int) -> int:
        file = self._handles[handle]
        _write(file.now, offset, data)
        file.unsynced.append((offset, bytes(data)))
        return len(data)

    def truncate(self, handle: int, size: int) -> None:
        file = self._handles[handle]
        _resize(file.now, size)
        file.unsynced.append((size, None))

    def reserve(self, handle: int, offset: int, size: int) -> bool:
        if not self.reserves:
            return False
        file = self._handles[handle]
        if offset + size > len(file.now):
            _resize(file.now, offset + size)
            file.unsynced.append((offset + size, None))
        return True

    def sync(self, handle: int) -> None:
        file = self._handles[handle]
        for offset, change in file.unsynced:  # costs what was written, not what the file holds
            if change is None:
                _resize(file.synced, offset)
            else:
                _write(file.synced, offset, change)
        file.unsynced.clear()

    def close(self, handle: int) -> None:
        file = self._handles.pop(handle)
        if file.locked and file not in self._handles.values():
            file.locked = False

    def rename(self, old: Path, new: Path) -> None:
        self._rename_later(old, new, self._find(old))

    def remove(self, path: Path) -> None:
        self._rename_later(path, None, self._find(path))

    def sync_dir(self, path: Path) -> None:
        kept: list[tuple[Path, Path | None, _File]] = []
        for change in self._unsynced_names:
            if change[0].parent == path:
                self._change_name(self._synced_names, *change)
            else:
                kept.append(change)
        self._unsynced_names = kept

    def unique_id(self) -> bytes:
        self._last_id += 1
        return b"memory file " + self._last_id.to_bytes(4, "big")

    def _find(self, path: Path) -> _File:
        try:
            return self._names[path]
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from None

    def _handle(self, file: _File) -> int:
        self._last_handle += 1
        self._handles[self._last_handle] = file
        return self._last_handle

    def _rename_later(self, name: Path, new: Path | None, file: _File) -> None:
        self._change_name(self._names, name, new, file)
        self._unsynced_names.append((name, new, file))

    @staticmethod
    def _change_name(names: dict[Path, _File], name: Path, new: Path | None, file: _File) -> None:
        names.pop(name, None)
        if new is not None:
            names[new] = file


def _resize(data: bytearray, size: int) -> None:
    if size <= len(data):
        del data[size:]
    else:
        data.extend(bytes(size - len(data)))


def _write(file: bytearray, offset: int, data: bytes | memoryview) -> None:
    if offset > len(file):
        _resize(file, offset)
    file[offset : offset + len(data)] = data


def _write_sectors(data: bytearray, offset: int, change: bytes, keep: Callable[[], bool]) -> None:
    """Applies the sectors of one write that ``keep`` lets through; the file grows as far as the last of them."""
    position = offset
    end = offset + len(change)
    while position < end:
        stop = min((position // SECTOR_BYTES + 1) * SECTOR_BYTES, end)
        if keep():
            if position > len(data):
                _resize(data, position)
            data[position:stop] = change[position - offset : stop - offset]
        position = stop
