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
    """``_left``: the members that an operator let leave; ``_dropped``: those that he said would not come back."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._left: set[str] = set()
        self._dropped: set[str] = set()

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
            self._dropped.add(target.name)
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
        """What an operator has to do in real life too (the members are in ``_needs_help``). Nobody else is helped."""
        if node.agent is None or node.process is None:
            return
        missed = [each.host for each in self.cluster.nodes.values() if self._needs_help(node, each)]
        if missed:
            self.cluster.judge.count("joined by hand")
            node.process.spawn(partial(node.agent.lan.join, missed))

    def _needs_help(self, node: Node, other: Node) -> bool:
        """Forgotten after a long absence; left in order, and joined when back somebody who was leaving; or each was
        told that the other will not come back, by an operator who was wrong: nobody tries any more in these cases."""
        status = self._status(node, other)
        if status is None:
            return self.cluster.setting.timings.reconnect_timeout == REAPED_SECONDS or bool(
                self._left & {other.name, node.name}
            )
        if status != LEFT:
            return False
        return bool(self._left & {other.name, node.name}) or (
            bool(self._dropped & {other.name, node.name}) and self._status(other, node) == LEFT
        )

    @staticmethod
    def _status(node: Node, other: Node) -> int | None:
        """What the one says of the other; None: nothing."""
        members = node.agent.lan.members() if node.agent is not None else []
        return next((member.status for member in members if member.name == other.name), None)

    def check_agreement(self) -> None:
        self.cluster.gossip_judge.agree(self.cluster)
