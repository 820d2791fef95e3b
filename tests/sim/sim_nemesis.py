"""What is done to processes, machines, clocks and the network, again and again until the quiet time."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from world import IO

if TYPE_CHECKING:
    from sim_cluster import Cluster
    from sim_node import Node


class Nemesis:
    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.world = cluster.world
        self.judge = cluster.judge
        self.setting = cluster.setting
        self.network = cluster.network

    def turn(self) -> None:
        world, chance = self.world, self.world.random
        if world.now > self.setting.quiet_from:
            return
        world.push(chance.expovariate(1 / self.setting.nemesis_pause), IO, self.turn)
        nodes = self.cluster.nodes
        victim = (self.cluster.leader() if world.chance(0.5) else None) or chance.choice(list(nodes.values()))
        kind = chance.choice(
            ["crash", "power", "pause", "pause", "lag", "split", "one-way", "pair", "heal", "heal", "all", "full",
             "slow", "clock"]
        )  # fmt: skip
        names = list(nodes)
        group = "partition" if kind in ("split", "one-way", "pair") else "power" if kind == "all" else kind
        if kind != "heal" and not self.setting.with_fault(group):
            return
        process = victim.process
        alive = process is not None and not process.dead
        self.cluster.log(victim, f"nemesis: {kind}")
        if kind != "heal":
            self.judge.count(f"nemesis: {kind}")
        if kind in ("crash", "power"):
            victim.die(kind == "power")
        elif kind == "all" and world.chance(0.4):
            for each in nodes.values():
                each.die(True)
        elif kind == "pause" and alive and process is not None:
            process.stand_still()
            seconds = chance.choice([0.12, 0.4, 1.0, 2.5])
            world.push(chance.uniform(0.05, seconds), IO, partial(process.go_on, world.chance(0.6)))
        elif kind == "lag" and alive:
            victim.lags_until = world.now + chance.uniform(0.5, 3.0)
            self._lag(victim, chance.uniform(0.04, 0.13))
        elif kind == "split":
            side = set(chance.sample(names, chance.randint(1, len(names) // 2)))
            self.network.blocked = {(a, b) for a in names for b in names if (a in side) != (b in side)}
        elif kind == "one-way":
            if world.chance(0.5):
                self.network.blocked |= {(victim.name, each) for each in names if world.chance(0.8)}
            else:
                self.network.blocked |= {(each, victim.name) for each in names if world.chance(0.8)}
        elif kind == "pair":
            other = chance.choice(names)
            self.network.blocked |= {(victim.name, other), (other, victim.name)}
        elif kind == "heal":
            self.network.blocked = set()
        elif kind == "full":
            victim.full_until = world.now + chance.uniform(0.2, 2.0)
        elif kind == "slow":
            victim.slow_until = world.now + chance.uniform(0.2, 2.0)
        elif kind == "clock" and process is not None:
            process.wall_offset += chance.uniform(-3600, 3600)

    def _lag(self, victim: Node, seconds: float) -> None:
        """An event loop that is late again and again, each time for less than would be noticed as a stand-still."""
        process, world = victim.process, self.world
        until = min(victim.lags_until, self.setting.quiet_from)
        if process is None or process.dead or process.stopped or world.now > until:
            return
        process.stand_still()
        world.push(seconds, IO, partial(process.go_on, True))
        world.push(seconds + 0.002, IO, partial(self._lag, victim, seconds))
