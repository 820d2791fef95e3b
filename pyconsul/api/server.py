"""Listens for HTTP on addresses and local sockets, and keeps account of the connections."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from pyconsul.api.app import App
from pyconsul.api.context import AgentBackend, Api
from pyconsul.api.events import EventBuffer
from pyconsul.api.limits import TOO_MANY_CONNECTIONS, ClientLimit, HttpSettings
from pyconsul.api.outbox import Outbox
from pyconsul.api.protocol import HttpProtocol
from pyconsul.api.routes import ROUTES, Route
from pyconsul.clock import Clock, Random, SystemClock, system_random

BACKLOG = 1024
SWEEP_SECONDS = 1.0
WRITE_BUFFER_HIGH_BYTES = 1_048_576


class HttpServer:
    """The HTTP API of one agent. ``events`` takes what gossip brings; ``configure`` takes new settings."""

    def __init__(
        self,
        backend: AgentBackend,
        settings: HttpSettings | None = None,
        clock: Clock | None = None,
        random: Random | None = None,
        routes: Iterable[Route] = ROUTES,
    ) -> None:
        self.events = EventBuffer()
        settings = settings or HttpSettings()
        self.api = Api(backend, settings, self.events, clock or SystemClock(), random or system_random())
        self.app = App(self.api, routes)
        self.loop = asyncio.get_running_loop()
        self.outbox = Outbox(self.loop)
        self.connections: set[HttpProtocol] = set()
        self.reading: set[HttpProtocol] = set()
        """Connections in the middle of a request: those that take too long are closed."""
        self.stuck: set[HttpProtocol] = set()
        """Connections whose client does not read."""
        self._clients = ClientLimit(settings.http_max_conns_per_client)
        self._servers: list[asyncio.Server] = []
        self._sockets: list[str] = []
        self._idle = asyncio.Event()
        self._idle.set()
        self._sweeper: asyncio.TimerHandle | None = None

    async def start(
        self,
        addresses: Sequence[str] = (),
        port: int = 0,
        unix_sockets: Iterable[str] = (),
    ) -> list[tuple[str, int]]:
        """Listens on all addresses (IPv4 or IPv6) with one port (0: any) and on local sockets; may be called again.

        Returns the addresses and ports. Raises OSError when one cannot be had (then none of this call is kept).
        """
        opened: list[asyncio.Server] = []
        bound: list[tuple[str, int]] = []
        try:
            for address in addresses:
                listener = _listen(address, port)
                server = await self.loop.create_server(lambda: HttpProtocol(self), sock=listener)
                opened.append(server)
                name = listener.getsockname()
                bound.append((name[0], name[1]))
            for path in unix_sockets:
                _remove_dead_socket(path)
                opened.append(await self.loop.create_unix_server(lambda: HttpProtocol(self), path, backlog=BACKLOG))
                self._sockets.append(path)
        except BaseException:
            for server in opened:
                server.close()
            raise
        self._servers.extend(opened)
        if self._sweeper is None:
            self._sweeper = self.loop.call_later(SWEEP_SECONDS, self._sweep_again)
        return bound

    def configure(self, settings: HttpSettings) -> None:
        """New settings, also for connections that are open. Raises ValueError for what is no network."""
        self.app.configure(settings)
        self._clients.maximum = settings.http_max_conns_per_client

    async def close(self, grace_s: float = 5.0) -> None:
        """Stops listening, lets what is under way end within ``grace_s``, and cuts off the rest."""
        for server in self._servers:
            server.close()
        for path in self._sockets:
            _unlink(path)
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for connection in list(self.connections):
            connection.finish()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), grace_s)
        for connection in list(self.connections):
            connection.abort()
        await self._idle.wait()
        self._servers.clear()
        self._sockets.clear()

    # For the connections

    def opened(self, connection: HttpProtocol, peer: str, transport: asyncio.Transport) -> None:
        self.connections.add(connection)
        self._idle.clear()
        transport.set_write_buffer_limits(high=WRITE_BUFFER_HIGH_BYTES)
        if not peer:
            return
        connection.counted = self._clients.enter(peer)
        raw = transport.get_extra_info("socket")
        if raw is not None:
            with suppress(OSError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if not connection.counted:
            connection.turn_away(TOO_MANY_CONNECTIONS)

    def closed(self, connection: HttpProtocol, peer: str) -> None:
        self.connections.discard(connection)
        self.reading.discard(connection)
        self.stuck.discard(connection)
        if connection.counted:
            self._clients.leave(peer)
        if not self.connections:
            self._idle.set()

    def close_later(self, transport: asyncio.Transport, seconds: float) -> None:
        self.loop.call_later(seconds, transport.close)

    def _sweep_again(self) -> None:
        self._sweeper = self.loop.call_later(SWEEP_SECONDS, self._sweep_again)
        self.sweep(self.loop.time())

    def sweep(self, now: float) -> None:
        """Once a second: ends connections that are too slow in asking or in reading. ``now``: the loop's time."""
        settings = self.api.settings
        for connection in list(self.reading):
            age_s = now - connection.message_began_s
            idle_s = now - connection.progress_s
            if connection.in_head:
                too_slow = age_s > settings.header_timeout_s
            else:
                too_slow = age_s > settings.body_timeout_s or idle_s > settings.body_idle_timeout_s
            if too_slow:
                connection.abort()
        for connection in list(self.stuck):
            unsent = connection.unsent_bytes
            if unsent != connection.stuck_bytes:
                connection.stuck_bytes, connection.stuck_since_s = unsent, now
            elif now - connection.stuck_since_s > settings.write_idle_timeout_s:
                connection.abort()


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # Its own socket for each family: "::" must not take the port from "0.0.0.0".
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.setblocking(False)
        host, _, scope = address.partition("%")
        if family == socket.AF_INET6 and scope:
            listener.bind((host, port, 0, socket.if_nametoindex(scope)))
        else:
            listener.bind((address, port))
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _unlink(path: str) -> None:
    with suppress(OSError):
        Path(path).unlink()


def _remove_dead_socket(path: str) -> None:
    """A socket file that a process left behind is removed. Raises OSError when somebody listens on it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            with suppress(FileNotFoundError):
                Path(path).unlink()
            return
    raise OSError(errno.EADDRINUSE, f"{path} is in use")
