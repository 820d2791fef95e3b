"""The real file system: rights, the lock between processes, durability calls, a whole life."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pyconsul.errors import DiskFullError, LockedError, StorageError
from pyconsul.raft.messages import Configuration, Entry, HardState, SnapshotMeta
from pyconsul.storage import raft_storage
from pyconsul.storage.files import Files, Guard
from pyconsul.storage.raft_storage import RaftStorage

HOLDER = """
import sys
from pyconsul.storage.raft_storage import RaftStorage
storage = RaftStorage.open(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


def test_a_whole_life(tmp_path: Path) -> None:
    path = tmp_path / "new" / "raft"
    storage = RaftStorage.open(path, segment_bytes=2000)
    entries = [Entry(1, index, 0, b"%d" % index * 20) for index in range(1, 101)]
    for start in range(0, 100, 10):
        storage.save(HardState(1, "me", start), entries[start : start + 10])
    writer = storage.snapshots.create(SnapshotMeta(60, 1, Configuration()))
    writer.write(b"state")
    writer.commit()
    storage.compact(50)
    storage.close()
    storage = RaftStorage.open(str(path), segment_bytes=2000)
    assert storage.recovered.entries == entries[60:]
    assert [entry.index for entry in storage.recovered.trailing] == list(range(31, 61))
    assert storage.first_index == 31
    assert list(storage.snapshots.state(60)) == [b"state"]
    storage.close()


def test_nobody_else_can_read_the_files(tmp_path: Path) -> None:
    path = tmp_path / "data" / "raft"
    storage = RaftStorage.open(path)
    storage.snapshots.create(SnapshotMeta(0, 0, Configuration())).commit()
    storage.close()
    found = [path.parent, path, *path.rglob("*")]
    assert len(found) == 6
    for item in found:
        assert stat.S_IMODE(item.stat().st_mode) == (0o700 if item.is_dir() else 0o600), item


def test_two_processes_cannot_share_a_directory(tmp_path: Path) -> None:
    path = tmp_path / "raft"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdin is not None and holder.stdout is not None
    try:
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(LockedError) as caught:
            RaftStorage.open(path)
        assert str(caught.value) == (
            f"{path} is in use by another pyconsul process (pid {holder.pid}): "
            "stop that one or choose another data directory"
        )
    finally:
        holder.kill()
        holder.communicate()
    RaftStorage.open(path).close()


def test_a_second_open_in_the_same_process_is_refused_until_the_first_is_closed(tmp_path: Path) -> None:
    storage = RaftStorage.open(tmp_path)
    with pytest.raises(LockedError, match=f"pid {os.getpid()}"):
        RaftStorage.open(tmp_path)
    storage.close()
    RaftStorage.open(tmp_path).close()


def test_a_failed_open_lets_go_of_the_lock(tmp_path: Path) -> None:
    RaftStorage.open(tmp_path).close()
    [segment] = tmp_path.glob("*.wal")
    data = segment.read_bytes()
    segment.write_bytes(b"x" + data[1:])
    for _ in range(2):
        with pytest.raises(StorageError, match="damaged at byte 0"):
            RaftStorage.open(tmp_path)
    segment.write_bytes(data)
    RaftStorage.open(tmp_path).close()


def test_a_path_that_is_a_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "raft"
    path.write_text("")
    with pytest.raises(StorageError, match=str(path)):
        RaftStorage.open(path)


def test_a_large_save_takes_several_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Counting(Files):
        syncs = 0

        def sync(self, handle: int) -> None:
            self.syncs += 1

    monkeypatch.setattr(raft_storage, "MAX_SAVE_BYTES", 1000)
    files = Counting()
    storage = RaftStorage.open(tmp_path, files)
    files.syncs = 0
    entries = [Entry(1, index, 0, b"x" * 300) for index in range(1, 8)] + [Entry(1, 8, 0, b"y" * 5000)]
    storage.save(HardState(1, "me", 8), entries)
    assert files.syncs == 4
    storage.close()
    storage = RaftStorage.open(tmp_path)
    assert storage.recovered.entries == entries
    assert storage.recovered.hard_state == HardState(1, "me", 8)
    storage.close()


def test_a_really_full_disk() -> None:
    """/dev/full refuses every write with ENOSPC."""
    files, guard = Files(), Guard()
    handle = files.open(Path("/dev/full"))
    with pytest.raises(DiskFullError, match="No space left on device"), guard.change("write to", Path("/dev/full")):
        files.write(handle, b"data", 0)
    files.close(handle)
    assert guard.failed is None


@pytest.mark.slow
def test_a_million_small_entries_are_read_back_in_time(tmp_path: Path) -> None:
    from pyconsul.clock import SystemClock

    storage = RaftStorage.open(tmp_path)
    for start in range(1, 1_000_001, 1000):
        storage.save(None, [Entry(1, index, 0, b"x" * 40) for index in range(start, start + 1000)])
    storage.close()
    clock = SystemClock()
    before = clock.monotonic()
    storage = RaftStorage.open(tmp_path)
    seconds = clock.monotonic() - before
    assert len(storage.recovered.entries) == 1_000_000
    storage.close()
    assert seconds < 8
