"""A run: servers, clients, operator, nemesis and judge in one world; faults for a while, then quiet."""

from __future__ import annotations

from functools import partial

from judge import Judge
from sim_agreement import calm_down, check_agreement
from sim_clients import Clients
from sim_gossip import Gossip
from sim_gossip_judge import GossipJudge
from sim_hearsay import Hearsay
from sim_lockers import Lockers
from sim_members import Members
from sim_nemesis import Nemesis
from sim_network import Network
from sim_node import Node
from sim_operator import Operator
from sim_setting import HEARSAY, SECONDS, Setting
from sim_surroundings import surroundings
from world import IO, Crash, Process, World

from pyconsul.raft.core import Role


class Cluster:
    """All there is. ``without``: kinds of faults that do not happen; ``story``: lines of text are kept; ``gossip``:
    its kind, None as the seed says."""

    def __init__(
        self, seed: int, seconds: float = SECONDS, without: frozenset[str] = frozenset(), story: bool = False,
        gossip: str | None = None,
    ) -> None:  # fmt: skip
        self.seed = seed
        self.world = World(seed)
        self.judge = Judge(self.world)
        self.world.after_step = self._after_step
        self.story: list[str] | None = [] if story else None
        self.setting = Setting(seed, self.world.random, seconds, without, gossip)
        names = [f"s{number}" for number in range(1, self.setting.size + 1)]
        self.nodes = {name: Node(self, name, number) for number, name in enumerate(names, 1)}
        self.network = Network(self)
        self.gossip_judge = GossipJudge(self.judge)
        self.gossip: Gossip = Hearsay(self) if self.setting.gossip == HEARSAY else Members(self)
        self.clients = Clients(self)
        self.lockers = Lockers(self, self.clients)
        self.operator = Operator(self)
        self.nemesis = Nemesis(self)

    def log(self, who: Node | None, text: str) -> None:
        if self.story is not None:
            self.story.append(f"{self.world.now:9.4f} {who.name if who else '--'} {text}")

    def maybe_crash(self, who: Node) -> None:
        world, setting = self.world, self.setting
        if setting.crash_chance and world.now < setting.quiet_from and world.chance(setting.crash_chance / 4):
            raise Crash(setting.with_fault("power") and world.chance(0.5), who.process)

    def _after_step(self, process: Process) -> None:
        each: Node = process.owner
        if each.process is process and each.server is not None:
            self.judge.step(each)

    def leading(self) -> list[Node]:
        """The servers that think they lead."""
        return [each for each in self.nodes.values() if each.running and each.raft.core.role is Role.LEADER]

    def leader(self) -> Node | None:
        """One of them."""
        leading = self.leading()
        return self.world.random.choice(leading) if leading else None

    def run(self) -> None:
        """Faults for a while, then quiet: the cluster must come to an agreement. Raises Violation."""
        with surroundings(self):
            self.begin()
            self.world.run(self.setting.quiet_from)
            calm_down(self)
            self.world.run(self.world.now + self.setting.quiet_seconds)
            check_agreement(self)
            self.judge.linearizable()
            self.judge.count("lease checked", self.judge.leases_checked)

    def begin(self) -> None:
        world = self.world
        for each in self.nodes.values():
            world.push(world.random.uniform(0.0, 0.1), IO, each.start)
        for number in range(4):
            world.push(2.0, IO, partial(self.clients.turn, number))
        world.push(2.5, IO, self.clients.register_external)
        for number in range(2):
            world.push(3.0, IO, partial(self.lockers.turn, number))
        world.push(2.0 + world.random.uniform(0, 2), IO, self.operator.turn)
        world.push(world.random.uniform(0.5, 3.0), IO, self.nemesis.turn)
