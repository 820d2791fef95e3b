"""The process stops before every single file operation; what was not synced is lost, kept, or kept in part.

Opening again must then give the old state or the new one: never an error, never less than what was acknowledged.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from pyconsul.errors import StorageError
from pyconsul.raft.messages import Configuration, Entry, HardState, Server, SnapshotMeta
from pyconsul.storage.memory import MemoryFiles
from pyconsul.storage.raft_storage import RaftStorage
from pyconsul.storage.recovery import Replay
from pyconsul.storage.wal import Wal

ROOT = Path("/data/raft")
SEGMENT_BYTES = 900
CONFIGURATION = Configuration((Server("a", "127.0.0.1:8300", True),))
CHANGES = ("create", "reserve", "write", "truncate", "sync", "rename", "remove", "sync_dir")


class Stopped(BaseException):
    """The process is gone. Not an Exception, so that nothing on the way catches it."""


class StoppingFiles(MemoryFiles):
    """Counts the operations that change the disk and stops before the one with number ``stop_at``."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.stop_at: int | None = None

    def _next(self) -> None:
        if self.stop_at is not None and self.count >= self.stop_at:
            raise Stopped
        self.count += 1


def _counted(name: str) -> Callable[..., object]:
    def call(self: StoppingFiles, *arguments: object) -> object:
        self._next()
        return getattr(MemoryFiles, name)(self, *arguments)

    return call


for _name in CHANGES:
    setattr(StoppingFiles, _name, _counted(_name))


class ReservingFiles(StoppingFiles):
    """As on a real disk: segments are longer than what is written to them."""

    reserves = True


class State:
    """What storage must hold: all entries that were not replaced, the hard state, the newest snapshot."""

    def __init__(self) -> None:
        self.hard_state = HardState()
        self.log: dict[int, Entry] = {}
        self.snapshot: SnapshotMeta | None = None

    def copy(self) -> State:
        other = State()
        other.hard_state, other.log, other.snapshot = self.hard_state, dict(self.log), self.snapshot
        return other

    def save(self, hard_state: HardState | None, entries: list[Entry]) -> None:
        self.hard_state = hard_state or self.hard_state
        if entries:
            self.log = {index: entry for index, entry in self.log.items() if index < entries[0].index}
            self.log.update({entry.index: entry for entry in entries})

    def install(self, meta: SnapshotMeta) -> None:
        self.snapshot = meta
        if meta.index not in self.log or self.log[meta.index].term != meta.term:
            self.log = {}

    def agrees(self, storage: RaftStorage) -> bool:
        found = storage.recovered
        covered = self.snapshot.index if self.snapshot else 0
        return (
            found.hard_state == self.hard_state
            and found.snapshot == self.snapshot
            and found.entries == [entry for index, entry in sorted(self.log.items()) if index > covered]
            and all(self.log[entry.index] == entry for entry in found.trailing)
        )


class Story:
    """A life of one storage. ``sure`` was acknowledged; ``maybe`` is what the running step leads to."""

    def __init__(self, files: StoppingFiles) -> None:
        self.files = files
        self.sure = State()
        self.maybe = self.sure
        self.storage: RaftStorage

    def _did(self) -> None:
        self.sure = self.maybe

    def open(self) -> None:
        self.storage = RaftStorage.open(ROOT, self.files, segment_bytes=SEGMENT_BYTES)
        assert self.sure.agrees(self.storage)

    def close(self) -> None:
        self.storage.close()

    def save(self, hard_state: HardState | None, entries: list[Entry]) -> None:
        self.maybe = self.sure.copy()
        self.maybe.save(hard_state, entries)
        self.storage.save(hard_state, entries)
        self._did()

    def snapshot(self, index: int, term: int) -> None:
        meta = SnapshotMeta(index, term, CONFIGURATION)
        self.maybe = self.sure.copy()
        self.maybe.snapshot = meta
        writer = self.storage.snapshots.create(meta)
        writer.write(b"state " * 200)
        writer.write(b"of %d" % index)
        writer.commit()
        self._did()
        self.storage.compact(index)

    def receive(self, index: int, term: int) -> None:
        meta = SnapshotMeta(index, term, CONFIGURATION)
        sender = RaftStorage.open(Path("/other"), MemoryFiles())
        writer = sender.snapshots.create(meta)
        writer.write(b"from afar " * 300)
        writer.commit()
        self.maybe = self.sure.copy()
        self.maybe.install(meta)
        newest = sender.snapshots.newest()
        assert newest is not None
        offset = 0
        while offset < newest[1]:
            offset = self.storage.snapshots.receive(meta, offset, sender.snapshots.read(index, offset, 1000))
        self.storage.snapshots.finish(meta)
        self._did()
        sender.close()

    def tell(self) -> None:
        self.open()
        self.save(HardState(1, "a", 0), entries(1, 1, 4))
        self.save(HardState(1, "a", 3), [])
        self.save(HardState(2, "b", 3), entries(2, 5, 5, size=500))
        self.save(HardState(3, "c", 4), entries(3, 5, 12))  # overwrites, in part across segments
        self.save(None, entries(3, 13, 16, size=300))
        self.snapshot(9, 3)
        self.save(HardState(3, "c", 16), entries(3, 17, 18))
        self.close()
        self.open()
        self.snapshot(16, 3)
        self.save(HardState(4, "", 16), entries(3, 19, 22, size=200))
        self.receive(30, 5)  # beyond the log
        self.save(HardState(5, "a", 30), entries(5, 31, 40))
        self.receive(38, 6)  # in the log, with another term
        self.save(HardState(6, "a", 38), [])
        self.save(None, entries(6, 39, 45))
        self.storage.compact(38)
        self.receive(41, 6)  # the log leads there
        self.save(HardState(7, "b", 41), entries(7, 44, 44))
        self.close()


def entries(term: int, first: int, last: int, size: int = 20) -> list[Entry]:
    return [Entry(term, index, index % 3, b"%d:%d " % (term, index) * (size // 5)) for index in range(first, last + 1)]


def _all_points(kind: type[StoppingFiles]) -> int:
    files = kind()
    Story(files).tell()
    return files.count


POINTS = _all_points(StoppingFiles)


def keepers() -> dict[str, Callable[[], Callable[[], bool]]]:
    def seeded(seed: int) -> Callable[[], bool]:
        source = random.Random(seed)
        return lambda: source.random() < 0.7

    def never() -> bool:
        return False

    def always() -> bool:
        return True

    return {
        "nothing unsynced kept": lambda: never,
        "everything kept": lambda: always,
        **{f"part kept, seed {seed}": lambda seed=seed: seeded(seed) for seed in range(4)},  # type: ignore[misc]
    }


def stop_everywhere(kind: type[StoppingFiles], keeping: str, points: int) -> None:
    for point in range(points + 1):
        files = kind()
        files.stop_at = point
        story = Story(files)
        try:
            story.tell()
            assert point == points
        except Stopped:
            pass
        files.stop_at = None
        files.crash(keepers()[keeping]())
        storage = RaftStorage.open(ROOT, files, segment_bytes=SEGMENT_BYTES)
        agreeing = [state for state in (story.sure, story.maybe) if state.agrees(storage)]
        assert agreeing, f"stopped before operation {point}: {storage.recovered}"
        # And life goes on: what is saved now is there next time.
        state = agreeing[-1].copy()
        more = entries(9, storage.last_index + 1, storage.last_index + 3)
        state.save(HardState(9, "z", state.hard_state.commit), more)
        storage.save(HardState(9, "z", state.hard_state.commit), more)
        files.crash()
        storage = RaftStorage.open(ROOT, files, segment_bytes=SEGMENT_BYTES)
        assert state.agrees(storage), f"after operation {point} and more: {storage.recovered}"
        assert storage.recovered.torn_bytes == 0


@pytest.mark.parametrize("kind", [StoppingFiles, ReservingFiles])
@pytest.mark.parametrize("keeping", keepers())
def test_every_stop_leaves_the_old_or_the_new_state(keeping: str, kind: type[StoppingFiles]) -> None:
    points = _all_points(kind)
    assert points > 100
    stop_everywhere(kind, keeping, points)


@pytest.mark.parametrize("forgotten", ["sync", "sync_dir", "reset", "hard state", "supersede"])
def test_storage_that_forgets_something_is_found_out(forgotten: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests above have teeth: each of these deliberate faults fails them."""

    class Forgetful(StoppingFiles):
        pass

    def nothing(*arguments: object) -> None:
        pass

    if forgotten in ("sync", "sync_dir"):
        setattr(Forgetful, forgotten, nothing)
    elif forgotten == "reset":
        monkeypatch.setattr(Wal, "reset", lambda self, index, term: self.terms.reset(index, term))
    elif forgotten == "hard state":
        monkeypatch.setattr(Wal, "_new_segment", _new_segment_without_hard_state(Wal._new_segment))
    else:
        monkeypatch.setattr(Replay, "_cut", nothing)
    with pytest.raises((AssertionError, StorageError)):
        stop_everywhere(Forgetful, "nothing unsynced kept", POINTS)


def _new_segment_without_hard_state(real: Callable[[Wal], None]) -> Callable[[Wal], None]:
    def new_segment(self: Wal) -> None:
        kept, self.hard_state = self.hard_state, HardState(self.hard_state.term)
        real(self)
        self.hard_state = kept

    return new_segment


def test_a_stop_during_recovery_changes_nothing() -> None:
    for point in range(POINTS + 1):
        files = StoppingFiles()
        files.stop_at = point
        story = Story(files)
        with contextlib.suppress(Stopped):
            story.tell()
        source = random.Random(point)
        files.crash(lambda source=source: source.random() < 0.5)  # type: ignore[misc]
        # Each attempt to start gets one operation further than the one before.
        for allowed in range(20):
            files.stop_at = files.count + allowed
            try:
                storage = RaftStorage.open(ROOT, files, segment_bytes=SEGMENT_BYTES)
                break
            except Stopped:
                files.crash(lambda source=source: source.random() < 0.5)  # type: ignore[misc]
        else:
            pytest.fail("recovery takes more than 20 operations")
        assert story.sure.agrees(storage) or story.maybe.agrees(storage)
