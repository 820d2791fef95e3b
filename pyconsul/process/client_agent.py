"""A client agent: a member of the LAN pool whose HTTP API asks the servers.

It keeps no state of the cluster. Servers are found by gossip; server/client_rpc.py tells how one is chosen and when
another is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import cast
from urllib.parse import quote

from pyconsul.agent.runtime_config import RuntimeConfig
from pyconsul.api.forwarding import client_routes
from pyconsul.api.request import Request
from pyconsul.api.routes import ROUTES, Route
from pyconsul.codec import json
from pyconsul.errors import CallerError, PyconsulError, RpcError
from pyconsul.gossip.context import GossipEvent
from pyconsul.gossip.member import ALIVE, FAILED
from pyconsul.log import pairs
from pyconsul.process.info import Stats
from pyconsul.process.member_agent import MemberAgent
from pyconsul.records.catalog import Coordinate
from pyconsul.server.backend import ConsensusApi
from pyconsul.server.client_http import HttpAnswer
from pyconsul.server.client_rpc import ClientConsensus, ClientRpc, HttpExchange
from pyconsul.server.client_servers import ServerList
from pyconsul.server.forward import STATUS_PEERS
from pyconsul.server.membership import server_of
from pyconsul.server.server_tags import client_tags

REBALANCE_SECONDS_MIN = 120.0
REBALANCE_SECONDS_MAX = 180.0
PING_SECONDS = 2.0


class ClientAgent(MemberAgent):
    """A member that is no server."""

    _ROLE = "client"
    _SERVER_CAME, _SERVER_WENT = "adding server", "removing server"
    _NO_WAN = "Must be a server to join WAN cluster"

    def _make_core(self) -> None:
        self.servers = ServerList(self._random)
        self.rpc = ClientRpc(self.servers, self._clock, self._random, self.config.rpc_hold_seconds)
        self._consensus = cast(ConsensusApi, ClientConsensus(self.rpc, self.node_name))

    @property
    def consensus(self) -> ConsensusApi:
        return self._consensus

    async def _start_core(self) -> None:
        self._started.append(self._stop_core)

    async def _stop_core(self) -> None:
        self.rpc.pool.close()

    async def _start_gossip(self) -> None:
        config = self.config
        self._make_lan(client_tags(self.node_id, config.datacenter, config.advertise_reconnect_timeout_seconds))
        await self.lan.start()
        self._started.append(self.lan.stop)
        self._spawn(self._rebalance())

    def _routes(self) -> Iterable[Route]:
        return client_routes(ROUTES, self._send)

    def _send(self, request: Request, answered: Callable[[HttpAnswer | PyconsulError], None]) -> HttpExchange:
        return self.rpc.http(
            self.node_name, request.method, request.target, request.headers, request.body, request.announced, answered
        )

    async def _leave_cluster(self) -> None:
        await self.lan.leave()

    async def _read_key(self, key: str) -> bytes | None:
        target = f"/v1/kv/{quote(key)}?raw&stale".encode()
        answer = await self.rpc.request(self.node_name, b"GET", target)
        return answer.body if answer.status == 200 else None

    def _role_stats(self) -> Stats:
        return {"consul": {"acl": "disabled", "known_servers": str(len(self.servers)), "server": "false"}}

    def update_coordinate(self, coordinate: Coordinate) -> None:
        raise CallerError("this agent is no server", 500)  # requests for it are passed on

    async def _send_coordinate(self, coordinate: Coordinate) -> None:
        body = {
            "Node": coordinate.node,
            "Coord": {
                "Vec": coordinate.vec,
                "Error": coordinate.error,
                "Adjustment": coordinate.adjustment,
                "Height": coordinate.height,
            },
        }
        answer = await self.rpc.request(self.node_name, b"PUT", b"/v1/coordinate/update", json.encode(body))
        if answer.status != 200:
            raise CallerError(answer.body.decode(errors="replace"), answer.status)

    def _configured(self, config: RuntimeConfig) -> None:
        """Nothing but what all agents take."""

    # The servers

    def _members_event(self, event: GossipEvent) -> None:
        joined_server = self._tell_servers(event)
        self._take_servers()
        if joined_server:
            self.local.sync_soon()
        for member in event.members:
            info = server_of(member) if member.status == FAILED else None
            if info is not None and info.rpc_address not in self.servers.addresses():
                self.rpc.pool.drop(info.rpc_address)  # what waits there for an answer is asked elsewhere

    def _take_servers(self) -> None:
        found = (server_of(member) for member in self.lan.members() if member.status == ALIVE)
        self.servers.update([each for each in found if each is not None and each.datacenter == self.datacenter])

    def _new_leader_event(self) -> None:
        """Servers pass requests on to the leader; nothing depends on who it is."""

    async def _rebalance(self) -> None:
        """Now and then another server, so that a restarted one gets its share of the clients again."""
        while True:
            await asyncio.sleep(self._random.uniform(REBALANCE_SECONDS_MIN, REBALANCE_SECONDS_MAX))
            self.servers.rebalance()
            for _ in range(len(self.servers)):
                server = self.servers.current
                if server is None or await self._answers(server.rpc_address):
                    break
                self.servers.failed(server.rpc_address)

    async def _answers(self, address: str) -> bool:
        try:
            await self.rpc.pool.client(address).ask(STATUS_PEERS, seconds_max=PING_SECONDS)
        except RpcError as error:
            self._part_logger.debug("a server does not answer", extra=pairs(server=address, error=error))
            return False
        return True
