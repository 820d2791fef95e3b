"""Ten thousand waiting readers of one agent: what they cost while nothing happens, and that a write wakes them all."""

from __future__ import annotations

import os
import resource
import selectors
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyconsul.testing.processes import HTTP_PORT, AgentProcess, Cluster, wait_for

READERS = 10_000
FILES_WANTED = READERS + 500
MEMORY_MAX_BYTES = 200 * 1024 * 1024
IDLE_S = 5.0
IDLE_CPU_MORE_S = 0.5


def memory_bytes(pid: int) -> int:
    """What the process has in memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def cpu_s(pid: int) -> float:
    """Processor time of the process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_until_idle(agent: AgentProcess) -> None:
    times = [0.0] * 20

    def idle() -> bool:
        times.append(cpu_s(agent.pid))
        return times[-1] - times.pop(0) < 0.1

    wait_for("the agent has taken all readers in", idle, 120.0)


@pytest.fixture
def many_files() -> Iterator[None]:
    """The limit of open files, which the agent inherits, is raised for the test."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < FILES_WANTED:
        pytest.skip(f"only {hard} files may be open here, {FILES_WANTED} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, FILES_WANTED), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_ten_thousand_idle_readers(tmp_path: Path, many_files: None) -> None:
    config = tmp_path / "limits.json"
    config.write_text('{"limits": {"http_max_conns_per_client": 0}}')
    with Cluster(tmp_path, size=1, extra=["-config-file", str(config)]) as cluster:
        cluster.start()
        agent = cluster.agents[0]
        agent.kv_put("watched", b"1")
        index = agent.request("GET", "/v1/kv/watched").headers["x-consul-index"]
        alone = cpu_within(agent, [], IDLE_S)
        before = memory_bytes(agent.pid)
        request = f"GET /v1/kv/watched?raw&index={index}&wait=10m HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        readers = [socket.create_connection((agent.address, HTTP_PORT), 30.0) for _ in range(READERS)]
        try:
            for reader in readers:
                reader.sendall(request)
            wait_until_idle(agent)
            grown = memory_bytes(agent.pid) - before
            print(f"{READERS} readers: {grown / 1024 / 1024:.0f} MiB more, {grown / READERS:.0f} bytes each")
            assert grown < MEMORY_MAX_BYTES
            used = cpu_within(agent, readers, IDLE_S)
            print(f"{used:.2f} s of processor time in {IDLE_S:.0f} s, {alone:.2f} s without readers")
            assert used < 2 * alone + IDLE_CPU_MORE_S
            agent.kv_put("other", b"1")
            assert not woken(readers, 1.0), "nobody waits for that key"
            agent.kv_put("watched", b"2")
            for reader in readers:
                reader.settimeout(60.0)
                answer = b""
                while not answer.endswith(b"\r\n\r\n2"):
                    piece = reader.recv(4096)
                    assert piece, f"closed after {answer!r}"
                    answer += piece
                assert answer.startswith(b"HTTP/1.1 200 OK\r\n"), answer
        finally:
            for reader in readers:
                reader.close()
        agent.kv_put("afterwards", b"1")
        cluster.assert_no_tracebacks()


def cpu_within(agent: AgentProcess, readers: list[socket.socket], seconds: float) -> float:
    """Processor time that the agent takes within a time in which no reader is woken."""
    began = cpu_s(agent.pid)
    assert not woken(readers, seconds), "nobody has a reason to wake"
    return cpu_s(agent.pid) - began


def woken(readers: list[socket.socket], seconds: float) -> bool:
    """Whether anything comes for one of them within the time."""
    with selectors.DefaultSelector() as selector:
        for reader in readers:
            selector.register(reader, selectors.EVENT_READ)
        return bool(selector.select(seconds))
