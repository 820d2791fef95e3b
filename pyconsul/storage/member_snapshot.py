"""The file of known members: lines of text, appended, now and then replaced as a whole.

What the lines mean, and which must survive the machine, is decided elsewhere (pyconsul/gossip/snapshot.py). All methods
block; call them from a thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pyconsul.errors import StorageError
from pyconsul.storage.files import Files

SIZE_MAX = 64 * 1024 * 1024


class MemberSnapshotFile:
    """Open between ``open`` and ``close``. All methods raise StorageError, which names the file."""

    def __init__(self, path: Path, files: Files, handle: int, size: int) -> None:
        self._path = path
        self._files = files
        self._handle: int | None = handle
        self._size = size

    @classmethod
    def open(cls, path: Path, files: Files | None = None) -> tuple[MemberSnapshotFile, list[str]]:
        """Opens or creates the file; returns its complete lines too. A last line without end is cut off."""
        files = files or Files()
        try:
            files.make_dir(path.parent)
            if path.name in files.names(path.parent):
                handle = files.open(path)
            else:
                handle = files.create(path)
                files.sync_dir(path.parent)
            content = bytearray()
            size = files.size(handle)
            if size > SIZE_MAX:
                files.close(handle)
                raise StorageError(f"{path} has {size} bytes, which no member snapshot has: remove it")
            while data := files.read(handle, size - len(content), len(content)):
                content += data
        except OSError as error:
            raise StorageError(f"cannot open {path}: {error.strerror}") from error
        whole = content.rfind(b"\n") + 1
        lines = content[:whole].decode("utf-8", "surrogateescape").split("\n")[:-1]
        return cls(path, files, handle, whole), lines

    def append(self, lines: Sequence[str], sync: bool = False) -> None:
        """``sync``: the lines are on the disk when this returns."""
        data = _encode(lines)
        if self._handle is None:
            raise StorageError(f"{self._path} is closed")
        try:
            self._write(self._handle, data, self._size)
            self._size += len(data)
            if sync:
                self._files.sync(self._handle)
        except OSError as error:
            raise StorageError(f"cannot write {self._path}: {error.strerror}") from error

    def rewrite(self, lines: Sequence[str]) -> None:
        """Replaces the file as a whole, or not at all."""
        data = _encode(lines)
        temporary = self._path.with_name(self._path.name + ".compact")
        files = self._files
        try:
            if temporary.name in files.names(temporary.parent):
                files.remove(temporary)
            handle = files.create(temporary)
            try:
                self._write(handle, data, 0)
                files.sync(handle)
                files.rename(temporary, self._path)
                files.sync_dir(self._path.parent)
            except OSError:
                files.close(handle)
                raise
        except OSError as error:
            raise StorageError(f"cannot write {temporary}: {error.strerror}") from error
        if self._handle is not None:
            files.close(self._handle)
        self._handle = handle
        self._size = len(data)

    def _write(self, handle: int, data: bytes, offset: int) -> None:
        view = memoryview(data)
        while view:
            count = self._files.write(handle, view, offset)
            view = view[count:]
            offset += count

    def close(self) -> None:
        if self._handle is not None:
            self._files.close(self._handle)
            self._handle = None


def _encode(lines: Sequence[str]) -> bytes:
    return "".join(line + "\n" for line in lines).encode("utf-8", "surrogateescape")
