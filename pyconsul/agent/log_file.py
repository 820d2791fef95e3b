"""Log files that are begun anew by age and by size."""

from __future__ import annotations

import math
import os
from pathlib import Path

from pyconsul.agent.config_sources import go_os_error
from pyconsul.clock import Clock
from pyconsul.errors import ConfigError

DEFAULT_STEM = "consul"


class LogFile:
    """Files ``STEM-<unix nanoseconds>EXT``, mode 640: a new one at the start, after a time and at a size.

    ``max_files``: how many old ones stay; 0: all, -1: none. Used by one thread.
    """

    def __init__(
        self, path: str, clock: Clock, max_bytes: int = 0, max_seconds: float = 0.0, max_files: int = 0
    ) -> None:
        """Raises ConfigError when the first file cannot be made."""
        folder, _, name = path.rpartition("/")
        stem, dot, extension = (name or f"{DEFAULT_STEM}.log").rpartition(".")
        self._folder = folder or ("/" if path.startswith("/") else "")
        self._stem = stem if dot and stem else (name or DEFAULT_STEM)
        self._extension = f".{extension}" if dot and stem else ".log"
        self._clock = clock
        self._max_bytes = max_bytes if max_bytes > 0 else math.inf
        self._max_seconds = max_seconds if max_seconds > 0 else math.inf
        self._max_files = max_files
        self.path = ""
        self._handle = -1
        self._bytes = 0
        self._begun = 0.0
        try:
            self._begin()
        except OSError as error:
            raise ConfigError(f"Failed to setup logging: {go_os_error('open', error, self.path)}") from error

    def write(self, data: bytes) -> None:
        """One or more whole lines. Raises OSError."""
        full = self._bytes and self._bytes + len(data) > self._max_bytes
        if full or self._clock.monotonic() - self._begun >= self._max_seconds:
            os.close(self._handle)
            self._handle = -1
            self._begin()
        if self._handle < 0:  # the last attempt to begin a file failed
            self._begin()
        view = memoryview(data)
        while view:
            view = view[os.write(self._handle, view) :]
        self._bytes += len(data)

    def close(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _begin(self) -> None:
        self._handle = -1
        self._bytes = 0
        self._begun = self._clock.monotonic()
        stamp = int(self._clock.wall() * 1e9)
        while True:
            self.path = f"{self._folder}/" * bool(self._folder) + f"{self._stem}-{stamp}{self._extension}"
            try:
                self._handle = os.open(
                    self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o640
                )
                break
            except FileExistsError:
                stamp += 1
        self._prune()

    def _prune(self) -> None:
        if self._max_files == 0:
            return
        keep = max(self._max_files, 0)
        old = sorted(path for path in self.files() if path != Path(self.path))
        for path in old[: len(old) - keep]:
            path.unlink(missing_ok=True)

    def files(self) -> list[Path]:
        """All files of this log, the oldest first."""
        start, end = f"{self._stem}-", self._extension
        found = []
        for path in Path(self._folder or ".").iterdir():
            middle = path.name.removeprefix(start).removesuffix(end)
            if path.name == f"{start}{middle}{end}" and middle.isdecimal():
                found.append(path)
        return sorted(found)
