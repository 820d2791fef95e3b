"""One server: starts, stops and owns its parts, and connects them.

storage → core → RaftLoop → Consensus; gossip events → bootstrap, reconciliation, known addresses; role → Leader duties.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable

from pyconsul.clock import Clock, Random
from pyconsul.errors import ConfigError, PyconsulError, RpcError
from pyconsul.fsm.commands import AnyCommand
from pyconsul.log import pairs
from pyconsul.net.dial import join_host_port
from pyconsul.net.frames import RAFT_PROTOCOL, RPC_PROTOCOL
from pyconsul.net.listener import Listener
from pyconsul.net.raft_transport import RaftTransport
from pyconsul.net.rpc import RpcServer
from pyconsul.raft.config import RaftConfig
from pyconsul.raft.core import Raft
from pyconsul.raft.messages import Configuration, Server, SoftState
from pyconsul.records.autopilot import AutopilotState
from pyconsul.server import forward
from pyconsul.server.bootstrap import AskPeers, Conflict, decide
from pyconsul.server.config import ELECTION_TICKS, HEARTBEAT_TICKS, ServerConfig
from pyconsul.server.consensus import Consensus
from pyconsul.server.disk_writer import DiskWriter
from pyconsul.server.full_disk import FullDisk
from pyconsul.server.leader import Leader
from pyconsul.server.leader_loop import LeaderLoop
from pyconsul.server.membership import Membership
from pyconsul.server.operators import Operators
from pyconsul.server.raft_loop import RaftLoop
from pyconsul.server.reconcile import MemberView
from pyconsul.server.recovery import open_storage
from pyconsul.server.server_tags import ServerInfo
from pyconsul.server.snapshots import SnapshotWork, restore_newest
from pyconsul.storage.raft_storage import RaftStorage

DUTY_SECONDS = 0.2
PEERS_TRIES = 6
OLD_LEADER_SECONDS = 1.0
"""How long requests on their way to a leader that was replaced may still be answered by it."""


class ConsensusServer:
    """The replicated part of a server agent. ``on_fatal(error)`` is told when it cannot go on (the disk failed)."""

    def __init__(
        self, config: ServerConfig, clock: Clock, random: Random, logger: logging.Logger,
        on_fatal: Callable[[Exception], None],
    ) -> None:  # fmt: skip
        self.config = config
        self.rpc_port = config.rpc_port
        self.consensus: Consensus
        self.operators: Operators
        self.raft: RaftLoop
        self.snapshots: SnapshotWork
        self.expect = 0 if config.bootstrap else config.bootstrap_expect
        self.membership: Membership | None = None
        self._clock = clock
        self._random = random
        self._logger = logger
        self._raft_logger = logger.getChild("raft")
        self._on_fatal = on_fatal
        self._storage: RaftStorage
        self._writer: DiskWriter
        self._leader: Leader
        self._leader_loop: LeaderLoop | None = None
        self._full_disk: FullDisk
        self._handing_over: asyncio.Task[None] | None = None
        self._listener = Listener(logger.getChild("rpc"))
        self._pool = forward.RpcPool()
        self.rpc = RpcServer()
        self._transport: RaftTransport
        self._tasks: set[asyncio.Task[None]] = set()
        self._bootstrapping: asyncio.Task[None] | None = None
        self._last_leader = ""
        self._leader_duties: asyncio.Task[None] | None = None
        self._leaving = False

    # Life

    async def open(self) -> None:
        """Reads the disk. Raises StorageError, LockedError, CorruptionError, ConfigError (for ``peers.json``)."""
        loop = asyncio.get_running_loop()
        path = self.config.data_dir / "raft"
        storage = await loop.run_in_executor(
            None, open_storage, lambda: RaftStorage.open(path, progress=self._progress()), self._raft_logger
        )
        self._storage = storage
        recovered = storage.recovered
        if recovered.torn_bytes:
            self._raft_logger.warning(
                "cut off an unfinished write at the end of the log", extra=pairs(bytes=recovered.torn_bytes)
            )
        if recovered.damaged is not None:
            self._raft_logger.error(
                "a damaged snapshot was passed over, the log makes up for it", extra=pairs(file=recovered.damaged)
            )
        machine = await loop.run_in_executor(None, restore_newest, storage, self._raft_logger)
        core = Raft(
            RaftConfig(
                id=self.config.node_id,
                election_ticks=ELECTION_TICKS,
                heartbeat_ticks=HEARTBEAT_TICKS,
                trailing_entries=self.config.trailing_logs,
            ),
            self._random,
            recovered.hard_state,
            [*recovered.trailing, *recovered.entries],
            recovered.snapshot,
        )
        self._writer = DiskWriter(storage, loop, self._disk_failed, self._disk_full)
        self._transport = RaftTransport(self._raft_logger, self._receive)
        self.snapshots = SnapshotWork(
            storage, self._raft_logger, self._disk_failed, self.config.snapshot_threshold,
            self.config.snapshot_interval_seconds, self._clock,
        )  # fmt: skip
        self.raft = RaftLoop(
            core, machine, self._writer, self._transport, self.snapshots, self._clock, self._raft_logger,
            self.config.tick_seconds, ELECTION_TICKS,
        )  # fmt: skip
        self._leader = Leader(
            self._clock,
            self._logger,
            lambda: self.raft.machine.store,
            lambda command, done: self.consensus.submit_here(command, done),
            self.config.session_ttl_min_seconds,
        )
        self.consensus = Consensus(
            self.raft,
            self._leader,
            self._pool,
            self._clock,
            self._random,
            self.config.hold_seconds,
            self._describe_peer,
        )
        self._full_disk = FullDisk(self.raft, self._pool, self._raft_logger)
        self.operators = Operators(self.consensus, self.raft, self._clock, self._autopilot_state)
        self.raft.on_soft_state = self._role_changed
        self.raft.on_applied = self._applied
        if core.last_index:
            self.expect = 0

    async def start(self) -> None:
        """Listens on the server port, starts the log. Raises ConfigError when the port cannot be had."""
        config = self.config
        self._listener.protocols[RAFT_PROTOCOL] = self._transport.accept
        self._listener.protocols[RPC_PROTOCOL] = self.rpc.accept
        self.consensus.register(self.rpc)
        self.operators.register(self.rpc)
        self._full_disk.register(self.rpc)
        try:
            self.rpc_port = await self._listener.start(config.bind_address, config.rpc_port)
        except OSError as error:
            address = join_host_port(config.bind_address, config.rpc_port)
            why = (os.strerror(error.errno) if error.errno else str(error)).lower()
            raise ConfigError(
                f"Failed to start Consul server: Failed to start RPC layer: listen tcp {address}: bind: {why}"
            ) from error
        self._writer.start()
        core = self.raft.core
        if config.bootstrap and not core.last_index and not core.term:
            own = Server(config.node_id, self.own_address, True)
            core.bootstrap(Configuration((own,)))
        self._raft_logger.info(
            "initial configuration", extra=pairs(index=core.configuration_index, servers=shown(core.configuration))
        )
        self._raft_logger.info(
            "entering follower state",
            extra=pairs(follower=f"Node at {self.own_address} [Follower]", leader=core.leader_id),
        )
        if len(core.configuration.servers) == 1 and core.configuration.servers[0].id == config.node_id:
            core.campaign()  # nobody else can lead, so there is nothing to wait for
        self.raft.start()
        self._spawn(self._duties())

    @property
    def own_address(self) -> str:
        """host:port under which other servers reach this one."""
        return join_host_port(self.config.advertise_address, self.rpc_port)

    async def prepare_leave(self) -> None:
        """Hands leadership to another server, if there is one that can take it."""
        self._leaving = True
        core = self.raft.core
        if core.role != "leader" or len(core.voters) < 2:
            return
        self._logger.info("transferring leadership to another server")
        try:
            core.transfer_leadership(None)
        except PyconsulError as error:  # the others elect one when we are gone
            self._logger.warning("nobody can take over leadership", extra=pairs(error=error))
            return
        self.raft.wake()
        if await self._until(lambda: core.role != "leader", 2.0):
            self._logger.info("leadership was transferred", extra=pairs(leader=core.leader_id))

    async def finish_leave(self) -> None:
        """Waits until the leader has removed this server from the configuration."""
        core = self.raft.core
        if len(core.configuration.servers) > 1:
            await self._until(lambda: all(each.id != core.id for each in core.configuration.servers), 5.0)

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.operators.stop()
        self.raft.stop()
        await self._listener.stop()
        self._pool.close()
        self._transport.close()
        await self.snapshots.stop()
        await self._writer.stop()
        await asyncio.get_running_loop().run_in_executor(None, self._storage.close)

    def close_unstarted(self) -> None:
        """Lets go of the data directory when the start failed half way."""
        self._pool.close()
        self._storage.close()

    # Members

    def members_changed(self, joined_server: bool) -> None:
        """Called after every gossip event of the LAN pool."""
        membership = self.membership
        if membership is None:
            return
        self.raft.known_addresses = {
            server.id: server.rpc_address for server in membership.servers() if server.status in (1, 2, 4)
        }
        if self._leader_loop is not None:
            self._leader_loop.reconcile_soon()
        if joined_server:
            self.maybe_bootstrap()

    def members_reaped(self, members: list[MemberView]) -> None:
        if self._leader_loop is not None:
            self._spawn(self._leader_loop.members_reaped(members))

    def maybe_bootstrap(self) -> None:
        """The expect rule (bootstrap.py), on every join of a server."""
        membership = self.membership
        core = self.raft.core
        if membership is None or self.expect == 0 or self._bootstrapping is not None:
            return
        if core.last_index or core.term:
            self.expect = 0  # it has a log, or was asked for its vote: there is a cluster
            return
        decision = decide(self.expect, self.config.datacenter, membership.servers())
        if isinstance(decision, Conflict):
            self._logger.error("%s", decision.why)
        elif isinstance(decision, AskPeers):
            self._bootstrapping = self._spawn(self._bootstrap(decision, membership.servers()))

    async def _bootstrap(self, decision: AskPeers, servers: list[ServerInfo]) -> None:
        try:
            for server in servers:
                if await self._peers_of(server):
                    self._logger.info(
                        "Existing Raft peers reported by server, disabling bootstrap mode",
                        extra=pairs(server=server.name),
                    )
                    self.expect = 0
                    return
            if self.raft.core.last_index or self.raft.core.term:
                return
            addresses = ",".join(each.address for each in decision.configuration.servers)
            self._logger.info("Found expected number of peers, attempting bootstrap", extra=pairs(peers=addresses))
            self.raft.core.bootstrap(decision.configuration)
            self.expect = 0
            self.raft.wake()
        finally:
            self._bootstrapping = None
            # Servers that joined meanwhile were not looked at.
            if self.expect and not self.raft.core.last_index:
                asyncio.get_running_loop().call_later(1.0, self.maybe_bootstrap)

    async def _peers_of(self, server: ServerInfo) -> list[str]:
        if server.id == self.config.node_id:
            return self.consensus.peer_addresses()
        pause = 0.25
        for _ in range(PEERS_TRIES):
            try:
                data = await self._pool.client(server.rpc_address).ask(forward.STATUS_PEERS)
                peers: list[str] = forward.decode_plain(data, list[str])
                return peers
            except RpcError as error:
                self._logger.error(
                    "Failed to confirm peer status for server (will retry)",
                    extra=pairs(server=server.name, error=error),
                )
                if self.membership is None or all(
                    each.id != server.id or each.status != 1 for each in self.membership.servers()
                ):
                    return []  # it is gone: a server that never answers does not block
                await asyncio.sleep(pause)
                pause = min(2 * pause, 4.0)
        return []

    # Leadership

    def _role_changed(self, soft: SoftState) -> None:
        core = self.raft.core
        names = {"leader": "leader", "follower": "follower", "candidate": "candidate"}
        state = names.get(soft.role)
        if state == "leader":
            self._raft_logger.info(
                "entering leader state", extra=pairs(leader=f"Node at {self.own_address} [Leader]", term=core.term)
            )
        elif state == "candidate":
            self._raft_logger.info(
                "entering candidate state", extra=pairs(node=f"Node at {self.own_address} [Candidate]", term=core.term)
            )
        elif state == "follower":
            self._raft_logger.info(
                "entering follower state",
                extra=pairs(follower=f"Node at {self.own_address} [Follower]", leader=soft.leader),
            )
        if soft.role != "leader" and self._leader.active:
            self._logger.info("cluster leadership lost")
            self._leader.stop()
            self._leader_loop = None
            if self._leader_duties is not None:
                self._leader_duties.cancel()
                self._leader_duties = None
        if soft.leader and soft.leader != self._last_leader:
            address = self.consensus.leader_address()
            if soft.leader != core.id:
                self._logger.info("New leader elected", extra=pairs(payload=self._name_of(soft.leader)))
            asyncio.get_running_loop().call_later(OLD_LEADER_SECONDS, self._drop_others, address)
            self._last_leader = soft.leader
        self.consensus.leader_changed()

    def _drop_others(self, leader_address: str) -> None:
        """Requests to a leader that was replaced get no answer any more: their connections are closed."""
        if self.consensus.leader_address() == leader_address:
            self._pool.keep_only(leader_address)

    def _applied(self) -> None:
        raft = self.raft
        store = raft.machine.store
        if store.effects:
            effects = list(store.effects)
            store.effects.clear()
            self._leader.observe(effects)
        if raft.leads_and_caught_up and not self._leader.active:
            self._logger.info("cluster leadership acquired")
            self._logger.info("New leader elected", extra=pairs(payload=self.config.node_name))
            self._leader.start()
            self.consensus.leader_changed()  # requests for locks waited for this
            self._leader_loop = LeaderLoop(
                self.config, raft, self._clock, self._logger, lambda: self.membership, self._write
            )
            self._leader_duties = self._spawn(self._leader_loop.run())

    def _autopilot_state(self) -> AutopilotState | None:
        return self._leader_loop.autopilot.state if self._leader_loop is not None else None

    # Inside

    async def _duties(self) -> None:
        while True:
            await asyncio.sleep(DUTY_SECONDS)
            self._leader.tick()

    async def _write(self, command: AnyCommand) -> object:
        return await self.consensus.write(command)

    def _receive(self, payloads: list[bytes]) -> None:
        self.raft.receive(payloads)

    def _disk_failed(self, error: Exception) -> None:
        self._raft_logger.error("the disk failed, nothing is known of it any more, stopping", extra=pairs(error=error))
        self._on_fatal(error)

    def _disk_full(self, full: bool) -> None:
        self.raft.set_disk_full(full)
        if full:
            if self._handing_over is None or self._handing_over.done():
                self._handing_over = self._spawn(self._full_disk.hand_over())
            self._raft_logger.error(
                "no space left on device: writes are refused, reads go on; make room",
                extra=pairs(below=self.config.data_dir),
            )
        else:
            self._raft_logger.info("there is space on the device again: writes are accepted")

    def _progress(self) -> Callable[[int, int], None]:
        last = [self._clock.monotonic()]

        def report(done: int, total: int) -> None:
            now = self._clock.monotonic()
            if now - last[0] >= 1.0:
                last[0] = now
                self._raft_logger.info(
                    "reading the log", extra=pairs(done=f"{100 * done // max(total, 1)}%", bytes=total)
                )

        return report

    def _describe_peer(self, server_id: str) -> tuple[str, str] | None:
        for server in self.membership.servers() if self.membership is not None else []:
            if server.id == server_id:
                return server.name, server.raft_version
        return None

    def _name_of(self, server_id: str) -> str:
        known = self._describe_peer(server_id)
        return known[0] if known is not None else server_id

    def _spawn(self, coroutine: object) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(coroutine)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._logger.error("a background task failed", exc_info=task.exception())

    async def _until(self, condition: Callable[[], bool], seconds_max: float) -> bool:
        deadline = self._clock.monotonic() + seconds_max
        while not condition():
            if self._clock.monotonic() >= deadline:
                return False
            await asyncio.sleep(0.02)
        return True


def shown(configuration: Configuration) -> str:
    """As Consul's log and info show it."""
    servers = " ".join(
        f"{{Suffrage:{'Voter' if each.voter else 'Nonvoter'} ID:{each.id} Address:{each.address}}}"
        for each in configuration.servers
    )
    return f"[{servers}]"
