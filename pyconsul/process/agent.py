"""A server agent: the replicated part, gossip over LAN and WAN, HTTP, and how they begin, leave and end together.

The order of the start is Consul's: data directory, server port, gossip, HTTP; that of a leave: leadership, WAN, LAN,
drain, removal from Raft.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

from pyconsul.agent.runtime_config import RuntimeConfig
from pyconsul.codec.base64 import corrupt_at, decode_base64
from pyconsul.gossip.context import GossipEvent
from pyconsul.gossip.member import Member
from pyconsul.log import pairs
from pyconsul.net.dial import join_host_port
from pyconsul.process.forwarded import ForwardedHttp
from pyconsul.process.info import Stats, raft_stats
from pyconsul.process.member_agent import MemberAgent
from pyconsul.process.settings import gossip_config, http_settings, server_config
from pyconsul.records.catalog import Coordinate
from pyconsul.server.backend import KeyringAnswer
from pyconsul.server.client_answers import ClientAnswers
from pyconsul.server.client_http import HttpService
from pyconsul.server.consensus import Consensus
from pyconsul.server.coordinates import PERIOD_SECONDS, CoordinateBatches
from pyconsul.server.gossip_keys import KeyOperation
from pyconsul.server.gossip_loop import GossipPool
from pyconsul.server.membership import Membership, view_of
from pyconsul.server.node import ConsensusServer
from pyconsul.server.operators import Operators
from pyconsul.server.server_tags import server_tags

DEV_COORDINATE_SECONDS = 0.1


class Agent(MemberAgent):
    """A server."""

    _ROLE = "server"
    _SERVER_CAME, _SERVER_WENT = "Adding LAN server", "Removing LAN server"
    _NO_WAN = "WAN gossip is off on this server (ports.serf_wan = -1)"

    def _make_core(self) -> None:
        settings = server_config(self.config, self.node_id, self._data_dir)
        self._server = ConsensusServer(settings, self._clock, self._random, self._part_logger, self._fatal)
        self._forwarded: ForwardedHttp
        self._coordinates: CoordinateBatches

    @property
    def consensus(self) -> Consensus:
        return self._server.consensus

    @property
    def operators(self) -> Operators:
        return self._server.operators

    async def _start_core(self) -> None:
        server = self._server
        await server.open()
        clients = ClientAnswers(server.rpc, server.consensus)
        self._started.append(clients.stop)
        period = DEV_COORDINATE_SECONDS if self.config.dev else PERIOD_SECONDS
        self._coordinates = CoordinateBatches(server.consensus.write, self._part_logger, period)
        self._started.append(self._coordinates.stop)
        self._forwarded = ForwardedHttp(self, http_settings(self.config), self._clock, self._random)
        HttpService(self._forwarded.serve).register(server.rpc)
        try:
            await server.start()
        except BaseException:
            server.close_unstarted()
            raise
        self._started.append(server.stop)

    async def _start_gossip(self) -> None:
        config = self.config
        wan_bind = config.addresses.serf_wan_bind
        wan_port = wan_bind.port if wan_bind is not None else None
        tags = server_tags(
            self.node_id, config.datacenter, self._server.rpc_port, config.bootstrap, config.bootstrap_expect, wan_port
        )
        self._make_lan(tags)
        self._server.membership = Membership(self.lan)
        await self.lan.start()
        self._started.append(self.lan.stop)
        if wan_bind is not None:
            wan_tags = {key: value for key, value in tags.items() if key != "wan_join_port"}
            self.wan = GossipPool(
                gossip_config(config, wan_tags, self.node_id, self._data_dir, wan=True),
                self._clock, self._random, self._wan_event, self._part_logger,
            )  # fmt: skip
            await self.wan.start()
            self._started.append(self.wan.stop)
            self._flood([member for member in self.lan.members() if member.status == 1])

    async def _leave_cluster(self) -> None:
        await self._server.prepare_leave()
        if self.wan is not None:
            await self.wan.leave()
        await self.lan.leave()
        drain = self.config.leave_drain_seconds
        self._part_logger.info("Waiting to drain RPC traffic", extra=pairs(drain_time=f"{drain:g}s"))
        await asyncio.sleep(drain)
        await self._server.finish_leave()

    async def _read_key(self, key: str) -> bytes | None:
        entry = self.consensus.store.kv.get(key.encode())
        return entry.value if entry is not None else None

    def _role_stats(self) -> Stats:
        consensus = self.consensus
        return {
            "consul": {
                "acl": "disabled",
                "bootstrap": "true" if self.config.bootstrap else "false",
                "known_datacenters": "1",
                "leader": "true" if consensus.is_leader else "false",
                "leader_addr": consensus.leader_address(),
                "server": "true",
            },
            "raft": raft_stats(self._server, self._clock.monotonic()),
        }

    async def keyring(self, operation: str, key: str, relay_factor: int, local_only: bool) -> list[KeyringAnswer]:
        """On all members of both pools, or with ``local_only`` of the LAN."""
        pools = [self.lan] if self.wan is None or local_only else [self.wan, self.lan]
        wrong = corrupt_at(key)
        if wrong is not None:
            why = f"illegal base64 data at input byte {wrong}"
            return [KeyringAnswer(pool is self.wan, self.datacenter, {}, {}, 0, {}, why) for pool in pools]
        raw = decode_base64(key)
        reports = await asyncio.gather(
            *(pool.keyring(cast(KeyOperation, operation), raw, relay_factor) for pool in pools)
        )
        return [
            KeyringAnswer(
                pool is self.wan, self.datacenter, report.keys, report.primary_keys, report.nodes, report.messages,
                report.error,
            )
            for pool, report in zip(pools, reports, strict=True)
        ]  # fmt: skip

    def update_coordinate(self, coordinate: Coordinate) -> None:
        self._coordinates.add(coordinate)

    async def _send_coordinate(self, coordinate: Coordinate) -> None:
        self._coordinates.add(coordinate)

    def _configured(self, config: RuntimeConfig) -> None:
        self._forwarded.configure(http_settings(config))
        self._server.snapshots.threshold = config.raft.snapshot_threshold
        self._server.snapshots.interval_seconds = config.raft.snapshot_interval_seconds

    # Inside

    def _fatal(self, error: Exception) -> None:
        self.exit_code = 1
        self.ended.set()

    def _members_event(self, event: GossipEvent) -> None:
        server = self._server
        if event.kind == "member-reap":
            server.members_reaped([view_of(member) for member in event.members])
        joined_server = self._tell_servers(event)
        server.members_changed(joined_server)
        if joined_server:
            self._flood(event.members)

    def _new_leader_event(self) -> None:
        """Servers learn it from Raft."""

    def _flood(self, members: Sequence[Member]) -> None:
        """Servers of the LAN pool join each other in the WAN pool too."""
        wan = self.wan
        if wan is None or not wan.running:
            return  # after its start it is told of everybody
        known = {member.name for member in wan.members() if member.status == 1}
        for member in members:
            port = member.tags.get("wan_join_port", "")
            name = f"{member.name}.{self.datacenter}"
            if member.name != self.node_name and port.isdigit() and name not in known:
                self._spawn(self._join_quietly(wan, f"{name}/{join_host_port(member.address_text, int(port))}"))

    async def _join_quietly(self, pool: GossipPool, address: str) -> None:
        _, errors = await pool.join([address])
        for error in errors:
            self._part_logger.debug("Failed to join server in the WAN pool", extra=pairs(address=address, error=error))

    def _wan_event(self, event: GossipEvent) -> None:
        for member in event.members:
            self._part_logger.info(
                "Handled event for server in area", extra=pairs(event=event.kind, server=member.name, area="wan")
            )
