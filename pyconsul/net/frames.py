"""Framing on the server port: one byte that names the protocol, then frames of a 4-byte length and a payload.

The length is big-endian and counts the payload only. Nothing here does IO.
"""

from __future__ import annotations

from pyconsul.errors import DecodeError

RAFT_PROTOCOL = 0xB1
"""First byte of a connection that carries Raft messages, one way."""

RPC_PROTOCOL = 0xB2
"""First byte of a connection that carries requests and their answers."""

FRAME_BYTES_MAX = 64 * 1024 * 1024
"""A larger frame is refused before anything is allocated for it."""

HEADER_BYTES = 4


def frame(payload: bytes) -> bytes:
    """The payload with its length in front."""
    return len(payload).to_bytes(HEADER_BYTES, "big") + payload


class FrameReader:
    """Cuts a byte stream into payloads. Work is linear in what is fed, at most one partial frame is kept."""

    def __init__(self, frame_bytes_max: int = FRAME_BYTES_MAX) -> None:
        self._frame_bytes_max = frame_bytes_max
        self._buffer = bytearray()
        self._needed = HEADER_BYTES  # bytes at which the next step can be taken

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads that ``data`` completes. Raises DecodeError for a frame over the limit."""
        buffer = self._buffer
        buffer += data
        if len(buffer) < self._needed:
            return []
        payloads = []
        position = 0
        total = len(buffer)
        while total - position >= HEADER_BYTES:
            size = int.from_bytes(buffer[position : position + HEADER_BYTES], "big")
            if size > self._frame_bytes_max:
                raise DecodeError(f"frame of {size} bytes, limit {self._frame_bytes_max}")
            end = position + HEADER_BYTES + size
            if end > total:
                self._needed = end - position
                break
            payloads.append(bytes(buffer[position + HEADER_BYTES : end]))
            position = end
        else:
            self._needed = HEADER_BYTES
        del buffer[:position]
        return payloads
