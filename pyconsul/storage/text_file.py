"""A short text in a file of its own, such as the node id: read whole, replaced whole."""

from __future__ import annotations

from pathlib import Path

from pyconsul.errors import StorageError
from pyconsul.storage.files import Files, Guard, read_all, write_all

TEXT_BYTES_MAX = 4096


class TextFile:
    """Replaced by writing a temporary file, syncing it and renaming it, so that a crash leaves the old or the new text.

    The folder is made when it does not exist.
    """

    def __init__(self, path: Path, files: Files | None = None) -> None:
        self._path = path
        self._files = files or Files()
        self._guard = Guard()

    def read(self) -> str | None:
        """The text without blanks around it; None if there is no file. Raises StorageError."""
        files = self._files
        with self._guard.reading(self._path):
            try:
                handle = files.open_read(self._path)
            except FileNotFoundError:
                return None
            try:
                data = read_all(files, handle, TEXT_BYTES_MAX + 1)
            finally:
                files.close(handle)
        if len(data) > TEXT_BYTES_MAX:
            raise StorageError(f"{self._path} is longer than {TEXT_BYTES_MAX} bytes: it is not a file of this program")
        return data.decode("utf-8", "replace").strip()

    def write(self, text: str) -> None:
        """Durable when it returns. Raises StorageError or DiskFullError; the old text is kept then."""
        files, path = self._files, self._path
        temporary = path.with_name(path.name + ".tmp")
        with self._guard.change("write", path):
            files.make_dir(path.parent)
            if temporary.name in files.names(path.parent):
                files.remove(temporary)
            handle = files.create(temporary)
            try:
                write_all(files, handle, text.encode(), 0)
                files.sync(handle)
            finally:
                files.close(handle)
            files.rename(temporary, path)
            files.sync_dir(path.parent)
