"""The connection: what is on the wire, byte for byte, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from pyconsul.api.limits import HttpSettings
from pyconsul.api.server import HttpServer
from pyconsul.fsm.commands import KVSet
from pyconsul.testing.local_backend import LocalBackend, local_server

HOST = b"Host: x\r\n"
DEADLINE_S = 10
EXPECTATION = b"417 Expectation Failed"
TOO_LARGE = b"431 Request Header Fields Too Large"


class Peer:
    """A client that sends bytes and reads answers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, data: bytes) -> tuple[int, dict[str, str], bytes]:
        self.writer.write(data)
        return await self.answer()

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers, body of the next answer."""
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), DEADLINE_S)).decode("latin-1")
        first, *lines = head.rstrip("\r\n").split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        body = await asyncio.wait_for(self.reader.readexactly(int(headers.get("Content-Length", "0"))), DEADLINE_S)
        return int(first.split(" ")[1]), headers, body

    async def rest(self) -> bytes:
        """All until the server closes."""
        return await asyncio.wait_for(self.reader.read(), DEADLINE_S)

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


class Site:
    """A server and its clients."""

    def __init__(self, server: HttpServer, backend: LocalBackend, port: int) -> None:
        self.server = server
        self.backend = backend
        self.port = port
        self.peers: list[Peer] = []

    async def connect(self) -> Peer:
        peer = Peer(*await asyncio.open_connection("127.0.0.1", self.port))
        self.peers.append(peer)
        return peer

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Lets the loop run until the condition holds."""
        deadline = asyncio.get_running_loop().time() + DEADLINE_S
        while not condition():
            assert asyncio.get_running_loop().time() < deadline, f"never: {what}"
            await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def site(settings: HttpSettings | None = None) -> AsyncIterator[Site]:
    backend = LocalBackend()
    server = await local_server(settings, backend)
    [(_, port)] = await server.start(["127.0.0.1"], 0)
    here = Site(server, backend, port)
    try:
        yield here
    finally:
        for peer in here.peers:
            await peer.close()
        await server.close(grace_s=0)
        backend.consensus.close()


async def test_pipelined_requests_are_answered_in_order_and_see_each_other() -> None:
    async with site() as here:
        peer = await here.connect()
        peer.writer.write(
            b"PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1"
            b"GET /v1/kv/a?raw HTTP/1.1\r\nHost: x\r\n\r\n"
            b"PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n2"
            b"GET /v1/nothing HTTP/1.1\r\nHost: x\r\n\r\n"
            b"GET /v1/kv/a?raw HTTP/1.1\r\nHost: x\r\n\r\n"
        )
        answers = [await peer.answer() for _ in range(5)]
        assert [(status, body) for status, _, body in answers] == [
            (200, b"true"),
            (200, b"1"),
            (200, b"true"),
            (404, b""),
            (200, b"2"),
        ]


async def test_many_pipelined_requests_stop_the_reading_and_all_are_answered() -> None:
    async with site(HttpSettings(pipelined_max=4)) as here:
        peer = await here.connect()
        count = 500
        peer.writer.write(b"PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1" * count)
        for _ in range(count):
            assert (await peer.answer())[2] == b"true"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /v1/kv/a?raw HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PUT /v1/kv/b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
        b"PUT /v1/kv/b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        b"BREW /v1/kv/a HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/kv/\xc3\xbc HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\r\nGET http://x/v1/kv/a HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
async def test_byte_by_byte_is_the_same_as_whole(request_bytes: bytes) -> None:
    async with site() as here:
        here.backend.consensus.apply(KVSet(b"a", b"1"))
        whole, slow = await here.connect(), await here.connect()
        expected = await whole.ask(request_bytes)
        for at in range(len(request_bytes)):
            slow.writer.write(request_bytes[at : at + 1])
            await slow.writer.drain()
            await asyncio.sleep(0)
        status, headers, body = await slow.answer()
        assert (status, body) == (expected[0], expected[2])
        assert headers.keys() == expected[1].keys()
        assert (await slow.ask(b"GET /v1/kv/a?raw HTTP/1.1\r\nHost: x\r\n\r\n"))[2] == b"1"


async def test_raw_bytes_in_a_path_are_the_key() -> None:
    async with site() as here:
        peer = await here.connect()
        await peer.ask(b"PUT /v1/kv/\xff\xc3\xbc HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1")
        entry = here.backend.consensus.store.kv.get(b"\xff\xc3\xbc")
        assert entry is not None and entry.value == b"1"


async def test_100_continue_is_sent_when_the_body_is_wanted() -> None:
    async with site() as here:
        peer = await here.connect()
        peer.writer.write(b"PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert (await peer.answer())[0] == 100
        assert (await peer.ask(b"ok"))[2] == b"true"


async def test_100_continue_is_not_sent_for_a_body_that_is_refused() -> None:
    async with site() as here:
        peer = await here.connect()
        peer.writer.write(
            b"PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\nExpect: 100-continue\r\n\r\n"
        )
        status, headers, _ = await peer.answer()
        assert (status, headers["Connection"]) == (413, "close")
        assert await peer.rest() == b""


async def test_100_continue_waits_for_the_request_in_front() -> None:
    async with site() as here:
        peer = await here.connect()
        peer.writer.write(
            b"PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1"
            b"PUT /v1/kv/b HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n"
        )
        assert (await peer.answer())[2] == b"true"
        assert (await peer.answer())[0] == 100
        assert (await peer.ask(b"2"))[2] == b"true"


async def test_http_1_0_gets_its_own_answer_and_the_end() -> None:
    async with site() as here:
        peer = await here.connect()
        peer.writer.write(b"GET /v1/status/leader HTTP/1.0\r\n\r\n")
        text = await peer.rest()
        assert text.startswith(b"HTTP/1.0 200 OK\r\n")
        assert b"Connection: close\r\n" in text and text.endswith(b'"127.0.0.1:8300"')


async def test_http_1_0_may_ask_to_keep_the_connection() -> None:
    async with site() as here:
        peer = await here.connect()
        for _ in range(2):
            status, headers, _ = await peer.ask(b"GET /v1/kv/a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert (status, headers["Connection"]) == (404, "keep-alive")


@pytest.mark.parametrize(
    ("request_bytes", "status", "text"),
    [
        (b"GET /v1/kv/%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400, b"400 Bad Request"),
        (b"GET /v1/kv/a HTTP/1.1\r\n\r\n", 400, b"400 Bad Request: missing required Host header"),
        (b"GET /v1/kv/a HTTP/1.1\r\nHost x\r\n\r\n", 400, b"400 Bad Request"),
        (b"GET\r\n\r\n", 400, b"400 Bad Request"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n", 400, b"400 Bad Request"),
        (b"GET /v1/kv/a HTTP/2.0\r\nHost: x\r\n\r\n", 505, b"505 HTTP Version Not Supported"),
        (b"PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400, b"400 Bad Request"),
        (b"PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: tea\r\n\r\n", 417, EXPECTATION),
        (b"GET /v1/kv/a HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 9000 + b"\r\n\r\n", 431, TOO_LARGE),
        (b"GET /v1/kv/" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431, TOO_LARGE),
    ],
)  # fmt: skip
async def test_what_is_no_request_is_refused_and_the_connection_closed(
    request_bytes: bytes, status: int, text: bytes
) -> None:
    async with site(HttpSettings(max_header_bytes=4000)) as here:
        peer = await here.connect()
        got, headers, body = await peer.ask(request_bytes)
        assert (got, body) == (status, text)
        assert headers["Connection"] == "close"
        assert headers["Content-Type"] == "text/plain; charset=utf-8"
        assert await peer.rest() == b""


async def test_garbage_behind_a_request_does_not_take_its_answer() -> None:
    async with site() as here:
        peer = await here.connect()
        peer.writer.write(b"PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1garbage\r\n\r\n")
        assert (await peer.answer())[2] == b"true"
        assert (await peer.answer())[0] == 400
        assert await peer.rest() == b""


async def test_too_many_header_lines_are_refused() -> None:
    async with site() as here:
        peer = await here.connect()
        lines = b"".join(b"h%d: 1\r\n" % n for n in range(3000))
        assert (await peer.ask(b"GET /v1/kv/a HTTP/1.1\r\n" + lines + HOST + b"\r\n"))[0] == 431


async def test_headers_without_end_do_not_grow_in_memory() -> None:
    async with site(HttpSettings(max_header_bytes=10_000)) as here:
        peer = await here.connect()
        peer.writer.write(b"GET /v1/kv/a HTTP/1.1\r\nHost: x\r\nEndless: ")
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                peer.writer.write(b"x" * 1000)
                await peer.writer.drain()
                await asyncio.sleep(0)
        assert (await peer.answer())[0] == 431


async def test_an_offer_to_upgrade_is_not_taken() -> None:
    async with site() as here:
        peer = await here.connect()
        ask = b"GET /v1/kv/a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n"
        assert (await peer.ask(ask + b"GET /v1/nothing HTTP/1.1\r\nHost: x\r\n\r\n"))[0] == 404
        assert (await peer.answer())[0] == 404
        assert (await peer.ask(ask))[0] == 404


async def test_a_large_refused_body_ends_the_connection_and_the_client_reads_why() -> None:
    async with site() as here:
        peer = await here.connect()
        size = 3_000_000
        peer.writer.write(b"PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
        peer.writer.write(b"x" * size)
        status, headers, body = await peer.answer()
        assert (status, headers["Connection"]) == (413, "close")
        assert body.startswith(b"Request body(3000000 bytes) too large, max size: 524288 bytes.")
        assert await peer.rest() == b""


async def test_a_small_refused_body_keeps_the_connection() -> None:
    async with site(HttpSettings(kv_max_value_size=10)) as here:
        peer = await here.connect()
        put = b"PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n" + b"x" * 11
        assert (await peer.ask(put))[0] == 413
        assert (await peer.ask(put))[0] == 413


async def test_a_chunked_body_has_a_bound() -> None:
    async with site(HttpSettings(chunked_body_max=1000)) as here:
        peer = await here.connect()
        peer.writer.write(b"PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(20):
                peer.writer.write(b"64\r\n" + b"x" * 100 + b"\r\n")
                await peer.writer.drain()
        status, headers, _ = await peer.answer()
        assert (status, headers["Connection"]) == (413, "close")
        assert here.backend.consensus.store.kv.get(b"a") is None


async def test_a_connection_cut_in_the_middle_of_a_put_writes_nothing() -> None:
    async with site() as here:
        peer = await here.connect()
        peer.writer.write(b"PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345")
        await here.until(lambda: bool(here.server.reading), "the server has begun to read")
        await peer.close()
        await here.until(lambda: not here.server.connections, "the connection is gone")
        assert here.backend.consensus.store.kv.get(b"a") is None
        assert not here.server.reading


async def test_a_further_connection_of_a_client_is_turned_away() -> None:
    async with site(HttpSettings(http_max_conns_per_client=2)) as here:
        first, second = await here.connect(), await here.connect()
        get = b"GET /v1/nothing HTTP/1.1\r\nHost: x\r\n\r\n"
        assert (await first.ask(get))[0] == 404
        assert (await second.ask(get))[0] == 404
        third = await here.connect()
        status, headers, body = await third.answer()
        assert (status, headers["Content-Type"], headers["Connection"]) == (429, "text/plain", "close")
        assert body == b"Your IP is issuing too many concurrent connections, please rate limit your calls\n"
        assert await third.rest() == b""
        await first.close()
        await here.until(lambda: len(here.server.connections) <= 2, "the first is gone")
        await third.close()
        assert (await (await here.connect()).ask(get))[0] == 404


async def test_a_client_that_does_not_finish_its_headers_is_cut_off() -> None:
    async with site(HttpSettings(header_timeout_s=10)) as here:
        quiet, slow = await here.connect(), await here.connect()
        slow.writer.write(b"GET /v1/kv/a HTTP/1.1\r\nHo")
        await here.until(lambda: bool(here.server.reading), "the server has begun to read")
        now = asyncio.get_running_loop().time()
        here.server.sweep(now + 9)
        assert len(here.server.connections) == 2
        here.server.sweep(now + 12)
        assert await slow.rest() == b""
        assert (await quiet.ask(b"GET /v1/kv/a HTTP/1.1\r\nHost: x\r\n\r\n"))[0] == 404


async def test_a_client_that_does_not_finish_its_body_is_cut_off() -> None:
    async with site() as here:
        slow = await here.connect()
        slow.writer.write(b"PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n1")
        await here.until(lambda: bool(here.server.reading), "the server has begun to read")
        now = asyncio.get_running_loop().time()
        here.server.sweep(now + 20)
        assert here.server.connections
        here.server.sweep(now + 40)
        assert await slow.rest() == b""


async def test_a_client_that_reads_nothing_stops_its_own_answers_and_is_cut_off() -> None:
    async with site() as here:
        here.backend.consensus.apply(KVSet(b"big", b"x" * 500_000))
        peer = await here.connect()
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        peer.writer.write(b"GET /v1/kv/big?raw HTTP/1.1\r\nHost: x\r\n\r\n" * 200)
        await here.until(lambda: bool(here.server.stuck), "the server's buffer is full")
        [connection] = here.server.connections
        assert connection.unsent_bytes < 20_000_000
        now = asyncio.get_running_loop().time()
        here.server.sweep(now + 1)
        here.server.sweep(now + 30)
        assert here.server.connections
        here.server.sweep(now + 70)
        await here.until(lambda: not here.server.connections, "the connection is gone")


async def test_answers_that_a_socket_takes_in_parts_arrive_whole_and_in_order() -> None:
    async with site() as here:
        values = [bytes([65 + number]) * 500_000 for number in range(10)]
        for number, value in enumerate(values):
            await here.backend.consensus.write(KVSet(b"k%d" % number, value))
        peer = await here.connect()
        peer.writer.write(b"".join(b"GET /v1/kv/k%d?raw HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in range(10)))
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await here.until(lambda: bool(here.server.stuck), "the server waits for the client")
        peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert [(await peer.answer())[2] for _ in values] == values


async def test_the_answer_is_not_lost_when_the_client_ends_its_side() -> None:
    async with site() as here:
        peer = await here.connect()
        peer.writer.write(b"PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1")
        peer.writer.write_eof()
        assert (await peer.answer())[2] == b"true"
        assert await peer.rest() == b""


async def test_a_waiting_read_of_a_client_that_has_gone_leaves_nothing_behind() -> None:
    async with site() as here:
        peer = await here.connect()
        peer.writer.write(b"GET /v1/kv/a?index=99&wait=5m HTTP/1.1\r\nHost: x\r\n\r\n")
        watches = here.backend.consensus.store.watches
        await here.until(lambda: len(watches) == 1, "the read waits")
        await peer.close()
        await here.until(lambda: not here.server.connections, "the connection is gone")
        assert len(watches) == 0


async def test_closing_answers_what_waits_and_refuses_what_comes() -> None:
    async with site() as here:
        idle, waiting = await here.connect(), await here.connect()
        waiting.writer.write(b"GET /v1/kv/a?index=99&wait=5m HTTP/1.1\r\nHost: x\r\n\r\n")
        await here.until(lambda: len(here.backend.consensus.store.watches) == 1, "the read waits")
        await here.until(lambda: len(here.server.connections) == 2, "both are connected")
        await here.server.close()
        status, headers, _ = await waiting.answer()
        assert (status, headers["Connection"]) == (404, "close")
        assert await waiting.rest() == b""
        assert await idle.rest() == b""
        with pytest.raises(OSError):
            await here.connect()


async def test_local_sockets_and_ipv6(tmp_path: Path) -> None:
    async with site() as here:
        path = str(tmp_path / "http.sock")
        await here.server.start(unix_sockets=[path])
        peer = Peer(*await asyncio.open_unix_connection(path))
        here.peers.append(peer)
        assert (await peer.ask(b"GET /v1/kv/a HTTP/1.1\r\nHost: x\r\n\r\n"))[0] == 404
        try:
            [(_, port)] = await here.server.start(["::1"], 0)
        except OSError:
            pytest.skip("no IPv6 on this machine")
        six = Peer(*await asyncio.open_connection("::1", port))
        here.peers.append(six)
        assert (await six.ask(b"GET /v1/kv/a HTTP/1.1\r\nHost: x\r\n\r\n"))[0] == 404


async def test_a_port_in_use_is_an_error_and_leaves_nothing_open() -> None:
    async with site() as here:
        with pytest.raises(OSError):
            await here.server.start(["127.0.0.2", "127.0.0.1"], here.port)
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.2", here.port)


async def test_a_dead_local_socket_is_replaced_and_a_living_one_is_not(tmp_path: Path) -> None:
    path = str(tmp_path / "http.sock")
    async with site() as here, site() as there:
        await here.server.start(unix_sockets=[path])
        with pytest.raises(OSError):
            await there.server.start(unix_sockets=[path])


async def test_requests_are_logged_without_tokens(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="agent.http")
    async with site() as here:
        peer = await here.connect()
        await peer.ask(b"GET /v1/kv/a?token=secret&raw HTTP/1.1\r\nHost: x\r\n\r\n")
        await peer.ask(b"PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1")
    texts = [record.getMessage() for record in caplog.records if record.name == "agent.http"]
    assert len(texts) == 2
    assert texts[0].startswith("Request finished: method=GET url=/v1/kv/a?token=<hidden>&raw from=127.0.0.1:")
    assert " latency=" in texts[1]
