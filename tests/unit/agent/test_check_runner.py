"""Checks that the agent carries out itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from pyconsul.agent.check_runner import CheckRunner, Threshold
from pyconsul.agent.local_definitions import CheckDefinition, LocalCheck
from pyconsul.clock import seeded_random
from pyconsul.codec.duration import SECOND
from pyconsul.records.catalog import CRITICAL, PASSING, WARNING, Check

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(serve: Serve) -> AsyncIterator[int]:
    """A server on loopback; its port."""

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def answering(head: bytes, body: bytes = b"", seen: list[bytes] | None = None) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        if seen is not None:
            seen.append(request)
        writer.write(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (head, len(body), body))
        await writer.drain()

    return serve


async def nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


@pytest.fixture
async def runner() -> AsyncIterator[CheckRunner]:
    made = CheckRunner(ignored, seeded_random(1))
    yield made
    await made.close()


async def ignored(check_id: str, status: str, output: str) -> None:
    raise AssertionError("no check was followed")


@pytest.mark.parametrize(
    ("head", "status"),
    [(b"200 OK", PASSING), (b"204 No Content", PASSING), (b"429 Too Many Requests", WARNING), (b"500 Oh", CRITICAL)],
)
async def test_http_statuses(runner: CheckRunner, head: bytes, status: str) -> None:
    async with listening(answering(head)) as port:
        url = f"http://127.0.0.1:{port}/health?x=%2F"
        assert await runner.once(CheckDefinition(http=url)) == (status, f"HTTP GET {url}: {head.decode()} Output: ")


async def test_what_an_http_check_sends(runner: CheckRunner) -> None:
    seen: list[bytes] = []
    async with listening(answering(b"200 OK", b"0123456789", seen)) as port:
        definition = CheckDefinition(
            http=f"http://127.0.0.1:{port}/a", method="PUT", header={"X-A": ["1", "2"], "accept": ["x/y"]}, body="b",
            output_max_bytes=4,
        )  # fmt: skip
        status, output = await runner.once(definition)
    assert status == PASSING and output.endswith("Output: 6789"), "the end of the body is shown"
    lines = seen[0].decode().split("\r\n")
    assert lines[0] == "PUT /a HTTP/1.1"
    assert "User-Agent: Consul Health Check" in lines and "X-A: 1" in lines and "X-A: 2" in lines
    assert [line for line in lines if line.lower().startswith("accept:")] == ["accept: x/y"]


async def test_nobody_answers_an_http_check(runner: CheckRunner) -> None:
    async with listening(nothing) as port:
        url = f"http://127.0.0.1:{port}/"
        late = await runner.once(CheckDefinition(http=url, timeout_ns=SECOND // 20))
    assert late == (CRITICAL, f'Get "{url}": context deadline exceeded')
    status, output = await runner.once(CheckDefinition(http=url))
    assert status == CRITICAL and output == f'Get "{url}": connect: connection refused'
    status, output = await runner.once(CheckDefinition(http="no url"))
    assert status == CRITICAL and output.startswith('Get "no url": ')


async def test_tcp(runner: CheckRunner) -> None:
    async with listening(nothing) as port:
        address = f"127.0.0.1:{port}"
        assert await runner.once(CheckDefinition(tcp=address)) == (PASSING, f"TCP connect {address}: Success")
    refused = await runner.once(CheckDefinition(tcp=address))
    assert refused == (CRITICAL, f"dial tcp {address}: connect: connection refused")
    assert (await runner.once(CheckDefinition(tcp="no port")))[0] == CRITICAL


@pytest.mark.parametrize(
    ("success", "failures", "results", "counting"),
    [
        (0, 0, "pcp", "pcp"),
        (0, 2, "ccpccc", "ccp-cc"),
        (2, 0, "pcppwp", "pc-pwp"),
        (3, 3, "ppcpccc", "pp----c"),
    ],
)
def test_thresholds(success: int, failures: int, results: str, counting: str) -> None:
    words = {"p": PASSING, "w": WARNING, "c": CRITICAL}
    threshold = Threshold(success, failures)
    assert "".join(each if threshold.passes(words[each]) else "-" for each in results) == counting


async def test_checks_are_followed() -> None:
    results: asyncio.Queue[tuple[str, str, str]] = asyncio.Queue()

    async def report(check_id: str, status: str, output: str) -> None:
        results.put_nowait((check_id, status, output))

    class Soon:
        """The first run is at once."""

        def uniform(self, a: float, b: float) -> float:
            return a

    runner = CheckRunner(report, Soon())  # type: ignore[arg-type]
    async with listening(nothing) as port:
        definition = CheckDefinition(check_id="t", tcp=f"127.0.0.1:{port}", interval_ns=3600 * SECOND)
        checks = {"t": LocalCheck(Check("n", "t", "t"), definition), "ttl": LocalCheck(Check("n", "x", "x"), TTL)}
        runner.follow(checks)
        assert (await asyncio.wait_for(results.get(), 20))[:2] == ("t", PASSING)
        runner.follow(checks)
        other = CheckDefinition(check_id="t", tcp="127.0.0.1:1", interval_ns=3600 * SECOND)
        runner.follow({"t": LocalCheck(Check("n", "t", "t"), other)})
        assert (await asyncio.wait_for(results.get(), 20))[:2] == ("t", CRITICAL)
        runner.follow({})
        assert results.empty()
    await runner.close()


TTL = CheckDefinition(check_id="x", ttl_ns=SECOND)
