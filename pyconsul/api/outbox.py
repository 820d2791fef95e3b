"""Answers of one turn of the event loop, written in one go at its end.

A write wakes the client that waits for it, and the client then runs beside us. Woken one by one while we still answer
others, clients fall asleep again and again between two answers; woken together they find work for each other.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

GATHERED_MAX = 64
"""Connections whose answers are held back at most: with more of them, the first shall not wait for the last."""


class Writer(Protocol):
    """A connection with something to be written."""

    def write_out(self) -> None:
        """Writes what there is, which may be nothing any more. Raises nothing."""


class Outbox:
    """One per server."""

    __slots__ = ("_due", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._due: list[Writer] = []

    def add(self, writer: Writer) -> None:
        """``writer.write_out`` is called before the loop waits for anything again."""
        due = self._due
        due.append(writer)
        if len(due) == 1:
            self._loop.call_soon(self._write)
        elif len(due) == GATHERED_MAX:
            self._write()

    def _write(self) -> None:
        due, self._due = self._due, []
        for writer in due:
            writer.write_out()
