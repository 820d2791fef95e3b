"""Reading a log for a person: everything is listed, damage does not end it, nothing is changed or locked."""

from __future__ import annotations

from pathlib import Path

from pyconsul.raft.messages import Configuration, Entry, HardState, SnapshotMeta
from pyconsul.storage.inspect import ProblemFound, RecordFound, SegmentFound, SnapshotFound, inspect
from pyconsul.storage.memory import MemoryFiles
from pyconsul.storage.raft_storage import RaftStorage

ROOT = Path("/data/raft")


def filled(closed: bool = True) -> tuple[MemoryFiles, RaftStorage]:
    files = MemoryFiles()
    storage = RaftStorage.open(ROOT, files, segment_bytes=500)
    for index in range(1, 9):
        storage.save(HardState(1, "voted", index - 1), [Entry(1, index, index % 3, b"x" * 60)])
    storage.snapshots.create(SnapshotMeta(4, 1, Configuration())).commit()
    if closed:
        storage.close()
    return files, storage


def test_everything_is_listed_while_an_agent_holds_the_lock() -> None:
    files, _ = filled(closed=False)
    before = {path: files.contents(path) for path in files._names}
    handles = dict(files._handles)
    found = list(inspect(ROOT, files))
    assert {path: files.contents(path) for path in files._names} == before
    assert files._handles == handles
    assert not [one for one in found if isinstance(one, ProblemFound)]
    entries = [one for one in found if isinstance(one, RecordFound) and one.kind == "entry"]
    assert [(one.term, one.index, one.bytes, one.note) for one in entries] == [
        (1, index, 60, str(index % 3)) for index in range(1, 9)
    ]
    segments = [one for one in found if isinstance(one, SegmentFound)]
    assert [one.header.serial for one in segments] == [1, 2, 3]
    assert all(one.bytes == len(files.contents(one.path)) for one in segments)
    [snapshot] = [one for one in found if isinstance(one, SnapshotFound)]
    assert snapshot.info.meta.index == 4
    states = [one for one in found if isinstance(one, RecordFound) and one.kind == "hard-state"]
    assert states[-1].index == 7 and states[-1].note == "voted"
    assert [one.index for one in found if isinstance(one, RecordFound) and one.kind == "continue"] == [0, 3, 6]


def test_offsets_are_those_in_the_file() -> None:
    files, _ = filled()
    for one in inspect(ROOT, files):
        if isinstance(one, RecordFound) and one.kind == "entry":
            assert files.contents(one.path)[one.offset + 25 : one.offset + 85] == b"x" * 60
        if isinstance(one, RecordFound) and one.kind == "commit":
            assert files.contents(one.path)[one.offset + 8] == 2


def test_an_orderly_end_is_shown() -> None:
    files, _ = filled()
    assert [one for one in inspect(ROOT, files) if isinstance(one, RecordFound)][-1].note == "closed"


def test_a_torn_end_is_told_from_damage() -> None:
    files, _ = filled(closed=False)
    last = [one for one in inspect(ROOT, files) if isinstance(one, SegmentFound)][-1]
    size = len(files.contents(last.path))
    handle = files.open(last.path)
    files.truncate(handle, size - 5)
    files.sync(handle)
    [problem] = [one for one in inspect(ROOT, files) if isinstance(one, ProblemFound)]
    assert problem.torn
    assert problem.path == last.path
    assert "unfinished write" in problem.text
    files.kill()
    storage = RaftStorage.open(ROOT, files)
    assert f"of {storage.recovered.torn_bytes} bytes" in problem.text
    assert problem.offset == size - 5 - storage.recovered.torn_bytes


def test_damage_is_shown_and_the_rest_is_still_listed() -> None:
    files, _ = filled()
    segments = [one for one in inspect(ROOT, files) if isinstance(one, SegmentFound)]
    files.damage(segments[1].path, 200, b"??")
    found = list(inspect(ROOT, files))
    problems = [one for one in found if isinstance(one, ProblemFound)]
    assert [one.path for one in problems] == [segments[1].path]
    assert not problems[0].torn
    assert f"{segments[1].path} is damaged at byte {problems[0].offset}" in problems[0].text
    listed = [one.index for one in found if isinstance(one, RecordFound) and one.kind == "entry"]
    assert 1 in listed and 8 in listed


def test_damaged_headers_and_snapshots_are_shown() -> None:
    files, _ = filled()
    found = list(inspect(ROOT, files))
    segments = [one for one in found if isinstance(one, SegmentFound)]
    [snapshot] = [one for one in found if isinstance(one, SnapshotFound)]
    files.damage(segments[0].path, 3, b"?")
    files.damage(snapshot.path, 60, b"?")
    problems = [one for one in inspect(ROOT, files) if isinstance(one, ProblemFound)]
    assert [one.path for one in problems] == [segments[0].path, snapshot.path]


def test_records_that_are_fine_each_but_not_together_are_shown() -> None:
    files, _ = filled()
    segments = [one for one in inspect(ROOT, files) if isinstance(one, SegmentFound)]
    files.remove(segments[1].path)
    [problem] = [one for one in inspect(ROOT, files) if isinstance(one, ProblemFound)]
    assert "segment 2 is missing" in problem.text
