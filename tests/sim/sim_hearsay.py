"""A stand-in for gossip: everybody hears of everybody at once; who is silent for a second has failed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sim_gossip import Gossip
from world import IO, Process

from pyconsul.gossip.member import ALIVE, FAILED, LEFT
from pyconsul.server.node import ConsensusServer
from pyconsul.server.reconcile import MemberView
from pyconsul.server.server_tags import ServerInfo, parse_server, server_tags

if TYPE_CHECKING:
    from sim_cluster import Cluster
    from sim_node import Node


class Hearsay(Gossip):
    """Also the Membership (server/membership.py) that all servers share."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
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

    # Gossip

    async def join(self, node: Node, server: ConsensusServer) -> None:
        server.membership = self  # type: ignore[assignment]
        self.announce(node.name, ALIVE)
        server.members_changed(True)

    def died(self, node: Node, process: Process) -> None:
        def notice() -> None:
            known = self.known.get(node.name)
            if node.process is process and known is not None and known.status == ALIVE:
                self.announce(node.name, FAILED)

        self.cluster.world.push(1.0, IO, notice)

    def leave(self, node: Node) -> None:
        world = self.cluster.world
        self.announce(node.name, LEFT)
        world.push(world.random.uniform(0.5, 3), IO, partial(self.announce, node.name, ALIVE))

    def drop(self, node: Node, target: Node, prune: bool) -> None:
        """Nobody is believed to be gone who is not."""

    def calm_down(self, node: Node) -> None:
        world = self.cluster.world
        world.push(0.5, IO, partial(self.announce, node.name, ALIVE))
        # Reconciliation is left to events; in real life it comes by itself once a minute.
        for later in (3.0, 6.0, 9.0):
            world.push(later, IO, partial(self._nudge, node))

    def check_agreement(self) -> None:
        """What all share is the same for all."""

    def _nudge(self, node: Node) -> None:
        if node.process is not None:
            self.cluster.world.push(0.0, IO, partial(self._members_changed, node, False), node.process)

    @staticmethod
    def _members_changed(node: Node, joined: bool) -> None:
        if node.server is not None:
            node.server.members_changed(joined)

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
                self.cluster.world.push(
                    0.001, IO, partial(self._members_changed, other, status == ALIVE), other.process
                )
