"""Random lives of a storage, with crashes, against a model that is a dictionary."""

from __future__ import annotations

import random
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pyconsul.raft.messages import Configuration, Entry, HardState, SnapshotMeta
from pyconsul.storage.memory import MemoryFiles
from pyconsul.storage.raft_storage import RaftStorage

ROOT = Path("/data/raft")


class StorageMachine(RuleBasedStateMachine):
    """``log`` holds every entry since the last reset; those up to ``compacted`` may have been deleted."""

    @initialize(segment_bytes=st.integers(100, 2000))
    def start(self, segment_bytes: int) -> None:
        self.files = MemoryFiles()
        self.segment_bytes = segment_bytes
        self.hard_state = HardState()
        self.log: dict[int, Entry] = {}
        self.snapshot: SnapshotMeta | None = None
        self.compacted = 0
        self.counter = 0
        self.open()

    def open(self) -> None:
        self.storage = RaftStorage.open(ROOT, self.files, segment_bytes=self.segment_bytes)
        found = self.storage.recovered
        assert found.hard_state == self.hard_state
        assert found.snapshot == self.snapshot
        assert found.entries == [entry for index, entry in sorted(self.log.items()) if index > self.covered]
        expected = [entry for index, entry in sorted(self.log.items()) if index <= self.covered]
        assert found.trailing == expected[len(expected) - len(found.trailing) :]
        kept = [entry for entry in expected if entry.index > self.compacted]
        assert len(found.trailing) >= len(kept)

    @property
    def covered(self) -> int:
        return 0 if self.snapshot is None else self.snapshot.index

    @property
    def last(self) -> int:
        return max(self.log, default=self.covered)

    @rule(
        back=st.integers(0, 8),
        count=st.integers(0, 6),
        bump=st.booleans(),
        commit=st.integers(0, 5),
        size=st.sampled_from([0, 3, 60, 700]),
        with_state=st.booleans(),
    )
    def save(self, back: int, count: int, bump: bool, commit: int, size: int, with_state: bool) -> None:
        first = max(self.last + 1 - back, self.hard_state.commit + 1, self.covered + 1)
        term = self.hard_state.term + bump
        entries = []
        for index in range(first, first + count):
            self.counter += 1
            entries.append(Entry(term, index, self.counter % 3, b"%d " % self.counter * size))
        last = entries[-1].index if entries else self.last
        state = None
        if with_state or bump:
            state = HardState(term, f"v{self.counter}", max(self.hard_state.commit, min(last, last - commit)))
        self.storage.save(state, entries)
        if state is not None:
            self.hard_state = state
        if entries:
            self.log = {index: entry for index, entry in self.log.items() if index < first}
            self.log.update({entry.index: entry for entry in entries})

    @precondition(lambda self: self.hard_state.commit > self.covered)
    @rule(data=st.data())
    def take_snapshot(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(self.covered + 1, self.hard_state.commit))
        if index not in self.log:
            return
        self.snapshot = SnapshotMeta(index, self.log[index].term, Configuration())
        writer = self.storage.snapshots.create(self.snapshot)
        writer.write(b"state of %d" % index)
        writer.commit()

    @rule(ahead=st.integers(-4, 6), newer=st.booleans())
    def install_snapshot(self, ahead: int, newer: bool) -> None:
        index = max(self.last + ahead, self.covered + 1, self.hard_state.commit + 1)
        if newer or index not in self.log:
            term = self.hard_state.term + 1
            self.log = {}
        else:
            term = self.log[index].term
        self.snapshot = SnapshotMeta(index, term, Configuration())
        sender = RaftStorage.open(Path("/other"), MemoryFiles())
        writer = sender.snapshots.create(self.snapshot)
        writer.write(b"state of %d" % index)
        writer.commit()
        newest = sender.snapshots.newest()
        assert newest is not None
        self.storage.snapshots.receive(self.snapshot, 0, sender.snapshots.read(index, 0, newest[1]))
        self.storage.snapshots.finish(self.snapshot)
        self.hard_state = HardState(max(term, self.hard_state.term), self.hard_state.vote, index)
        self.storage.save(self.hard_state, [])

    @rule(keep=st.integers(0, 5))
    def compact(self, keep: int) -> None:
        self.compacted = max(self.compacted, self.covered - keep)
        self.storage.compact(max(self.covered - keep, 0))

    @rule(seed=st.integers(0, 1000), closed=st.booleans())
    def restart(self, seed: int, closed: bool) -> None:
        if closed:
            self.storage.close()
        source = random.Random(seed)
        self.files.crash(lambda: source.random() < 0.5)
        self.open()

    @rule()
    def change_segment_size(self) -> None:
        self.storage.close()
        self.segment_bytes = 2100 - self.segment_bytes
        self.open()

    @invariant()
    def snapshot_is_readable(self) -> None:
        if getattr(self, "snapshot", None) is not None:
            assert self.snapshot is not None
            assert b"".join(self.storage.snapshots.state(self.covered)) == b"state of %d" % self.covered
            assert self.storage.last_index == self.last


TestStorage = StorageMachine.TestCase
TestStorage.settings = settings(max_examples=150, stateful_step_count=40, deadline=None, derandomize=True)
