"""Frames: any cutting of the byte stream gives the same payloads, and sizes are bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyconsul.errors import DecodeError
from pyconsul.net.frames import FrameReader, frame


@given(st.lists(st.binary(max_size=50), max_size=10), st.lists(st.integers(1, 20), min_size=1, max_size=20))
def test_any_cutting_gives_the_payloads(payloads: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(frame(payload) for payload in payloads)
    reader = FrameReader()
    got: list[bytes] = []
    position = 0
    turn = 0
    while position < len(stream):
        size = cuts[turn % len(cuts)]
        got += reader.feed(stream[position : position + size])
        position += size
        turn += 1
    assert got == payloads


def test_a_frame_over_the_limit_is_refused_by_its_header() -> None:
    reader = FrameReader(frame_bytes_max=10)
    assert reader.feed(frame(b"0123456789")) == [b"0123456789"]
    with pytest.raises(DecodeError, match="frame of 11 bytes, limit 10"):
        reader.feed((11).to_bytes(4, "big"))
