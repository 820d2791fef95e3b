"""The undo log under all tables: makes a command that turns out to be refused half way through disappear.

While ``record`` is true every table adds ``(undo, key, old)`` before it changes a row; ``rollback`` calls them
backwards.
Single-key commands never fail after their first change and run without it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyconsul.invariant import invariant

Undo = Callable[[Any, Any], None]
"""undo(key, old): puts the row back as it was; ``old`` None: there was none."""


class Journal:
    """Shared by all tables of a store."""

    __slots__ = ("_entries", "record")

    def __init__(self) -> None:
        self.record = False
        self._entries: list[tuple[Undo, Any, Any]] = []

    def begin(self) -> None:
        invariant(not self.record, "a transaction inside a transaction")
        self.record = True

    def add(self, undo: Undo, key: object, old: object) -> None:
        self._entries.append((undo, key, old))

    def commit(self) -> None:
        invariant(self.record, "commit without a transaction")
        self.record = False
        self._entries.clear()

    def rollback(self) -> None:
        """Undoes everything since ``begin``."""
        invariant(self.record, "rollback without a transaction")
        self.record = False
        for undo, key, old in reversed(self._entries):
            undo(key, old)
        self._entries.clear()
