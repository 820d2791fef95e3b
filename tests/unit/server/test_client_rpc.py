"""Client agents ask servers over real connections of loopback: choice, retries, parts, cancelling."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pyconsul.clock import SystemClock, seeded_random
from pyconsul.errors import CallerError, PyconsulError, RpcError
from pyconsul.net.frames import RPC_PROTOCOL
from pyconsul.net.listener import Listener
from pyconsul.net.rpc import RpcServer
from pyconsul.server.client_http import PART_BYTES, Done, HttpAnswer, HttpCall, HttpService
from pyconsul.server.client_rpc import NO_SERVERS, ClientRpc
from pyconsul.server.client_servers import ServerList
from pyconsul.server.server_tags import ServerInfo


def info(name: str, port: int) -> ServerInfo:
    return ServerInfo(name, name, "dc1", "127.0.0.1", port, 0, False, False, "3", "1.16.1", 1)


class Answering:
    def __init__(self) -> None:
        self.cancelled = False
        self.hurried = False

    def cancel(self) -> None:
        self.cancelled = True

    def hurry(self) -> None:
        self.hurried = True


class FakeServer:
    """Answers ``/now…`` at once with ``body``, everything else never; remembers what it was asked."""

    def __init__(self, name: str, logger: Any) -> None:
        self.name = name
        self.body = name.encode()
        self.calls: list[HttpCall] = []
        self.waiting: list[tuple[Answering, Done]] = []
        self.rpc = RpcServer()
        self.service = HttpService(self.serve)
        self.service.register(self.rpc)
        self.listener = Listener(logger)
        self.listener.protocols[RPC_PROTOCOL] = self.rpc.accept
        self.port = 0

    def serve(self, call: HttpCall, done: Done) -> Answering:
        self.calls.append(call)
        answering = Answering()
        if call.target.startswith(b"/now"):
            done(200, b"", False, self.body)
        else:
            self.waiting.append((answering, done))
        return answering


Start = Callable[[str], Awaitable[FakeServer]]


@pytest.fixture
async def start() -> Any:
    import logging

    started = []

    async def begin(name: str) -> FakeServer:
        server = FakeServer(name, logging.getLogger("test"))
        started.append(server)
        server.port = await server.listener.start("127.0.0.1", 0)
        return server

    yield begin
    for server in started:
        await server.listener.stop()


def client_of(*servers: ServerInfo, hold_seconds: float = 5.0) -> ClientRpc:
    known = ServerList(seeded_random(1))
    for server in servers:
        known.update([*known._servers, server])
    return ClientRpc(known, SystemClock(), seeded_random(2), hold_seconds)


async def until(condition: Callable[[], object], what: str) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)
    assert condition(), what


async def test_a_request_arrives_as_it_is(start: Start) -> None:
    server = await start("a")
    client = client_of(info("a", server.port))
    answer = await client.request("node1", b"PUT", b"/now?x=%20", b"body")
    assert (answer.status, answer.body) == (200, b"a")
    call = server.calls[0]
    assert (call.node, call.method, call.target, call.body, call.announced) == (
        "node1", b"PUT", b"/now?x=%20", b"body", 4,
    )  # fmt: skip
    client.pool.close()


@pytest.mark.parametrize("size", [0, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES])
async def test_long_answers_come_in_parts(start: Start, size: int) -> None:
    server = await start("a")
    server.body = bytes(range(251)) * (size // 251) + b"x" * (size % 251)
    client = client_of(info("a", server.port))
    assert (await client.request("n", b"GET", b"/now")).body == server.body
    assert server.service.in_progress == 0
    client.pool.close()


async def test_the_next_server_is_asked_when_one_cannot_be_reached(start: Start) -> None:
    gone, there = await start("gone"), await start("there")
    await gone.listener.stop()
    client = client_of(info("gone", gone.port), info("there", there.port))
    assert (await client.request("n", b"PUT", b"/now")).body == b"there"
    assert client.servers.current == info("there", there.port)
    client.pool.close()


async def test_a_write_that_was_sent_is_not_sent_again(start: Start) -> None:
    first, second = await start("first"), await start("second")
    client = client_of(info("first", first.port), info("second", second.port))
    asked = asyncio.ensure_future(client.request("n", b"PUT", b"/later"))
    await until(lambda: first.waiting, "it was sent")
    await first.listener.stop()
    with pytest.raises(RpcError, match="rpc error making call: "):
        await asked
    assert not second.calls
    client.pool.close()


async def test_a_read_is_asked_again_elsewhere(start: Start) -> None:
    first, second = await start("first"), await start("second")
    client = client_of(info("first", first.port), info("second", second.port))
    asked = asyncio.ensure_future(client.request("n", b"GET", b"/later?index=1"))
    await until(lambda: first.waiting, "it was sent")
    await first.listener.stop()
    await until(lambda: second.waiting, "it was sent again")
    assert first.waiting[0][0].cancelled, "who is gone does not wait"
    second.waiting[0][1](200, b"", False, b"news")
    assert (await asked).body == b"news"
    client.pool.close()


async def test_who_goes_is_forgotten_and_who_hurries_is_told(start: Start) -> None:
    server = await start("a")
    client = client_of(info("a", server.port))
    answers: list[HttpAnswer | PyconsulError] = []
    first = client.http("n", b"GET", b"/later", {}, b"", 0, answers.append)
    second = client.http("n", b"GET", b"/later", {}, b"", 0, answers.append)
    await until(lambda: len(server.waiting) == 2, "both were sent")
    first.cancel()
    second.hurry()
    await until(lambda: server.waiting[1][0].hurried, "it is hurried")
    assert server.waiting[0][0].cancelled
    assert not server.waiting[1][0].cancelled
    server.waiting[1][1](200, b"", False, b"old")
    await until(lambda: answers, "it is answered")
    assert [answer.body for answer in answers if isinstance(answer, HttpAnswer)] == [b"old"]
    assert server.service.in_progress == 0
    client.pool.close()


async def test_without_servers_and_after_the_hold_time(start: Start) -> None:
    with pytest.raises(CallerError, match=NO_SERVERS):
        await client_of().request("n", b"GET", b"/now")
    gone = await start("gone")
    await gone.listener.stop()
    client = client_of(info("gone", gone.port), hold_seconds=0.0)
    with pytest.raises(RpcError, match=r"rpc error getting client: failed to get conn: dial tcp .* connection refused"):
        await client.request("n", b"GET", b"/now")


def test_servers_keep_their_places() -> None:
    servers = ServerList(seeded_random(3))
    servers.update([info("a", 1)])
    servers.update([info("b", 2), info("a", 1)])
    assert servers.current == info("a", 1)
    servers.failed("127.0.0.1:2")  # not the one in use
    assert servers.current == info("a", 1)
    servers.failed("127.0.0.1:1")
    assert servers.current == info("b", 2)
    servers.update([info("a", 1)])
    assert servers.current == info("a", 1)
    assert servers.addresses() == {"127.0.0.1:1"}
    servers.update([])
    assert servers.current is None
    servers.update([info(str(number), number) for number in range(20)])
    before = servers.current
    servers.rebalance()
    assert len(servers) == 20
    assert servers.current != before
