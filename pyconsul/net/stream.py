"""Short TCP streams of gossip: one message each way. Knows nothing of what they mean."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Awaitable, Callable
from typing import TypeVar

from pyconsul.errors import PeerError

T = TypeVar("T")

CHUNK = 64 * 1024
BACKLOG = 128
CONNECTIONS_MAX = 256

_REASONS = {
    errno.ECONNREFUSED: "connect: connection refused",
    errno.EHOSTUNREACH: "connect: no route to host",
    errno.ENETUNREACH: "connect: network is unreachable",
    errno.EADDRNOTAVAIL: "connect: cannot assign requested address",
    errno.EINVAL: "connect: invalid argument",
    errno.ETIMEDOUT: "i/o timeout",
}


def endpoint(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def bind_tcp(host: str, port: int) -> socket.socket:
    """A bound, non-blocking, listening socket. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


async def read_message(reader: asyncio.StreamReader, feed: Callable[[bytes], T | None]) -> T:
    """Feeds what comes until ``feed`` has a message. Raises EOFError (an early end), OSError, what ``feed`` raises.

    Long pieces are decoded in a thread: decompression of a large state would hold up everything else.
    """
    while True:
        data = await reader.read(CHUNK)
        if not data:
            raise EOFError
        message = feed(data) if len(data) < CHUNK // 4 else await asyncio.to_thread(feed, data)
        if message is not None:
            return message


async def exchange(host: str, port: int, data: bytes, feed: Callable[[bytes], T | None], timeout: float) -> T:
    """Connects, sends, reads one message, closes. Raises PeerError with the text that Go programs show."""
    target = endpoint(host, port)
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(data)
            await writer.drain()
            return await read_message(reader, feed)
    except TimeoutError:
        action = "dial" if writer is None else "read"
        raise PeerError(f"{action} tcp {target}: i/o timeout") from None
    except EOFError:
        raise PeerError("EOF") from None
    except OSError as error:
        reason = _REASONS.get(error.errno or 0) or (os.strerror(error.errno) if error.errno else str(error)).lower()
        if writer is None:
            raise PeerError(f"dial tcp {target}: {reason}") from None
        local = writer.get_extra_info("sockname") or ("", 0)
        raise PeerError(f"read tcp {endpoint(local[0], local[1])}->{target}: read: {reason}") from None
    finally:
        if writer is not None:
            await close(writer)


async def close(writer: asyncio.StreamWriter) -> None:
    """Closes at once; what was written is still sent."""
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):  # it is over, however it ends
        async with asyncio.timeout(1.0):
            await writer.wait_closed()


class StreamServer:
    """Hands each connection to ``handle``, which must bound its own time. More than a limit at once are closed."""

    def __init__(
        self,
        sock: socket.socket,
        handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    ) -> None:
        self._socket = sock
        self._handle = handle
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connected, sock=self._socket, limit=CHUNK)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._tasks) >= CONNECTIONS_MAX:
            writer.close()
            return
        task = asyncio.get_running_loop().create_task(self._run(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._handle(reader, writer)
        finally:
            await close(writer)

    async def stop(self) -> None:
        if self._server is None:
            self._socket.close()
            return
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
