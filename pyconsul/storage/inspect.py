"""A log read for a person: ``pyconsul debug wal DIR``. Changes nothing, locks nothing, goes on after damage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Union

import msgspec

from pyconsul.errors import StorageError
from pyconsul.storage.files import Files, Guard
from pyconsul.storage.recovery import Replay, read_file, segment_names
from pyconsul.storage.segment import (
    COMMIT_BYTES,
    COMMIT_FRAME_BYTES,
    CONTINUE,
    ENTRY,
    FLAG_CLOSED,
    HARD_STATE,
    MAX_FILE_BYTES,
    RESET,
    Damage,
    SegmentHeader,
    decode_header,
    read_batches,
)
from pyconsul.storage.snapshot_file import NAME, SnapshotDamage, SnapshotInfo, verify

_NAMES = {HARD_STATE: "hard-state", CONTINUE: "continue", RESET: "reset"}


class SegmentFound(msgspec.Struct, frozen=True, tag="segment"):
    """A segment begins. ``bytes`` is the size of its file."""

    path: Path
    header: SegmentHeader
    bytes: int


class RecordFound(msgspec.Struct, frozen=True, tag="record"):
    """One record. ``kind``: hard-state (``index`` is the commit index, ``note`` the vote), continue, reset, entry
    (``note`` is its kind), commit (``index`` is the number of the batch, ``note`` says "closed" for the last one of an
    orderly end). ``bytes``: length of the payload."""

    path: Path
    offset: int
    kind: str
    term: int
    index: int
    bytes: int
    note: str = ""


class SnapshotFound(msgspec.Struct, frozen=True, tag="snapshot"):
    """A snapshot whose checksum is right."""

    path: Path
    info: SnapshotInfo


class ProblemFound(msgspec.Struct, frozen=True, tag="problem"):
    """``torn``: an unfinished write, which the next start cuts off; else damage, which stops the next start."""

    path: Path
    offset: int
    text: str
    torn: bool = False


Found = Union[SegmentFound, RecordFound, SnapshotFound, ProblemFound]  # noqa: UP007


def inspect(path: Path | str, files: Files | None = None) -> Iterator[Found]:
    """Lists and verifies what is in ``<data-dir>/raft``, segment by segment, then the snapshots.

    While an agent writes to it, the end of the last segment may look torn. Raises StorageError when it cannot read.
    """
    path = Path(path)
    files = Files() if files is None else files
    guard = Guard()
    with guard.reading(path):
        names = segment_names(files.names(path))
    # The same judge as at start, so that "torn" and "damaged" mean here what they mean there.
    judge = Replay(path)
    for name in names:
        segment = path / name
        with guard.reading(segment):
            data = read_file(files, segment)
        if data is None:
            yield ProblemFound(segment, MAX_FILE_BYTES, "no segment is that large")
            continue
        judged = _judge(judge, segment, data, name == names[-1])
        yield from _records(segment, data, judged)
        if judged is not None and not judged.torn:
            judge = Replay(path)
    yield from _snapshots(path / "snapshots", files, guard)


def _judge(judge: Replay, path: Path, data: bytes, is_last: bool) -> ProblemFound | None:
    """What recovery says about the segment, without keeping its entries."""
    try:
        judge.read(path, data, is_last, lambda done: None)
    except StorageError as error:
        return ProblemFound(path, judge.end, str(error))
    judge.forget_entries()
    if judge.torn_bytes:
        return ProblemFound(path, judge.end, f"an unfinished write of {judge.torn_bytes} bytes", torn=True)
    return None


def _records(path: Path, data: bytes, judged: ProblemFound | None) -> Iterator[Found]:
    try:
        header = decode_header(data)
        yield SegmentFound(path, header, len(data))
        for batch in read_batches(data, header):
            for kind, term, index, payload, offset in batch.frames:
                if kind >= ENTRY:
                    yield RecordFound(path, offset, "entry", term, index, len(payload), str(kind - ENTRY))
                elif kind == HARD_STATE:
                    vote = payload.decode(errors="backslashreplace")
                    yield RecordFound(path, offset, "hard-state", term, index, len(payload), vote)
                else:
                    yield RecordFound(path, offset, _NAMES.get(kind, f"kind {kind}"), term, index, len(payload))
            note = "closed" if batch.flags & FLAG_CLOSED else ""
            yield RecordFound(path, batch.end - COMMIT_FRAME_BYTES, "commit", 0, batch.sequence, COMMIT_BYTES, note)
    except Damage as damage:
        if judged is None or not judged.torn:
            yield ProblemFound(path, damage.offset, judged.text if judged else damage.reason)
        else:
            yield ProblemFound(path, damage.start, judged.text, torn=True)
        return
    if judged is not None:
        yield judged


def _snapshots(path: Path, files: Files, guard: Guard) -> Iterator[Found]:
    with guard.reading(path):
        names = files.names(path)
    for name in names:
        if NAME.fullmatch(name):
            try:
                with guard.reading(path / name):
                    info = verify(files, path / name)
                yield SnapshotFound(path / name, info)
            except SnapshotDamage as damage:
                yield ProblemFound(path / name, damage.offset, damage.reason)
