"""The state as a stream of bytes and back. Same state, same bytes, on every server.

The stream is the magic, then frames: length of the payload (4 bytes, big-endian), kind (1 byte), payload (msgpack).
The first frame is the head with the format's version and the number of rows of each kind, the last one the end; rows
follow each other in the order of their table's keys (traces of deletes: newest first), as many to a frame as fit in
about 48 KiB. Checksums are the storage layer's business.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, pairwise
from typing import Any

import msgspec

from pyconsul.errors import DecodeError
from pyconsul.records.autopilot import AutopilotConfig
from pyconsul.records.catalog import Check, Coordinate, Node, Service
from pyconsul.records.kv import KVEntry
from pyconsul.records.session import Session
from pyconsul.state.kv import KVData
from pyconsul.state.store import Contents

MAGIC = b"pyconsul-state\n"
VERSION = 1
CHUNK_BYTES_MAX = 64 * 1024
FRAME_BYTES_MAX = 256 * 1024 * 1024  # a frame holds at least one row, and a row may be large
_FRAME_BYTES_WANTED = 48 * 1024
_ROWS_MAX = 512
_FRAME_HEAD = struct.Struct(">IB")

_HEAD, _END, _KV, _TOMBSTONE, _SESSION, _NODE, _SERVICE, _CHECK, _COORDINATE, _MARK, _AUTOPILOT = range(11)


class _Head(msgspec.Struct, array_like=True):
    """``rows``: how many of each kind follow, by kind."""

    version: int
    index: int
    kv_index: int
    rows: dict[int, int]


_ROW_TYPES: dict[int, Any] = {
    _TOMBSTONE: tuple[bytes, int],
    _SESSION: Session,
    _NODE: Node,
    _SERVICE: Service,
    _CHECK: Check,
    _COORDINATE: Coordinate,
    _MARK: tuple[str, int],
    _AUTOPILOT: AutopilotConfig,
    _KV: KVEntry,
}


def _decoder(row: Any) -> Any:
    return msgspec.msgpack.Decoder(list[row])


_encode = msgspec.msgpack.Encoder().encode
_head_decoder = msgspec.msgpack.Decoder(_Head)
_decoders: dict[int, Any] = {kind: _decoder(row) for kind, row in _ROW_TYPES.items()}


# Writing


def write_snapshot(contents: Contents) -> Iterator[bytes]:
    """Chunks of at most CHUNK_BYTES_MAX. Each step does a bounded amount of work (one frame)."""
    tables: list[tuple[int, Sequence[Any]]] = [
        (_MARK, contents.marks),
        (_AUTOPILOT, [contents.autopilot] if contents.autopilot is not None else []),
        (_NODE, contents.nodes),
        (_SERVICE, contents.services),
        (_CHECK, contents.checks),
        (_COORDINATE, contents.coordinates),
        (_SESSION, contents.sessions),
    ]
    rows = {kind: len(table) for kind, table in tables}
    rows |= {_TOMBSTONE: len(contents.tombstones), _KV: len(contents.kv)}
    yield MAGIC + _frame(_HEAD, _Head(VERSION, contents.index, contents.kv_index, rows))
    for kind, table in tables:
        for at in range(0, len(table), _ROWS_MAX):
            yield from _cut(_frame(kind, table[at : at + _ROWS_MAX]))
    traces = iter(contents.tombstones)
    while some := list(islice(traces, _ROWS_MAX)):
        yield from _cut(_frame(_TOMBSTONE, some))
    for batch in _batches(contents.kv):
        yield from _cut(_frame(_KV, batch))
    yield _frame(_END, [])


def _batches(entries: Iterable[KVEntry]) -> Iterator[list[KVEntry]]:
    batch: list[KVEntry] = []
    size = 0
    for entry in entries:
        batch.append(entry)
        size += len(entry.key) + len(entry.value) + 32
        if size >= _FRAME_BYTES_WANTED or len(batch) == _ROWS_MAX:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _frame(kind: int, rows: object) -> bytes:
    payload = _encode(rows)
    return _FRAME_HEAD.pack(len(payload), kind) + payload


def _cut(frame: bytes) -> Iterator[bytes]:
    if len(frame) <= CHUNK_BYTES_MAX:
        yield frame
        return
    for at in range(0, len(frame), CHUNK_BYTES_MAX):
        yield frame[at : at + CHUNK_BYTES_MAX]


# Reading


def read_snapshot(chunks: Iterable[bytes], progress: Callable[[int, int], None] | None = None) -> Contents:
    """The contents, wherever the stream is cut. Raises DecodeError: not a snapshot, damaged, cut short, too new.

    ``progress(done, of)`` is called with the numbers of rows now and then.
    """
    frames = _frames(chunks)
    kind, payload = next(frames, (_END, b""))
    if kind != _HEAD:
        raise DecodeError("a state snapshot begins with another frame than its head")
    head: _Head = _decoded(_head_decoder, payload, "head")
    if head.version != VERSION:
        raise DecodeError(f"the state snapshot has format {head.version}, this version of pyconsul reads {VERSION}")
    tables: dict[int, list[Any]] = {kind: [] for kind in _ROW_TYPES}
    total, done = sum(head.rows.values()), 0
    for kind, payload in frames:
        if kind == _END:
            break
        decoder = _decoders.get(kind)
        if decoder is None:
            raise DecodeError(f"the state snapshot has rows of an unknown kind: {kind}")
        rows = _decoded(decoder, payload, f"rows of kind {kind}")
        tables[kind].extend(rows)
        done += len(rows)
        if progress is not None:
            progress(done, total)
    else:
        raise DecodeError("the state snapshot ends too early")
    if next(frames, None) is not None:
        raise DecodeError("the state snapshot goes on behind its end")
    for kind, table in tables.items():
        if head.rows.get(kind, 0) != len(table):
            raise DecodeError(
                f"the state snapshot has {len(table)} rows of kind {kind} instead of {head.rows.get(kind, 0)}"
            )
    return _contents(head, tables)


def _contents(head: _Head, tables: dict[int, list[Any]]) -> Contents:
    entries: list[KVEntry] = tables[_KV]
    if any(a.key >= b.key for a, b in pairwise(entries)):
        raise DecodeError("the keys of the state snapshot are not in order")
    return Contents(
        index=head.index,
        kv=KVData(entries),
        kv_index=head.kv_index,
        tombstones=tables[_TOMBSTONE],
        sessions=tables[_SESSION],
        nodes=tables[_NODE],
        services=tables[_SERVICE],
        checks=tables[_CHECK],
        coordinates=tables[_COORDINATE],
        marks=tables[_MARK],
        autopilot=tables[_AUTOPILOT][0] if tables[_AUTOPILOT] else None,
    )


def _decoded(decoder: Any, payload: bytes, what: str) -> Any:
    try:
        return decoder.decode(payload)
    except msgspec.MsgspecError as error:
        raise DecodeError(f"the state snapshot has an unreadable {what}: {error}") from error


def _frames(chunks: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """(kind, payload) of each frame. A length from the stream is only believed up to FRAME_BYTES_MAX."""
    buffer = bytearray()
    at = 0
    begun = False
    for chunk in chunks:
        buffer += chunk
        if not begun:
            if len(buffer) < len(MAGIC):
                continue
            if not buffer.startswith(MAGIC):
                raise DecodeError("this is no state snapshot: wrong first bytes")
            begun, at = True, len(MAGIC)
        while len(buffer) - at >= _FRAME_HEAD.size:
            length, kind = _FRAME_HEAD.unpack_from(buffer, at)
            if length > FRAME_BYTES_MAX:
                raise DecodeError(f"the state snapshot has a frame of {length} bytes")
            end = at + _FRAME_HEAD.size + length
            if len(buffer) < end:
                break
            yield kind, bytes(memoryview(buffer)[at + _FRAME_HEAD.size : end])
            at = end
        del buffer[:at]
        at = 0
    if buffer or not begun:
        raise DecodeError("the state snapshot ends in the middle of a frame")
