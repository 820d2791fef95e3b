"""What ConsensusServer makes for itself, replaced for a run: transport, listener, RPC, disk thread, small limits.

Each stand-in finds its server by the process whose step is running.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from sim_network import Answered
from sim_sockets import SimSocket
from world import THREAD, current_process

from pyconsul.errors import RpcError
from pyconsul.net.rpc import RpcFailure
from pyconsul.raft.config import RaftConfig
from pyconsul.server import autopilot_work, forward, gossip_loop, leader_loop, node, raft_loop, snapshots
from pyconsul.server.disk_writer import Batch, DiskWriter
from pyconsul.storage.member_snapshot import MemberSnapshotFile
from pyconsul.storage.raft_storage import RaftStorage

if TYPE_CHECKING:
    from sim_cluster import Cluster
    from sim_node import Node


def current_node() -> Node:
    """The server whose step this is."""
    owner: Node = current_process().owner
    return owner


class SimTransport:
    """RaftTransport: payloads to addresses."""

    def __init__(self, logger: logging.Logger, on_payloads: Callable[[list[bytes]], None]) -> None:
        self._node = current_node()
        self._node.on_payloads = on_payloads
        self.accept = None

    def send(self, address: str, payload: bytes) -> None:
        self._node.cluster.network.send(self._node, address, payload)

    def keep_only(self, addresses: set[str]) -> None:
        """Messages on their way arrive all the same; a connection would lose them, and Raft does not care."""

    def close(self) -> None:
        """Nothing is open."""


class SimListener:
    """Listener: the node is reachable while its process runs."""

    def __init__(self, logger: logging.Logger) -> None:
        self.protocols: dict[Any, Any] = {}

    async def start(self, host: str, port: int) -> int:
        return port

    async def stop(self) -> None:
        """Nothing is open."""


class SimRpcServer:
    """RpcServer: handlers by method."""

    def __init__(self) -> None:
        self.handlers: dict[str, Any] = {}
        self.accept = None

    def register(self, method: str, handler: Any) -> None:
        self.handlers[method] = handler


class SimRpcClient:
    """RpcClient to one address."""

    def __init__(self, owner: Node, address: str) -> None:
        self._owner = owner
        self._address = address
        self._open: list[Answered] = []

    def call(self, method: str, argument: bytes, done: Answered) -> None:
        answered = False

        def once(failure: RpcFailure | RpcError | None, result: bytes) -> None:
            nonlocal answered
            if not answered:
                answered = True
                self._open.remove(once)
                done(failure, result)

        self._open.append(once)
        self._owner.cluster.network.call(self._owner, self._address, method, argument, once)

    async def ask(self, method: str, argument: bytes = b"", seconds_max: float = 5.0) -> bytes:
        future = current_process().loop.create_future()

        def done(failure: RpcFailure | RpcError | None, result: bytes) -> None:
            if future.done():
                return
            if failure is None:
                future.set_result(result)
            else:
                future.set_exception(failure if isinstance(failure, RpcError) else RpcError(failure.text, sent=True))

        self.call(method, argument, done)
        return bytes(await future)

    def close(self) -> None:
        for once in list(self._open):
            once(RpcError("closed here", sent=True), b"")


class SimPool:
    """RpcPool."""

    def __init__(self) -> None:
        self._owner = current_node()
        self._clients: dict[str, SimRpcClient] = {}

    def client(self, address: str) -> SimRpcClient:
        client = self._clients.get(address)
        if client is None:
            client = self._clients[address] = SimRpcClient(self._owner, address)
        return client

    def keep_only(self, address: str) -> None:
        for other in [each for each in self._clients if each != address]:
            self._clients.pop(other).close()

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
        self._clients.clear()


class SimDiskWriter(DiskWriter):
    """DiskWriter whose thread is a chain of events."""

    def __init__(self, storage: Any, loop: Any, on_failure: Any, on_full: Any) -> None:
        super().__init__(storage, loop, on_failure, on_full, full_retry_seconds=0.3)
        self._process = loop.process
        self._waiting: list[Batch | Callable[[], None] | None] = []
        self._working: list[Batch | Callable[[], None] | None] = []
        self._running = False

    def start(self) -> None:
        """Begins with the first job."""

    def save(self, batch: Batch) -> None:
        self._waiting.append(batch)
        self._kick()

    def run(self, job: Callable[[], None]) -> None:
        self._waiting.append(job)
        self._kick()

    async def stop(self) -> None:
        self._stopping.set()
        self._waiting.append(None)
        self._kick()
        while not self._ended and self._running:
            await asyncio.sleep(0.01)

    def _kick(self) -> None:
        if not self._running:
            self._running = True
            self._process.world.push(self._process.disk_delay(), THREAD, self._go, self._process)

    def _go(self) -> None:
        if not self._working:
            self._working, self._waiting = self._waiting, []
        try:
            pause = self.work(self._working)
        except Exception as error:
            self._loop.call_soon_threadsafe(self._on_failure, error)
            return
        if pause is not None and self._stopping.is_set():
            self._running = False
            return
        if pause is not None:
            self._process.world.push(pause, THREAD, self._go, self._process)
            return
        self._running = False
        if self._waiting:
            self._kick()


class SimStorage:
    """The class RaftStorage, whose ``open`` is of the disk of the server that is starting."""

    @staticmethod
    def open(path: Path, progress: Any = None) -> RaftStorage:
        owner = current_node()
        owner.storage = RaftStorage.open(path, owner.files, progress, owner.cluster.setting.segment_bytes)
        return owner.storage


class SimMemberSnapshot:
    """The class MemberSnapshotFile, likewise."""

    @staticmethod
    def open(path: Path) -> tuple[MemberSnapshotFile, list[str]]:
        return MemberSnapshotFile.open(path, current_node().files)


def bind_both(address: str, port: int) -> tuple[SimSocket, SimSocket]:
    """UDP and TCP on one port."""
    return SimSocket((address, port)), SimSocket((address, port))


@contextlib.contextmanager
def surroundings(cluster: Cluster) -> Iterator[None]:
    """Puts the stand-ins where server/node.py finds them."""
    setting = cluster.setting

    def config(**settings: Any) -> RaftConfig:
        return RaftConfig(**settings, max_entries_per_append=setting.max_entries, max_inflight=4, chunk_timeout_ticks=8)

    grace = leader_loop.GONE_GRACE_SECONDS / setting.speed
    with contextlib.ExitStack() as stack:
        for target, name, value in (
            (node, "RaftStorage", SimStorage),
            (node, "RaftTransport", SimTransport),
            (node, "Listener", SimListener),
            (node, "RpcServer", SimRpcServer),
            (node, "DiskWriter", SimDiskWriter),
            (node, "RaftConfig", config),
            (leader_loop, "GONE_GRACE_SECONDS", grace),
            (leader_loop, "RECONCILE_SECONDS", leader_loop.RECONCILE_SECONDS / setting.speed),
            (autopilot_work, "UNKNOWN_GRACE_SECONDS", grace),
            (gossip_loop, "bind_both", bind_both),
            (gossip_loop, "MemberSnapshotFile", SimMemberSnapshot),
            (forward, "RpcPool", SimPool),
            (snapshots, "CHUNK_BYTES", setting.chunk_bytes),
            (raft_loop, "APPLY_CHECK_EVERY", setting.apply_every),
            (raft_loop, "APPLY_SECONDS_MAX", -1.0 if setting.apply_every == 1 else raft_loop.APPLY_SECONDS_MAX),
        ):
            stack.enter_context(mock.patch.object(target, name, value))
        try:
            yield
        finally:
            for each in cluster.nodes.values():
                each.files.owner_dead = True
                if each.process is not None:
                    each.process.kill()
