"""The Date header, made once a second."""

from __future__ import annotations

from email.utils import formatdate

from pyconsul.clock import Clock


class DateLine:
    """``line()`` is the header line for now."""

    def __init__(self, clock: Clock) -> None:
        self._wall = clock.wall
        self._second = -1
        self._line = b""

    def line(self) -> bytes:
        second = int(self._wall())
        if second != self._second:
            self._second = second
            self._line = b"Date: %b\r\n" % formatdate(second, usegmt=True).encode()
        return self._line
