"""One framed connection: writes of a loop turn leave together, reads arrive as payloads."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import cast

from pyconsul.errors import DecodeError
from pyconsul.net.frames import FrameReader

WRITE_BUFFER_BYTES_MAX = 32 * 1024 * 1024
"""Past this, ``send`` refuses: the peer does not keep up, and memory is bounded."""


class FrameConnection(asyncio.Protocol):
    """The dialling or accepting end of a framed connection.

    ``on_frames(connection, payloads)`` and ``on_close(connection, reason)`` are called from the event loop; after
    ``on_close`` neither is called again. A payload that the handler refuses with DecodeError closes the connection.
    """

    def __init__(
        self,
        on_frames: Callable[[FrameConnection, list[bytes]], None],
        on_close: Callable[[FrameConnection, str], None],
        hello: bytes = b"",
    ) -> None:
        self._on_frames = on_frames
        self._on_close = on_close
        self._reader = FrameReader()
        self._loop = asyncio.get_running_loop()
        self._outgoing: list[bytes] = [hello] if hello else []
        self._flush_scheduled = False
        self._transport: asyncio.Transport | None = None
        self._closed = False
        self.peer = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's, only their equals.
        self._transport = transport = cast(asyncio.Transport, transport)
        name = transport.get_extra_info("peername")
        self.peer = f"{name[0]}:{name[1]}" if name else ""
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._outgoing:
            self._flush()

    def data_received(self, data: bytes) -> None:
        try:
            payloads = self._reader.feed(data)
            if payloads:
                self._on_frames(self, payloads)
        except DecodeError as error:
            self.close(str(error))

    def eof_received(self) -> bool | None:
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish(str(exc) if exc else "EOF")

    def _finish(self, reason: str) -> None:
        if not self._closed:
            self._closed = True
            self._outgoing.clear()
            self._on_close(self, reason)

    @property
    def closed(self) -> bool:
        return self._closed

    def send(self, payload: bytes) -> bool:
        """Queues one frame for the end of this loop turn. False: closed, or the peer does not keep up."""
        transport = self._transport
        if self._closed or (transport is not None and transport.get_write_buffer_size() > WRITE_BUFFER_BYTES_MAX):
            return False
        self._outgoing.append(len(payload).to_bytes(4, "big"))
        self._outgoing.append(payload)
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self._loop.call_soon(self._flush)
        return True

    def _flush(self) -> None:
        self._flush_scheduled = False
        transport = self._transport
        if transport is None or self._closed or not self._outgoing:
            return
        transport.write(b"".join(self._outgoing))
        self._outgoing.clear()

    def close(self, reason: str = "closed here") -> None:
        """Closes at once; what was not written is dropped."""
        if self._transport is not None:
            self._transport.abort()
        self._finish(reason)
