"""``agent/monitor``, ``agent/host``, ``agent/metrics``, ``operator/usage`` over real connections."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pyconsul.agent.logging import AgentLog
from pyconsul.agent.runtime_config import LogConfig
from pyconsul.api.server import HttpServer
from pyconsul.testing.local_backend import LocalBackend, local_server

ROOT = "agent.monitored"
DEADLINE_S = 10
CONFIG = LogConfig(
    level="INFO",
    json=False,
    file="",
    rotate_bytes=0,
    rotate_seconds=86400.0,
    rotate_max_files=0,
    syslog=False,
    syslog_facility="LOCAL0",
)


class Site:
    """A server with a log, and connections to it."""

    def __init__(self, server: HttpServer, host: str, port: int, log: AgentLog) -> None:
        self.server, self.host, self.port, self.log = server, host, port, log
        self.logger = logging.getLogger(ROOT)

    async def ask(self, target: str, version: str = "1.1") -> tuple[bytes, asyncio.StreamReader, asyncio.StreamWriter]:
        """The head of the answer, and the connection."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        writer.write(f"GET {target} HTTP/{version}\r\nHost: a\r\n\r\n".encode())
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), DEADLINE_S)
        return head, reader, writer

    async def json(self, target: str) -> Any:
        head, reader, writer = await self.ask(target)
        size = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length"))
        body = await reader.readexactly(size)
        writer.close()
        assert head.startswith(b"HTTP/1.1 200"), body
        return json.loads(body)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    server = await local_server(backend=LocalBackend("s1", "dc1", "127.0.0.1"))
    bound = await server.start(["127.0.0.1"], 0)
    log = AgentLog(CONFIG, io.BytesIO(), root=ROOT)
    server.api.logs = log
    yield Site(server, *bound[0], log)
    await server.close(0)
    log.stop()


async def chunk(reader: asyncio.StreamReader) -> bytes:
    size = int(await asyncio.wait_for(reader.readline(), DEADLINE_S), 16)
    return (await asyncio.wait_for(reader.readexactly(size + 2), DEADLINE_S))[:-2]


async def test_lines_come_as_they_are_written(site: Site) -> None:
    head, reader, writer = await site.ask("/v1/agent/monitor")
    assert head.startswith(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n")
    site.logger.debug("not of this level")
    site.logger.warning("first")
    line = await chunk(reader)
    assert line.endswith(b"[WARN]  agent.monitored: first\n")
    site.logger.info("second")
    assert (await chunk(reader)).endswith(b"[INFO]  agent.monitored: second\n")
    writer.close()


async def test_a_level_below_the_logs_own(site: Site) -> None:
    _, reader, writer = await site.ask("/v1/agent/monitor?loglevel=debug&logjson=true")
    assert site.logger.isEnabledFor(logging.DEBUG)
    site.logger.debug("small")
    assert json.loads(await chunk(reader))["@message"] == "small"
    writer.close()
    await until(lambda: not site.logger.isEnabledFor(logging.DEBUG))


async def test_the_end_of_the_server_ends_the_stream(site: Site) -> None:
    _, reader, writer = await site.ask("/v1/agent/monitor")
    site.logger.info("last words")
    await asyncio.gather(site.server.close(5), ended(reader))
    assert not site.logger.isEnabledFor(logging.DEBUG)
    writer.close()


async def ended(reader: asyncio.StreamReader) -> None:
    assert b"last words" in await chunk(reader)
    assert await asyncio.wait_for(reader.read(), DEADLINE_S) == b"0\r\n\r\n"


async def test_old_clients_get_plain_lines(site: Site) -> None:
    head, reader, writer = await site.ask("/v1/agent/monitor", "1.0")
    assert head.startswith(b"HTTP/1.0 200 OK\r\n") and b"chunked" not in head
    site.logger.info("plain")
    assert (await asyncio.wait_for(reader.readline(), DEADLINE_S)).endswith(b" agent.monitored: plain\n")
    writer.close()


async def test_who_does_not_read_misses_lines_and_costs_bounded_memory(site: Site) -> None:
    _, reader, writer = await site.ask("/v1/agent/monitor")
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    connection = next(iter(site.server.connections))
    await fill(site, lambda: connection.full)
    for number in range(2000):
        site.logger.info("missed %d", number)
    writer.transport.resume_reading()  # type: ignore[attr-defined]
    received = b""
    while b"missed 1999\n" not in received:
        received += await chunk(reader)
    assert b"missed 0\n" not in received
    writer.close()


async def fill(site: Site, full: Any) -> None:
    while not full():
        for _ in range(50):
            site.logger.info("x" * 10_000)
        await asyncio.sleep(0)


async def test_an_unknown_level(site: Site) -> None:
    head, reader, writer = await site.ask("/v1/agent/monitor?loglevel=loud")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert await reader.readexactly(36) == b"Bad request: Unknown log level: loud"
    writer.close()


async def until(probe: Any) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not probe():
            await asyncio.sleep(0.01)


async def test_the_host(site: Site) -> None:
    found = await site.json("/v1/agent/host")
    assert found["Memory"]["total"] > found["Memory"]["free"] > 0
    assert len(found["CPU"]) >= 1
    assert found["Disk"]["total"] >= found["Disk"]["used"]
    assert found["Host"]["hostname"] and found["Host"]["uptime"] > 0
    assert found["CollectionTime"] > 10**18 and found["Errors"] is None


async def test_metrics_are_gauges_of_the_moment(site: Site) -> None:
    found = await site.json("/v1/agent/metrics")
    names = [gauge["Name"] for gauge in found["Gauges"]]
    assert names == sorted(names)
    assert {"consul.runtime.num_goroutines", "consul.consul.members.servers", "consul.version"} <= set(names)
    assert (found["Points"], found["Counters"], found["Samples"]) == ([], [], [])
    assert found["Timestamp"].endswith("0 +0000 UTC")


async def test_prometheus_format_is_off(site: Site) -> None:
    head, _, writer = await site.ask("/v1/agent/metrics?format=prometheus")
    assert head.startswith(b"HTTP/1.1 415 ")
    writer.close()


async def test_usage_counts_the_catalog(site: Site) -> None:
    found = await site.json("/v1/operator/usage")
    assert found["Usage"]["dc1"] == {
        "Nodes": 1,
        "Services": 1,
        "ServiceInstances": 1,
        "ConnectServiceInstances": dict.fromkeys(
            (
                "api-gateway",
                "connect-native",
                "connect-proxy",
                "ingress-gateway",
                "mesh-gateway",
                "terminating-gateway",
            ),
            0,
        ),
        "BillableServiceInstances": 0,
    }
    assert found["KnownLeader"] is True
