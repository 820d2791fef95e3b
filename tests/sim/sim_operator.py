"""Somebody who changes the cluster all the time, at the worst moments."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from sim_setting import MEMBERS
from world import IO

from pyconsul.errors import PyconsulError
from pyconsul.raft.config import AddNonVoter, AddVoter, DemoteVoter, RemoveServer
from pyconsul.server.raft_loop import RaftLoop

if TYPE_CHECKING:
    from sim_cluster import Cluster
    from sim_node import Node


class Operator:
    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.world = cluster.world
        self.judge = cluster.judge
        self.setting = cluster.setting

    def turn(self) -> None:
        world = self.world
        if world.now > self.setting.quiet_from or not self.setting.with_fault("member"):
            return
        world.push(world.random.expovariate(1 / 1.5), IO, self.turn)
        leader = self.cluster.leader()
        if leader is None or leader.process is None:
            return
        target = self.cluster.nodes[world.random.choice(list(self.cluster.nodes))]
        changes: list[Any] = [
            AddVoter(target.name, target.address), AddNonVoter(target.name, target.address), DemoteVoter(target.name),
            RemoveServer(target.name), "transfer", "leave",
        ]  # fmt: skip
        if self.setting.gossip == MEMBERS:
            changes.append("force-leave")
        change = world.random.choice(changes)
        world.push(0.0, IO, partial(self._change_members, leader, leader.raft, target, change), leader.process)

    def _change_members(self, leader: Node, raft: RaftLoop, target: Node, change: Any) -> None:
        core = raft.core
        try:
            if change == "transfer":
                core.transfer_leadership(self.world.random.choice([None, target.name]))
            elif change == "leave":
                self.cluster.gossip.leave(target)
            elif change == "force-leave":
                self.cluster.gossip.drop(leader, target, self.world.chance(0.3))
            else:
                core.propose_configuration(change)
        except PyconsulError as error:
            self.cluster.log(leader, f"refuses {change}: {error}")
        else:
            self.cluster.log(leader, f"membership: {change}")
            self.judge.count("transfer" if change == "transfer" else "membership change")
        raft.wake()
