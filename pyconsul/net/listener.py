"""The server port: reads the first byte of each connection and hands it to that protocol."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import cast

from pyconsul.log import pairs
from pyconsul.net.connection import FrameConnection

Acceptor = Callable[[], FrameConnection]
"""Makes the protocol object for one accepted connection."""

FIRST_BYTE_SECONDS_MAX = 5.0
"""A connection that has not named its protocol by then is closed (``limits.rpc_handshake_timeout``)."""


class _Selecting(asyncio.Protocol):
    """Waits for the first byte, then replaces itself."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's, only their equals.
        self._transport = transport = cast(asyncio.Transport, transport)
        self._listener.transports.add(transport)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._listener.handshake_seconds, self._refuse, "no protocol byte in time")

    def data_received(self, data: bytes) -> None:
        transport = self._transport
        if self._timer is not None:
            self._timer.cancel()
        accept = self._listener.protocols.get(data[0])
        if transport is None or accept is None:
            self._refuse(f"unknown protocol byte {data[0]:#04x}")
            return
        protocol = accept()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        self._listener.adopt(transport, protocol)
        if len(data) > 1:
            protocol.data_received(data[1:])

    def _refuse(self, why: str) -> None:
        if self._transport is not None:
            self._listener.refused(self._transport, why)
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._listener.transports.discard(self._transport)


class Listener:
    """Listens on one address. Refused connections are counted, and logged at most once a second."""

    def __init__(self, logger: logging.Logger, handshake_seconds: float = FIRST_BYTE_SECONDS_MAX) -> None:
        self.protocols: dict[int, Acceptor] = {}
        self.handshake_seconds = handshake_seconds
        self.transports: set[asyncio.Transport] = set()
        self.refused_count = 0
        self._logger = logger
        self._log_muted = False
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listens; the port that was given (0: any). Raises OSError."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Selecting(self), host, port, backlog=512)
        return int(self._server.sockets[0].getsockname()[1])

    def adopt(self, transport: asyncio.Transport, protocol: FrameConnection) -> None:
        """Remembers an accepted connection until it closes, so that ``stop`` can end it."""
        self.transports = {each for each in self.transports if not each.is_closing()}
        self.transports.add(transport)

    def refused(self, transport: asyncio.Transport, why: str) -> None:
        self.refused_count += 1
        if not self._log_muted:
            self._log_muted = True
            asyncio.get_running_loop().call_later(1.0, self._unmute)
            self._logger.warning(
                "unrecognized RPC connection closed",
                extra=pairs(peer=_address(transport), reason=why, refused_so_far=self.refused_count),
            )

    def _unmute(self) -> None:
        self._log_muted = False

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for transport in list(self.transports):
            transport.abort()
        self.transports.clear()


def _address(transport: asyncio.Transport) -> str:
    name = transport.get_extra_info("peername")
    return f"{name[0]}:{name[1]}" if name else "unknown"
