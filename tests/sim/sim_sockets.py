"""UDP and TCP between simulated processes, as event loops offer them: real streams and endpoints run on top.

A datagram is lost, late, doubled or cut off like any message. A stream keeps its order: what is lost is sent again
after 0.2 s, then twice as long each time, a connection that does not come about after 1 s; what is cut off waits until
it is not. A process that dies resets its connections, a machine that loses power is silent until it runs again. Not in
the model: limits of windows and of backlogs, the time that bytes take on the wire.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from world import IO, Process

if TYPE_CHECKING:
    from sim_network import Network
    from sim_node import Node

SYN_RETRY = 1.0
DATA_RETRY = 0.2
RETRY_MAX = 4.0
SPLIT_CHANCE = 0.1
"""How often a piece of a stream arrives as two."""

Address = tuple[str, int]


class SimSocket:
    """A bound socket, not yet given to a loop."""

    family = socket.AF_INET

    def __init__(self, address: Address) -> None:
        self.address = address

    def getsockname(self) -> Address:
        return self.address

    def close(self) -> None:
        """Nothing is open yet."""


class Sockets:
    """All of one process."""

    def __init__(self, owner: Node, process: Process) -> None:
        self.owner = owner
        self.process = process
        self.network: Network = owner.cluster.network
        self.datagrams: dict[int, SimDatagrams] = {}
        self.servers: dict[int, Callable[[], Any]] = {}
        self.streams: dict[SimStream, None] = {}  # a set would have another order in each run

    async def create_datagram_endpoint(self, factory: Callable[[], Any], sock: SimSocket) -> Any:
        protocol = factory()
        transport = self.datagrams[sock.address[1]] = SimDatagrams(self, sock.address, protocol)
        protocol.connection_made(transport)
        return transport, protocol

    async def create_server(self, factory: Callable[[], Any], sock: SimSocket) -> SimServer:
        self.servers[sock.address[1]] = factory
        return SimServer(self, sock.address[1])

    async def create_connection(self, factory: Callable[[], Any], host: str, port: int) -> Any:
        """Raises ConnectionRefusedError."""
        attempt = _Attempt(self, host, port)
        attempt.send(SYN_RETRY)
        try:
            stream: SimStream = await attempt.done
        except asyncio.CancelledError:
            attempt.give_up()
            raise
        protocol = factory()
        stream.begin(protocol)
        return stream, protocol

    def died(self, power: bool) -> None:
        """Nothing of this process is sent any more; others hear of its end, unless the machine is without power."""
        self.datagrams.clear()
        self.servers.clear()
        for stream in list(self.streams):
            stream.die(power)
        self.streams.clear()


class SimServer:
    def __init__(self, sockets: Sockets, port: int) -> None:
        self._sockets = sockets
        self._port = port

    def close(self) -> None:
        self._sockets.servers.pop(self._port, None)


class SimDatagrams(asyncio.DatagramTransport):
    def __init__(self, sockets: Sockets, address: Address, protocol: Any) -> None:
        super().__init__()
        self._sockets = sockets
        self._address = address
        self.protocol = protocol

    def sendto(self, data: Any, addr: Any = None) -> None:
        sockets = self._sockets
        target = sockets.network.by_host.get(addr[0])
        if target is None or sockets.process.dead:
            return
        network = sockets.network
        network.judge.count("datagrams")
        for _ in range(network.copies()):
            if not network.lost():
                arrive = partial(self._arrive, target, bytes(data), addr[1])
                network.world.push(network.delay(), IO, arrive)

    def _arrive(self, target: Node, data: bytes, port: int) -> None:
        sockets, process = self._sockets, target.process
        if process is None or process.dead or sockets.network.cut(sockets.owner, target):
            sockets.network.judge.count("datagram cut off")
            return
        endpoint = target.sockets.datagrams.get(port)
        if endpoint is not None:
            receive = partial(endpoint.protocol.datagram_received, data, self._address)
            sockets.network.world.push(0.0, IO, receive, process)

    def is_closing(self) -> bool:
        return self._address[1] not in self._sockets.datagrams

    def close(self) -> None:
        self._sockets.datagrams.pop(self._address[1], None)


class _Attempt:
    """A connection that is to come about. ``done``: its end here."""

    def __init__(self, sockets: Sockets, host: str, port: int) -> None:
        self.done: asyncio.Future[SimStream] = sockets.process.loop.create_future()
        self._sockets = sockets
        self._host = host
        self._port = port
        self._there: SimStream | None = None

    def send(self, retry: float) -> None:
        sockets = self._sockets
        network, target = sockets.network, sockets.network.by_host.get(self._host)
        again = partial(self.send, min(2 * retry, RETRY_MAX))
        if self.done.done() or sockets.process.dead:
            return
        if target is None or network.lost():
            network.world.push(retry, IO, again)
        else:
            network.world.push(network.delay(), IO, partial(self._arrive, target, retry, again))

    def _arrive(self, target: Node, retry: float, again: Callable[[], None]) -> None:
        sockets = self._sockets
        network, world = sockets.network, sockets.network.world
        if self._there is not None or self.done.done() or sockets.process.dead:
            return
        # The answer is lost with the way back; both are tried again together.
        if network.cut(sockets.owner, target) or network.cut(target, sockets.owner) or target.dark:
            world.push(retry, IO, again)
            return
        process = target.process
        factory = target.sockets.servers.get(self._port) if process is not None and not process.dead else None
        if process is None or factory is None:
            world.push(network.delay(), IO, self._refused, sockets.process)
            return
        here = SimStream(sockets, (sockets.owner.host, 40000), (self._host, self._port))
        there = self._there = SimStream(target.sockets, here.remote, here.local)
        here.peer, there.peer = there, here
        network.judge.count("streams")
        world.push(0.0, IO, lambda: there.begin(factory()), process)
        world.push(network.delay(), IO, partial(self._made, here), sockets.process)

    def _made(self, here: SimStream) -> None:
        if self.done.done():
            here.abort()
        else:
            self.done.set_result(here)

    def _refused(self) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED)))

    def give_up(self) -> None:
        self.done.cancel()
        if self._there is not None:
            self._there.peer.abort()


class SimStream(asyncio.Transport):
    """One end of a connection. ``peer``: the other end."""

    peer: SimStream

    def __init__(self, sockets: Sockets, local: Address, remote: Address) -> None:
        super().__init__({"sockname": local, "peername": remote})
        self.sockets = sockets
        self.local = local
        self.remote = remote
        self._protocol: Any = None
        self._closing = False
        self._outgoing: deque[Callable[[], None]] = deque()
        self._sending = False
        self._early: list[Callable[[], None]] = []  # what came before the process looked
        sockets.streams[self] = None

    def begin(self, protocol: Any) -> None:
        self._protocol = protocol
        protocol.connection_made(self)
        loop = self.sockets.process.loop
        if self._closing:
            loop.call_soon(protocol.connection_lost, None)
        for action in self._early:
            loop.call_soon(action)

    # What the process does

    def write(self, data: Any) -> None:
        if self._closing or not data:
            return
        world = self.sockets.network.world
        cut = world.random.randrange(1, len(data)) if len(data) > 1 and world.chance(SPLIT_CHANCE) else len(data)
        for piece in (data[:cut], data[cut:]):
            if piece:
                self._send(partial(self._on_data, self.peer, bytes(piece)))

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._send(partial(self._on_eof, self.peer))
            self._end(None)

    def abort(self) -> None:
        if not self._closing:
            self._outgoing.clear()
            self._send(partial(self._on_reset, self.peer))
            self._end(None)

    def _end(self, error: Exception | None) -> None:
        self._closing = True
        self.sockets.streams.pop(self, None)
        if self._protocol is not None and not self.sockets.process.dead:
            self.sockets.process.loop.call_soon(self._protocol.connection_lost, error)

    def die(self, power: bool) -> None:
        self._closing = True
        self._outgoing.clear()
        if not power:
            self._send(partial(self._on_reset, self.peer))

    # What the network does

    def _send(self, action: Callable[[], None]) -> None:
        self._outgoing.append(action)
        if not self._sending:
            self._sending = True
            self._try(DATA_RETRY)

    def _try(self, retry: float) -> None:
        network = self.sockets.network
        again = partial(self._try, min(2 * retry, RETRY_MAX))
        if network.lost():
            network.world.push(retry, IO, again)
        else:
            network.world.push(network.delay(), IO, partial(self._arrive, retry, again))

    def _arrive(self, retry: float, again: Callable[[], None]) -> None:
        network, peer = self.sockets.network, self.peer
        if not self._outgoing:  # the process died meanwhile
            self._sending = False
            return
        if network.cut(self.sockets.owner, peer.sockets.owner) or peer.sockets.owner.dark:
            network.world.push(retry, IO, again)
            return
        action = self._outgoing.popleft()
        if not peer.sockets.process.dead:
            network.world.push(0.0, IO, action, peer.sockets.process)
        elif not self._closing and not self.sockets.process.dead:
            # The machine knows nothing of this connection.
            network.world.push(network.delay(), IO, partial(self._on_reset, self), self.sockets.process)
        if self._outgoing:
            self._try(DATA_RETRY)
        else:
            self._sending = False

    @staticmethod
    def _on_data(end: SimStream, data: bytes) -> None:
        if end._protocol is None:
            end._early.append(partial(SimStream._on_data, end, data))
        elif not end._closing:
            end._protocol.data_received(data)

    @staticmethod
    def _on_eof(end: SimStream) -> None:
        if end._protocol is None:
            end._early.append(partial(SimStream._on_eof, end))
        elif not end._closing and not end._protocol.eof_received():
            end.close()

    @staticmethod
    def _on_reset(end: SimStream) -> None:
        if not end._closing:
            end._outgoing.clear()
            end._end(ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)))
