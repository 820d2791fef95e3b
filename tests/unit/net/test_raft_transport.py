"""The connections that carry Raft's messages."""

from __future__ import annotations

import asyncio
import logging
import socket

from pyconsul.net.frames import RAFT_PROTOCOL
from pyconsul.net.listener import Listener
from pyconsul.net.raft_transport import RaftTransport

LOGGER = logging.getLogger("test")


def transport() -> tuple[RaftTransport, asyncio.Queue[list[bytes]], asyncio.Queue[str]]:
    """One, what it receives, and what it loses."""
    received: asyncio.Queue[list[bytes]] = asyncio.Queue()
    lost: asyncio.Queue[str] = asyncio.Queue()
    made = RaftTransport(LOGGER, received.put_nowait)
    made.on_lost = lost.put_nowait
    return made, received, lost


async def test_messages_arrive_and_the_end_of_the_connection_is_told() -> None:
    sender, _, lost = transport()
    receiver, received, _ = transport()
    listener = Listener(LOGGER)
    listener.protocols[RAFT_PROTOCOL] = receiver.accept
    address = f"127.0.0.1:{await listener.start('127.0.0.1', 0)}"
    sender.send(address, b"first")
    assert await asyncio.wait_for(received.get(), 10) == [b"first"]
    assert lost.empty()
    await listener.stop()
    assert await asyncio.wait_for(lost.get(), 10) == address
    sender.close()


async def test_an_address_where_nobody_listens_is_told() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        sender, _, lost = transport()
        sender.send(address, b"in vain")
        assert await asyncio.wait_for(lost.get(), 10) == address
        sender.close()
