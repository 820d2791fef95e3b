"""Repeated heads: a connection that remembers its client's headers takes the same requests as one that does not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyconsul.api import protocol
from pyconsul.api.outbox import GATHERED_MAX, Outbox
from pyconsul.api.protocol import HttpProtocol
from pyconsul.api.repeated import BODY_BYTES_MAX, HEAD_BYTES_MAX, RepeatedHead, learn
from pyconsul.api.request import Request
from pyconsul.api.response import Response
from pyconsul.testing.local_backend import local_server

HEAD = b" HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"
HEADERS = {b"host": b"x", b"content-length": b"3"}


def known() -> RepeatedHead:
    learnt = learn(b"PUT /v1/kv/a" + HEAD + b"abc", HEADERS)
    assert learnt is not None
    return learnt


def test_a_request_with_the_same_head_is_told_without_the_parser() -> None:
    request = known().request(b"PUT /v1/kv/b?flags=1" + HEAD + b"\r\n\xff", "127.0.0.1")
    assert request is not None
    assert (request.method, request.target, request.body) == (b"PUT", b"/v1/kv/b?flags=1", b"\r\n\xff")
    assert (request.headers, request.announced, request.peer) == (HEADERS, 3, "127.0.0.1")


@pytest.mark.parametrize(
    "data",
    [
        b"PUT /v1/kv/b" + HEAD + b"ab",  # the body is not complete
        b"PUT /v1/kv/b" + HEAD + b"abcd",
        b"PUT /v1/kv/b" + HEAD + b"abcPUT /v1/kv/b" + HEAD + b"abc",
        b"PUT /v1/kv/b" + HEAD.replace(b"x", b"y") + b"abc",
        b"PUT /v1/kv/%41" + HEAD + b"abc",
        b"PUT /v1/kv/a#b" + HEAD + b"abc",
        b"PUT /v1/kv/a b" + HEAD + b"abc",
        b"PUT /v1/kv/\xe4" + HEAD + b"abc",
        b"PUT /v1/kv/a\r\nA: b" + HEAD + b"abc",
        b"PUT v1/kv/a" + HEAD + b"abc",
        b"POST /v1/kv/a" + HEAD + b"abc",
        b"put /v1/kv/a" + HEAD + b"abc",
        b"\r\nPUT /v1/kv/a" + HEAD + b"abc",
        b"PUT /" + HEAD_BYTES_MAX * b"a" + HEAD + b"abc",
        HEAD + b"abc",
        b"abc",
        b"",
    ],
)
def test_everything_else_is_the_parsers(data: bytes) -> None:
    assert known().request(data, "") is None


@pytest.mark.parametrize(
    ("data", "headers"),
    [
        (b"PUT /a HTTP/1.1\r\nHost: x\r\n\r\n", {b"transfer-encoding": b"chunked"}),
        (b"PUT /a HTTP/1.1\r\nHost: x\r\n\r\n", {b"expect": b"100-continue"}),
        (b"PUT /a HTTP/1.1\r\nHost: x\r\n\r\n", {b"upgrade": b"h2c"}),
        (b"GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n", {b"host": b"x"}),
        (b"GET /a HTTP/1.0\r\nHost: x\r\n\r\n", {b"host": b"x"}),
        (b"GET /a HTTP/1.1\r\nHost: " + HEAD_BYTES_MAX * b"x" + b"\r\n\r\n", {b"host": HEAD_BYTES_MAX * b"x"}),
        (b"PUT /a HTTP/1.1\r\n\r\n" + (BODY_BYTES_MAX + 1) * b"x", {b"content-length": b"%d" % (BODY_BYTES_MAX + 1)}),
    ],
)
def test_some_heads_are_not_kept(data: bytes, headers: dict[bytes, bytes]) -> None:
    assert learn(data, headers) is None


class Transport:
    """Takes all writes."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False

    def get_extra_info(self, name: str) -> Any:
        return ("127.0.0.1", 1) if name == "peername" else None

    def set_write_buffer_limits(self, high: int) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: bytes) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closed

    def can_write_eof(self) -> bool:
        return False

    def close(self) -> None:
        self.closed = True


PLAIN_TARGETS = st.sampled_from([b"/v1/kv/a", b"/v1/kv/a?raw", b"/", b"/v1/kv/b?dc=", b"/?a=b&c"])
TARGETS = st.one_of(
    PLAIN_TARGETS,
    st.sampled_from([b"/a%20b", b"/a%2", b"/a#b", b"/a//../b", b"/a b", b"*", b"a"]),
    st.binary(max_size=12).map(lambda rest: b"/" + rest),
)
PLAIN_METHODS = st.sampled_from([b"GET", b"PUT", b"DELETE"])
METHODS = st.sampled_from([b"GET", b"HEAD", b"POST", b"X", b"get"])
MOSTLY = st.sampled_from([True, True, True, False])
PLAIN_LINES = st.lists(st.sampled_from([b"Accept: */*", b"User-Agent: x", b"Connection: keep-alive"]), max_size=2)
LINES = st.lists(
    st.sampled_from(
        [
            b"Accept: */*", b"accept: a", b"User-Agent: x", b"Connection: keep-alive", b"Connection: close",
            b"Connection: upgrade", b"Upgrade: h2c", b"Expect: 100-continue", b"Transfer-Encoding: chunked",
            b"X: \xe4", b"Host: again", b" folded",
        ]
    ),
    max_size=3,
)  # fmt: skip
BODIES = st.sampled_from([b"", b"abc", b"\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b" HTTP/1.1\r\nHost: x\r\n\r\n"])
VERSIONS = st.sampled_from([b"HTTP/1.1", b"HTTP/1.0"])


DAMAGES = st.sampled_from(["none"] * 8 + ["byte", "halves", "twice"])


@st.composite
def chunks(draw: st.DrawFn) -> list[bytes]:
    """What a client sends: most requests share their header lines, some bytes are damaged, some pieces are halves."""
    lines = draw(st.one_of(PLAIN_LINES, PLAIN_LINES, LINES))
    usual = draw(BODIES)
    sent = [b"\r\n".join((b"GET /first HTTP/1.1", b"Host: x", *lines, b"", b""))]
    for _ in range(draw(st.integers(1, 6))):
        body = usual if draw(MOSTLY) else draw(BODIES)
        length = [b"Content-Length: %d" % len(body)] if body else []
        if draw(MOSTLY):
            first, kept = b"%b %b HTTP/1.1" % (draw(PLAIN_METHODS), draw(PLAIN_TARGETS)), lines
        else:
            first, kept = b" ".join((draw(METHODS), draw(TARGETS), draw(VERSIONS))), draw(LINES)
        data = b"\r\n".join((first, b"Host: x", *kept, *length, b"", body))
        damage = draw(DAMAGES)
        at = draw(st.integers(1, len(data) - 1))
        if damage == "byte":
            sent.append(data[:at] + draw(st.binary(max_size=2)) + data[at + 1 :])
        elif damage == "halves":
            sent += [data[:at], data[at:]]
        elif damage == "twice":
            sent.append(data + data)
        else:
            sent.append(data)
    return sent


def taken(sent: list[bytes], forget: bool, monkeypatch: pytest.MonkeyPatch) -> tuple[list[object], bytes, bool, int]:
    """The requests that the handlers see, what is answered, whether it was closed, and how many heads were known."""
    told = 0
    original = RepeatedHead.request

    def request(self: RepeatedHead, data: bytes, peer: str) -> Request | None:
        nonlocal told
        found = original(self, data, peer)
        told += found is not None
        return found

    async def run() -> tuple[list[object], bytes, bool, int]:
        server = await local_server()
        seen: list[object] = []

        def handle(request: Request) -> Response:
            seen.append((request.method, request.target, dict(request.headers), request.body, request.announced))
            return Response(200, b"%d" % len(seen))

        monkeypatch.setattr(server.app, "handle", handle)
        monkeypatch.setattr(server.app, "_date", type("Date", (), {"line": lambda _: b"Date: now\r\n"})())
        transport = Transport()
        connection = HttpProtocol(server)
        connection.connection_made(transport)  # type: ignore[arg-type]
        for data in sent:
            if not transport.closed:
                connection.data_received(data)
            await asyncio.sleep(0)
        connection.connection_lost(None)
        return seen, transport.written, transport.closed, told

    with monkeypatch.context() as patch:
        patch.setattr(RepeatedHead, "request", request)
        if forget:
            patch.setattr(protocol, "learn", lambda data, headers: None)
        return asyncio.run(run())


told_in_all = 0


@settings(max_examples=300, deadline=None)
@given(sent=chunks())
def check_the_same(sent: list[bytes]) -> None:
    global told_in_all
    with pytest.MonkeyPatch.context() as monkeypatch:
        *remembering, told = taken(sent, False, monkeypatch)
        *forgetting, none = taken(sent, True, monkeypatch)
    assert remembering == forgetting
    assert none == 0
    told_in_all += told


def test_remembering_changes_nothing_that_handlers_or_clients_see() -> None:
    check_the_same()
    assert told_in_all > 50  # or nothing was compared


class Written:
    """Counts the calls."""

    def __init__(self) -> None:
        self.times = 0

    def write_out(self) -> None:
        self.times += 1


async def test_answers_are_written_at_the_end_of_the_turn() -> None:
    outbox = Outbox(asyncio.get_running_loop())
    first, second = Written(), Written()
    outbox.add(first)
    outbox.add(second)
    assert (first.times, second.times) == (0, 0)
    await asyncio.sleep(0)
    assert (first.times, second.times) == (1, 1)
    outbox.add(first)
    await asyncio.sleep(0)
    assert (first.times, second.times) == (2, 1)


async def test_many_answers_do_not_wait_for_the_last() -> None:
    outbox = Outbox(asyncio.get_running_loop())
    writers = [Written() for _ in range(GATHERED_MAX + 1)]
    for writer in writers:
        outbox.add(writer)
    assert [writer.times for writer in writers] == [1] * GATHERED_MAX + [0]
    await asyncio.sleep(0)
    assert [writer.times for writer in writers] == [1] * (GATHERED_MAX + 1)
