"""Snapshots: written, verified, kept, sent in pieces, received, and what opening does with a damaged one."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from pyconsul.errors import CorruptionError, DecodeError, InvariantError, RetryError
from pyconsul.raft.messages import Configuration, Entry, HardState, Server, SnapshotMeta
from pyconsul.storage.files import Files
from pyconsul.storage.memory import MemoryFiles
from pyconsul.storage.raft_storage import RaftStorage
from pyconsul.storage.snapshots import SYNC_EVERY_BYTES

ROOT = Path("/data/raft")
SERVERS = Configuration((Server("a", "127.0.0.1:8300", True), Server("b", "127.0.0.2:8300", False)))


def meta(index: int, term: int = 1) -> SnapshotMeta:
    return SnapshotMeta(index, term, SERVERS, 3)


def entries(term: int, first: int, last: int) -> list[Entry]:
    return [Entry(term, index, 0, b"x" * 50) for index in range(first, last + 1)]


def opened(files: MemoryFiles | None = None, last: int = 20) -> tuple[MemoryFiles, RaftStorage]:
    files = files or MemoryFiles()
    storage = RaftStorage.open(ROOT, files, segment_bytes=400)
    if last:
        for index in range(1, last + 1):
            storage.save(HardState(1, "me", index), entries(1, index, index))
    return files, storage


def take(storage: RaftStorage, index: int, term: int = 1, state: bytes = b"state") -> SnapshotMeta:
    writer = storage.snapshots.create(meta(index, term))
    writer.write(state)
    writer.commit()
    return meta(index, term)


def newest_index(storage: RaftStorage) -> int:
    newest = storage.snapshots.newest()
    return 0 if newest is None else newest[0].index


def names(files: MemoryFiles) -> list[str]:
    return files.names(ROOT / "snapshots")


def test_a_snapshot_is_there_after_a_crash() -> None:
    files, storage = opened()
    pieces = [b"a" * 70_000, b"", b"b" * 3, b"c" * 2_000_000]
    writer = storage.snapshots.create(meta(10))
    for piece in pieces:
        writer.write(piece)
    writer.commit()
    files.crash()
    storage = RaftStorage.open(ROOT, files)
    newest = storage.snapshots.newest()
    assert newest is not None
    assert newest[0] == storage.recovered.snapshot == meta(10)
    assert newest[1] == len(files.contents(newest[2]))
    assert b"".join(storage.snapshots.state(10)) == b"".join(pieces)
    assert [entry.index for entry in storage.recovered.trailing] == list(range(1, 11))
    assert [entry.index for entry in storage.recovered.entries] == list(range(11, 21))


def test_an_empty_state_is_a_snapshot_too() -> None:
    files, storage = opened()
    storage.snapshots.create(meta(1)).commit()
    files.crash()
    assert list(RaftStorage.open(ROOT, files).snapshots.state(1)) == []


def test_the_newest_two_are_kept() -> None:
    files, storage = opened()
    for index in (3, 5, 9):
        take(storage, index)
    assert len(names(files)) == 2
    assert storage.snapshots.read(5, 0, 8) == b"PYCSNAP\n"
    with pytest.raises(RetryError, match="index 3 is no longer kept"):
        storage.snapshots.read(3, 0, 8)
    with pytest.raises(RetryError, match="index 3 is no longer kept"):
        next(storage.snapshots.state(3))
    files.crash()
    storage = RaftStorage.open(ROOT, files)
    take(storage, 12)
    assert [int(name.split("-")[1]) for name in names(files)] == [9, 12]


def test_held_snapshots_are_kept_beside_the_newest_two() -> None:
    files, storage = opened()
    take(storage, 3)
    storage.snapshots.hold({3})
    for index in (5, 9, 12):
        take(storage, index)
    assert sorted(int(name.split("-")[1]) for name in names(files)) == [3, 9, 12]
    assert storage.snapshots.read(3, 0, 8) == b"PYCSNAP\n"
    found = storage.snapshots.info(3)
    assert found is not None
    assert found[0] == meta(3)
    storage.snapshots.hold(())
    take(storage, 15)
    assert sorted(int(name.split("-")[1]) for name in names(files)) == [12, 15]
    assert storage.snapshots.info(3) is None


def test_an_aborted_snapshot_leaves_nothing() -> None:
    files, storage = opened()
    writer = storage.snapshots.create(meta(3))
    writer.write(b"x")
    writer.abort()
    writer.abort()
    assert names(files) == []
    assert storage.snapshots.newest() is None
    with pytest.raises(InvariantError, match="still being written"):
        writer.write(b"more")
    with pytest.raises(InvariantError, match="still being written"):
        writer.commit()


def test_abort_after_commit_does_nothing() -> None:
    files, storage = opened()
    writer = storage.snapshots.create(meta(3))
    writer.commit()
    writer.abort()
    assert len(names(files)) == 1


def test_a_large_snapshot_is_synced_on_the_way() -> None:
    class Counting(MemoryFiles):
        syncs = 0

        def sync(self, handle: int) -> None:
            self.syncs += 1
            super().sync(handle)

    files = Counting()
    _, storage = opened(files, last=0)
    files.syncs = 0
    writer = storage.snapshots.create(meta(0, 0))
    for _ in range(3 * SYNC_EVERY_BYTES >> 20):
        writer.write(bytes(1 << 20))
    assert files.syncs >= 2
    writer.abort()


def send(source: RaftStorage, target: RaftStorage, index: int, size: int = 100, stop_at: int | None = None) -> int:
    newest = source.snapshots.newest()
    assert newest is not None
    offset = 0
    while offset < newest[1] and (stop_at is None or offset < stop_at):
        offset = target.snapshots.receive(newest[0], offset, source.snapshots.read(index, offset, size))
    return offset


def test_a_snapshot_travels_in_pieces() -> None:
    _, source = opened()
    sent = take(source, 15, state=b"much state " * 100)
    files, target = opened(last=0)
    send(source, target, 15)
    assert target.snapshots.newest() is None
    target.snapshots.finish(sent)
    assert newest_index(target) == 15
    assert target.last_index == 15
    files.crash()
    target = RaftStorage.open(ROOT, files)
    assert target.recovered.snapshot == sent
    assert target.recovered.entries == []
    assert b"".join(target.snapshots.state(15)) == b"much state " * 100
    target.save(HardState(1, "", 16), entries(1, 16, 16))
    files.crash()
    assert RaftStorage.open(ROOT, files).recovered.entries == entries(1, 16, 16)


def test_a_transfer_goes_on_where_it_stopped() -> None:
    _, source = opened()
    sent = take(source, 15, state=b"much state " * 100)
    _, target = opened(last=0)
    offset = send(source, target, 15, stop_at=500)
    assert target.snapshots.receive(sent, offset + 100, b"from the future") == offset
    assert target.snapshots.receive(sent, 100, b"a repeated piece") == offset
    newest = source.snapshots.newest()
    assert newest is not None
    while offset < newest[1]:
        offset = target.snapshots.receive(sent, offset, source.snapshots.read(15, offset, 333))
    target.snapshots.finish(sent)
    assert newest_index(target) == 15


def test_a_piece_of_another_snapshot_starts_again() -> None:
    files, target = opened(last=0)
    assert target.snapshots.receive(meta(5), 0, b"abc") == 3
    assert target.snapshots.receive(meta(6), 3, b"def") == 0
    assert names(files) == []
    assert target.snapshots.receive(meta(6), 0, b"de") == 2
    assert target.snapshots.receive(meta(6), 0, b"d") == 1
    target.close()
    assert names(files) == []


def test_a_damaged_transfer_is_refused_and_replaces_nothing() -> None:
    _, source = opened()
    sent = take(source, 15)
    newest = source.snapshots.newest()
    assert newest is not None
    whole = source.snapshots.read(15, 0, newest[1])
    files, target = opened()
    take(target, 3)
    before = names(files)
    for at in range(len(whole)):
        target.snapshots.receive(sent, 0, whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        with pytest.raises(DecodeError, match="received for index 15 is damaged"):
            target.snapshots.finish(sent)
        assert target.snapshots.receive(sent, 10, b"") == 0
    for size in range(len(whole)):
        target.snapshots.receive(sent, 0, whole[:size])
        with pytest.raises(DecodeError):
            target.snapshots.finish(sent)
    assert names(files) == before
    assert newest_index(target) == 3
    target.save(HardState(1, "me", 20), entries(1, 21, 21))


def test_a_transfer_that_says_it_is_another_snapshot_is_refused() -> None:
    _, source = opened()
    take(source, 15)
    newest = source.snapshots.newest()
    assert newest is not None
    _, target = opened(last=0)
    target.snapshots.receive(meta(16), 0, source.snapshots.read(15, 0, newest[1]))
    with pytest.raises(DecodeError, match="it is of index 15"):
        target.snapshots.finish(meta(16))
    with pytest.raises(DecodeError, match="no snapshot at index 16"):
        target.snapshots.finish(meta(16))


@pytest.mark.parametrize(("term", "kept"), [(1, list(range(16, 21))), (2, [])])
def test_what_follows_an_installed_snapshot_stays_only_if_the_log_leads_there(term: int, kept: list[int]) -> None:
    _, source = opened(last=0)
    sent = take(source, 15, term=term)
    files, target = opened()
    send(source, target, 15)
    target.snapshots.finish(sent)
    assert target.last_index == (20 if kept else 15)
    target.save(HardState(2, "", 15), [])
    for _ in range(2):
        files.crash()
        target = RaftStorage.open(ROOT, files, segment_bytes=400)
        assert [entry.index for entry in target.recovered.entries] == kept
    target.compact(15)
    target.save(None, entries(2, target.last_index + 1, 30))
    files.crash()
    target = RaftStorage.open(ROOT, files, segment_bytes=400)
    assert target.recovered.entries[-1].index == 30
    assert len([name for name in files.names(ROOT) if name.endswith(".wal")]) < 5


def logs(files: MemoryFiles) -> int:
    return len([name for name in files.names(ROOT) if name.endswith(".wal")])


@pytest.mark.parametrize("restarted", [False, True])
def test_segments_of_overwritten_entries_are_deleted_early(restarted: bool) -> None:
    files, storage = opened()
    storage.save(HardState(2, "", 11), entries(2, 12, 12))
    take(storage, 11)
    if restarted:
        files.crash()
        storage = RaftStorage.open(ROOT, files, segment_bytes=400)
    assert logs(files) > 3
    storage.compact(11)
    assert logs(files) == 1
    files.crash()
    storage = RaftStorage.open(ROOT, files, segment_bytes=400)
    assert storage.recovered.entries == entries(2, 12, 12)


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("last", [20, 21])  # the last segment is full, or it is not
def test_segments_from_before_a_reset_are_deleted_early(last: int, restarted: bool) -> None:
    _, source = opened(last=0)
    sent = take(source, 15, term=2)
    files, storage = opened(last=last)
    send(source, storage, 15)
    storage.snapshots.finish(sent)
    storage.compact(15)
    assert logs(files) > 1, "entries after 15 are void only once the log says so"
    storage.save(HardState(2, "", 15), [])
    if restarted:
        files.crash()
        storage = RaftStorage.open(ROOT, files, segment_bytes=400)
    storage.compact(15)
    assert logs(files) == 1
    files.crash()
    assert RaftStorage.open(ROOT, files, segment_bytes=400).recovered.entries == []


def test_entries_that_the_core_adds_before_it_knows_of_the_snapshot() -> None:
    _, source = opened(last=0)
    sent = take(source, 30, term=2)
    files, storage = opened()
    send(source, storage, 30)
    storage.snapshots.finish(sent)
    storage.save(None, entries(2, 21, 25))
    storage.save(HardState(2, "", 20), entries(2, 26, 29))
    assert storage.last_index == 30
    storage.save(None, entries(2, 26, 33))
    assert storage.last_index == 33
    with pytest.raises(InvariantError, match="entries agree with the snapshot"):
        storage.save(None, entries(1, 26, 33))
    files.crash()
    storage = RaftStorage.open(ROOT, files)
    assert storage.recovered.entries == entries(2, 31, 33)
    assert storage.recovered.hard_state == HardState(2, "", 20)


def test_a_snapshot_older_than_the_log_changes_nothing() -> None:
    _, source = opened()
    sent = take(source, 2)
    files, storage = opened()
    take(storage, 12)
    storage.compact(12)
    send(source, storage, 2)
    storage.snapshots.finish(sent)
    assert newest_index(storage) == 12
    assert storage.last_index == 20
    files.crash()
    storage = RaftStorage.open(ROOT, files)
    assert storage.recovered.entries == entries(1, 13, 20)


def damage(files: MemoryFiles, storage: RaftStorage) -> Path:
    newest = storage.snapshots.newest()
    assert newest is not None
    files.damage(newest[2], newest[1] - 45, b"??")
    return newest[2]


def test_a_damaged_newest_snapshot_is_passed_over_if_the_log_makes_up_for_it() -> None:
    files, storage = opened()
    take(storage, 5)
    storage.compact(5)
    take(storage, 12)
    path = damage(files, storage)
    files.crash()
    storage = RaftStorage.open(ROOT, files, segment_bytes=400)
    assert storage.recovered.snapshot == meta(5)
    assert storage.recovered.damaged == path
    assert [entry.index for entry in storage.recovered.entries] == list(range(6, 21))
    take(storage, 14)
    assert path.name not in names(files)
    assert len(names(files)) == 2


def test_a_damaged_only_snapshot_is_passed_over_if_the_log_is_whole() -> None:
    files, storage = opened()
    take(storage, 5)
    path = damage(files, storage)
    files.crash()
    storage = RaftStorage.open(ROOT, files)
    assert storage.recovered.snapshot is None
    assert storage.recovered.damaged == path
    assert [entry.index for entry in storage.recovered.entries] == list(range(1, 21))


def test_a_damaged_snapshot_that_the_log_needs_is_refused() -> None:
    files, storage = opened()
    take(storage, 5)
    take(storage, 12)
    storage.compact(12)
    path = damage(files, storage)
    files.crash()
    with pytest.raises(CorruptionError, match=f"{path} is damaged at byte .*move the directory {ROOT} away"):
        RaftStorage.open(ROOT, files)


def test_a_damaged_snapshot_from_the_leader_is_refused_though_the_log_reaches_back() -> None:
    """The server told the leader that it has everything up to 25; its own log never did."""
    _, source = opened(last=0)
    sent = take(source, 25)
    files, target = opened()
    take(target, 5)
    send(source, target, 25)
    target.snapshots.finish(sent)
    damage(files, target)
    files.crash()
    with pytest.raises(CorruptionError, match="the log does not make up for it"):
        RaftStorage.open(ROOT, files)


def test_two_damaged_snapshots_are_refused() -> None:
    files, storage = opened()
    take(storage, 5)
    damage(files, storage)
    take(storage, 12)
    damage(files, storage)
    files.crash()
    with pytest.raises(CorruptionError):
        RaftStorage.open(ROOT, files)


def test_any_changed_byte_of_a_needed_snapshot_is_noticed() -> None:
    files, storage = opened()
    take(storage, 20)
    storage.save(HardState(1, "me", 20), entries(1, 21, 30))
    storage.compact(20)
    newest = storage.snapshots.newest()
    assert newest is not None
    files.crash()
    data = files.contents(newest[2])
    for at in range(len(data)):
        files.damage(newest[2], at, bytes([data[at] ^ 1]))
        with pytest.raises(CorruptionError):
            RaftStorage.open(ROOT, files)
        files.damage(newest[2], at, data[at : at + 1])
    assert RaftStorage.open(ROOT, files).recovered.snapshot == meta(20)


def test_nothing_is_deleted_that_no_snapshot_covers() -> None:
    _, storage = opened()
    with pytest.raises(InvariantError, match="what is deleted is in a snapshot"):
        storage.compact(1)
    take(storage, 5)
    with pytest.raises(InvariantError, match="what is deleted is in a snapshot"):
        storage.compact(6)


def test_compaction_lets_go_of_what_was_recovered() -> None:
    files, storage = opened()
    take(storage, 5)
    files.crash()
    storage = RaftStorage.open(ROOT, files)
    assert storage.recovered.entries
    storage.compact(5)
    assert storage.recovered.entries == storage.recovered.trailing == []


def test_two_snapshots_finished_at_once_by_two_threads_do_not_remove_each_other(tmp_path: Path) -> None:
    """The first is held up while it looks for what to remove; the second must not appear meanwhile."""
    looking, go_on = threading.Event(), threading.Event()

    class Pausing(Files):
        paused = False

        def names(self, path: Path) -> list[str]:
            if threading.current_thread() is first and not self.paused:
                self.paused = True
                looking.set()
                assert go_on.wait(10)
            return super().names(path)

    first = threading.Thread(target=lambda: take(storage, 3))
    storage = RaftStorage.open(tmp_path, Pausing())
    first.start()
    assert looking.wait(10)
    second = threading.Thread(target=lambda: take(storage, 5))
    second.start()
    second.join(0.05)  # without the lock it is through by then
    go_on.set()
    first.join(10)
    second.join(10)
    assert storage.snapshots.read(5, 0, 8) == b"PYCSNAP\n"
    assert newest_index(storage) == 5
    storage.close()
