"""The write-ahead log: entries, term and vote in one sequence of segments (docs/design/storage.md, "The log").

One batch per save, one sync per batch. Nothing in memory changes before the sync has returned, so a refused save leaves
the log as it was, in memory and on disk.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from pyconsul.errors import DiskFullError
from pyconsul.invariant import invariant
from pyconsul.raft.messages import Entry, HardState
from pyconsul.storage.files import Files, Guard, write_all
from pyconsul.storage.recovery import TEMPORARY, Replay, Segment, supersede
from pyconsul.storage.segment import (
    CONTINUE,
    FLAG_CLOSED,
    HEADER_BYTES,
    MAX_FILE_BYTES,
    MAX_SEGMENT_BYTES,
    RESERVED_BYTES,
    RESET,
    SegmentHeader,
    encode_batch,
)
from pyconsul.storage.terms import UNKNOWN, Terms

CLOSED = -1


class Wal:
    """The open log. Invariants:

    - the last of ``segments`` is the one written to; every byte of it before ``_end`` is synced, what follows are zeros
      (or nothing); no room is asked for before ``_end`` passes ``_reserved``;
    - ``terms`` and ``hard_state`` describe what is on disk, except for ``_reset``: the log goes on after a snapshot
      that is on disk already, and the next batch will say so.
    """

    def __init__(self, root: Path, files: Files, guard: Guard, found: Replay, segment_bytes: int) -> None:
        """Goes on where ``found`` ends: cuts off the torn tail, syncs, or makes the first segment.

        Raises StorageError, DiskFullError.
        """
        invariant(HEADER_BYTES < segment_bytes <= MAX_SEGMENT_BYTES, "segments are at most 512 MiB", size=segment_bytes)
        self.root = root
        self.segment_bytes = segment_bytes
        self.hard_state = found.hard_state
        self.segments = found.segments
        self.terms = Terms(found.base_index, found.base_term)
        if found.entries:
            self.terms.place(found.entries)
        self._files = files
        self._guard = guard
        self._sequence = found.sequence
        self._end = found.end
        self._reserved = found.end
        self._reset: tuple[int, int] | None = None  # (index, term)
        self._void_to = 0  # index of the last reset
        self._handle = CLOSED
        if self.segments:
            self._continue_last(found.torn_bytes)
        else:
            self._new_segment()

    def _continue_last(self, torn_bytes: int) -> None:
        # What was read may so far be in the page cache only (the process was killed, not the machine), and callers
        # take what is recovered for durable. So it is synced even if nothing was cut off.
        path = self.segments[-1].path
        with self._guard.final("open", path):
            self._handle = self._files.open(path)
        if torn_bytes:
            with self._guard.final("cut off the torn end of", path):
                self._files.truncate(self._handle, self._end)
        with self._guard.final("sync", path):
            self._files.sync(self._handle)
        with self._guard.final("sync", self.root):
            self._files.sync_dir(self.root)
        self._protect_last_batch(0)

    def _protect_last_batch(self, flags: int) -> None:
        """Adds an empty batch: from now on damage to the batch before it can be told from a torn write.

        On a full disk it is left out, since the log is complete without it. Raises StorageError.
        """
        with contextlib.suppress(DiskFullError):
            self._write(None, (), flags)

    def append(self, hard_state: HardState | None, entries: Sequence[Entry]) -> None:
        """One batch, one sync. Entries overwrite what is stored at their first index and after it.

        Raises DiskFullError (nothing has changed), StorageError (nothing can be written any more), InvariantError.
        """
        self._guard.check()
        if entries and entries[0].index <= self._void_to:
            entries = self._beyond_reset(entries)
            if not entries and hard_state is None:
                return
        if entries:
            self.terms.check(entries)
        if hard_state is not None:
            last = entries[-1].index if entries else self.terms.last_index
            invariant(hard_state.term >= self.hard_state.term, "the term does not go back", term=hard_state.term)
            invariant(hard_state.commit <= last, "what is committed is stored", commit=hard_state.commit, last=last)
        if self._end >= self.segment_bytes:
            self._new_segment()
        self._write(hard_state, entries, 0)
        if hard_state is not None:
            self.hard_state = hard_state
        if entries:
            if entries[0].index <= self.terms.last_index:
                supersede(self.segments, entries[0].index)
            self.terms.place(entries)
            self.segments[-1].last = self.terms.last_index

    def reset(self, index: int, term: int) -> None:
        """A snapshot that is on disk covers the entry ``index`` of ``term``, and the stored log does not lead there.

        Nothing is written yet: until the next batch, recovery comes to the same conclusion from the snapshot.
        """
        self._reset = (index, term)
        self._void_to = index
        self.terms.reset(index, term)

    def _beyond_reset(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """The entries after the last reset.

        The core learns of an installed snapshot later than the log does, and may meanwhile add entries to what it
        believes to be the log. The snapshot covers those up to its index; they come from the leader that has them
        committed, so the last one they have in common must be the same.
        """
        common = self._void_to - entries[0].index
        if common < len(entries):
            term = self.terms.term_at(self._void_to)
            same = term is None or entries[common].term == term
            invariant(same, "entries agree with the snapshot", index=self._void_to, term=term)
        return entries[common + 1 :]

    def compact(self, index: int) -> None:
        """Deletes leading segments that hold no entry after ``index``; never the one in use. Raises StorageError."""
        while len(self.segments) > 1 and self.segments[0].last <= index:
            segment = self.segments[0]
            with self._guard.final("remove", segment.path):
                self._files.remove(segment.path)
                # One at a time: whatever order the file system prefers, no gap can appear between segments.
                self._files.sync_dir(self.root)
            del self.segments[0]
            self.terms.drop_to(min(segment.last, self.terms.last_index))

    def close(self) -> None:
        """Marks the orderly end, unless the disk failed before, and closes the file. Raises StorageError."""
        if self._handle == CLOSED:
            return
        try:
            if self._guard.failed is None:
                self._protect_last_batch(FLAG_CLOSED)
        finally:
            handle, self._handle = self._handle, CLOSED
            self._files.close(handle)

    def _write(self, hard_state: HardState | None, entries: Sequence[Entry], flags: int) -> None:
        invariant(self._handle != CLOSED, "the log is open")
        segment = self.segments[-1]
        position = None if self._reset is None else (RESET, self._reset[1], self._reset[0])
        batch = encode_batch(
            segment.header,
            self._sequence,
            self._end,
            position=position,
            hard_state=hard_state,
            entries=entries,
            flags=flags,
        )
        try:
            with self._guard.change("write to", segment.path):
                if self._end + len(batch) > self._reserved:
                    self._reserve(len(batch))
                write_all(self._files, self._handle, batch, self._end)
        except DiskFullError:
            self._take_back()
            raise
        with self._guard.final("sync", segment.path):
            self._files.sync(self._handle)
        self._end += len(batch)
        self._sequence += 1
        if position is not None:
            self._reset_is_written()

    def _reserve(self, batch_bytes: int) -> None:
        """Makes room for this batch and many after it: a sync need not store a new size of the file then. Where that
        cannot be had (the disk is nearly full) batches are simply appended to this segment."""
        size = batch_bytes + min(RESERVED_BYTES, self.segment_bytes)
        given = self._files.reserve(self._handle, self._end, size)
        self._reserved = self._end + size if given else MAX_FILE_BYTES

    def _take_back(self) -> None:
        """Part of a batch may have been written. The cut is synced, so that no later batch can be followed by rests."""
        self._reserved = self._end
        with self._guard.final("cut off an unfinished write to", self.segments[-1].path):
            self._files.truncate(self._handle, self._end)
            self._files.sync(self._handle)

    def _reset_is_written(self) -> None:
        self._reset = None
        supersede(self.segments, 1)

    def _new_segment(self) -> None:
        """Starts the next segment. Its first batch repeats the hard state, so that older segments can be deleted.

        Only a complete and synced file gets its final name. Raises DiskFullError (nothing has changed), StorageError.
        """
        serial = self.segments[-1].header.serial + 1 if self.segments else 1
        header = SegmentHeader(serial, self.terms.last_index + 1, self._sequence, self._files.unique_id())
        position = (CONTINUE, self.terms.last_term, self.terms.last_index)
        if self._reset is not None:
            position = (RESET, self._reset[1], self._reset[0])
        invariant(self.terms.last_term != UNKNOWN, "the term of the last entry is known")
        first = encode_batch(header, self._sequence, HEADER_BYTES, position=position, hard_state=self.hard_state)
        data = header.encode() + first
        path = self.root / header.name
        handle = create_file(self._files, self._guard, path, data)
        if self._handle != CLOSED:
            self._files.close(self._handle)
        self._handle = handle
        self._end = self._reserved = len(data)
        self._sequence += 1
        self.segments.append(Segment(path, header))
        if self._reset is not None:
            self._reset_is_written()


def create_file(files: Files, guard: Guard, path: Path, data: bytes) -> int:
    """A new file with the data, synced before it gets its name; returns the open handle.

    Raises DiskFullError (then nothing remains), StorageError.
    """
    temporary = path.with_name(path.name + TEMPORARY)
    with guard.change("create", temporary):
        handle = files.create(temporary)
    try:
        with guard.change("write to", temporary):
            write_all(files, handle, data, 0)
        with guard.final("sync", temporary):
            files.sync(handle)
        with guard.change("rename", temporary):
            files.rename(temporary, path)
    except DiskFullError:
        files.close(handle)
        with guard.final("remove", temporary):
            files.remove(temporary)
        raise
    with guard.final("sync", path.parent):
        files.sync_dir(path.parent)
    return handle
