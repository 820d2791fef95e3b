# ruff: noqa: E402 (run as a script it has to find the checkers first)
"""Whole servers in one thread, from one seed: the real ConsensusServer with all its parts over simulated surroundings.

Real: server/node, raft_loop, disk_writer, snapshots, consensus, leader; raft; storage; fsm; state. Stand-ins: the event
loop and threads (world.py), the network, the disk (MemoryFiles), gossip (everybody hears of everybody; silent servers
are reported as failed after a while).

In the fault model: messages and requests lost, late, doubled and in another order; partitions, also one-way and between
pairs; processes killed and machines without power, at any step and right before and after any file operation, which
leaves any part of what was not synced; write errors, sync errors, full disks, slow disks; processes that stand still,
event loops that are late all the time; clocks of which each runs at its own speed, wall clocks that jump; members that
leave and come back, servers demoted, removed and added, leadership handed over; all of it at once.

Not in the model: bits that flip, disks that lie about a sync, servers that lie, monotonic clocks more than 5 % wrong.

Run one seed and see its story:  python tests/sim/server_cluster.py SEED [--without KIND,KIND] [--seconds N]
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import logging
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock
from uuid import UUID

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "check")]

import msgspec
from judge import Judge
from linear import Operation
from world import IO, THREAD, Crash, Process, SimFiles, Violation, World, current_process, io_error, os_error

from pyconsul.errors import (
    ApplyError,
    CorruptionError,
    LeadershipLostError,
    NoLeaderError,
    OverloadedError,
    PyconsulError,
    RpcError,
)
from pyconsul.fsm import commands
from pyconsul.fsm.commands import AnyCommand
from pyconsul.net.rpc import RpcFailure
from pyconsul.raft.config import AddNonVoter, AddVoter, DemoteVoter, RaftConfig, RemoveServer
from pyconsul.raft.core import Role
from pyconsul.raft.messages import AnyMessage
from pyconsul.records.catalog import Node as CatalogNode
from pyconsul.records.session import Session
from pyconsul.server import forward, leader_loop, node, raft_loop, snapshots
from pyconsul.server.backend import ReadMode
from pyconsul.server.config import ServerConfig
from pyconsul.server.disk_writer import DiskWriter
from pyconsul.server.node import ConsensusServer
from pyconsul.server.raft_loop import RaftLoop
from pyconsul.server.reconcile import MemberView
from pyconsul.server.server_tags import ServerInfo, parse_server, server_tags
from pyconsul.storage.raft_storage import RaftStorage

LOGGER = logging.getLogger("sim")
LOGGER.setLevel(logging.CRITICAL + 1)
FAULTS = (
    "loss",
    "duplication",
    "partition",
    "crash",
    "power",
    "disk",
    "full",
    "pause",
    "lag",
    "clock",
    "member",
    "slow",
)
QUIET_SECONDS = 16.0
DATA = Path("/data")
KEYS = [b"a", b"b", b"c", b"d"]
LOCKS = [b"lock/1", b"lock/2"]
EXTERNAL = "client"


# Stand-ins for what ConsensusServer makes itself; each finds its process by the running loop.


class SimTransport:
    """RaftTransport: payloads to addresses."""

    def __init__(self, logger: logging.Logger, on_payloads: Callable[[list[bytes]], None]) -> None:
        process = current_process()
        self._node = cluster_of(process).by_process(process)
        self._node.on_payloads = on_payloads
        self.accept = None

    def send(self, address: str, payload: bytes) -> None:
        self._node.cluster.send(self._node, address, payload)

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
        self._open: list[Callable[[RpcFailure | RpcError | None, bytes], None]] = []

    def call(self, method: str, argument: bytes, done: Callable[[RpcFailure | RpcError | None, bytes], None]) -> None:
        answered = False

        def once(failure: RpcFailure | RpcError | None, result: bytes) -> None:
            nonlocal answered
            if not answered:
                answered = True
                self._open.remove(once)
                done(failure, result)

        self._open.append(once)
        self._owner.cluster.call(self._owner, self._address, method, argument, once)

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
        process = current_process()
        self._owner = cluster_of(process).by_process(process)
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
        self._waiting: list[Any] = []
        self._working: list[Any] = []
        self._running = False

    def start(self) -> None:
        """Begins with the first job."""

    def save(self, batch: Any) -> None:
        self._waiting.append(batch)
        self._kick()

    def run(self, job: Callable[[], None]) -> None:
        self._waiting.append(job)
        self._kick()

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
        if pause is not None:
            self._process.world.push(pause, THREAD, self._go, self._process)
            return
        self._running = False
        if self._waiting:
            self._kick()


class SimStorage:
    """RaftStorage.open on the disk of the node that is starting."""

    def __init__(self, owner: Node) -> None:
        self._owner = owner

    def open(self, path: Path, progress: Any = None) -> RaftStorage:
        owner = self._owner
        storage = RaftStorage.open(path, owner.files, progress, owner.cluster.segment_bytes)
        owner.storage = storage
        return storage


class _Storages:
    """Stands for the class RaftStorage in server/node.py; open() runs in a thread, so the node comes from its path."""

    @staticmethod
    def open(path: Path, progress: Any = None) -> RaftStorage:
        return SimStorage(_cluster_now().nodes[path.parent.name]).open(path, progress)


_clusters: list[Cluster] = []


def _cluster_now() -> Cluster:
    return _clusters[-1]


def cluster_of(process: Process) -> Cluster:
    return _cluster_now()


class Gossip:
    """What everybody is told of everybody."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.known: dict[str, ServerInfo] = {}

    def servers(self) -> list[ServerInfo]:
        return list(self.known.values())

    def views(self) -> list[MemberView]:
        return [
            MemberView(each.name, each.id, each.host, "consul", each.datacenter, each.status, each, (2, 1, 5))
            for each in self.known.values()
        ]

    def leader_elected(self, node_name: str) -> None:
        """Nobody listens to events here."""

    async def force_leave(self, name: str) -> None:
        if self.known[name].status == 4:
            self.announce(name, 3)

    def announce(self, name: str, status: int) -> None:
        each = self.cluster.nodes[name]
        tags = server_tags(name, "dc1", 8300, False, self.cluster.size, None)
        info = parse_server(name, each.host, status, tags)
        assert info is not None
        if self.known.get(name) == info:
            return
        self.known[name] = info
        for other in self.cluster.nodes.values():
            if other.server is not None and other.process is not None:
                self.cluster.world.push(0.001, IO, partial(other.members_changed, status == 1), other.process)


class Node:
    """One server with its disk, over all its lives."""

    def __init__(self, cluster: Cluster, name: str, number: int) -> None:
        self.cluster = cluster
        self.name = name
        self.host = f"10.0.0.{number}"
        self.address = f"{self.host}:8300"
        self.files = SimFiles()
        self.files.on_operation = self._operation
        self.storage: RaftStorage | None = None
        self.process: Process | None = None
        self.server: ConsensusServer | None = None
        self.on_payloads: Callable[[list[bytes]], None] | None = None
        self.wanted = True
        self.full_until = 0.0
        self.slow_until = 0.0
        self.lags_until = 0.0
        self.die_at_operation: tuple[int, bool] | None = None

    @property
    def raft(self) -> RaftLoop:
        assert self.server is not None
        return self.server.raft

    @property
    def running(self) -> bool:
        return self.server is not None and self.process is not None and not self.process.dead

    def members_changed(self, joined: bool) -> None:
        if self.server is not None:
            self.server.members_changed(joined)

    # Life

    def start(self) -> None:
        cluster, world = self.cluster, self.cluster.world
        if self.process is not None and not self.process.dead:
            return
        rate = world.random.uniform(0.95, 1.05) if cluster.with_fault("clock") else 1.0
        self.process = process = Process(world, self.name, rate, self._disk_delay)
        process.on_crash = self.die
        process.step_seconds = cluster.step_seconds
        self.files.owner_dead = False
        config = ServerConfig(
            node_name=self.name, node_id=self.name, datacenter="dc1", data_dir=DATA / self.name, bind_address=self.host,
            advertise_address=self.host, bootstrap_expect=cluster.size, snapshot_threshold=cluster.snapshot_threshold,
            snapshot_interval_seconds=0.5, trailing_logs=cluster.trailing, hold_seconds=2.0,
            autopilot={"ServerStabilizationTime": "1s", "LastContactThreshold": "500ms"},
        )  # fmt: skip

        async def live() -> None:
            server = ConsensusServer(config, process, world.random, LOGGER, self._fatal)
            try:
                await server.open()
            except CorruptionError as error:
                raise Violation(f"{self.name} does not start after a crash: {error}") from error
            except PyconsulError as error:
                cluster.log(self, f"does not start: {error}")
                self.die(False)
                return
            self._watch(server)
            server.membership = cluster.gossip  # type: ignore[assignment]
            cluster.judge.starts(self, server)
            core = server.raft.core
            cluster.log(self, f"starts with term {core.term}, log to {core.last_index}, snapshot "
                              f"{server.snapshots.last_index}, commit {core.commit_index}")  # fmt: skip
            await server.start()
            self.server = server
            cluster.gossip.announce(self.name, 1)
            server.members_changed(True)

        process.spawn(live)

    def _watch(self, server: ConsensusServer) -> None:
        """The judge looks over the shoulder."""
        judge = self.cluster.judge
        raft = server.raft
        handle, send, applied, observe = raft._handle, raft._send, raft.on_applied, server._leader.observe
        restored = raft.snapshot_restored

        def watched_handle(ready: Any) -> None:
            if ready.soft is not None:
                self.cluster.log(self, f"is {ready.soft.role} in term {raft.core.term}, leader {ready.soft.leader!r}")
                self.cluster.judge.count(f"became {ready.soft.role}")
            self.server = server
            judge.ready(self, ready)
            self.cluster.maybe_crash(self)
            handle(ready)

        def watched_send(message: AnyMessage) -> None:
            judge.sends(message)
            self.cluster.maybe_crash(self)
            send(message)

        def watched_applied() -> None:
            judge.applied(self, server)
            applied()
            self.cluster.maybe_crash(self)

        def watched_observe(effects: Any) -> None:
            effects = list(effects)
            judge.effects(self, effects, raft.core.role is Role.LEADER)
            observe(effects)

        def watched_restored(machine: Any) -> None:
            restored(machine)
            judge.applied(self, server)
            judge.delays.clear()
            judge.count("snapshots installed")
            self.cluster.log(self, f"installed a snapshot to {machine.applied_index}")

        raft._handle = watched_handle  # type: ignore[method-assign]
        raft._send = watched_send  # type: ignore[method-assign]
        raft.on_applied = watched_applied
        server._leader.observe = watched_observe  # type: ignore[method-assign]
        raft.snapshot_restored = watched_restored  # type: ignore[method-assign]

    def _fatal(self, error: Exception) -> None:
        """The process ends, soon."""
        process = self.process
        assert process is not None
        self.cluster.log(self, f"ends: {error}")
        self.cluster.judge.count("ended by its disk")

        def end() -> None:
            if not process.dead:
                self.die(False)

        self.cluster.world.push(self.cluster.world.random.uniform(0.0, 0.2), IO, end)

    def die(self, power: bool) -> None:
        """The process, or its machine, is gone. It comes back after a while."""
        world = self.cluster.world
        process = self.process
        if process is None or process.dead:
            return
        self.files.owner_dead = True
        process.kill()
        self.server = None
        self.storage = None
        self.on_payloads = None
        if power:
            share = world.random.choice([0.0, 0.5, 0.9, 1.0])
            self.files.crash(lambda: world.chance(share))
        else:
            self.files.kill()
        self.cluster.judge.count("lost power" if power else "killed")
        self.cluster.log(self, "loses power" if power else "is killed")
        pause = world.random.choice([0.05, 0.5, 3.0])
        world.push(world.random.uniform(0.01, pause), IO, self._come_back)
        world.push(1.0, IO, partial(self._noticed_gone, process))

    def _come_back(self) -> None:
        if self.wanted:
            self.start()

    def _noticed_gone(self, process: Process) -> None:
        known = self.cluster.gossip.known.get(self.name)
        if self.process is process and known is not None and known.status == 1:
            self.cluster.gossip.announce(self.name, 4)

    # Disk

    def _disk_delay(self) -> float:
        cluster = self.cluster
        slow = cluster.slow_disk if cluster.world.now > self.slow_until else 1.0
        return cluster.world.random.uniform(0.0002, slow)

    def _operation(self, name: str, after: bool) -> None:
        cluster, world = self.cluster, self.cluster.world
        if self.die_at_operation == (self.files.operations, after):
            raise Crash(cluster.die_by_power)
        if world.now > cluster.quiet_from:
            return
        if cluster.crash_chance and world.chance(cluster.crash_chance):
            raise Crash(cluster.with_fault("power") and world.chance(0.6))
        if after:
            return
        if world.now < self.full_until and name in ("write", "create"):
            cluster.judge.count("refused by a full disk")
            raise os_error(errno.ENOSPC)
        if cluster.error_chance and name in ("write", "sync", "rename") and world.chance(cluster.error_chance):
            cluster.judge.count("I/O error")
            raise io_error()

    def stored_state_term(self) -> int:
        """The current term as this disk has it."""
        return self.storage._wal.hard_state.term if self.storage is not None else 0

    def stored_term(self, index: int) -> int | None:
        """The term of an entry on this disk; 0 when a snapshot covers it."""
        storage = self.storage
        if storage is None:
            # It is down; the judge looks when it comes back.
            return 0
        newest = storage.snapshots.newest()
        if newest is not None and index <= newest[0].index:
            return 0
        return storage._wal.terms.term_at(index)


class Cluster:
    """The world around the servers. ``without``: kinds of faults that do not happen."""

    def __init__(
        self, seed: int, seconds: float = 14.0, without: frozenset[str] = frozenset(), story: bool = False
    ) -> None:
        self.seed = seed
        self.seconds = seconds
        self.without = without
        self.world = World(seed)
        self.judge = Judge(self.world)
        self.world.after_step = self._after_step
        self.story: list[str] | None = [] if story else None
        chance = self.world.random
        self.size = chance.choice([3, 3, 3, 5])
        self.loss = chance.choice([0.0, 0.02, 0.1])
        self.duplication = chance.choice([0.0, 0.05])
        self.slow_network = chance.choice([0.002, 0.01, 0.05])
        self.slow_disk = chance.choice([0.001, 0.01, 0.05])
        self.crash_chance = chance.choice([0.0, 0.0, 0.0005, 0.003])
        self.error_chance = chance.choice([0.0, 0.0, 0.0, 0.001])
        self.step_seconds = chance.choice([0.0, 0.00002, 0.0005])
        self.apply_every = chance.choice([1, 64])
        self.nemesis_pause = chance.choice([0.5, 1.0, 2.5])
        self.client_pause = chance.choice([0.02, 0.1, 0.4])
        self.snapshot_threshold = chance.choice([10, 40, 400])
        self.trailing = chance.choice([0, 5, 50])
        self.segment_bytes = chance.choice([1024, 8192])
        self.chunk_bytes = chance.choice([150, 4096])
        self.max_entries = chance.choice([2, 16, 512])
        for name, kind in (
            ("loss", "loss"), ("duplication", "duplication"), ("crash_chance", "crash"), ("error_chance", "disk"),
            ("step_seconds", "lag"),
        ):  # fmt: skip
            if not self.with_fault(kind):
                setattr(self, name, 0.0)
        if not self.with_fault("slow"):
            self.slow_network = self.slow_disk = 0.001
        self.die_by_power = True
        self.quiet_from = seconds
        self.quiet_seconds = QUIET_SECONDS
        self.blocked: set[tuple[str, str]] = set()
        names = [f"s{number}" for number in range(1, self.size + 1)]
        self.nodes = {name: Node(self, name, number) for number, name in enumerate(names, 1)}
        self.by_address = {each.address: each for each in self.nodes.values()}
        self.gossip = Gossip(self)
        self.values = 0

    def with_fault(self, kind: str) -> bool:
        return kind not in self.without

    def by_process(self, process: Process) -> Node:
        return self.nodes[process.name]

    def log(self, who: Node | None, text: str) -> None:
        if self.story is not None:
            self.story.append(f"{self.world.now:9.4f} {who.name if who else '--'} {text}")

    def maybe_crash(self, who: Node) -> None:
        world = self.world
        if self.crash_chance and world.now < self.quiet_from and world.chance(self.crash_chance / 4):
            raise Crash(self.with_fault("power") and world.chance(0.5), who.process)

    def _after_step(self, process: Process) -> None:
        each = self.nodes[process.name]
        if each.process is process and each.server is not None:
            self.judge.step(each)

    # Network

    def _delay(self) -> float:
        delay = self.world.random.uniform(0.0001, self.slow_network)
        if self.loss and self.world.chance(0.01):
            delay += self.world.random.uniform(0, 0.6)
            self.judge.count("late message")
        return delay

    def cut(self, sender: Node, target: Node) -> bool:
        return (sender.name, target.name) in self.blocked

    def send(self, sender: Node, address: str, payload: bytes) -> None:
        target = self.by_address.get(address)
        if target is None or sender.server is None:
            return
        copies = 2 if self.duplication and self.world.chance(self.duplication) else 1
        if copies == 2:
            self.judge.count("doubled message")
        for _ in range(copies):
            if self.loss and self.world.chance(self.loss):
                self.judge.count("lost message")
                continue
            self.world.push(self._delay(), IO, partial(self._arrive, sender, target, payload))

    def _arrive(self, sender: Node, target: Node, payload: bytes) -> None:
        if self.cut(sender, target) or target.process is None or target.on_payloads is None:
            self.judge.count("message cut off")
            return
        process, receive = target.process, target.on_payloads
        self.world.push(0.0, IO, lambda: receive([payload]), process)

    def call(
        self, caller: Node, address: str, method: str, argument: bytes,
        done: Callable[[RpcFailure | RpcError | None, bytes], None],
    ) -> None:  # fmt: skip
        """A request between servers. Its connection may not come about, or be lost at any moment."""
        world = self.world
        target = self.by_address[address]
        process = caller.process
        assert process is not None

        def answer(delay: float, failure: RpcFailure | RpcError | None, result: bytes = b"") -> None:
            world.push(delay, IO, lambda: done(failure, result), process)

        def arrive() -> None:
            if self.cut(caller, target) or not target.running:
                answer(world.random.uniform(0.001, 0.3), RpcError("connection refused", sent=False))
                return
            server = target.server
            assert server is not None
            handler = server.rpc.handlers[method]  # type: ignore[attr-defined]
            life = target.process

            def reply(failure: RpcFailure | None, result: bytes) -> None:
                if self.cut(target, caller):
                    return
                answer(self._delay(), failure, result)

            world.push(0.0, IO, lambda: handler(argument, reply), life)
            # The connection breaks when the other side dies or is cut off for long.
            answer(world.random.uniform(1.0, 3.0), RpcError("connection lost", sent=True))

        world.push(self._delay(), IO, arrive)

    # Clients

    def client(self, number: int) -> None:
        """One client, one operation after the other."""
        world = self.world
        if world.now > self.quiet_from:
            return
        again = partial(self.client, number)
        running = [each for each in self.nodes.values() if each.running]
        if not running:
            world.push(0.2, IO, again)
            return
        each = world.random.choice(running)
        process, server = each.process, each.server
        assert process is not None
        assert server is not None
        key = world.random.choice(KEYS)
        kind = world.random.random()
        finished = False

        def finish(record: Callable[[], None] | None) -> None:
            nonlocal finished
            if not finished:
                finished = True
                if record is not None:
                    record()
                world.push(world.random.expovariate(1 / self.client_pause), IO, again)

        def back(record: Callable[[], None]) -> None:
            """The answer travels to the client."""
            world.push(self._delay(), IO, lambda: finish(record))

        if kind < 0.45:
            mode = world.random.choice([ReadMode.DEFAULT, ReadMode.DEFAULT, ReadMode.CONSISTENT, ReadMode.STALE])
            process.spawn(partial(self._read, each, server, number, key, mode, back))
        else:
            self.values += 1
            value = b"v%d" % self.values
            if kind < 0.7:
                process.spawn(partial(self._write, each, server, number, key, value, back))
            elif kind < 0.9:
                process.spawn(partial(self._cas, each, server, number, key, value, back))
            elif kind < 0.95:
                process.spawn(partial(self._delete, each, server, number, key, back))
            else:
                for _ in range(60):
                    self.values += 1
                    process.spawn(
                        partial(self._write, each, server, -1, b"bulk", b"v%d" % self.values, lambda record: None)
                    )
                back(lambda: None)
        # No answer after a while (the server may be gone): on to the next.
        world.push(4.0, IO, lambda: finish(None))

    async def _read(
        self, each: Node, server: ConsensusServer, number: int, key: bytes, mode: ReadMode,
        back: Callable[[Callable[[], None]], None],
    ) -> bytes | None:  # fmt: skip
        called, floor, judge = self.world.now, self.judge.floor, self.judge
        consensus = server.consensus
        try:
            if consensus.read_now(mode) is None:
                await consensus.read(mode)
        except PyconsulError as error:
            judge.count(f"read refused: {type(error).__name__}")
            back(lambda: None)
            return None
        store = consensus.store
        entry = store.kv.get(key)
        value = entry.value if entry is not None else None
        applied = store.applied_index
        judge.read(mode.value, each, floor, applied)

        def record() -> None:
            if mode is not ReadMode.STALE:
                judge.saw(applied)
                judge.operation(key, Operation(number, "read", None, value, called, self.world.now))

        back(record)
        return value

    async def _submit(self, server: ConsensusServer, command: AnyCommand) -> tuple[str, object]:
        """("done", result), ("refused", error): not carried out; ("maybe", error)."""
        data = commands.encode(command)
        if not isinstance(command, commands.SessionDestroy):  # the leader may write the same for its own reasons
            self.judge.submitted.add(data)
        try:
            result = await server.consensus.write(command)
        except ApplyError as error:
            return "error", error
        except (NoLeaderError, OverloadedError) as error:
            if data in self.judge.submitted:
                self.judge.refused(data)
            self.judge.count(f"write refused: {type(error).__name__}")
            return "refused", error
        except (LeadershipLostError, RpcError) as error:
            self.judge.count(f"write unknown: {type(error).__name__}")
            return "maybe", error
        return "done", result

    async def _change(
        self, server: ConsensusServer, number: int, key: bytes, kind: str, argument: Any, command: AnyCommand,
        back: Callable[[Callable[[], None]], None],
    ) -> None:  # fmt: skip
        called, judge = self.world.now, self.judge
        data = commands.encode(command)
        unknown = Operation(number, kind, argument, None, called)
        position = len(judge.history.setdefault(key, []))
        judge.history[key].append(unknown)  # until the client hears otherwise
        outcome, result = await self._submit(server, command)

        def record() -> None:
            history = judge.history[key]
            place = position if position < len(history) and history[position] is unknown else history.index(unknown)
            if outcome == "refused":
                history[place] = Operation(number, "read", None, None, called)  # nothing happened
            elif outcome == "done":
                judge.acknowledged(data)
                history[place] = Operation(number, kind, argument, result, called, self.world.now)

        back(record)

    async def _write(
        self, each: Node, server: ConsensusServer, number: int, key: bytes, value: bytes,
        back: Callable[[Callable[[], None]], None],
    ) -> None:  # fmt: skip
        await self._change(server, number, key, "write", value, commands.KVSet(key, value), back)

    async def _delete(
        self, each: Node, server: ConsensusServer, number: int, key: bytes, back: Callable[[Callable[[], None]], None]
    ) -> None:
        # Two deletes of a key are the same bytes; the judge tells commands apart by theirs.
        self.values += 1
        txn = commands.Txn([commands.KVOp("delete", key), commands.KVOp("set", b"unique", b"d%d" % self.values)])
        await self._change(server, number, key, "delete", None, txn, back)

    async def _cas(
        self, each: Node, server: ConsensusServer, number: int, key: bytes, value: bytes,
        back: Callable[[Callable[[], None]], None],
    ) -> None:  # fmt: skip
        """Reads, then writes if nobody else has meanwhile."""
        expected = await self._read(each, server, number, key, ReadMode.STALE, lambda record: None)
        entry = server.consensus.store.kv.get(key)
        expected, index = (None, 0) if entry is None else (entry.value, entry.modify_index)
        if self.world.chance(0.5) and self.process_time(each):
            await _sleep(0.01)
        command = commands.KVCas(key, value, 0, index)
        await self._change(server, number, key, "cas", (expected, value), command, back)

    def process_time(self, each: Node) -> bool:
        return each.running

    # A client with a session that takes locks

    def locker(self, number: int) -> None:
        world = self.world
        if world.now > self.quiet_from:
            return
        running = [each for each in self.nodes.values() if each.running]
        if running:
            each = world.random.choice(running)
            assert each.process is not None
            assert each.server is not None
            each.process.spawn(partial(self._lock_life, each, each.server, number))
        world.push(world.random.uniform(0.5, 4.0), IO, partial(self.locker, number))

    async def _lock_life(self, each: Node, server: ConsensusServer, number: int) -> None:
        """Creates a session, takes a lock, renews for a while, then releases, destroys, or is silent for ever."""
        world, judge = self.world, self.judge
        session_id = str(UUID(int=world.random.getrandbits(128), version=4))
        ttl = world.random.choice([0.6, 1.5])
        delay_ns = world.random.choice([0, 700_000_000])
        session = Session(session_id, "", EXTERNAL, delay_ns, "release", f"{int(ttl * 1000)}ms", None, None, [])
        called = world.now
        outcome, _ = await self._submit(server, commands.SessionCreate(session))
        if outcome != "done":
            return
        judge.session_alive(session_id, ttl, called)
        key = world.random.choice(LOCKS)
        for _ in range(world.random.randint(1, 6)):
            called = world.now
            self.values += 1
            command = commands.KVLock(key, session_id.encode(), self.values, session_id)
            outcome, result = await self._submit(server, command)
            if outcome == "done" and result is True:
                judge.acquired(key, session_id, called)
            await _sleep(world.random.uniform(0.05, ttl))
            called = world.now
            other = world.random.choice([one for one in self.nodes.values() if one.running] or [each])
            if other.server is None or other is not each:
                other = each
            try:
                renewed = await server.consensus.renew_session(session_id)
            except PyconsulError:
                judge.count("renewal refused")
                continue
            if renewed is None:
                judge.count("renewal too late")
                return
            judge.session_alive(session_id, ttl, called)
        how = world.random.choice(["release", "destroy", "silence"])
        if how == "release":
            judge.releases(key, session_id)
            await self._submit(server, commands.KVUnlock(key, b"free " + session_id.encode(), 0, session_id))
        elif how == "destroy":
            judge.sessions[session_id].given_up = True
            await self._submit(server, commands.SessionDestroy(session_id))

    # Operators and the forces of evil

    def leader(self) -> Node | None:
        leading = [each for each in self.nodes.values() if each.running and each.raft.core.role is Role.LEADER]
        return self.world.random.choice(leading) if leading else None

    def operator(self) -> None:
        world = self.world
        if world.now > self.quiet_from or not self.with_fault("member"):
            return
        world.push(world.random.expovariate(1 / 1.5), IO, self.operator)
        leader = self.leader()
        if leader is None or leader.process is None:
            return
        target = self.nodes[world.random.choice(list(self.nodes))]
        changes: list[Any] = [
            AddVoter(target.name, target.address), AddNonVoter(target.name, target.address), DemoteVoter(target.name),
            RemoveServer(target.name), "transfer", "leave",
        ]  # fmt: skip
        change = world.random.choice(changes)
        world.push(0.0, IO, partial(self._change_members, leader, leader.raft, target, change), leader.process)

    def _change_members(self, leader: Node, raft: RaftLoop, target: Node, change: Any) -> None:
        core = raft.core
        try:
            if change == "transfer":
                core.transfer_leadership(self.world.random.choice([None, target.name]))
            elif change == "leave":
                self.gossip.announce(target.name, 3)
                self.world.push(self.world.random.uniform(0.5, 3), IO, partial(self.gossip.announce, target.name, 1))
            else:
                core.propose_configuration(change)
        except PyconsulError as error:
            self.log(leader, f"refuses {change}: {error}")
        else:
            self.log(leader, f"membership: {change}")
            self.judge.count("transfer" if change == "transfer" else "membership change")
        raft.wake()

    def nemesis(self) -> None:
        world, chance = self.world, self.world.random
        if world.now > self.quiet_from:
            return
        world.push(chance.expovariate(1 / self.nemesis_pause), IO, self.nemesis)
        victim = (self.leader() if world.chance(0.5) else None) or chance.choice(list(self.nodes.values()))
        kind = chance.choice(
            ["crash", "power", "pause", "pause", "lag", "split", "one-way", "pair", "heal", "heal", "all", "full",
             "slow", "clock"]
        )  # fmt: skip
        names = list(self.nodes)
        group = "partition" if kind in ("split", "one-way", "pair") else "power" if kind == "all" else kind
        if kind != "heal" and not self.with_fault(group):
            return
        process = victim.process
        alive = process is not None and not process.dead
        self.log(victim, f"nemesis: {kind}")
        if kind != "heal":
            self.judge.count(f"nemesis: {kind}")
        if kind in ("crash", "power"):
            victim.die(kind == "power")
        elif kind == "all" and world.chance(0.4):
            for each in self.nodes.values():
                each.die(True)
        elif kind == "pause" and alive and process is not None:
            process.stand_still()
            seconds = chance.choice([0.12, 0.4, 1.0, 2.5])
            world.push(chance.uniform(0.05, seconds), IO, partial(process.go_on, world.chance(0.6)))
        elif kind == "lag" and alive:
            victim.lags_until = world.now + chance.uniform(0.5, 3.0)
            self._lag(victim, chance.uniform(0.04, 0.13))
        elif kind == "split":
            side = set(chance.sample(names, chance.randint(1, len(names) // 2)))
            self.blocked = {(a, b) for a in names for b in names if (a in side) != (b in side)}
        elif kind == "one-way":
            if world.chance(0.5):
                self.blocked |= {(victim.name, each) for each in names if world.chance(0.8)}
            else:
                self.blocked |= {(each, victim.name) for each in names if world.chance(0.8)}
        elif kind == "pair":
            other = chance.choice(names)
            self.blocked |= {(victim.name, other), (other, victim.name)}
        elif kind == "heal":
            self.blocked = set()
        elif kind == "full":
            victim.full_until = world.now + chance.uniform(0.2, 2.0)
        elif kind == "slow":
            victim.slow_until = world.now + chance.uniform(0.2, 2.0)
        elif kind == "clock" and process is not None:
            process.wall_offset += chance.uniform(-3600, 3600)

    def _lag(self, victim: Node, seconds: float) -> None:
        """An event loop that is late again and again, each time for less than would be noticed as a stand-still."""
        process, world = victim.process, self.world
        if process is None or process.dead or process.stopped or world.now > min(victim.lags_until, self.quiet_from):
            return
        process.stand_still()
        world.push(seconds, IO, partial(process.go_on, True))
        world.push(seconds + 0.002, IO, partial(self._lag, victim, seconds))

    # The run

    def run(self) -> None:
        """Faults for a while, then quiet: the cluster must come to an agreement. Raises Violation."""
        with surroundings(self):
            self.begin()
            self.world.run(self.quiet_from)
            self.calm_down()
            self.world.run(self.world.now + self.quiet_seconds)
            self.check_agreement()
            self.judge.linearizable()

    def begin(self) -> None:
        world = self.world
        for each in self.nodes.values():
            world.push(world.random.uniform(0.0, 0.1), IO, each.start)
        for number in range(4):
            world.push(2.0, IO, partial(self.client, number))
        world.push(2.5, IO, self._register_external)
        for number in range(2):
            world.push(3.0, IO, partial(self.locker, number))
        world.push(2.0 + world.random.uniform(0, 2), IO, self.operator)
        world.push(world.random.uniform(0.5, 3.0), IO, self.nemesis)

    def _register_external(self) -> None:
        each = next((each for each in self.nodes.values() if each.running), None)
        if each is None or each.process is None or each.server is None:
            self.world.push(0.2, IO, self._register_external)
            return
        server = each.server

        async def register() -> None:
            self.values += 1
            client = CatalogNode("", EXTERNAL, "10.9.9.9", "dc1", {}, {"attempt": str(self.values)})
            await self._submit(server, commands.Register(client))

        each.process.spawn(register)
        if self.world.now < 6.0:
            self.world.push(1.5, IO, self._register_external)

    def calm_down(self) -> None:
        self.log(None, "quiet from here")
        self.loss = self.duplication = self.crash_chance = self.error_chance = 0.0
        self.blocked = set()
        self.slow_disk = self.slow_network = 0.001
        for each in self.nodes.values():
            each.full_until = each.slow_until = 0.0
            each.wanted = True
            if each.process is not None:
                each.process.go_on(False)
            each.start()
            self.world.push(0.5, IO, partial(self.gossip.announce, each.name, 1))
            # Reconciliation is left to events; in real life it comes by itself once a minute.
            for later in (3.0, 6.0, 9.0):
                self.world.push(later, IO, partial(self._nudge, each))
        for number, each in enumerate(self.nodes.values()):
            for offset, key in enumerate(KEYS):
                delay = self.quiet_seconds - 1.0 + 0.05 * (number + offset)
                self.world.push(delay, IO, partial(self._last_read, each, key))

    def _nudge(self, each: Node) -> None:
        if each.process is not None:
            self.world.push(0.0, IO, partial(each.members_changed, False), each.process)

    def _last_read(self, each: Node, key: bytes) -> None:
        if not each.running or each.process is None or each.server is None:
            raise Violation(f"{each.name} does not run although nothing is wrong with it any more")
        each.process.spawn(
            partial(self._read, each, each.server, 99, key, ReadMode.CONSISTENT, lambda record: record())
        )

    def check_agreement(self) -> None:
        leading = [each for each in self.nodes.values() if each.running and each.raft.core.role is Role.LEADER]
        if len(leading) != 1:
            raise Violation(f"no single leader after the faults: {[each.name for each in leading]}")
        core = leading[0].raft.core
        if core.commit_index < self.judge.commit_max or core.commit_index < core.last_index:
            raise Violation(f"no progress: commit {core.commit_index} of {core.last_index}, {self.judge.commit_max}")
        for server in core.configuration.servers:
            applied = self.nodes[server.id].raft.core.applied_index
            if applied < core.commit_index:
                raise Violation(f"{server.id} stays behind: {applied} of {core.commit_index}")
        voters = {server.id for server in core.configuration.servers if server.voter}
        if voters != set(self.nodes):
            raise Violation(f"not all servers vote again: {sorted(voters)}")


async def _sleep(seconds: float) -> None:
    loop = current_process().loop
    future = loop.create_future()
    loop.call_later(seconds, lambda: future.done() or future.set_result(None))
    await future


@contextlib.contextmanager
def surroundings(cluster: Cluster) -> Iterator[None]:
    """Puts the stand-ins where server/node.py finds them."""

    def config(**settings: Any) -> RaftConfig:
        return RaftConfig(**settings, max_entries_per_append=cluster.max_entries, max_inflight=4, chunk_timeout_ticks=8)

    with contextlib.ExitStack() as stack:
        for target, name, value in (
            (node, "RaftStorage", _Storages),
            (node, "RaftTransport", SimTransport),
            (node, "Listener", SimListener),
            (node, "RpcServer", SimRpcServer),
            (node, "DiskWriter", SimDiskWriter),
            (node, "RaftConfig", config),
            (leader_loop, "GONE_GRACE_SECONDS", 1e9),
            (forward, "RpcPool", SimPool),
            (snapshots, "CHUNK_BYTES", cluster.chunk_bytes),
            (raft_loop, "APPLY_CHECK_EVERY", cluster.apply_every),
            (raft_loop, "APPLY_SECONDS_MAX", -1.0 if cluster.apply_every == 1 else raft_loop.APPLY_SECONDS_MAX),
        ):
            stack.enter_context(mock.patch.object(target, name, value))
        _clusters.append(cluster)
        try:
            yield
        finally:
            _clusters.pop()
            for each in cluster.nodes.values():
                each.files.owner_dead = True
                if each.process is not None:
                    each.process.kill()


def command(seed: int, seconds: float, without: frozenset[str]) -> str:
    kinds = f" --without {','.join(sorted(without))}" if without else ""
    return f"python tests/sim/server_cluster.py {seed}{kinds} --seconds {seconds:g}"


ERRORS = (AssertionError, PyconsulError, LookupError, TypeError, ValueError, AttributeError, msgspec.MsgspecError)


def run_seed(seed: int, seconds: float = 14.0, without: frozenset[str] = frozenset()) -> Cluster:
    """Raises Violation with the command that replays it."""
    cluster = Cluster(seed, seconds, without)
    try:
        cluster.run()
    except ERRORS as error:
        again = command(seed, seconds, without)
        raise Violation(f"{type(error).__name__}: {error}\nreplay with: {again}") from error
    return cluster


def shrink(seed: int, seconds: float = 14.0) -> str:
    """The command of a run with fewer kinds of faults, and shorter, that still fails."""
    without: frozenset[str] = frozenset()

    def fails(seconds: float, without: frozenset[str]) -> bool:
        try:
            Cluster(seed, seconds, without).run()
        except ERRORS:
            return True
        return False

    for kind in FAULTS:
        if fails(seconds, without | {kind}):
            without |= {kind}
    while seconds > 4 and fails(seconds - 2, without):
        seconds -= 2
    return command(seed, seconds, without)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seed", type=int)
    parser.add_argument("--without", default="", help=f"comma-separated kinds of faults: {', '.join(FAULTS)}")
    parser.add_argument("--seconds", type=float, default=14.0, help="of simulated time with faults")
    chosen = parser.parse_args()
    cluster = Cluster(chosen.seed, chosen.seconds, frozenset(filter(None, chosen.without.split(","))), story=True)
    try:
        cluster.run()
    finally:
        print("\n".join(cluster.story or []))
        print(", ".join(f"{what}: {count}" for what, count in sorted(cluster.judge.counts.items())))


if __name__ == "__main__":
    main()
