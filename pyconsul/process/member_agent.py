"""What server agents and client agents share: the place in the gossip pool, HTTP, joining, facts about the agent."""

from __future__ import annotations

import asyncio
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from pyconsul.agent.local_files import LocalFiles
from pyconsul.agent.local_services import LocalServices
from pyconsul.agent.local_state import LocalState
from pyconsul.agent.logging import AgentLog
from pyconsul.agent.runtime_config import RuntimeConfig
from pyconsul.api.events import concerns
from pyconsul.api.routes import ROUTES, Route
from pyconsul.api.server import HttpServer
from pyconsul.clock import Clock, Random, SystemClock, system_random
from pyconsul.codec.user_event import decode_user_event
from pyconsul.errors import CallerError, ConfigError, DecodeError, PyconsulError
from pyconsul.gossip.context import GossipEvent
from pyconsul.log import pairs
from pyconsul.net.dial import join_host_port
from pyconsul.process.configured import configured_checks, configured_services
from pyconsul.process.info import Stats, build_stats, local_stats, runtime_stats
from pyconsul.process.joining import JoinError, RetryJoin, join_error_text
from pyconsul.process.own_node import own_node
from pyconsul.process.remote_exec import EVENT_NAME, RemoteExec
from pyconsul.process.self_info import member_info, node_coordinate, self_info
from pyconsul.process.settings import gossip_config, http_settings
from pyconsul.records.catalog import Coordinate
from pyconsul.server.backend import ConsensusApi, KeyringAnswer, MemberInfo, OperatorApi
from pyconsul.server.coordinates import send_interval
from pyconsul.server.gossip_loop import GossipPool
from pyconsul.server.membership import server_of
from pyconsul.ui.files import BuiltFiles, FolderFiles
from pyconsul.ui.handler import UiHandler

HTTP_GRACE_SECONDS = 1.0
"""How long requests in progress may still take when the agent ends."""

LEFT_ENDS_SECONDS = 0.1

REJOIN_PAUSE_SECONDS = 2.0
REJOIN_PAUSE_SECONDS_MAX = 30.0


class MemberAgent(ABC):
    """One agent in the LAN pool with an HTTP API. ``start`` raises ConfigError or StorageError with a text for the
    operator; then call ``stop``.

    ``ended`` is set when the agent ends by itself (a leave over HTTP, a failed disk), with ``exit_code``.
    ``read_configuration``: reads it again for a reload. Implements Backend and AgentApi (server/backend.py).
    """

    _ROLE: ClassVar[str]
    """"server" or "client": also the logger's name below the agent's."""
    _SERVER_CAME: ClassVar[str]
    _SERVER_WENT: ClassVar[str]
    """What the log says of servers of the LAN pool."""
    _NO_WAN: ClassVar[str]
    """Why there is no WAN pool to join."""

    def __init__(
        self,
        config: RuntimeConfig,
        node_id: str,
        data_dir: Path,
        logger: logging.Logger,
        read_configuration: Callable[[], RuntimeConfig] | None = None,
        clock: Clock | None = None,
        random: Random | None = None,
    ) -> None:
        self.config = config
        self.node_id = node_id
        self.node_name = config.node_name
        self.datacenter = config.datacenter
        self.ended = asyncio.Event()
        self.exit_code = 0
        self.on_reload: Callable[[RuntimeConfig], None] = _nothing
        self.logs: AgentLog | None = None
        """The log that ``monitor`` shows."""
        self.http: HttpServer
        self.lan: GossipPool
        self.wan: GossipPool | None = None
        self._clock = clock or SystemClock()
        self._random = random or system_random()
        self._logger = logger
        self._part_logger = logger.getChild(self._ROLE)
        self._read_configuration = read_configuration
        self._data_dir = data_dir
        self.local = LocalServices(
            LocalState(self.node_name, self._random, config.check_update_interval_seconds),
            lambda: self.consensus, lambda: own_node(self.config, node_id), self._clock, self._random, logger,
            None if config.dev else LocalFiles(data_dir), config.enable_script_checks,
        )  # fmt: skip
        self._remote_exec = RemoteExec(
            self.node_name, self._read_key, lambda command: self.consensus.write(command), logger
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._started: list[Callable[[], Awaitable[None]]] = []
        self._left = False
        self._make_core()

    # What servers and clients do differently

    @property
    @abstractmethod
    def consensus(self) -> ConsensusApi: ...

    @property
    def operators(self) -> OperatorApi:
        """Servers have their own; a client agent passes requests of operators on as they are."""
        raise CallerError("this agent is no server: ask a server", 500)

    @abstractmethod
    def _make_core(self) -> None:
        """The rest of ``__init__``."""

    @abstractmethod
    async def _start_core(self) -> None:
        """What has to be there before gossip. Raises ConfigError, StorageError."""

    @abstractmethod
    async def _start_gossip(self) -> None:
        """Sets and starts the pools. Raises ConfigError, StorageError."""

    @abstractmethod
    def _members_event(self, event: GossipEvent) -> None:
        """The LAN pool's members changed."""

    @abstractmethod
    def _new_leader_event(self) -> None:
        """A server says by gossip that it leads."""

    @abstractmethod
    def _role_stats(self) -> Stats:
        """The groups ``consul`` and, on servers, ``raft`` of ``info``."""

    @abstractmethod
    def update_coordinate(self, coordinate: Coordinate) -> None: ...

    @abstractmethod
    async def _send_coordinate(self, coordinate: Coordinate) -> None:
        """Hands this node's coordinate to the servers. Raises PyconsulError."""

    @abstractmethod
    async def _read_key(self, key: str) -> bytes | None:
        """The value of a key, whatever a server has. Raises PyconsulError."""

    @abstractmethod
    async def _leave_cluster(self) -> None:
        """Leaves the pools; servers give their part in Raft up as well."""

    def _routes(self) -> Iterable[Route]:
        """The endpoints of the HTTP API."""
        return ROUTES

    @abstractmethod
    def _configured(self, config: RuntimeConfig) -> None:
        """After a reload: takes what is new for this role."""

    # Backend

    @property
    def agent(self) -> MemberAgent:
        return self

    def datacenters(self) -> list[str]:
        return [self.datacenter]

    # Life

    async def start(self) -> None:
        """Everything up to "agent running". Raises ConfigError, StorageError."""
        config = self.config
        await self._start_core()
        await self._start_gossip()
        self._warn_of_other_keys()
        await self.local.load()
        await self._register_configured(config)
        await self._start_http()
        self.local.start()
        self._started.append(self.local.stop)
        if config.join.start:
            await self._join_at_start(self.lan, config.join.start)
        if config.join.start_wan and self.wan is not None:
            await self._join_at_start(self.wan, config.join.start_wan)
        self._logger.info("Consul agent running!")
        if config.join.retry:
            self._retry_join(self.lan, config.join.retry, "LAN")
        if config.join.retry_wan and self.wan is not None:
            self._retry_join(self.wan, config.join.retry_wan, "WAN")
        self._spawn(self._rejoin(self.lan))
        if not config.disable_coordinates:
            self._spawn(self._send_coordinates())
        if self.wan is not None:
            self._spawn(self._rejoin(self.wan))

    def _make_lan(self, tags: dict[str, str]) -> None:
        self.lan = GossipPool(
            gossip_config(self.config, tags, self.node_id, self._data_dir, wan=False),
            self._clock, self._random, self._lan_event, self._part_logger,
        )  # fmt: skip

    async def _start_http(self) -> None:
        config = self.config
        self.http = HttpServer(self, http_settings(config), self._clock, self._random, self._routes())
        self._started.append(self._stop_http)
        self.http.api.logs = self.logs
        self._add_page()
        for listen in config.addresses.http:
            if listen.unix:
                await self._listen(self.http.start(unix_sockets=[listen.host]), f"listen unix {listen}")
                self._logger.info("Starting server", extra=pairs(address=listen, network="unix", protocol="http"))
                continue
            bound = await self._listen(self.http.start([listen.host], listen.port), f"listen tcp {listen}")
            shown = join_host_port(*bound[0])
            self._logger.info("Starting server", extra=pairs(address=shown, network="tcp", protocol="http"))
            if config.ui.enabled:
                self._logger.info("The web page is served", extra=pairs(url=f"http://{shown}{config.ui.content_path}"))

    def _add_page(self) -> None:
        ui, api = self.config.ui, self.http.api
        if not ui.enabled and not ui.dir:
            return
        try:
            files = FolderFiles(Path(ui.dir)) if ui.dir else BuiltFiles(ui.content_path, self.datacenter)
        except ConfigError as error:  # an unbuilt checkout: everything else works
            self._logger.error("The web page cannot be served", extra=pairs(error=error))
            return
        api.ui_path = ui.content_path.encode()
        api.ui_handler = UiHandler(
            files, ui.content_path, lambda: {name.lower() for name in api.settings.response_headers}
        )

    async def _stop_http(self) -> None:
        self._logger.info("Waiting for endpoints to shut down")
        await self.http.close(HTTP_GRACE_SECONDS)
        self._logger.info("Endpoints down")

    async def _listen(self, starting: Awaitable[list[tuple[str, int]]], what: str) -> list[tuple[str, int]]:
        try:
            return await starting
        except OSError as error:
            why = (os.strerror(error.errno) if error.errno else str(error)).lower()
            raise ConfigError(f"Failed to start HTTP: {what}: bind: {why}") from error

    async def leave(self) -> None:
        """Leaves the cluster; returns when done; the process ends afterwards."""
        if self._left:
            return
        self._left = True
        self._part_logger.info(f"{self._ROLE} starting leave")
        await self._leave_cluster()
        self.exit_code = 0
        # The answer to the request that asked for this goes out first.
        asyncio.get_running_loop().call_later(LEFT_ENDS_SECONDS, self.ended.set)

    async def stop(self) -> None:
        """Ends everything that was started, newest first."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for each in reversed(self._started):
            await each()
        self._started.clear()

    # AgentApi

    def members(self, wan: bool) -> list[MemberInfo]:
        pool = self.wan if wan else self.lan
        return [] if pool is None else [member_info(member) for member in pool.members()]

    def self_info(self) -> dict[str, Any]:
        own = next(member for member in self.lan.members() if member.name == self.node_name)
        return self_info(self.config, self.node_id, member_info(own), self.lan.coordinate(), self.stats())

    def stats(self) -> Stats:
        """The groups of ``info``."""
        stats: Stats = {
            "agent": local_stats(self.local.state),
            "build": build_stats(),
            **self._role_stats(),
            "runtime": runtime_stats(),
            "serf_lan": self.lan.stats(),
        }
        if self.wan is not None:
            stats["serf_wan"] = self.wan.stats()
        return stats

    async def join(self, address: str, wan: bool) -> None:
        pool = self.wan if wan else self.lan
        if pool is None:
            raise CallerError(self._NO_WAN, 500)
        joined, errors = await pool.join([address])
        if not joined:
            raise CallerError(join_error_text(errors), 500)

    async def force_leave(self, node: str, prune: bool) -> None:
        if all(member.name != node for member in self.lan.members()):
            raise CallerError(f"agent: No node found with name '{node}'", 500)
        await self.lan.force_leave(node, prune)
        if self.wan is not None:
            await self.wan.force_leave(f"{node}.{self.datacenter}", prune)

    async def reload(self) -> None:
        if self._read_configuration is None:
            raise ConfigError("this agent was not started from a configuration")
        self._logger.info("Reloading configuration...")
        config = self._read_configuration()
        await self._register_configured(config)
        before, self.config = self.config, config
        self.http.configure(http_settings(config))
        self._configured(config)
        self.on_reload(config)
        if own_node(config, self.node_id) != own_node(before, self.node_id):
            await self.local.node_changed()

    def fire_event(self, name: str, payload: bytes) -> None:
        try:
            self.lan.fire_event(name, payload, False)
        except CallerError as error:
            raise CallerError(
                f'1 error occurred:\n\t* error broadcasting event to segment "": {error}\n\n', 500
            ) from error

    async def keyring(self, operation: str, key: str, relay_factor: int, local_only: bool) -> list[KeyringAnswer]:
        """Servers know better."""
        raise CallerError("keyring operations must run against a server node", 500)

    def wan_coordinates(self) -> list[Coordinate]:
        """Of the servers of this datacenter, by the names of their nodes."""
        if self.wan is None:
            return []
        suffix = f".{self.datacenter}"
        return [
            node_coordinate(name.removesuffix(suffix), found)
            for name, found in sorted(self.wan.coordinates().items())
            if name.endswith(suffix)
        ]

    # Inside

    def _warn_of_other_keys(self) -> None:
        """The stored ring counts, not ``-encrypt``."""
        key = self.config.encrypt_key
        for name, pool in (("LAN", self.lan), ("WAN", self.wan)):
            ring = pool.config.keyring if pool is not None else None
            if key and ring is not None and key not in ring.keys:
                self._logger.warning(
                    " keyring doesn't include key provided with -encrypt, using keyring", extra=pairs(keyring=name)
                )

    async def _register_configured(self, config: RuntimeConfig) -> None:
        """Services and checks of configuration files. Raises ConfigError with nothing changed; StorageError."""
        services, checks = configured_services(config), configured_checks(config)
        try:
            await self.local.configure(services, checks)
        except CallerError as error:
            raise ConfigError(str(error)) from error

    async def _send_coordinates(self) -> None:
        """Tells the servers where this node is, at a rate that many agents can have together."""
        while True:
            seconds = send_interval(len(self.lan.members()))
            await asyncio.sleep(seconds + self._random.uniform(0, seconds))
            try:
                await self._send_coordinate(node_coordinate(self.node_name, self.lan.coordinate()))
            except PyconsulError as error:
                self._logger.error("Coordinate update error", extra=pairs(error=error))

    async def _join_at_start(self, pool: GossipPool, addresses: Sequence[str]) -> None:
        joined, errors = await pool.join(addresses)
        if not joined:
            raise JoinError(join_error_text(errors).strip())
        self._logger.info("(LAN) joined", extra=pairs(number_of_nodes=joined))
        self._logger.info("Join completed. Initial agents synced with", extra=pairs(agent_count=joined))

    def _retry_join(self, pool: GossipPool, addresses: Sequence[str], name: str) -> None:
        join = self.config.join
        interval, most = (
            (join.retry_interval_seconds, join.retry_max)
            if name == "LAN"
            else (join.retry_interval_wan_seconds, join.retry_max_wan)
        )
        self._spawn(RetryJoin(pool.join, addresses, interval, most, self._logger, self._exhausted(name), name).run())

    def _exhausted(self, pool: str) -> Callable[[], None]:
        def exhausted() -> None:
            self._logger.error(
                "Retry join failed", extra=pairs(error=f"agent: max join {pool} retry exhausted, exiting")
            )
            self.exit_code = 1
            self.ended.set()

        return exhausted

    def _lan_event(self, event: GossipEvent) -> None:
        if event.kind == "user":
            self._user_event(event)
        else:
            self._members_event(event)

    def _tell_servers(self, event: GossipEvent) -> bool:
        """Says in the log which servers came and went; whether any came."""
        joined = False
        for member in event.members:
            info = server_of(member)
            if info is None or event.kind == "member-update":
                continue
            joined = event.kind == "member-join"
            shown = f"{info.name} (Addr: tcp/{info.rpc_address}) (DC: {info.datacenter})"
            self._part_logger.info(self._SERVER_CAME if joined else self._SERVER_WENT, extra=pairs(server=shown))
        return joined

    async def _rejoin(self, pool: GossipPool) -> None:
        """Tries until a remembered member answers or somebody has found this agent. Once is not enough: when all
        servers come up one by one, those that took this one for dead do not remember it, and wait for its join."""
        pause = REJOIN_PAUSE_SECONDS
        while pool.remembers_others and not await pool.rejoin():
            await asyncio.sleep(pause)
            pause = min(2 * pause, REJOIN_PAUSE_SECONDS_MAX)
            if any(member.status == 1 and member.name != pool.config.name for member in pool.members()):
                return

    def _user_event(self, event: GossipEvent) -> None:
        if event.name == "consul:new-leader":
            self._new_leader_event()
            self.local.sync_soon()
            return
        if event.name == EVENT_NAME:
            self._exec_event(event)
            return
        self.http.events.receive(
            event.name, event.payload, event.ltime, self.node_name, self.local.state.tags_by_service()
        )

    def _exec_event(self, event: GossipEvent) -> None:
        if self.config.disable_remote_exec:
            return
        try:
            asked = decode_user_event(event.payload, event.ltime)
        except DecodeError:  # another program's event
            return
        if concerns(asked, self.node_name, self.local.state.tags_by_service()):
            self._spawn(self._remote_exec.run(asked.payload))

    def _spawn(self, coroutine: Any) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._task_ended)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        with suppress(asyncio.CancelledError):
            error = task.exception()
            if error is not None:
                self._logger.error("a background task failed: error=%r", str(error), exc_info=error)


def _nothing(config: RuntimeConfig) -> None:
    """Until the process sets its own."""
