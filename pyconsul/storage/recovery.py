"""Reads the log back at start. What is cut off and what stops the start: docs/design/storage.md, "After a crash"."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from pyconsul.errors import CorruptionError, StorageError
from pyconsul.raft.messages import Entry, HardState
from pyconsul.storage.files import Files, Guard, read_all
from pyconsul.storage.segment import (
    CONTINUE,
    ENTRY,
    HARD_STATE,
    HEADER_BYTES,
    MAX_FILE_BYTES,
    RESET,
    Batch,
    Damage,
    SegmentHeader,
    UnknownVersion,
    decode_header,
    read_batches,
    was_followed,
    written_bytes,
)
from pyconsul.storage.terms import UNKNOWN

SUFFIX = ".wal"
TEMPORARY = ".tmp"
PROGRESS_EVERY_BYTES = 1 << 20


class Segment(msgspec.Struct):
    """A segment on disk. ``last``: the highest index of an entry in it that is still part of the log (0: none)."""

    path: Path
    header: SegmentHeader
    last: int = 0


def remedy(root: Path) -> str:
    """What a person can do about damage."""
    return (
        f"restore this server: stop it, move the directory {root} away and start it again: "
        "it gets its data from the leader (a server that is alone needs a backup)"
    )


def segment_names(names: list[str]) -> list[str]:
    """The segments among the names of a folder, in the order in which they were made."""
    return sorted(name for name in names if name.endswith(SUFFIX))


class Replay:
    """The log as far as it was read.

    ``entries`` are those after ``base_index``, of which ``base_term`` is the term (UNKNOWN: nothing tells it).
    ``sequence`` is the number of the next batch and ``end`` its offset in the last segment. ``torn_bytes`` were found
    after ``end``. ``has_base``: a position was seen, so ``base_index`` means something.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.hard_state = HardState()
        self.entries: list[Entry] = []
        self.base_index = 0
        self.base_term = 0
        self.has_base = False
        self.segments: list[Segment] = []
        self.sequence = 0
        self.end = 0
        self.torn_bytes = 0

    def corruption(self, path: Path, offset: int, reason: str) -> CorruptionError:
        return CorruptionError(f"{path} is damaged at byte {offset}: {reason}; {remedy(self.root)}")

    @property
    def last_index(self) -> int:
        return self.base_index + len(self.entries)

    def term_at(self, index: int) -> int | None:
        """None: no such entry is stored (or the base's term is not known)."""
        if index == self.base_index and self.base_term != UNKNOWN:
            return self.base_term
        if not self.base_index < index <= self.last_index:
            return None
        return self.entries[index - self.base_index - 1].term

    def forget_entries(self) -> None:
        """Keeps only what is needed to judge the segments that follow."""
        if self.entries:
            self.base_index, self.base_term = self.last_index, self.entries[-1].term
            self.entries.clear()

    def read(self, path: Path, data: bytes, is_last: bool, progress: Callable[[int], None]) -> None:
        """Takes in one segment file. Raises CorruptionError; StorageError when a newer version wrote it."""
        try:
            header = decode_header(data)
        except UnknownVersion as version:
            raise StorageError(f"{path}: {version.reason}: start the newer version that wrote it") from version
        except Damage as damage:
            raise self.corruption(path, damage.offset, damage.reason) from damage
        if path.name != header.name:
            raise self.corruption(path, 0, f"the header belongs to a file named {header.name}")
        if self.segments and header.serial != self.segments[-1].header.serial + 1:
            expected = self.segments[-1].header.serial + 1
            raise self.corruption(path, 0, f"segment {expected} is missing before this one")
        if self.segments and header.sequence != self.sequence:
            raise self.corruption(path, 0, f"batches {self.sequence} to {header.sequence - 1} are missing before it")
        segment = Segment(path, header)
        self.segments.append(segment)
        self.sequence = header.sequence
        self.end = HEADER_BYTES
        reported = 0
        try:
            for batch in read_batches(data, header):
                self._apply(segment, batch)
                self.sequence = batch.sequence + 1
                self.end = batch.end
                if batch.end - reported >= PROGRESS_EVERY_BYTES:
                    reported = batch.end
                    progress(reported)
        except Damage as damage:
            self._judge(path, data, header, is_last, damage)
        if self.end == HEADER_BYTES:
            raise self.corruption(path, self.end, "the first batch is missing")

    def _judge(self, path: Path, data: bytes, header: SegmentHeader, is_last: bool, damage: Damage) -> None:
        """A torn tail is remembered in ``torn_bytes``; everything else raises CorruptionError."""
        if not is_last:
            why = "a later segment exists, so this was on disk"
        elif damage.start == HEADER_BYTES:
            why = "the first batch of a segment is on disk before the segment gets its name"
        elif was_followed(data, header, damage):
            why = "a later batch follows, so this was on disk"
        else:
            self.torn_bytes = written_bytes(data) - damage.start
            return
        raise self.corruption(path, damage.offset, f"{damage.reason} ({why})") from damage

    def _apply(self, segment: Segment, batch: Batch) -> None:
        entries = self.entries
        last = self.base_index + len(entries)
        last_term = entries[-1].term if entries else self.base_term
        touched = False
        for kind, term, index, payload, offset in batch.frames:
            if kind >= ENTRY:
                if index != last + 1:
                    if index > last or index < 1:
                        raise self.corruption(segment.path, offset, f"entry {index} stands after entry {last}")
                    self._cut(segment, index)
                    entries = self.entries
                    last_term = entries[-1].term if entries else self.base_term
                if term < last_term:
                    raise self.corruption(segment.path, offset, f"entry {index} of term {term} after term {last_term}")
                entries.append(Entry(term, index, kind - ENTRY, payload))
                last, last_term, touched = index, term, True
            elif kind == HARD_STATE:
                self._hard_state(segment, HardState(term, _text(payload), index), offset)
            elif kind == RESET or (kind == CONTINUE and not self.has_base):
                self._reset(segment, index, term)
                entries, last, last_term = self.entries, index, term
            elif kind == CONTINUE:
                if index != last or (term != last_term and UNKNOWN not in (term, last_term)):
                    reason = f"this segment continues entry {index} of term {term}, but the log ends at {last}"
                    raise self.corruption(segment.path, offset, reason)
            else:
                raise self.corruption(segment.path, offset, f"records of kind {kind} are not known")
        if touched:
            segment.last = last
        if not self.has_base:
            raise self.corruption(segment.path, batch.start, "the segment does not say what it continues")

    def _cut(self, segment: Segment, index: int) -> None:
        """An entry at ``index`` supersedes what is stored there and after it."""
        if index > self.base_index:
            del self.entries[index - self.base_index - 1 :]
        else:
            # The overwritten part began in segments that are deleted by now.
            self.entries.clear()
            self.base_index, self.base_term = index - 1, UNKNOWN
        supersede(self.segments, index)
        segment.last = min(segment.last, index - 1)

    def _reset(self, segment: Segment, index: int, term: int) -> None:
        self.entries.clear()
        self.base_index, self.base_term, self.has_base = index, term, True
        supersede(self.segments, 1)
        segment.last = 0

    def _hard_state(self, segment: Segment, hard_state: HardState, offset: int) -> None:
        if hard_state.term < self.hard_state.term:
            reason = f"term {hard_state.term} stands after term {self.hard_state.term}"
            raise self.corruption(segment.path, offset, reason)
        self.hard_state = hard_state


def supersede(segments: list[Segment], index: int) -> None:
    """Entries at ``index`` and after it in the given segments are void."""
    for segment in reversed(segments):
        if segment.last and segment.last < index:
            break
        segment.last = min(segment.last, index - 1)


def _text(payload: bytes) -> str:
    return payload.decode(errors="surrogateescape")


def replay(root: Path, files: Files, guard: Guard, progress: Callable[[int], None]) -> Replay:
    """Reads all segments in ``root``, changing nothing. ``progress`` is told how many bytes are done.

    Raises CorruptionError, StorageError.
    """
    result = Replay(root)
    with guard.reading(root):
        names = segment_names(files.names(root))
    done = 0
    for name in names:
        path = root / name
        with guard.reading(path):
            data = read_file(files, path)
        if data is None:
            raise result.corruption(path, MAX_FILE_BYTES, "no segment is that large")
        result.read(path, data, name == names[-1], partial(_report, progress, done))
        done += len(data)
        progress(done)
    return result


def _report(progress: Callable[[int], None], before: int, part: int) -> None:
    progress(before + part)


def read_file(files: Files, path: Path) -> bytes | None:
    """The whole segment; None when it is larger than a segment can be. Raises ``OSError``."""
    handle = files.open_read(path)
    try:
        size = files.size(handle)
        return None if size > MAX_FILE_BYTES else read_all(files, handle, size)
    finally:
        files.close(handle)
