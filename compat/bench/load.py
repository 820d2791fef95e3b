"""Load from outside: ``wrk`` for plain rates, a small asyncio client for what wrk cannot do."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

from peers import Peer, Server

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}

PUT_SCRIPT = """
local n = 0
local headers = {{ ["Content-Type"] = "application/x-www-form-urlencoded" }}
request = function()
  n = n + 1
  return wrk.format("PUT", "{path}" .. (n % {keys}), headers, "{prefix}" .. string.format("%099d", n))
end
"""


class Rate:
    """What wrk says: requests per second, latencies in seconds, answers that were errors."""

    def __init__(self, per_second: float, p50: float, p99: float, errors: int) -> None:
        self.per_second = per_second
        self.p50 = p50
        self.p99 = p99
        self.errors = errors


def _wrk(url: str, connections: int, seconds: float, script: str | None = None) -> Rate:
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--latency"]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        if script is not None:
            file.write(script)
            file.flush()
            command += ["-s", file.name]
        text = subprocess.run([*command, url], check=True, capture_output=True, text=True).stdout
    errors = sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)", text)))
    errors += sum(map(int, re.findall(r"(?:connect|read|write|timeout) (\d+)", text)))

    def latency(percent: int) -> float:
        found = re.search(rf"{percent}%\s+([\d.]+)(us|ms|s|m)\b", text)
        return float(found[1]) * _UNITS[found[2]] if found else float("nan")

    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    return Rate(float(rate[1]) if rate else 0.0, latency(50), latency(99), errors)


def get_rate(peer: Peer, server: Server, key: str, query: str, connections: int, seconds: float) -> Rate:
    return _wrk(f"http://{server.address}:{server.http_port}{peer.key_path(key)}{query}", connections, seconds)


def put_rate(peer: Peer, server: Server, connections: int, seconds: float, keys: int = 1000) -> Rate:
    script = PUT_SCRIPT.format(path=peer.key_path("bench/"), keys=keys, prefix=peer.put_body(b"").decode())
    return _wrk(f"http://{server.address}:{server.http_port}/", connections, seconds, script)


def fdatasync_seconds(folder: Path, count: int = 300) -> float:
    """The median of one small write and fdatasync in this folder."""
    times = []
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        for _ in range(count):
            begin = time.perf_counter()
            os.write(file.fileno(), b"x" * 200)
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - begin)
    return sorted(times)[len(times) // 2]


class _Waiter(asyncio.Protocol):
    """One blocking read; ``answered`` is done when the first bytes of its answer are there."""

    def __init__(self, request: bytes, answered: Callable[[], None]) -> None:
        self._request = request
        self._answered = answered
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._answered()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


async def wake_seconds(peer: Peer, server: Server, watchers: int) -> float:
    """From one write to the last of so many blocking reads of its key that it wakes."""
    server.request("PUT", peer.key_path("watched"), peer.put_body(b"before"))
    if peer.name == "etcd":
        path = peer.key_path("watched") + "?wait=true"
    else:
        reader, writer = await asyncio.open_connection(server.address, server.http_port)
        writer.write(f"GET {peer.key_path('watched')} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        index = re.search(r"x-consul-index: (\d+)", head)
        writer.close()
        path = peer.key_path("watched") + f"?index={index[1] if index else 0}&wait=60s"
    loop = asyncio.get_running_loop()
    request = f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()
    ends: list[float] = []
    all_there = asyncio.Event()

    def answered() -> None:
        ends.append(time.perf_counter())
        if len(ends) == watchers:
            all_there.set()

    waiters: list[_Waiter] = []
    for _ in range(watchers):
        _, waiter = await loop.create_connection(lambda: _Waiter(request, answered), server.address, server.http_port)
        waiters.append(waiter)
    await asyncio.sleep(1.0)  # all of them wait now
    # etcd sends the head of its answer at once
    ends.clear()
    all_there.clear()
    begin = time.perf_counter()
    await loop.run_in_executor(None, server.request, "PUT", peer.key_path("watched"), peer.put_body(b"after"))
    await asyncio.wait_for(all_there.wait(), 60)
    for waiter in waiters:
        waiter.close()
    return ends[watchers - 1] - begin


async def fill(peer: Peer, server: Server, prefix: str, count: int, value: bytes, pipelined: int = 64) -> None:
    """Writes so many keys over a few connections, a window of requests on each."""

    async def some(numbers: range) -> None:
        reader, writer = await asyncio.open_connection(server.address, server.http_port)
        body = peer.put_body(value)
        kind = "application/x-www-form-urlencoded"
        head = f"HTTP/1.1\r\nHost: bench\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        tail = head.encode() + body
        for begin in range(numbers.start, numbers.stop, pipelined):
            window = range(begin, min(begin + pipelined, numbers.stop))
            writer.write(b"".join(f"PUT {peer.key_path(f'{prefix}{n:07d}')} ".encode() + tail for n in window))
            for _ in window:
                answer = await reader.readuntil(b"\r\n\r\n")
                size = re.search(rb"(?i)content-length: (\d+)", answer)
                await reader.readexactly(int(size[1]) if size else 0)
        writer.close()

    share = -(-count // 8)
    await asyncio.gather(*(some(range(part, min(part + share, count))) for part in range(0, count, share)))
