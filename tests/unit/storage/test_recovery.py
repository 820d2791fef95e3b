"""What opening does with every kind of damage: a torn tail is cut off, everything else is refused."""

from __future__ import annotations

import re
from pathlib import Path
from zlib import crc32

import pytest

from pyconsul.errors import CorruptionError, StorageError
from pyconsul.raft.messages import Configuration, Entry, HardState, SnapshotMeta
from pyconsul.storage import recovery
from pyconsul.storage.files import Files
from pyconsul.storage.memory import MemoryFiles
from pyconsul.storage.raft_storage import RaftStorage
from pyconsul.storage.segment import (
    COMMIT_FRAME_BYTES,
    CONTINUE,
    ENTRY,
    HARD_STATE,
    HEADER_BYTES,
    decode_header,
    encode_batch,
    read_batches,
)

ROOT = Path("/data/raft")


def entries(term: int, first: int, last: int, size: int = 10) -> list[Entry]:
    return [Entry(term, index, 0, b"%d" % index * size) for index in range(first, last + 1)]


def segments(files: Files) -> list[Path]:
    return [ROOT / name for name in recovery.segment_names(files.names(ROOT))]


def written(closed: bool = False, segment_bytes: int = 1 << 20) -> MemoryFiles:
    """Three batches: entries 1-3, 4-6, 7-9."""
    files = MemoryFiles()
    storage = RaftStorage.open(ROOT, files, segment_bytes=segment_bytes)
    for first in (1, 4, 7):
        storage.save(HardState(first, "me", first - 1), entries(first, first, first + 2))
    if closed:
        storage.close()
    files.kill()
    return files


def replace(files: MemoryFiles, path: Path, data: bytes) -> None:
    handle = files.open(path)
    files.truncate(handle, 0)
    files.write(handle, data, 0)
    files.sync(handle)
    files.close(handle)


def batch_starts(data: bytes) -> list[int]:
    header = decode_header(data)
    return [batch.start for batch in read_batches(data, header)]


reserved = pytest.mark.parametrize("reserved", [0, 3000], ids=["no room reserved", "room reserved"])
"""Zeros behind what was written."""


def torn_bytes(data: bytes, last: int) -> int:
    """Of a file whose last whole batch ends at ``last``."""
    return max(0, len(data.rstrip(b"\0")) - last)


@reserved
def test_the_last_batch_torn_at_every_byte(reserved: int) -> None:
    files = written()
    [path] = segments(files)
    data = files.contents(path)
    last = batch_starts(data)[-1]
    for size in range(last, len(data.rstrip(b"\0")) if reserved else len(data)):
        replace(files, path, data[:size] + bytes(reserved))
        storage = RaftStorage.open(ROOT, files)
        assert storage.recovered.torn_bytes == torn_bytes(data[:size], last)
        assert storage.recovered.hard_state == HardState(4, "me", 3)
        assert storage.recovered.entries == entries(1, 1, 3) + entries(4, 4, 6)
        assert files.contents(path)[:last] == data[:last]
        assert len(files.contents(path).rstrip(b"\0")) in range(
            last + COMMIT_FRAME_BYTES - 5, last + COMMIT_FRAME_BYTES
        )
        files.kill()
        storage = RaftStorage.open(ROOT, files)
        assert storage.recovered.torn_bytes == 0
        assert storage.recovered.entries == entries(1, 1, 3) + entries(4, 4, 6)
        files.kill()


@reserved
def test_the_last_batch_with_any_sector_missing(reserved: int) -> None:
    files = MemoryFiles()
    storage = RaftStorage.open(ROOT, files)
    storage.save(HardState(1, "me", 0), entries(1, 1, 1))
    [path] = segments(files)
    before = files.contents(path)
    storage.save(None, entries(1, 2, 4, size=2000))
    data = files.contents(path)
    files.kill()
    for sector in range(len(before) // 512, (len(data) + 511) // 512):
        start, end = max(sector * 512, len(before)), min(sector * 512 + 512, len(data))
        torn = data[:start] + bytes(end - start) + data[end:]
        replace(files, path, torn + bytes(reserved))
        storage = RaftStorage.open(ROOT, files)
        assert storage.recovered.entries == entries(1, 1, 1)
        assert storage.recovered.torn_bytes == torn_bytes(torn, len(before))
        files.kill()


def test_the_log_goes_on_after_a_cut() -> None:
    files = written()
    [path] = segments(files)
    data = files.contents(path)
    replace(files, path, data[:-1])
    storage = RaftStorage.open(ROOT, files)
    storage.save(HardState(8, "x", 6), entries(8, 7, 7))
    files.kill()
    storage = RaftStorage.open(ROOT, files)
    assert storage.recovered.entries == entries(1, 1, 3) + entries(4, 4, 6) + entries(8, 7, 7)
    assert storage.recovered.torn_bytes == 0


@reserved
@pytest.mark.parametrize("value", [0x01, 0x80, 0xFF])
def test_any_changed_byte_before_the_last_batch_is_refused(value: int, reserved: int) -> None:
    files = written()
    [path] = segments(files)
    data = files.contents(path)
    replace(files, path, data + bytes(reserved))
    for at in range(batch_starts(data)[-1]):
        files.damage(path, at, bytes([data[at] ^ value]))
        with pytest.raises(CorruptionError) as caught:
            RaftStorage.open(ROOT, files)
        match = re.match(rf"{re.escape(str(path))} is damaged at byte (\d+): ", str(caught.value))
        assert match is not None
        assert int(match[1]) <= at
        assert f"move the directory {ROOT} away and start it again" in str(caught.value)
        files.damage(path, at, data[at : at + 1])
    RaftStorage.open(ROOT, files)


def test_after_an_orderly_end_the_last_batch_is_protected_too() -> None:
    files = written(closed=True)
    [path] = segments(files)
    data = files.contents(path)
    closing = batch_starts(data)[-1]
    for at in range(closing):
        files.damage(path, at, bytes([data[at] ^ 0x10]))
        with pytest.raises(CorruptionError):
            RaftStorage.open(ROOT, files)
        files.damage(path, at, data[at : at + 1])
    for at in range(closing, len(data)):
        files.damage(path, at, bytes([data[at] ^ 0x10]))
        storage = RaftStorage.open(ROOT, files)
        assert storage.recovered.hard_state == HardState(7, "me", 6)
        assert len(storage.recovered.entries) == 9
        files.kill()
        replace(files, path, data)


def test_after_a_restart_the_last_batch_before_it_is_protected() -> None:
    files = written()
    RaftStorage.open(ROOT, files)
    files.kill()
    [path] = segments(files)
    files.damage(path, batch_starts(files.contents(path))[-2] + 30, b"?")
    with pytest.raises(CorruptionError, match="a later batch follows"):
        RaftStorage.open(ROOT, files)


def test_a_file_of_a_newer_version_is_not_called_damaged() -> None:
    files = written()
    [path] = segments(files)
    header = bytearray(files.contents(path)[:HEADER_BYTES])
    header[8] = 2
    header[-4:] = crc32(header[:-4]).to_bytes(4, "little")
    files.damage(path, 0, bytes(header))
    with pytest.raises(
        StorageError, match=f"{path}: format version 2 is not known .*: start the newer version"
    ) as caught:
        RaftStorage.open(ROOT, files)
    assert not isinstance(caught.value, CorruptionError)


def test_damage_with_only_a_torn_batch_after_it_is_refused() -> None:
    files = written()
    [path] = segments(files)
    data = files.contents(path)
    starts = batch_starts(data)
    for size in range(starts[-1] + 1, len(data)):
        replace(files, path, data[:size])
        files.damage(path, starts[-2] + 30, b"\xee\xee")
        with pytest.raises(CorruptionError, match="a later batch follows"):
            RaftStorage.open(ROOT, files)


def test_a_cut_file_with_a_later_segment_is_refused() -> None:
    files = written(segment_bytes=300)
    paths = segments(files)
    assert len(paths) > 1
    data = files.contents(paths[0])
    for size in range(len(data)):
        replace(files, paths[0], data[:size])
        with pytest.raises(CorruptionError, match=re.escape(str(paths[0])) + "|missing before it"):
            RaftStorage.open(ROOT, files)


def test_the_first_batch_of_a_segment_cannot_be_torn() -> None:
    files = written(segment_bytes=300)
    path = segments(files)[-1]
    data = files.contents(path)
    end = batch_starts(data)[1]
    for size in range(end):
        replace(files, path, data[:size])
        text = "within its header" if size < HEADER_BYTES else "the first batch of a segment is"
        text = "the first batch is missing" if size == HEADER_BYTES else text
        with pytest.raises(CorruptionError, match=text):
            RaftStorage.open(ROOT, files)


def test_missing_segments_are_refused() -> None:
    # The first of the four holds no entries, so that only the second is missed.
    for removed, text in (([1], "segment 2 is missing before this one"), ([0, 1], "the log begins after entry 3")):
        files = written(segment_bytes=100)
        paths = segments(files)
        assert len(paths) == 4
        for number in removed:
            files.remove(paths[number])
        with pytest.raises(CorruptionError, match=text):
            RaftStorage.open(ROOT, files)


def test_a_log_that_ends_before_what_it_says_is_committed_is_refused() -> None:
    files = written()
    path = segments(files)[-1]
    data = files.contents(path)
    header = decode_header(data)
    number = header.sequence + len(batch_starts(data))
    replace(files, path, data + encode_batch(header, number, len(data), hard_state=HardState(7, "me", 12)))
    with pytest.raises(CorruptionError, match="entries up to 12 were committed, but the log ends at 9"):
        RaftStorage.open(ROOT, files)


@pytest.mark.parametrize(
    ("kind", "term", "index", "text"),
    [
        (ENTRY, 7, 11, "entry 11 stands after entry 9"),
        (ENTRY, 6, 10, "entry 10 of term 6 after term 7"),
        (CONTINUE, 7, 8, "this segment continues entry 8 of term 7, but the log ends at 9"),
        (CONTINUE, 6, 9, "this segment continues entry 9 of term 6, but the log ends at 9"),
        (HARD_STATE, 6, 9, "term 6 stands after term 7"),
        (9, 7, 9, "records of kind 9 are not known"),
    ],
)
def test_records_that_contradict_each_other_are_refused(kind: int, term: int, index: int, text: str) -> None:
    files = written()
    [path] = segments(files)
    data = files.contents(path)
    header = decode_header(data)
    number = header.sequence + len(batch_starts(data))
    replace(files, path, data + encode_batch(header, number, len(data), position=(kind, term, index)))
    with pytest.raises(CorruptionError, match=f"at byte {len(data)}: {text}"):
        RaftStorage.open(ROOT, files)


def test_a_renamed_segment_is_refused() -> None:
    files = written()
    [path] = segments(files)
    other = path.with_name("0000000009" + path.name[10:])
    files.rename(path, other)
    with pytest.raises(CorruptionError, match=f"belongs to a file named {path.name}"):
        RaftStorage.open(ROOT, files)


def test_a_file_larger_than_any_segment_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    files = written()
    monkeypatch.setattr(recovery, "MAX_FILE_BYTES", 100)
    monkeypatch.setattr(MemoryFiles, "read", lambda *_: pytest.fail("read"))
    with pytest.raises(CorruptionError, match="no segment is that large"):
        RaftStorage.open(ROOT, files)


def test_snapshots_without_a_log_are_refused() -> None:
    files = written()
    storage = RaftStorage.open(ROOT, files)
    storage.snapshots.create(SnapshotMeta(3, 1, Configuration())).commit()
    files.kill()
    for path in segments(files):
        files.remove(path)
    with pytest.raises(CorruptionError, match="how this server voted"):
        RaftStorage.open(ROOT, files)


def test_a_log_without_its_snapshot_is_refused() -> None:
    files = written(segment_bytes=100)
    storage = RaftStorage.open(ROOT, files, segment_bytes=100)
    writer = storage.snapshots.create(SnapshotMeta(6, 4, Configuration()))
    writer.commit()
    storage.compact(6)
    newest = storage.snapshots.newest()
    assert newest is not None
    files.kill()
    files.remove(newest[2])
    with pytest.raises(CorruptionError, match="the log begins after entry 6, but the newest snapshot ends at entry 0"):
        RaftStorage.open(ROOT, files)


def test_leftover_temporary_files_are_removed() -> None:
    files = written()
    for name in ("0000000002-x.wal.tmp", "snapshots/a.snap.tmp"):
        files.close(files.create(ROOT / name))
    storage = RaftStorage.open(ROOT, files)
    assert len(storage.recovered.entries) == 9
    assert not [name for name in files.names(ROOT) + files.names(ROOT / "snapshots") if name.endswith(".tmp")]


def test_progress_counts_up_to_the_total() -> None:
    files = MemoryFiles()
    storage = RaftStorage.open(ROOT, files)
    storage.save(HardState(1, "", 0), entries(1, 1, 200, size=10_000))
    writer = storage.snapshots.create(SnapshotMeta(100, 1, Configuration()))
    for _ in range(30):
        writer.write(b"x" * 100_000)
    writer.commit()
    storage.close()
    seen: list[tuple[int, int]] = []
    RaftStorage.open(ROOT, files, lambda done, total: seen.append((done, total)))
    assert len(seen) > 3
    assert seen == sorted(seen)
    assert {total for _, total in seen} == {seen[-1][0]}


def test_what_is_recovered_is_synced_before_it_is_relied_on() -> None:
    files = UnsyncedFiles()
    storage = RaftStorage.open(ROOT, files)
    files.syncing = False  # the process is killed between write and sync; the page cache has the batch
    storage.save(HardState(9, "you", 0), [])
    files.kill()
    files.syncing = True
    storage = RaftStorage.open(ROOT, files)
    assert storage.recovered.hard_state == HardState(9, "you", 0)
    files.crash()
    storage = RaftStorage.open(ROOT, files)
    assert storage.recovered.hard_state == HardState(9, "you", 0)


class UnsyncedFiles(MemoryFiles):
    syncing = True

    def sync(self, handle: int) -> None:
        if self.syncing:
            super().sync(handle)
