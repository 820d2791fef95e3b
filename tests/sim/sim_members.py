"""Gossip for real: each process has a pool of its own, and hears of the others what the network lets through."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sim_agent import SimAgent
from sim_gossip import Gossip
from sim_setting import REAPED_SECONDS
from world import IO, Process

from pyconsul.errors import CallerError
from pyconsul.gossip.member import LEFT
from pyconsul.server.node import ConsensusServer

if TYPE_CHECKING:
    from sim_cluster import Cluster
    from sim_node import Node

JOIN_SECONDS, JOIN_SECONDS_LAN = 9.0, 28.0
"""When an operator helps after the faults, without and per ``speed``: a leave that was under way may take so long, with
the pause until the member is back."""


class Members(Gossip):
    """``_left``: the members that an operator let leave."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._left: set[str] = set()

    async def join(self, node: Node, server: ConsensusServer) -> None:
        process = node.process
        assert process is not None
        agent = SimAgent(node, server, process, server._logger)
        node.agent = agent
        await agent.start()

    def died(self, node: Node, process: Process) -> None:
        """The others find out."""

    def leave(self, node: Node) -> None:
        if node.agent is not None and node.process is not None:
            self._left.add(node.name)
            node.process.spawn(node.agent.leave)

    def drop(self, node: Node, target: Node, prune: bool) -> None:
        if node.agent is not None and node.process is not None:
            node.process.spawn(partial(self._drop, node.agent, target.name, prune))

    async def _drop(self, agent: SimAgent, name: str, prune: bool) -> None:
        try:
            await agent.force_leave(name, prune)
        except CallerError as error:  # nobody of that name
            self.cluster.log(None, f"refuses: {error}")

    def calm_down(self, node: Node) -> None:
        delay = JOIN_SECONDS + JOIN_SECONDS_LAN / self.cluster.setting.speed
        self.cluster.world.push(delay, IO, partial(self._join_by_hand, node))

    def _join_by_hand(self, node: Node) -> None:
        """What an operator has to do in real life too: members who were away for so long that the others forgot them,
        and members who left and joined, when they came back, somebody who was leaving. Nobody else is helped."""
        if node.agent is None or node.process is None:
            return
        status = {member.name: member.status for member in node.agent.lan.members()}
        reaped = self.cluster.setting.timings.reconnect_timeout == REAPED_SECONDS
        missed = [
            each.host
            for each in self.cluster.nodes.values()
            if (each.name not in status and reaped)
            or (self._left & {each.name, node.name} and status.get(each.name, LEFT) == LEFT)
        ]
        if missed:
            self.cluster.judge.count("joined by hand")
            node.process.spawn(partial(node.agent.lan.join, missed))

    def check_agreement(self) -> None:
        self.cluster.gossip_judge.agree(self.cluster)
