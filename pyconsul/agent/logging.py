"""The agent's log: to stdout, a file and syslog, by a thread of its own, and to whoever watches (``monitor``).

Everything in this program logs with Python's ``logging`` below the logger ``agent``. Writing happens in one thread, so
that a slow disk or terminal never holds up the event loop; when it cannot keep up, lines are dropped and counted.
"""

from __future__ import annotations

import logging
import sys
import syslog
import threading
from collections import deque
from collections.abc import Callable
from typing import BinaryIO

from pyconsul.agent.log_file import LogFile
from pyconsul.agent.log_lines import LEVELS, json_line, parse_level, text_line
from pyconsul.agent.runtime_config import LogConfig
from pyconsul.clock import Clock, SystemClock
from pyconsul.errors import ConfigError

ROOT = "agent"
LINES_WAITING_MAX = 20_000
"""Lines that wait for the writer; a line is some 100 bytes."""
LINES_WATCHED_MAX = 512
"""Lines that wait for one watcher; older ones are dropped."""
CLOSE_SECONDS_MAX = 5.0

_PRIORITIES = (
    (logging.ERROR, syslog.LOG_ERR),
    (logging.WARNING, syslog.LOG_WARNING),
    (logging.INFO, syslog.LOG_INFO),
    (0, syslog.LOG_DEBUG),
)


class Watcher:
    """Receives the lines of a level from now on. ``wake`` is called, in any thread, when there is something to take."""

    def __init__(self, level: int, as_json: bool, wake: Callable[[], None]) -> None:
        self.level = level
        self.dropped = 0
        self._format = json_line if as_json else text_line
        self._wake = wake
        self._lines: deque[str] = deque(maxlen=LINES_WATCHED_MAX)

    def take(self) -> list[str]:
        """The lines since the last call, without line ends."""
        lines = []
        while self._lines:
            lines.append(self._lines.popleft())
        return lines

    def put(self, record: logging.LogRecord) -> None:
        if len(self._lines) == LINES_WATCHED_MAX:
            self.dropped += 1
        self._lines.append(self._format(record))
        self._wake()


class _Handler(logging.Handler):
    def __init__(self, accept: Callable[[logging.LogRecord], None]) -> None:
        super().__init__(level=1)
        self._accept = accept

    def emit(self, record: logging.LogRecord) -> None:
        self._accept(record)


class AgentLog:
    """Owns the logger ``agent``, its outputs and its watchers. Lines wait until ``start`` is called."""

    def __init__(
        self, config: LogConfig, output: BinaryIO | None = None, clock: Clock | None = None, root: str = ROOT
    ) -> None:
        """Raises ConfigError: bad level, a log file that cannot be made, an unknown syslog facility."""
        level = parse_level(config.level)
        if level is None:
            raise ConfigError(f"Invalid log level: {config.level}. Valid log levels are: [{' '.join(LEVELS)}]")
        self._output: BinaryIO | None = output or sys.stdout.buffer
        self._format = json_line if config.json else text_line
        self._facility = _facility(config) if config.syslog else None
        self._file: LogFile | None = None
        self._file_failed = False
        if config.file:
            self._file = LogFile(
                config.file,
                clock or SystemClock(),
                config.rotate_bytes,
                config.rotate_seconds,
                config.rotate_max_files,
            )
        self._level = level
        self._watchers: list[Watcher] = []
        self._waiting: deque[tuple[int, str]] = deque()
        self._dropped = 0
        self._wanted = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._logger = logging.getLogger(root)
        self._handler = _Handler(self._accept)
        self._logger.addHandler(self._handler)
        self._logger.propagate = False
        self._set_logger_level()

    @property
    def level(self) -> int:
        return self._level

    def start(self) -> None:
        """Begins to write, what waited first."""
        self._thread = threading.Thread(target=self._write_all, name="log-writer", daemon=True)
        self._thread.start()

    def set_level(self, text: str) -> bool:
        """False, and nothing changes, for a name that is no level."""
        level = parse_level(text)
        if level is None:
            return False
        self._level = level
        self._set_logger_level()
        return True

    def watch(self, level: int, wake: Callable[[], None], *, as_json: bool = False) -> Watcher:
        """A watcher may want lines below the level of the log itself."""
        watcher = Watcher(level, as_json, wake)
        self._watchers = [*self._watchers, watcher]
        self._set_logger_level()
        return watcher

    def unwatch(self, watcher: Watcher) -> None:
        self._watchers = [other for other in self._watchers if other is not watcher]
        self._set_logger_level()

    def stop(self) -> None:
        """Writes what waits, for a bounded time, and gives the logger back. Safe to call twice."""
        self._logger.removeHandler(self._handler)
        self._logger.propagate = True
        if self._thread is None:
            self.start()
        with self._wanted:
            self._closing = True
            self._wanted.notify()
        thread = self._thread
        if thread is not None:
            thread.join(CLOSE_SECONDS_MAX)
            if not thread.is_alive() and self._file is not None:
                self._file.close()

    def _set_logger_level(self) -> None:
        self._logger.setLevel(min((self._level, *(watcher.level for watcher in self._watchers))))

    def _accept(self, record: logging.LogRecord) -> None:
        """In the thread that logs: formats, and leaves the line to the writer and the watchers."""
        if record.levelno >= self._level:
            line = self._format(record)
            with self._wanted:
                if len(self._waiting) < LINES_WAITING_MAX:
                    self._waiting.append((record.levelno, line))
                    self._wanted.notify()
                else:
                    self._dropped += 1
        for watcher in self._watchers:
            if record.levelno >= watcher.level:
                watcher.put(record)

    def _write_all(self) -> None:
        while True:
            with self._wanted:
                while not self._waiting and not self._closing:
                    self._wanted.wait()
                lines = list(self._waiting)
                self._waiting.clear()
                dropped, self._dropped = self._dropped, 0
                if not lines and not dropped:
                    return
            if dropped:
                lines.append((logging.WARNING, self._own_line("Log lines dropped", {"count": dropped})))
            self._write(lines)

    def _write(self, lines: list[tuple[int, str]]) -> None:
        data = "".join(f"{line}\n" for _, line in lines).encode("utf-8", "replace")
        if self._file is not None:
            try:
                self._file.write(data)
                self._file_failed = False
            except OSError as error:
                # A full disk may have room again later: every batch is tried, the failure told once.
                if not self._file_failed:
                    told = self._own_line("Log file cannot be written", {"error": error})
                    data += f"{told}\n".encode("utf-8", "replace")
                self._file_failed = True
        if self._output is not None:
            try:
                self._output.write(data)
                self._output.flush()
            except (OSError, ValueError):
                # Whoever read stdout is gone (a closed pipe or terminal). There is nobody left to tell.
                self._output = None
        if self._facility is not None:
            for level, line in lines:
                priority = next(priority for least, priority in _PRIORITIES if level >= least)
                syslog.syslog(priority | self._facility, line)

    def _own_line(self, message: str, pairs: dict[str, object]) -> str:
        record = self._logger.makeRecord(
            self._logger.name, logging.WARNING, "", 0, message, (), None, extra={"pairs": pairs}
        )
        return self._format(record)


def _facility(config: LogConfig) -> int:
    facility = getattr(syslog, f"LOG_{config.syslog_facility.upper()}", None)
    if not isinstance(facility, int):
        raise ConfigError(f"Failed to setup logging: invalid syslog facility: {config.syslog_facility}")
    return facility
