"""Log lines that a peer can cause at will: one per interval, with the number of those kept back."""

from __future__ import annotations

from collections.abc import Callable

from pyconsul.clock import Clock

INTERVAL = 10.0  # seconds


class BoundedLog:
    def __init__(self, clock: Clock, write: Callable[[str], None], interval: float = INTERVAL) -> None:
        self._clock = clock
        self._write = write
        self._interval = interval
        self._last: float | None = None
        self._kept_back = 0

    def __call__(self, text: str) -> None:
        now = self._clock.monotonic()
        if self._last is not None and now - self._last < self._interval:
            self._kept_back += 1
            return
        if self._kept_back:
            text += f" ({self._kept_back} more were not logged)"
        self._last = now
        self._kept_back = 0
        self._write(text)


def printable(text: str) -> str:
    """Peers choose parts of the text: no line breaks, no terminal control."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
