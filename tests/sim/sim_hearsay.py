"""A stand-in for gossip: everybody hears of everybody at once; who is silent for a second has failed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from world import IO

from pyconsul.gossip.member import ALIVE, FAILED, LEFT
from pyconsul.server.reconcile import MemberView
from pyconsul.server.server_tags import ServerInfo, parse_server, server_tags

if TYPE_CHECKING:
    from sim_cluster import Cluster


class Hearsay:
    """A Membership (server/membership.py) that all servers share."""

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
        if self.known[name].status == FAILED:
            self.announce(name, LEFT)

    def announce(self, name: str, status: int) -> None:
        each = self.cluster.nodes[name]
        tags = server_tags(name, "dc1", 8300, False, self.cluster.setting.size, None)
        info = parse_server(name, each.host, status, tags)
        assert info is not None
        if self.known.get(name) == info:
            return
        self.known[name] = info
        for other in self.cluster.nodes.values():
            if other.server is not None and other.process is not None:
                self.cluster.world.push(0.001, IO, partial(other.members_changed, status == ALIVE), other.process)
