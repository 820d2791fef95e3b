"""Frames and batches as bytes."""

from __future__ import annotations

import struct
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyconsul.errors import InvariantError
from pyconsul.raft.messages import Entry, HardState
from pyconsul.storage import segment
from pyconsul.storage.segment import (
    CONTINUE,
    HEADER_BYTES,
    Damage,
    SegmentHeader,
    decode_header,
    encode_batch,
    read_batches,
    was_followed,
)

HEADER = SegmentHeader(serial=3, first_index=7, sequence=20, id=bytes(range(16)))
ENTRIES = st.lists(
    st.builds(Entry, st.integers(1, 2**40), st.integers(1, 2**40), st.integers(0, 2), st.binary(max_size=40)),
    max_size=6,
)


def file_of(*batches: list[Entry]) -> tuple[bytes, list[int]]:
    """A segment file, and where each batch begins (and the last one ends)."""
    data = HEADER.encode()
    starts = [len(data)]
    for number, batch in enumerate(batches):
        position = (CONTINUE, 1, 6) if number == 0 else None
        state = HardState(1, "vötér", 5) if number == 0 else None
        data += encode_batch(
            HEADER, HEADER.sequence + number, len(data), position=position, hard_state=state, entries=batch
        )
        starts.append(len(data))
    return data, starts


@given(st.lists(ENTRIES, min_size=1, max_size=4))
def test_what_is_written_is_read_back(batches: list[list[Entry]]) -> None:
    data, starts = file_of(*batches)
    assert decode_header(data) == HEADER
    found = list(read_batches(data, HEADER))
    assert [batch.start for batch in found] == starts[:-1]
    assert [batch.end for batch in found] == starts[1:]
    assert [batch.sequence for batch in found] == list(range(20, 20 + len(batches)))
    assert found[0].frames[0][:4] == (CONTINUE, 1, 6, b"")
    assert found[0].frames[1][:4] == (segment.HARD_STATE, 1, 5, "vötér".encode())
    del found[0].frames[:2]
    for batch, written in zip(found, batches, strict=True):
        assert [Entry(term, index, kind - 16, payload) for kind, term, index, payload, _ in batch.frames] == written


def test_the_byte_table_of_the_design_page() -> None:
    data = HEADER.encode()
    assert len(data) == 64
    assert data[:8] == b"PYCWAL\r\n"
    assert struct.unpack_from("<IQQQ", data, 8) == (1, 3, 7, 20)
    assert data[36:52] == HEADER.id
    frame = encode_batch(HEADER, 20, 72, entries=[Entry(5, 7, 2, b"data")])
    assert struct.unpack_from("<IBQQ", frame, 4) == (4, 18, 5, 7)
    assert frame[25:29] == b"data"
    assert struct.unpack_from("<IBQQ", frame, 29 + 4) == (21, 2, 20, 72)
    assert frame[29 + 25 : 29 + 41] == HEADER.id
    assert len(frame) == 29 + 25 + 21


@given(st.data())
def test_any_changed_byte_is_noticed(data: st.DataObject) -> None:
    whole, _ = file_of([Entry(1, 7, 0, b"first")], [Entry(1, 8, 0, b"second"), Entry(2, 9, 1, b"")])
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Damage) as caught:
        list(read_batches(bytes(changed), decode_header(bytes(changed))))
    assert caught.value.offset <= at


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(rest: bytes) -> None:
    with pytest.raises(Damage):
        decode_header(rest)
    if not rest.strip(b"\0"):
        assert list(read_batches(HEADER.encode() + rest, HEADER)) == []  # room that was reserved
    else:
        with pytest.raises(Damage):
            list(read_batches(HEADER.encode() + rest, HEADER))


def test_a_frame_of_another_segment_is_refused() -> None:
    other = SegmentHeader(3, 7, 20, b"x" * 16)
    data, _ = file_of([Entry(1, 7, 0, b"first")])
    with pytest.raises(Damage, match="checksum"):
        list(read_batches(other.encode() + data[HEADER_BYTES:], other))


def test_a_batch_at_another_place_is_refused() -> None:
    data, starts = file_of([Entry(1, 7, 0, b"first")], [Entry(1, 8, 0, b"second")])
    repeated = data + data[starts[1] : starts[2]]
    with pytest.raises(Damage, match="commit record of batch 21") as caught:
        list(read_batches(repeated, HEADER))
    assert caught.value.start == starts[2]


def test_a_frame_missing_inside_a_batch_is_noticed() -> None:
    first = [Entry(1, 7, 0, b"same"), Entry(1, 8, 0, b"size")]
    data, starts = file_of(first)
    frame = segment.FRAME_BYTES + 4
    commit = data[starts[1] - segment.COMMIT_FRAME_BYTES :]
    second = data[starts[1] - segment.COMMIT_FRAME_BYTES - frame : starts[1] - segment.COMMIT_FRAME_BYTES]
    stale = data[: starts[1] - segment.COMMIT_FRAME_BYTES - 2 * frame] + second + second + commit
    with pytest.raises(Damage, match="checksum of batch 20"):
        list(read_batches(stale, HEADER))


def test_a_huge_length_is_refused_before_memory_is_taken() -> None:
    data = HEADER.encode() + struct.pack("<IIBQQ", 0, 2**32 - 1, 16, 1, 7) + b"x" * 100
    with pytest.raises(Damage, match="4294967295 bytes does not fit"):
        list(read_batches(data, HEADER))


def test_another_version_is_refused_by_number() -> None:
    fields = (segment.MAGIC, 2, 1, 1, 1, b"i" * 16)
    raw = segment.HEADER.pack(*fields, 0)
    raw = segment.HEADER.pack(*fields, crc32(raw[:-4]))
    with pytest.raises(Damage, match="version 2"):
        decode_header(raw)


def test_an_entry_over_the_limit_is_never_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment, "MAX_PAYLOAD_BYTES", 10)
    encode_batch(HEADER, 20, 72, entries=[Entry(1, 7, 0, b"x" * 10)])
    with pytest.raises(InvariantError, match="at most 64 MiB"):
        encode_batch(HEADER, 20, 72, entries=[Entry(1, 7, 0, b"x" * 11)])


def test_a_batch_over_the_limit_is_never_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment, "MAX_BATCH_BYTES", 100)
    with pytest.raises(InvariantError, match="at most 256 MiB"):
        encode_batch(HEADER, 20, 72, entries=[Entry(1, 7, 0, b"x" * 50), Entry(1, 8, 0, b"x" * 50)])


def test_entries_that_contain_a_copy_of_the_log_do_not_look_like_a_later_batch() -> None:
    first, starts = file_of([Entry(1, 7, 0, b"first")])
    copy = encode_batch(HEADER, 22, starts[1], entries=[Entry(1, 8, 0, first)])
    for cut in range(1, len(copy)):
        torn = first + copy[:cut]
        damage = Damage(starts[1], starts[1], "torn", 22)
        assert not was_followed(torn, HEADER, damage)
