"""Requests between servers over a real socket: answers, failures, cut connections, strangers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from pyconsul.errors import RpcError
from pyconsul.net.frames import RPC_PROTOCOL
from pyconsul.net.listener import Listener
from pyconsul.net.rpc import Reply, RpcClient, RpcFailure, RpcServer


class Peer:
    """A listening server with a few methods."""

    def __init__(self) -> None:
        self.listener = Listener(logging.getLogger("test"), handshake_seconds=0.2)
        self.held: list[Reply] = []
        rpc = RpcServer()
        rpc.register("echo", lambda argument, reply: reply(None, argument))
        rpc.register("refuse", lambda argument, reply: reply(RpcFailure("apply", "no"), b""))
        rpc.register("hold", lambda argument, reply: self.held.append(reply))
        self.listener.protocols[RPC_PROTOCOL] = rpc.accept
        self.port = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    peer = Peer()
    peer.port = await peer.listener.start("127.0.0.1", 0)
    yield peer
    await peer.listener.stop()


async def test_many_requests_share_one_connection(peer: Peer) -> None:
    client = RpcClient(peer.address)
    answers = await asyncio.gather(*(client.ask("echo", b"%d" % number) for number in range(100)))
    assert answers == [b"%d" % number for number in range(100)]
    assert len(peer.listener.transports) == 1
    client.close()


async def test_failures_and_unknown_methods_are_errors(peer: Peer) -> None:
    client = RpcClient(peer.address)
    with pytest.raises(RpcError, match=r"^no$"):
        await client.ask("refuse")
    with pytest.raises(RpcError, match="can't find method nothing"):
        await client.ask("nothing")
    client.close()


async def test_a_cut_connection_fails_what_was_sent_and_the_next_call_dials_again(peer: Peer) -> None:
    client = RpcClient(peer.address)
    asked = asyncio.ensure_future(client.ask("hold"))
    while not peer.held:
        await asyncio.sleep(0)
    for transport in list(peer.listener.transports):
        transport.abort()
    with pytest.raises(RpcError) as caught:
        await asked
    assert caught.value.sent
    assert await client.ask("echo", b"again") == b"again"
    client.close()


async def test_nobody_listens_is_said_in_consuls_words() -> None:
    listener = Listener(logging.getLogger("test"))
    port = await listener.start("127.0.0.1", 0)
    await listener.stop()
    client = RpcClient(f"127.0.0.1:{port}")
    with pytest.raises(RpcError) as caught:
        await client.ask("echo")
    assert str(caught.value) == f"failed to get conn: dial tcp 127.0.0.1:{port}: connect: connection refused"
    assert not caught.value.sent


@pytest.mark.parametrize("hello", [b"\x00", b"GET / HTTP/1.1\r\n\r\n", b""])
async def test_strangers_are_closed_and_counted(peer: Peer, hello: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", peer.port)
    writer.write(hello)
    with pytest.raises(ConnectionResetError):
        # An aborted connection is reset; a silent one is reset after the handshake time.
        if await asyncio.wait_for(reader.read(), 5) == b"":
            raise ConnectionResetError
    writer.close()
    assert peer.listener.refused_count == 1


async def test_garbage_after_the_protocol_byte_closes_only_that_connection(peer: Peer) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", peer.port)
    writer.write(bytes([RPC_PROTOCOL]) + b"\xff\xff\xff\xff")
    with pytest.raises(ConnectionResetError):
        if await asyncio.wait_for(reader.read(), 5) == b"":
            raise ConnectionResetError
    writer.close()
    client = RpcClient(peer.address)
    assert await client.ask("echo", b"well") == b"well"
    client.close()
