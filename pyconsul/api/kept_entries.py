"""Answers that show one key, kept for who asks for it next.

An entry is replaced as a whole whenever it changes, so an answer is good as long as the table holds the entry it was
made of. The same few keys are read again and again: a leader's lock, a setting, what a program polls.
"""

from __future__ import annotations

from pyconsul.api.response import Response
from pyconsul.records.kv import KVEntry

ENTRIES_MAX = 512
VALUE_BYTES_MAX = 1024


class KeptEntries:
    """Of one API. When it is full it starts again with nothing."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[bytes, tuple[KVEntry, Response]] = {}

    def find(self, entry: KVEntry) -> Response | None:
        """The answer that shows this entry, if it is kept."""
        kept = self._kept.get(entry.key)
        return kept[1] if kept is not None and kept[0] is entry else None

    def keep(self, entry: KVEntry, answer: Response) -> None:
        """``answer`` must be the same for all who may ask ``find``."""
        if len(entry.value) <= VALUE_BYTES_MAX:
            answer.repeats = True
            if len(self._kept) == ENTRIES_MAX:
                self._kept.clear()
            self._kept[entry.key] = (entry, answer)
