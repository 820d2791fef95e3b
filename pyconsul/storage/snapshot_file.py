"""One snapshot file as bytes: header, state, trailer (docs/design/storage.md, "Snapshots").

The whole file travels to other servers as it is, so the receiver checks the checksum that the writer made.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from zlib import crc32

import msgspec

from pyconsul.raft.messages import SnapshotMeta
from pyconsul.storage.files import Files, read_all

MAGIC = b"PYCSNAP\n"
VERSION = 1
HEADER = struct.Struct("<8sII16sI")  # magic, version, length of meta, id, crc32 of the fields before it and meta
HEADER_BYTES = HEADER.size
LENGTH = struct.Struct("<Q")
DIGEST_BYTES = 32
TRAILER_BYTES = LENGTH.size + DIGEST_BYTES
MAX_META_BYTES = 1 << 20
READ_BYTES = 1 << 20
SUFFIX = ".snap"
NAME = re.compile(r"([0-9]{20})-([0-9]{20})-([0-9a-f]{32})\.snap")

_encode_meta = msgspec.msgpack.encode
_decode_meta = msgspec.msgpack.Decoder(SnapshotMeta).decode


class SnapshotDamage(Exception):
    """A snapshot file is not as it was written. ``offset``: where, as far as that is known."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(reason)
        self.offset = offset
        self.reason = reason


class SnapshotInfo(msgspec.Struct, frozen=True):
    """A verified snapshot file. The state is ``data_bytes`` bytes at ``data_offset`` of the ``size`` bytes."""

    meta: SnapshotMeta
    id: bytes
    size: int
    data_offset: int
    data_bytes: int


def file_name(meta: SnapshotMeta, ident: bytes) -> str:
    return f"{meta.term:020d}-{meta.index:020d}-{ident.hex()}{SUFFIX}"


def new_hash() -> blake2b:
    return blake2b(digest_size=DIGEST_BYTES)


def encode_header(meta: SnapshotMeta, ident: bytes) -> bytes:
    encoded = _encode_meta(meta)
    crc = crc32(encoded, crc32(HEADER.pack(MAGIC, VERSION, len(encoded), ident, 0)[:-4]))
    return HEADER.pack(MAGIC, VERSION, len(encoded), ident, crc) + encoded


def decode_header(read: Callable[[int, int], bytes], size: int) -> tuple[SnapshotMeta, bytes, int]:
    """Meta, id and offset of the state, from the first bytes of a file of ``size`` bytes. Raises SnapshotDamage."""
    head = read(HEADER_BYTES, 0)
    if len(head) < HEADER_BYTES:
        raise SnapshotDamage(len(head), "the file ends within its header")
    magic, version, length, ident, crc = HEADER.unpack(head)
    if magic != MAGIC:
        raise SnapshotDamage(0, "this is not the header of a snapshot")
    if version != VERSION:
        raise SnapshotDamage(len(MAGIC), f"format version {version} is not known to this version of pyconsul")
    if length > MAX_META_BYTES or HEADER_BYTES + length + TRAILER_BYTES > size:
        raise SnapshotDamage(len(MAGIC) + 4, f"a description of {length} bytes does not fit into the file")
    encoded = read(length, HEADER_BYTES)
    if crc32(encoded, crc32(head[:-4])) != crc:
        raise SnapshotDamage(0, "the checksum of the header is wrong")
    try:
        meta = _decode_meta(encoded)
    except msgspec.DecodeError as error:
        raise SnapshotDamage(HEADER_BYTES, f"the description cannot be read: {error}") from error
    return meta, ident, HEADER_BYTES + length


def verify(files: Files, path: Path, progress: Callable[[int], None] | None = None) -> SnapshotInfo:
    """Reads the whole file. Raises SnapshotDamage, ``OSError``. ``progress`` is told how many bytes are done."""
    handle = files.open_read(path)
    try:
        size = files.size(handle)

        def read(length: int, offset: int) -> bytes:
            return read_all(files, handle, length, offset)

        meta, ident, data_offset = decode_header(read, size)
        data_bytes = size - data_offset - TRAILER_BYTES
        digest = new_hash()
        end = size - DIGEST_BYTES
        for offset in range(0, end, READ_BYTES):
            digest.update(read(min(READ_BYTES, end - offset), offset))
            if progress is not None:
                progress(offset)
        trailer = read(TRAILER_BYTES, end - LENGTH.size)
        if len(trailer) < TRAILER_BYTES or LENGTH.unpack_from(trailer)[0] != data_bytes:
            raise SnapshotDamage(end - LENGTH.size, "its length is not the one noted at its end")
        if digest.digest() != trailer[LENGTH.size :]:
            raise SnapshotDamage(end, "the checksum over the file is wrong")
        return SnapshotInfo(meta, ident, size, data_offset, data_bytes)
    finally:
        files.close(handle)


def read_state(files: Files, path: Path, info: SnapshotInfo) -> Iterator[bytes]:
    """The state in pieces of at most 1 MiB, whose borders mean nothing. Raises ``OSError``."""
    handle = files.open_read(path)
    try:
        end = info.data_offset + info.data_bytes
        for offset in range(info.data_offset, end, READ_BYTES):
            yield read_all(files, handle, min(READ_BYTES, end - offset), offset)
    finally:
        files.close(handle)
