"""One server over all its lives: how it starts, is watched, dies and comes back, and what its disk does to it."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim_log import LOGGER
from sim_sockets import Sockets
from world import IO, Crash, Process, SimFiles, Violation, io_error, os_error

from pyconsul.errors import CorruptionError, PyconsulError
from pyconsul.raft.core import Role
from pyconsul.raft.messages import AnyMessage
from pyconsul.server.config import ServerConfig
from pyconsul.server.node import ConsensusServer
from pyconsul.server.raft_loop import RaftLoop
from pyconsul.storage.raft_storage import RaftStorage

if TYPE_CHECKING:
    from sim_agent import SimAgent
    from sim_cluster import Cluster

DATA = Path("/data")


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
        self.sockets: Sockets
        self.server: ConsensusServer | None = None
        self.on_payloads: Callable[[list[bytes]], None] | None = None
        self.wanted = True
        self.full_until = 0.0
        self.slow_until = 0.0
        self.lags_until = 0.0
        self.dark = False  # its machine has no power
        self.agent: SimAgent | None = None
        self.die_at_operation: tuple[int, bool] | None = None

    @property
    def raft(self) -> RaftLoop:
        assert self.server is not None
        return self.server.raft

    @property
    def running(self) -> bool:
        return self.server is not None and self.process is not None and not self.process.dead

    # Life

    def start(self) -> None:
        cluster, world, setting = self.cluster, self.cluster.world, self.cluster.setting
        if self.process is not None and not self.process.dead:
            return
        rate = world.random.uniform(0.95, 1.05) if setting.with_fault("clock") else 1.0
        self.process = process = Process(world, self.name, rate, self._disk_delay, self)
        process.on_crash = self.die
        process.step_seconds = setting.step_seconds
        self.dark = False
        self.sockets = process.sockets = Sockets(self, process)
        self.files.owner_dead = False
        config = ServerConfig(
            node_name=self.name, node_id=self.name, datacenter="dc1", data_dir=DATA / self.name, bind_address=self.host,
            advertise_address=self.host, bootstrap_expect=setting.size, snapshot_threshold=setting.snapshot_threshold,
            snapshot_interval_seconds=0.5, trailing_logs=setting.trailing, hold_seconds=2.0,
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
            cluster.judge.starts(self, server)
            core = server.raft.core
            cluster.log(self, f"starts with term {core.term}, log to {core.last_index}, snapshot "
                              f"{server.snapshots.last_index}, commit {core.commit_index}")  # fmt: skip
            await server.start()
            self.server = server
            try:
                await cluster.gossip.join(self, server)
            except PyconsulError as error:
                cluster.log(self, f"does not start: {error}")
                self.die(False)

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
        self.dark = power
        self.sockets.died(power)
        process.kill()
        self.server = None
        self.agent = None
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
        self.cluster.gossip.died(self, process)

    def ended(self) -> None:
        """The process has ended by itself, in order."""
        process = self.process
        assert process is not None
        self.cluster.judge.count("left and ended")
        self.sockets.died(False)
        self.files.owner_dead = True
        process.kill()
        self.files.kill()
        self.server = self.storage = self.on_payloads = self.agent = None
        self.cluster.world.push(self.cluster.world.random.uniform(0.2, 3.0), IO, self._come_back)

    def _come_back(self) -> None:
        if self.wanted:
            self.start()

    # Disk

    def _disk_delay(self) -> float:
        cluster = self.cluster
        slow = cluster.setting.slow_disk if cluster.world.now > self.slow_until else 1.0
        return cluster.world.random.uniform(0.0002, slow)

    def _operation(self, name: str, after: bool) -> None:
        cluster, world, setting = self.cluster, self.cluster.world, self.cluster.setting
        if self.die_at_operation == (self.files.operations, after):
            raise Crash(setting.die_by_power)
        if world.now > setting.quiet_from:
            return
        if setting.crash_chance and world.chance(setting.crash_chance):
            raise Crash(setting.with_fault("power") and world.chance(0.6))
        if after:
            return
        if world.now < self.full_until and name in ("write", "create"):
            cluster.judge.count("refused by a full disk")
            raise os_error(errno.ENOSPC)
        if setting.error_chance and name in ("write", "sync", "rename") and world.chance(setting.error_chance):
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
