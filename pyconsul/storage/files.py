"""The only file-system calls of the storage layer, and what a failure of one of them means.

``Files`` does what its methods say on the real file system and raises plain ``OSError``. Tests and the simulator pass
another one (``pyconsul.storage.memory``). ``Guard`` turns an ``OSError`` into one of our errors and remembers that the
disk can no longer be trusted. Why each kind of failure is treated as it is: docs/design/storage.md, "When the disk
refuses".
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pyconsul.errors import DiskFullError, StorageError

FULL = (errno.ENOSPC, errno.EDQUOT)
PID_BYTES = 12  # the pid in the lock file is written in place and padded, so that a full disk rarely refuses it

Progress = Callable[[int, int], None]  # (bytes done, bytes in all)


class Files:
    """The real file system. Handles are file descriptors; folders are made 0700, files 0600."""

    def make_dir(self, path: Path) -> None:
        """Makes the folder, and the ones above it, unless they exist; they are on the disk when this returns."""
        if path.is_dir():
            return
        self.make_dir(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)
        self.sync_dir(path.parent)

    def names(self, path: Path) -> list[str]:
        """Names in a folder, sorted."""
        return sorted(os.listdir(path))  # noqa: PTH208 (names are wanted, not paths)

    def lock(self, path: Path) -> int | None:
        """Takes the lock file for as long as the handle is open and writes our pid into it. None: another has it."""
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        except OSError:
            os.close(handle)
            raise
        try:
            os.pwrite(handle, f"{os.getpid()}\n".encode().rjust(PID_BYTES), 0)
        except OSError as error:
            # The pid only serves a message to people; the lock itself is held. A full disk must not prevent a start.
            if error.errno not in FULL:
                os.close(handle)
                raise
        return handle

    def create(self, path: Path) -> int:
        """A new file, open for reading and writing. The name must be free."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def open(self, path: Path) -> int:
        """An existing file, for reading and writing."""
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def open_read(self, path: Path) -> int:
        """An existing file, for reading."""
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def size(self, handle: int) -> int:
        return os.fstat(handle).st_size

    def read(self, handle: int, size: int, offset: int) -> bytes:
        """At most ``size`` bytes; fewer are possible, none means the end."""
        return os.pread(handle, size, offset)

    def write(self, handle: int, data: bytes | memoryview, offset: int) -> int:
        """Returns how many bytes were written; fewer than given are possible."""
        return os.pwrite(handle, data, offset)

    def truncate(self, handle: int, size: int) -> None:
        os.ftruncate(handle, size)

    def reserve(self, handle: int, offset: int, size: int) -> bool:
        """Makes the file at least ``offset + size`` bytes long, the new ones zeros with room on the disk for them.

        False: there is no such room, or this system cannot do that; the file may have become longer by some zeros.
        """
        if not hasattr(os, "posix_fallocate"):
            return False
        try:
            os.posix_fallocate(handle, offset, size)
        except OSError as error:
            if error.errno in (*FULL, errno.EINVAL, errno.EOPNOTSUPP):
                return False
            raise
        return True

    def sync(self, handle: int) -> None:
        """Data and size of the file are on the disk when this returns."""
        os.fdatasync(handle)

    def close(self, handle: int) -> None:
        os.close(handle)

    def rename(self, old: Path, new: Path) -> None:
        """Replaces ``new`` if it exists, atomically."""
        os.replace(old, new)  # noqa: PTH105 (kept in one style with the rest)

    def remove(self, path: Path) -> None:
        os.unlink(path)  # noqa: PTH108

    def sync_dir(self, path: Path) -> None:
        """Creations, renames and removals in the folder are on the disk when this returns."""
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def unique_id(self) -> bytes:
        """16 bytes that no other file has; not guessable, because they also salt checksums."""
        return os.urandom(16)


class Guard:
    """Turns ``OSError`` into StorageError or DiskFullError, and refuses all writes after the first that was fatal.

    ``failed`` is None as long as the disk can be trusted, else the text of the failure. It never goes back.
    """

    def __init__(self) -> None:
        self.failed: str | None = None

    def check(self) -> None:
        """Raises StorageError when an earlier operation failed."""
        if self.failed is not None:
            raise StorageError(f"{self.failed}; nothing is written after that until the process is restarted")

    @contextmanager
    def change(self, action: str, path: Path) -> Iterator[None]:
        """Around an operation that can be taken back: a full disk is a DiskFullError, everything else is fatal."""
        self.check()
        try:
            yield
        except OSError as error:
            if error.errno in FULL:
                raise DiskFullError(f"cannot {action} {path}: {_reason(error)}: make room on the disk") from error
            raise self._fatal(action, path, error) from error

    @contextmanager
    def final(self, action: str, path: Path) -> Iterator[None]:
        """Around an operation after whose failure nothing is known about the disk (a sync, a way back)."""
        self.check()
        try:
            yield
        except OSError as error:
            raise self._fatal(action, path, error) from error

    @contextmanager
    def reading(self, path: Path) -> Iterator[None]:
        """Around reads. A failure is a StorageError; it does not stop later writes."""
        try:
            yield
        except OSError as error:
            raise StorageError(f"cannot read {path}: {_reason(error)}: check the disk and the file's owner") from error

    def broken(self, text: str) -> StorageError:
        """The error to raise when the disk did something else than asked; nothing is written after it."""
        self.failed = text
        return StorageError(text)

    def _fatal(self, action: str, path: Path, error: OSError) -> StorageError:
        return self.broken(f"cannot {action} {path}: {_reason(error)}: check the disk")


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def write_all(files: Files, handle: int, data: bytes, offset: int) -> None:
    """Writes everything, however many calls that takes. Raises ``OSError``."""
    done = files.write(handle, data, offset)
    while done < len(data):
        written = files.write(handle, memoryview(data)[done:], offset + done)
        if written <= 0:
            raise OSError(errno.EIO, "the file system accepts no more bytes and does not say why")
        done += written


def read_all(files: Files, handle: int, size: int, offset: int = 0) -> bytes:
    """Reads exactly ``size`` bytes, or fewer when the file ends before. Raises ``OSError``."""
    data = files.read(handle, size, offset)
    if len(data) == size or not data:
        return data
    parts = [data]
    done = len(data)
    while done < size:
        data = files.read(handle, size - done, offset + done)
        if not data:
            break
        parts.append(data)
        done += len(data)
    return b"".join(parts)
