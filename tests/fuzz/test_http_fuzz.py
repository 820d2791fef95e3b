"""Any bytes on the HTTP port give an HTTP answer or a closed connection, and the server goes on.

Each input is sent whole and in two pieces. Nothing may be logged as an error, no connection may be left behind, and a
plain request on another connection is answered afterwards.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterator

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyconsul.api.limits import HttpSettings
from pyconsul.api.server import HttpServer
from pyconsul.testing.local_backend import LocalBackend, local_server

EXAMPLES = 250
ANSWER = re.compile(rb"HTTP/1\.[01] [1-5]\d\d ")

METHODS = st.sampled_from(
    [b"GET", b"PUT", b"DELETE", b"POST", b"HEAD", b"OPTIONS", b"CONNECT", b"PRI", b"get", b"X-Y", b""]
)
PATHS = st.sampled_from(
    [
        b"/v1/kv/", b"/v1/kv/a", b"/v1/kv", b"/v1/session/create", b"/v1/session/info/", b"/v1/session/renew/x",
        b"/v1/txn", b"/v1/event/fire/x", b"/v1/event/list", b"/v1/catalog/register", b"/v1/catalog/nodes",
        b"/v1/health/service/x", b"/v1/agent/self", b"/v1/agent/members", b"/v1/status/leader", b"/", b"*", b"http://h",
        b"/v1/operator/raft/configuration",
    ]
)  # fmt: skip
TAILS = st.one_of(
    st.just(b""), st.binary(max_size=20), st.sampled_from([b"/../", b"//", b"%", b"%2f%2e", b"%00", b"\xff"])
)
QUERIES = st.lists(
    st.sampled_from(
        [
            b"recurse", b"keys", b"raw", b"pretty", b"cas=0", b"cas=x", b"flags=9", b"acquire=x",
            b"release=", b"index=1", b"index=99", b"wait=1ms", b"wait=x",
            b"stale", b"consistent", b"dc=x", b"ns=x", b"separator=/", b";",
            b"%zz", b"passing", b"node-meta=a:b", b"max_stale=1s", b"name=x", b"node=(", b"token=x",
        ]
    ),
    max_size=4,
).map(lambda parts: b"?" + b"&".join(parts) + b"&wait=1ms" if parts else b"")  # fmt: skip
HEADERS = st.lists(
    st.one_of(
        st.sampled_from(
            [
                b"Host: x", b"Connection: close", b"Connection: upgrade", b"Upgrade: h2c", b"Expect: 100-continue",
                b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Content-Length: 5",
                b"Content-Length: 99999999", b"Content-Length: 99999999999999999999", b"Content-Length: x",
                b"Accept-Encoding: gzip", b"Cache-Control: max-age=x", b"X-Consul-Namespace: x", b" folded", b"",
            ]
        ),
        st.binary(max_size=30),
    ),
    max_size=5,
)  # fmt: skip
BODIES = st.one_of(
    st.just(b""),
    st.binary(max_size=60),
    st.sampled_from(
        [
            b"[]", b"{}", b"null", b"[null]", b"[{}]", b'[{"KV":{"Verb":"set","Key":"a","Value":"YQ=="}}]', b"[[[[[",
            b'"', b'[{"KV":{"Verb":"lock","Key":"a","Session":"\\ud800"}}]', b'{"TTL":"10s","LockDelay":1e400}',
            b'{"Node":"\\u0000"}', b'{"Node":"x","Address":"y","Service":{"Service":"s","Port":9223372036854775808}}',
            b"5\r\nhello\r\n0\r\n\r\n",
            b'{"LockDelay":-9e999}', b'[{"Check":{"Check":{"Definition":{"TTL":"x"}}}}]', b"fffffffffffffffff\r\n",
        ]
    ),
)  # fmt: skip


def build(
    method: bytes, path: bytes, tail: bytes, query: bytes, headers: list[bytes], body: bytes, fair: bool
) -> bytes:
    """A request; ``fair``: the length of its body is announced as it is, and no other header confuses."""
    lines = [b"Content-Length: %d" % len(body)] if fair else headers
    target = path + tail + query
    return b"\r\n".join([b"%b %b HTTP/1.1" % (method, target), b"Host: x", *lines, b"", body])


REQUESTS = st.builds(build, METHODS, PATHS, TAILS, QUERIES, HEADERS, BODIES, st.booleans())
STREAMS = st.one_of(
    st.binary(max_size=200),
    st.lists(REQUESTS, min_size=1, max_size=4).map(b"".join),
    st.tuples(REQUESTS, st.binary()).map(b"".join),
)


class Errors(logging.Handler):
    """Collects what is logged as an error anywhere."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(self.format(record))


class Fuzzed:
    """A server on a loop that runs while a test asks something."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self.runner = runner
        self.errors = Errors()
        logging.getLogger().addHandler(self.errors)
        self.server, self.port = runner.run(self._start())

    async def _start(self) -> tuple[HttpServer, int]:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: self.errors.found.append(str(context)))
        self.backend = LocalBackend()
        server = await local_server(HttpSettings(http_max_conns_per_client=0), self.backend)
        [(_, port)] = await server.start(["127.0.0.1"], 0)
        return server, port

    def close(self) -> None:
        self.runner.run(self.server.close(grace_s=0))
        self.backend.consensus.close()
        logging.getLogger().removeHandler(self.errors)

    async def send(self, pieces: list[bytes]) -> bytes:
        """What comes back until the server closes (it does, when the client ends its side)."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            writer.write_eof()
            return await asyncio.wait_for(reader.read(), 20)
        except ConnectionError:
            return b""
        finally:
            writer.close()

    async def check(self, data: bytes) -> None:
        for pieces in ([data], [data[: len(data) // 2], data[len(data) // 2 :]]):
            answer = await self.send(pieces)
            assert answer == b"" or ANSWER.match(answer), answer[:200]
        alive = await self.send([b"GET /v1/status/leader HTTP/1.1\r\nHost: x\r\n\r\n"])
        assert alive.startswith(b"HTTP/1.1 200 OK\r\n")
        for _ in range(2000):
            if not self.server.connections:
                break
            await asyncio.sleep(0.001)
        assert not self.server.connections and not self.server.reading and not self.server.stuck
        assert len(self.backend.consensus.store.watches) == 0
        assert not self.errors.found, self.errors.found


@pytest.fixture(scope="module")
def fuzzed() -> Iterator[Fuzzed]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        one = Fuzzed(runner)
        yield one
        one.close()


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(STREAMS)
def test_any_bytes(fuzzed: Fuzzed, data: bytes) -> None:
    fuzzed.runner.run(fuzzed.check(data))


@pytest.mark.slow
@settings(max_examples=5000, deadline=None, suppress_health_check=list(HealthCheck))
@given(STREAMS)
def test_any_bytes_for_long(fuzzed: Fuzzed, data: bytes) -> None:
    fuzzed.runner.run(fuzzed.check(data))
