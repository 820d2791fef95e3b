"""What happens when the file system refuses: full, read-only, failing writes and syncs, short writes."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pyconsul.errors import DiskFullError, InvariantError, StorageError
from pyconsul.raft.messages import Configuration, Entry, HardState, SnapshotMeta
from pyconsul.storage.memory import MemoryFiles
from pyconsul.storage.raft_storage import RaftStorage

ROOT = Path("/data/raft")
META = SnapshotMeta(2, 1, Configuration())


class FaultyFiles(MemoryFiles):
    """``fail(name, code)`` makes calls of that name fail; ``times`` counts down.

    ``part``: how much of a failing or short write gets through.
    """

    def __init__(self) -> None:
        super().__init__()
        self._faults: dict[str, tuple[int, int, int]] = {}
        self.write_at_most: int | None = None
        self.calls: list[str] = []

    def fail(self, name: str, code: int, times: int = 1, after: int = 0) -> None:
        self._faults[name] = (code, times, after)

    def _check(self, name: str) -> None:
        self.calls.append(name)
        code, times, after = self._faults.get(name, (0, 0, 0))
        if after > 0:
            self._faults[name] = (code, times, after - 1)
        elif times > 0:
            self._faults[name] = (code, times - 1, 0)
            raise OSError(code, os.strerror(code))

    def write(self, handle: int, data: bytes | memoryview, offset: int) -> int:
        if self.write_at_most is not None:
            data = data[: self.write_at_most]
        self._check("write")
        return super().write(handle, data, offset)


def _checked(name: str) -> Callable[..., object]:
    def call(self: FaultyFiles, *arguments: object) -> object:
        self._check(name)
        return getattr(MemoryFiles, name)(self, *arguments)

    return call


for _name in (
    "reserve",
    "create",
    "truncate",
    "sync",
    "rename",
    "remove",
    "sync_dir",
    "make_dir",
    "lock",
    "read",
    "open",
    "names",
):
    setattr(FaultyFiles, _name, _checked(_name))


def entries(first: int, last: int, term: int = 1) -> list[Entry]:
    return [Entry(term, index, 0, b"payload %d" % index) for index in range(first, last + 1)]


def opened(segment_bytes: int = 1 << 20) -> tuple[FaultyFiles, RaftStorage]:
    files = FaultyFiles()
    storage = RaftStorage.open(ROOT, files, segment_bytes=segment_bytes)
    storage.save(HardState(1, "me", 0), entries(1, 2))
    files.calls.clear()
    return files, storage


def reopened(files: FaultyFiles) -> RaftStorage:
    files._faults.clear()
    files.write_at_most = None
    files.crash()
    return RaftStorage.open(ROOT, files)


def whole_disk(files: FaultyFiles) -> dict[Path, bytes]:
    return {path: files.contents(path) for path in files._names}


def test_a_save_is_one_write_and_one_sync() -> None:
    files, storage = opened()
    storage.save(HardState(1, "me", 2), entries(3, 500))
    assert files.calls == ["write", "sync"]


def test_nothing_new_is_no_work() -> None:
    files, storage = opened()
    storage.save(HardState(1, "me", 0), [])
    storage.save(None, [])
    assert files.calls == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("short", [None, 1, 17, 60])
def test_a_full_disk_changes_nothing_and_can_be_tried_again(code: int, short: int | None) -> None:
    files, storage = opened()
    before = whole_disk(files)
    for attempt in range(3):
        files.write_at_most = short
        files.fail("write", code, after=0 if short is None else attempt)
        with pytest.raises(DiskFullError, match="make room on the disk"):
            storage.save(HardState(2, "you", 2), entries(3, 9))
        assert whole_disk(files) == before
        assert storage.last_index == 2
    assert storage.failed is None
    files.write_at_most = None
    storage.save(HardState(3, "you", 2), entries(2, 9, term=3))
    assert reopened(files).recovered.entries == entries(1, 1) + entries(2, 9, term=3)


@pytest.mark.parametrize("name", ["create", "write", "rename"])
def test_a_disk_that_is_full_when_a_segment_is_due(name: str) -> None:
    files, storage = opened(segment_bytes=100)
    before = whole_disk(files)
    for _ in range(3):
        files.fail(name, errno.ENOSPC)
        with pytest.raises(DiskFullError):
            storage.save(HardState(2, "you", 2), entries(3, 9))
        assert whole_disk(files) == before
    storage.save(HardState(2, "you", 2), entries(3, 9))
    storage = reopened(files)
    assert storage.recovered.entries == entries(1, 9)
    assert storage.recovered.hard_state == HardState(2, "you", 2)


def test_a_full_disk_after_the_new_segment_was_made() -> None:
    files, storage = opened(segment_bytes=100)
    files.fail("write", errno.ENOSPC, after=1)
    with pytest.raises(DiskFullError):
        storage.save(HardState(2, "you", 2), entries(3, 9))
    storage.save(HardState(3, "", 2), entries(3, 4))
    storage = reopened(files)
    assert storage.recovered.entries == entries(1, 4)
    assert storage.recovered.hard_state == HardState(3, "", 2)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("write", errno.EIO),
        ("write", errno.EROFS),
        ("write", errno.EFBIG),
        ("sync", errno.EIO),
        ("sync", errno.ENOSPC),
    ],
)
def test_a_failed_write_or_sync_ends_all_writing(name: str, code: int) -> None:
    files, storage = opened()
    files.fail(name, code)
    with pytest.raises(StorageError, match=f"cannot {name}.*{os.strerror(code)}") as caught:
        storage.save(HardState(2, "you", 2), entries(3, 9))
    assert not isinstance(caught.value, DiskFullError)
    files.calls.clear()
    refused: list[Callable[[], object]] = [
        lambda: storage.save(HardState(2, "you", 2), entries(3, 9)),
        lambda: storage.save(None, []),
        lambda: storage.snapshots.create(META),
        lambda: storage.snapshots.receive(META, 0, b"data"),
    ]
    for attempt in refused:
        with pytest.raises(StorageError, match="nothing is written after that until the process is restarted"):
            attempt()
    assert files.calls == []
    assert storage.failed is not None
    storage.close()
    assert "write" not in files.calls
    assert reopened(files).recovered.entries == entries(1, 2)


@pytest.mark.parametrize("name", ["truncate", "sync"])
def test_a_full_disk_that_cannot_be_taken_back_ends_all_writing(name: str) -> None:
    files, storage = opened()
    files.write_at_most = 10
    files.fail("write", errno.ENOSPC, after=1)
    files.fail(name, errno.EIO)
    with pytest.raises(StorageError, match="cannot cut off an unfinished write") as caught:
        storage.save(None, entries(3, 9))
    assert not isinstance(caught.value, DiskFullError)
    assert storage.failed is not None
    assert reopened(files).recovered.entries == entries(1, 2)


@pytest.mark.parametrize("name", ["sync", "sync_dir"])
def test_a_failed_sync_of_a_new_segment_ends_all_writing(name: str) -> None:
    files, storage = opened(segment_bytes=100)
    files.fail(name, errno.EIO)
    with pytest.raises(StorageError):
        storage.save(None, entries(3, 9))
    with pytest.raises(StorageError, match="until the process is restarted"):
        storage.save(None, entries(3, 9))
    assert reopened(files).recovered.entries == entries(1, 2)


def test_short_writes_are_continued() -> None:
    files, storage = opened()
    files.write_at_most = 7
    storage.save(HardState(1, "me", 2), entries(3, 9))
    assert reopened(files).recovered.entries == entries(1, 9)


def test_writes_that_get_nowhere_end_all_writing() -> None:
    files, storage = opened()
    files.write_at_most = 0
    with pytest.raises(StorageError, match="accepts no more bytes"):
        storage.save(HardState(1, "me", 2), entries(3, 9))
    assert storage.failed is not None


@pytest.mark.parametrize("name", ["make_dir", "lock"])
def test_a_read_only_file_system_at_start(name: str) -> None:
    files = FaultyFiles()
    files.fail(name, errno.EROFS)
    with pytest.raises(StorageError, match=f"{ROOT}.*{os.strerror(errno.EROFS)}"):
        RaftStorage.open(ROOT, files)


@pytest.mark.parametrize("name", ["create", "write", "rename"])
def test_a_full_disk_at_the_first_start(name: str) -> None:
    files = FaultyFiles()
    files.fail(name, errno.ENOSPC)
    with pytest.raises(DiskFullError):
        RaftStorage.open(ROOT, files)
    assert RaftStorage.open(ROOT, files).recovered.entries == []


@pytest.mark.parametrize("name", ["read", "names", "open", "sync", "sync_dir"])
def test_a_disk_that_fails_at_start(name: str) -> None:
    files, _ = opened()
    files.kill()
    files.fail(name, errno.EIO)
    with pytest.raises(StorageError, match=os.strerror(errno.EIO)):
        RaftStorage.open(ROOT, files)
    assert reopened(files).recovered.entries == entries(1, 2)


def test_a_full_disk_does_not_prevent_a_start() -> None:
    files, _ = opened()
    files.kill()
    files.fail("write", errno.ENOSPC)
    storage = RaftStorage.open(ROOT, files)
    assert storage.recovered.entries == entries(1, 2)
    assert storage.failed is None
    storage.save(None, entries(3, 3))
    assert reopened(files).recovered.entries == entries(1, 3)


def test_a_full_disk_at_the_end_is_no_error() -> None:
    files, storage = opened()
    files.fail("write", errno.ENOSPC)
    storage.close()
    storage = reopened(files)
    assert storage.recovered.entries == entries(1, 2)
    assert storage.recovered.torn_bytes == 0


def test_a_failing_disk_at_the_end_is_told_and_the_lock_let_go() -> None:
    files, storage = opened()
    files.fail("sync", errno.EIO)
    with pytest.raises(StorageError):
        storage.close()
    storage.close()
    files._faults.clear()
    assert RaftStorage.open(ROOT, files).recovered.entries == entries(1, 2)


def test_a_removal_that_fails_ends_all_writing() -> None:
    files, storage = opened(segment_bytes=100)
    storage.save(None, entries(3, 9))
    storage.snapshots.create(SnapshotMeta(9, 1, Configuration())).commit()
    files.fail("remove", errno.EIO)
    with pytest.raises(StorageError, match="cannot remove"):
        storage.compact(9)
    assert storage.failed is not None


@pytest.mark.parametrize(
    ("hard_state", "added", "text"),
    [
        (None, entries(4, 5), "entries continue the stored log"),
        (None, [*entries(3, 3), *entries(5, 5)], "consecutive"),
        (None, entries(3, 3, term=0), "terms do not go back"),
        (HardState(0, "", 0), [], "the term does not go back"),
        (HardState(1, "me", 3), [], "what is committed is stored"),
    ],
)
def test_what_recovery_would_refuse_is_not_written(hard_state: HardState | None, added: list[Entry], text: str) -> None:
    files, storage = opened()
    with pytest.raises(InvariantError, match=text):
        storage.save(hard_state, added)
    assert files.calls == []


def test_a_snapshot_on_a_full_disk_is_given_up_without_a_trace() -> None:
    for name, after in (("create", 0), ("write", 0), ("write", 1), ("write", 2), ("rename", 0)):
        files, storage = opened()
        before = whole_disk(files)
        files.fail(name, errno.ENOSPC, after=after)
        with pytest.raises(DiskFullError):
            fill(storage)
        assert whole_disk(files) == before
        assert storage.snapshots.newest() is None
        fill(storage)
        newest = reopened(files).snapshots.newest()
        assert newest is not None and newest[0] == META


def fill(storage: RaftStorage) -> None:
    writer = storage.snapshots.create(META)
    writer.write(b"state")
    writer.commit()


@pytest.mark.parametrize(("name", "after"), [("write", 1), ("sync", 0), ("sync_dir", 0), ("rename", 0)])
def test_a_snapshot_on_a_failing_disk_ends_all_writing(name: str, after: int) -> None:
    files, storage = opened()
    files.fail(name, errno.EIO, after=after)
    with pytest.raises(StorageError):
        fill(storage)
    with pytest.raises(StorageError, match="until the process is restarted"):
        storage.save(None, entries(3, 3))


def test_a_snapshot_that_reads_back_differently_ends_all_writing() -> None:
    files, storage = opened()
    writer = storage.snapshots.create(META)
    writer.write(b"state")
    [path] = [path for path in files._names if path.name.endswith(".snap.tmp")]
    files.damage(path, len(files.contents(path)) - 1, b"?")
    with pytest.raises(StorageError, match="reads back differently"):
        writer.commit()
    assert storage.failed is not None


def test_receiving_on_a_full_disk_starts_again_later() -> None:
    files, storage = opened()
    before = whole_disk(files)
    assert storage.snapshots.receive(META, 0, b"abc") == 3
    files.fail("write", errno.ENOSPC)
    with pytest.raises(DiskFullError):
        storage.snapshots.receive(META, 3, b"def")
    assert whole_disk(files) == before
    assert storage.snapshots.receive(META, 3, b"def") == 0


def test_room_that_cannot_be_reserved_is_done_without_and_a_broken_disk_is_told() -> None:
    files = FaultyFiles()  # in memory no room can be reserved
    storage = RaftStorage.open(ROOT, files)
    files.calls.clear()
    storage.save(HardState(1, "me", 0), entries(1, 2))
    storage.save(None, entries(3, 9))
    assert files.calls == ["reserve", "write", "sync", "write", "sync"]
    files = FaultyFiles()
    storage = RaftStorage.open(ROOT, files)
    files.fail("reserve", errno.EIO)
    with pytest.raises(StorageError, match=r"cannot write to .*: Input/output error"):
        storage.save(HardState(1, "me", 0), entries(1, 2))
    assert storage.failed is not None
