"""The Date header, made once a second."""

from __future__ import annotations

from email.utils import formatdate

from pyconsul.clock import Clock


class DateLine:
    """``line()`` is the header line for now."""

    def __init__(self, clock: Clock) -> None:
        self._wall = clock.wall
        self._from = self._until = 0
        self._line = b""

    def line(self) -> bytes:
        now = self._wall()
        if not self._from <= now < self._until:
            self._from = second = int(now)
            self._until = second + 1
            self._line = b"Date: %b\r\n" % formatdate(second, usegmt=True).encode()
        return self._line
