"""What a simulated server of the core's simulator keeps: its state machine, and a disk that outlives it."""

from __future__ import annotations

import hashlib

from world import Violation

from pyconsul.raft.messages import NORMAL, Entry, HardState, SnapshotMeta


class Machine:
    """The state machine: a hash over all it was given."""

    def __init__(self, index: int = 0, digest: bytes = b"\0" * 32) -> None:
        self.index = index
        self.digest = digest

    def apply(self, entry: Entry) -> None:
        if entry.index != self.index + 1:
            raise Violation(f"applied {entry.index} after {self.index}")
        self.index = entry.index
        if entry.kind == NORMAL:
            self.digest = hashlib.sha256(self.digest + entry.data).digest()

    def dump(self) -> bytes:
        body = self.index.to_bytes(8, "big") + self.digest
        return body + hashlib.sha256(body).digest()

    @classmethod
    def load(cls, data: bytes) -> Machine | None:
        body, check = data[:40], data[40:]
        if hashlib.sha256(body).digest() != check:
            return None
        return cls(int.from_bytes(body[:8], "big"), body[8:])


class Disk:
    """What survives a crash."""

    def __init__(self) -> None:
        self.hard_state = HardState()
        self.entries: list[Entry] = []
        self.snapshot: tuple[SnapshotMeta, bytes] | None = None

    def save(self, hard_state: HardState | None, entries: list[Entry]) -> None:
        if hard_state is not None:
            if hard_state.term < self.hard_state.term:
                raise Violation("the stored term goes back")
            self.hard_state = hard_state
        if not entries:
            return
        first = entries[0].index
        end = self.entries[-1].index if self.entries else (self.snapshot[0].index if self.snapshot else 0)
        if first > end + 1:
            if self.snapshot is None or first != self.snapshot[0].index + 1:
                raise Violation(f"a gap in the stored log: {end}, then {first}")
            self.entries = []
        keep = first - self.entries[0].index if self.entries else 0
        self.entries = self.entries[: max(keep, 0)] + entries

    def compact(self, index: int) -> None:
        if self.entries and index >= self.entries[0].index:
            self.entries = self.entries[index - self.entries[0].index + 1 :]

    def term_at(self, index: int) -> int | None:
        """Covered by a snapshot: 0."""
        if self.snapshot and index <= self.snapshot[0].index:
            return 0
        if self.entries and self.entries[0].index <= index <= self.entries[-1].index:
            return self.entries[index - self.entries[0].index].term
        return None

    def recovered(self) -> list[Entry]:
        covered = self.snapshot[0].index if self.snapshot else 0
        if self.entries and self.entries[-1].index <= covered:
            return []
        return list(self.entries)
