"""Raft messages between servers: one outgoing connection to each peer, bounded and lossy as Raft allows.

A message that cannot be sent now is dropped: Raft repeats what matters. Nothing here knows what a message means; the
codec is passed in.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from pyconsul.errors import DecodeError, RpcError
from pyconsul.log import pairs
from pyconsul.net.connection import FrameConnection
from pyconsul.net.dial import dial
from pyconsul.net.frames import RAFT_PROTOCOL

REDIAL_SECONDS_MAX = 1.0
REDIAL_SECONDS_MIN = 0.05
QUEUE_WHILE_DIALLING_MAX = 64


class _Peer:
    """One outgoing connection with its redial pause."""

    def __init__(self, transport: RaftTransport, address: str) -> None:
        self.address = address
        self._transport = transport
        self._connection: FrameConnection | None = None
        self._dialling: asyncio.Task[None] | None = None
        self._queued: list[bytes] = []
        self._pause = REDIAL_SECONDS_MIN
        self._not_before = 0.0

    def send(self, payload: bytes) -> None:
        connection = self._connection
        if connection is not None:
            connection.send(payload)
            return
        loop = asyncio.get_running_loop()
        if self._dialling is None:
            if loop.time() < self._not_before:
                return
            self._dialling = loop.create_task(self._dial())
        if len(self._queued) < QUEUE_WHILE_DIALLING_MAX:
            self._queued.append(payload)

    async def _dial(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            connection = await dial(
                self.address, RAFT_PROTOCOL, self._unexpected, self._closed, self._transport.source_host
            )
        except RpcError as error:
            self._queued.clear()
            self._not_before = loop.time() + self._pause
            self._pause = min(2 * self._pause, REDIAL_SECONDS_MAX)
            self._transport.unreachable(self.address, str(error))
            self._dialling = None
            return
        self._dialling = None
        if connection.closed:
            return
        self._connection = connection
        self._pause = REDIAL_SECONDS_MIN
        self._transport.reachable(self.address)
        queued, self._queued = self._queued, []
        for payload in queued:
            connection.send(payload)

    def _unexpected(self, connection: FrameConnection, payloads: list[bytes]) -> None:
        raise DecodeError("answers on a one-way connection")

    def _closed(self, connection: FrameConnection, reason: str) -> None:
        if connection is self._connection:
            self._connection = None
            self._transport.on_lost(self.address)

    def close(self) -> None:
        if self._dialling is not None:
            self._dialling.cancel()
            self._dialling = None
        if self._connection is not None:
            self._connection.close()


class RaftTransport:
    """Sends payloads to addresses and hands received ones to ``on_payload`` (which raises DecodeError for bad ones).

    ``on_lost(address)``: a connection broke or could not be made, what was on its way there is probably lost.
    """

    def __init__(
        self, logger: logging.Logger, on_payloads: Callable[[list[bytes]], None], source_host: str | None = None
    ) -> None:
        self.source_host = source_host
        self._logger = logger
        self._on_payloads = on_payloads
        self._peers: dict[str, _Peer] = {}
        self._unreachable: set[str] = set()
        self.on_lost: Callable[[str], None] = _nobody_cares

    def send(self, address: str, payload: bytes) -> None:
        peer = self._peers.get(address)
        if peer is None:
            peer = self._peers[address] = _Peer(self, address)
        peer.send(payload)

    def keep_only(self, addresses: set[str]) -> None:
        """Closes connections to all other peers."""
        for address in [each for each in self._peers if each not in addresses]:
            self._peers.pop(address).close()
            self._unreachable.discard(address)

    def accept(self) -> FrameConnection:
        """The protocol object for one accepted connection (a Listener's Acceptor)."""
        return FrameConnection(lambda _, payloads: self._on_payloads(payloads), self._incoming_closed)

    def _incoming_closed(self, connection: FrameConnection, reason: str) -> None:
        if reason not in ("EOF", "closed here"):
            self._logger.debug("raft connection closed", extra=pairs(peer=connection.peer, reason=reason))

    def unreachable(self, address: str, why: str) -> None:
        self.on_lost(address)
        if address not in self._unreachable:
            self._unreachable.add(address)
            self._logger.warning("failed to reach raft peer", extra=pairs(peer=address, error=why))

    def reachable(self, address: str) -> None:
        if address in self._unreachable:
            self._unreachable.discard(address)
            self._logger.info("raft peer is reachable again", extra=pairs(peer=address))

    def close(self) -> None:
        for peer in self._peers.values():
            peer.close()
        self._peers.clear()


def _nobody_cares(address: str) -> None:
    """Until the owner sets its own."""
