"""One segment of the log as bytes: header, frames, batches. Pure functions; no file is touched here.

The byte tables are in docs/design/storage.md, "The log". In short: a header, then batches. A batch is what one save
wrote: frames (reset or continuation, hard state, entries) and a commit frame that numbers it and checks all of it.
Since a batch is written only after the one before it was synced, only the last batch of the last segment can be torn.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from zlib import crc32

import msgspec

from pyconsul.invariant import invariant
from pyconsul.raft.messages import Entry, HardState

MAGIC = b"PYCWAL\r\n"
VERSION = 1
HEADER = struct.Struct("<8sIQQQ16s8xI")  # magic, version, serial, first index, first sequence, id, crc32
HEADER_BYTES = HEADER.size
FRAME = struct.Struct("<IIBQQ")  # crc32 of the rest, payload length, kind, term, index
FRAME_BYTES = FRAME.size
_HEAD = struct.Struct("<IBQQ")  # the frame header without its crc32
_CRC = struct.Struct("<I")
_COMMIT = struct.Struct("<16sIB")  # payload of a commit frame: segment id, crc32 of the batch's other frames, flags
COMMIT_BYTES = _COMMIT.size
COMMIT_FRAME_BYTES = FRAME_BYTES + COMMIT_BYTES

MAX_PAYLOAD_BYTES = 64 << 20
MAX_BATCH_BYTES = 256 << 20
MAX_SEGMENT_BYTES = 512 << 20  # the largest size at which a segment may still take one more batch
RESERVED_BYTES = 1 << 20  # by which a segment is made longer at once, ahead of what is written
MAX_FILE_BYTES = MAX_SEGMENT_BYTES + MAX_BATCH_BYTES + RESERVED_BYTES

# Kinds of frames. 0 is none, so that zeros are never a frame.
HARD_STATE = 1  # term: term; index: commit index; payload: the vote
COMMIT = 2  # term: number of the batch; index: file offset of its first frame
CONTINUE = 3  # term, index: of the last entry before this segment
RESET = 4  # term, index: the log goes on after this entry, which a snapshot covers; all stored entries are void
ENTRY = 16  # 16 + kind of the entry; payload: data

FLAG_CLOSED = 1  # the batch says that the log was closed in good order

FrameTuple = tuple[int, int, int, bytes, int]  # kind, term, index, payload, offset in the file


class Damage(Exception):
    """The bytes at ``offset`` are not what was written there. ``start``: where their batch begins.

    Whether that is a torn tail or corruption is for the caller to decide.
    """

    def __init__(self, start: int, offset: int, reason: str, sequence: int) -> None:
        super().__init__(reason)
        self.start = start
        self.offset = offset
        self.reason = reason
        self.sequence = sequence


class UnknownVersion(Damage):
    """Not damage at all: a newer version of pyconsul wrote the file."""


class SegmentHeader(msgspec.Struct, frozen=True):
    """``serial`` orders segments; ``sequence`` numbers the first batch; ``first_index``: the next index at creation."""

    serial: int
    first_index: int
    sequence: int
    id: bytes

    @property
    def name(self) -> str:
        return f"{self.serial:010d}-{self.first_index:020d}-{self.id.hex()}.wal"

    @property
    def salt(self) -> int:
        """Start value of the frames' checksums: a frame of another segment is never valid in this one."""
        return crc32(self.id)

    def encode(self) -> bytes:
        fields = (MAGIC, VERSION, self.serial, self.first_index, self.sequence, self.id)
        return HEADER.pack(*fields, crc32(HEADER.pack(*fields, 0)[:-4]))


class Batch(msgspec.Struct, gc=False):
    """Bytes ``start`` to ``end`` of the file, and the frames in them without the commit frame."""

    start: int
    end: int
    sequence: int
    flags: int
    frames: list[FrameTuple]


def decode_header(data: bytes) -> SegmentHeader:
    """Raises Damage, UnknownVersion. (A later version must keep magic, version, and the checksum at the end.)"""
    if len(data) < HEADER_BYTES:
        raise Damage(0, len(data), "the file ends within its header", 0)
    magic, version, serial, first_index, sequence, ident, crc = HEADER.unpack_from(data)
    if magic != MAGIC:
        raise Damage(0, 0, "this is not the header of a log segment", 0)
    if crc != crc32(data[: HEADER_BYTES - 4]):
        raise Damage(0, 0, "the checksum of the header is wrong", 0)
    if version != VERSION:
        raise UnknownVersion(0, len(MAGIC), f"format version {version} is not known to this version of pyconsul", 0)
    return SegmentHeader(serial, first_index, sequence, ident)


def encode_batch(
    header: SegmentHeader,
    sequence: int,
    offset: int,
    *,
    position: tuple[int, int, int] | None = None,
    hard_state: HardState | None = None,
    entries: Sequence[Entry] = (),
    flags: int = 0,
) -> bytes:
    """One batch, to be written at ``offset``. ``position``: (CONTINUE or RESET, term, index)."""
    salt = header.salt
    head_of, crc_of, crc = _HEAD.pack, _CRC.pack, crc32
    parts: list[bytes] = []
    add = parts.append
    if position is not None:
        head = head_of(0, *position)
        add(crc_of(crc(head, salt)))
        add(head)
    if hard_state is not None:
        vote = hard_state.vote.encode()
        head = head_of(len(vote), HARD_STATE, hard_state.term, hard_state.commit)
        add(crc_of(crc(vote, crc(head, salt))))
        add(head)
        add(vote)
    for entry in entries:
        data = entry.data
        if len(data) > MAX_PAYLOAD_BYTES:
            invariant(False, "an entry is at most 64 MiB", size=len(data))
        head = head_of(len(data), ENTRY + entry.kind, entry.term, entry.index)
        add(crc_of(crc(data, crc(head, salt))))
        add(head)
        add(data)
    body = b"".join(parts)
    invariant(len(body) <= MAX_BATCH_BYTES, "a batch is at most 256 MiB", size=len(body))
    seal = _COMMIT.pack(header.id, crc(body), flags)
    head = head_of(len(seal), COMMIT, sequence, offset)
    return b"".join((body, crc_of(crc(seal, crc(head, salt))), head, seal))


def written_bytes(data: bytes) -> int:
    """Where the zeros begin that were reserved and not written yet. (A batch that was may end in a few zeros, but does
    not consist of them.)"""
    return len(data.rstrip(b"\0"))


def read_batches(data: bytes, header: SegmentHeader) -> Iterator[Batch]:
    """All batches of a segment file. Raises Damage at the first byte that is not as written.

    Lengths are compared with what the file holds before anything is taken out of it.
    """
    salt = header.salt
    size = len(data)
    written = written_bytes(data)
    view = memoryview(data)
    unpack, crc = FRAME.unpack_from, crc32
    position = HEADER_BYTES
    sequence = header.sequence
    while position < written:
        start = position
        frames: list[FrameTuple] = []
        while True:
            payload = position + FRAME_BYTES
            if payload > size:
                raise Damage(start, position, "the file ends within a record", sequence)
            want, length, kind, term, index = unpack(data, position)
            end = payload + length
            if length > MAX_PAYLOAD_BYTES or end > size:
                raise Damage(start, position, f"a record of {length} bytes does not fit into the file", sequence)
            if crc(view[position + 4 : end], salt) != want:
                raise Damage(start, position, "the checksum of a record is wrong", sequence)
            if kind == COMMIT:
                break
            frames.append((kind, term, index, data[payload:end], position))
            position = end
        if length != _COMMIT.size:
            raise Damage(start, position, "a commit record has a wrong size", sequence)
        ident, body_crc, flags = _COMMIT.unpack_from(data, payload)
        if ident != header.id or index != start or term != sequence:
            raise Damage(start, position, f"a commit record of batch {term} at {index} stands here", sequence)
        if crc(view[start:position]) != body_crc:
            raise Damage(start, position, f"the checksum of batch {sequence} is wrong", sequence)
        position = end
        yield Batch(start, end, sequence, flags, frames)
        sequence += 1


def was_followed(data: bytes, header: SegmentHeader, damage: Damage) -> bool:
    """Whether the batch that ``damage`` lies in was followed by another one, and had thus been synced.

    A commit record holds the segment's id, which occurs nowhere else after the header; so each candidate is found by
    a search for it, and then checked in full.
    """
    written = written_bytes(data)
    at = data.find(header.id, damage.start)
    while at != -1:
        marker = at - FRAME_BYTES
        end = at + _COMMIT.size
        if marker >= damage.start and end <= len(data):
            want, length, kind, sequence, start = FRAME.unpack_from(data, marker)
            if (
                kind == COMMIT
                and length == _COMMIT.size
                and crc32(data[marker + 4 : end], header.salt) == want
                and (sequence > damage.sequence or (start == damage.start and end < written))
            ):
                return True
        at = data.find(header.id, at + 1)
    return False
