"""Who acts on the servers of the core's simulator: clients, an operator, and the nemesis."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raft_node import Node

from pyconsul.errors import PyconsulError
from pyconsul.raft.config import AddNonVoter, AddVoter, Change, DemoteVoter, RemoveServer

if TYPE_CHECKING:
    from raft_cluster import Cluster

ADDRESS = "10.0.0.{}:8300"


class Actors:
    """``commands``: how many different ones were proposed so far."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.judge = cluster.judge
        self.commands = 0

    def client(self) -> None:
        self.cluster.after(self.cluster.random.expovariate(1 / self.cluster.client_pause), self.client)
        awake = [node for node in self.cluster.nodes.values() if node.up and node.paused_at is None]
        if awake and self.cluster.chance(0.3):
            node = self.cluster.random.choice(awake)
            assert node.core is not None
            self.commands += 1
            self.judge.reads[self.commands] = (node.id, self.judge.commit_max)
            node.core.read_index(self.commands)
            self.cluster.pump(node)
        leader = self.cluster.leader()
        if leader is not None:
            self._propose(leader)

    def _propose(self, leader: Node) -> None:
        assert leader.core is not None
        count = self.cluster.random.randint(1, 4)
        datas = [f"{self.commands + number}".encode() for number in range(count)]
        self.commands += count
        try:
            leader.core.propose(datas)
        except PyconsulError as error:
            self.judge.count(self.judge.operations, type(error).__name__)
        self.cluster.pump(leader)

    def operator(self) -> None:
        if self.cluster.now > self.cluster.quiet_from:
            return
        self.cluster.after(self.cluster.random.expovariate(1 / 250), self.operator)
        leader = self.cluster.leader()
        if leader is None:
            return
        assert leader.core is not None
        target = self.cluster.random.choice(list(self.cluster.nodes))
        address = ADDRESS.format(target)
        changes: list[Change | None] = [
            AddVoter(target, address), AddVoter(target, address), AddNonVoter(target, address), DemoteVoter(target),
            RemoveServer(target), None,
        ]  # fmt: skip
        change = self.cluster.random.choice(changes)
        try:
            if change is None:
                leader.core.transfer_leadership(self.cluster.random.choice([None, target]))
                self.cluster.log(leader, "hands leadership over", to=target)
                self.judge.count(self.judge.operations, "transfer")
            else:
                leader.core.propose_configuration(change)
                self.cluster.log(leader, "changes the configuration:", change=change)
                self.judge.count(self.judge.operations, "membership change")
        except PyconsulError as error:
            self.cluster.log(leader, "refuses:", error=error)
        self.cluster.pump(leader)

    def nemesis(self) -> None:
        cluster, chance = self.cluster, self.cluster.random
        if cluster.now > cluster.quiet_from:
            return
        cluster.after(chance.expovariate(1 / cluster.nemesis_pause), self.nemesis)
        kinds = ["crash", "pause", "partition", "one-way", "pair", "heal", "heal", "all crash"]
        kind = chance.choice(kinds)
        # Whoever leads is the most rewarding victim.
        node = (cluster.leader() if cluster.chance(0.4) else None) or chance.choice(list(cluster.nodes.values()))
        cluster.log(node, f"nemesis: {kind}")
        self.judge.count(self.judge.faults, kind)
        everybody = list(cluster.nodes)
        if kind == "crash" and node.up:
            node.crash()
            cluster.after(chance.uniform(1, 600), lambda: cluster.restart(node))
        elif kind == "all crash" and cluster.chance(0.2):
            for each in [each for each in cluster.nodes.values() if each.up]:
                each.crash()
                cluster.after(chance.uniform(1, 300), lambda each=each: cluster.restart(each))  # type: ignore[misc]
        elif kind == "pause" and node.up and node.paused_at is None:
            node.paused_at = cluster.now
            cluster.after(chance.uniform(5, 500), node.resume, node)
        elif kind == "partition":
            side = set(chance.sample(everybody, chance.randint(1, len(everybody) // 2)))
            cluster.blocked = {(a, b) for a in everybody for b in everybody if (a in side) != (b in side)}
        elif kind == "one-way":
            cluster.blocked |= {(node.id, each) for each in everybody if cluster.chance(0.7)}
        elif kind == "pair":
            other = chance.choice(everybody)
            cluster.blocked |= {(node.id, other), (other, node.id)}
        elif kind == "heal":
            cluster.blocked = set()
