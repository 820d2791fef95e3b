"""A small HTTP/1.1 client connection that shows everything: what was sent, what came, and when the peer closed.

Not a general client: it knows what dockerd's Go client relies on (keep-alive, Content-Length, chunks, gzip).
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
from dataclasses import dataclass
from urllib.parse import urlsplit


class ConnectFailed(Exception):
    """Nobody listens there."""


class ClosedEarly(Exception):
    """The store closed the connection before the whole answer had come."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    elapsed_s: float

    @property
    def index(self) -> int | None:
        """``X-Consul-Index``; None when missing or not a number."""
        text = self.headers.get("x-consul-index", "")
        return int(text) if text.isascii() and text.isdigit() else None


class Connection:
    """One kept-alive connection to ``base`` (``http://ADDRESS:PORT``), opened by the first request."""

    def __init__(self, base: str) -> None:
        parts = urlsplit(base)
        assert parts.hostname is not None and parts.port is not None
        self._host, self._port = parts.hostname, parts.port
        self.authority = parts.netloc
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            try:
                self._streams = await asyncio.open_connection(self._host, self._port, limit=1 << 20)
            except OSError as error:
                raise ConnectFailed(f"{self.authority}: {error}") from error
        return self._streams

    async def close(self) -> None:
        if self._streams is not None:
            writer = self._streams[1]
            self._streams = None
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def request(self, method: str, target: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
        """Sends one request with exactly these headers and waits for the whole answer."""
        reader, writer = await self.open()
        head = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "", ""]
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            writer.write("\r\n".join(head).encode("latin-1") + body)
            await writer.drain()
            status, answer_headers = await self._head(reader)
            answer_body = await self._body(reader, answer_headers)
        except (OSError, asyncio.IncompleteReadError) as error:
            await self.close()
            raise ClosedEarly(f"{method} {target}: {error!r}") from error
        except asyncio.CancelledError:
            self._streams = None
            writer.close()
            raise
        if answer_headers.get("content-encoding") == "gzip":
            answer_body = gzip.decompress(answer_body)
        if answer_headers.get("connection", "").lower() == "close":
            await self.close()
        return Answer(status, answer_headers, answer_body, loop.time() - started)

    @staticmethod
    async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {}
        for line in lines[1:-2]:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        return int(lines[0].split(" ")[1]), headers

    @staticmethod
    async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding", "").lower() != "chunked":
            return await reader.readexactly(int(headers.get("content-length", "0")))
        chunks = []
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            chunks.append((await reader.readexactly(size + 2))[:-2])
        await reader.readuntil(b"\r\n")
        return b"".join(chunks)
