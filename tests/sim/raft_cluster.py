"""A whole cluster of consensus cores in one thread, from one seed.

In the fault model: messages lost, delayed, duplicated and reordered; partitions, also one-way; crashes at any step of
the driver, which lose what was not synced (a sync that was under way may or may not have happened); saves that take
long while the core goes on; clocks whose rates differ by up to 10 %; processes that stand still; snapshots, compaction
and damaged snapshot transfers; membership changes and leadership transfers during all of it.

Not in the model: bits that flip in memory or on disk, disks that lie about a sync, servers that lie.

Run one seed and see its story:  python tests/sim/raft_cluster.py SEED
"""

from __future__ import annotations

import heapq
import itertools
import random
import sys
from collections.abc import Callable
from typing import Any

from raft_actors import ADDRESS, Actors
from raft_judge import Judge
from raft_node import Crash, Node
from world import Violation

from pyconsul.errors import PyconsulError
from pyconsul.raft.core import Role
from pyconsul.raft.messages import AnyMessage, AppendRequest, Configuration, Server


class Cluster:
    """The world around the nodes, and the judge. All that happens is an event at a virtual time in milliseconds."""

    def __init__(self, seed: int, story: bool = False) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.now = 0.0
        self.story: list[str] | None = [] if story else None
        self._events: list[tuple[float, int, Callable[[], None], Node | None, int]] = []
        self._sequence = itertools.count()
        self.loss = self.random.choice([0.0, 0.02, 0.1])
        self.duplication = self.random.choice([0.0, 0.05])
        self.slow_network = self.random.choice([2.0, 20.0])
        self.slow_disk = self.random.choice([1.0, 15.0, 60.0])
        self.crash_chance = self.random.choice([0.0, 0.0005, 0.002])
        self.nemesis_pause = self.random.choice([60.0, 150.0, 300.0])
        # With little traffic a server that was cut off still has a log that wins elections.
        self.client_pause = self.random.choice([20.0, 20.0, 300.0])
        self.batch = self.random.choice([1, 4, 16])
        self.blocked: set[tuple[str, str]] = set()
        size = self.random.choice([3, 3, 4, 5])
        self.founders = [f"s{number}" for number in range(1, size + 1)]
        self.first = Configuration(tuple(Server(each, ADDRESS.format(each), True) for each in self.founders))
        names = [*self.founders, "s8", "s9"]
        self.nodes = {name: Node(self, name) for name in names}
        self.quiet_from = 0.0
        self.judge = Judge(self)
        self.actors = Actors(self)

    # ---- time, chance, words

    def after(self, delay: float, action: Callable[[], None], node: Node | None = None) -> None:
        """A node's event does not happen when it has crashed meanwhile."""
        life = node.life if node else 0
        heapq.heappush(self._events, (self.now + delay, next(self._sequence), action, node, life))

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def disk_delay(self) -> float:
        return self.random.uniform(0.1, self.slow_disk)

    def log(self, node: Node | None, text: str, **values: Any) -> None:
        if self.story is not None:
            shown = " ".join(f"{name}={value}" for name, value in values.items())
            self.story.append(f"{self.now:9.1f} {node.id if node else '--':>3} {text} {shown}".rstrip())

    # ---- the network

    def send(self, message: AnyMessage) -> None:
        self.judge.votes.sent(message)
        if isinstance(message, AppendRequest):
            self.judge.check_entries(message.prev_term, message.entries)
        copies = 2 if self.chance(self.duplication) else 1
        for _ in range(copies):
            if self.chance(self.loss):
                self.judge.count(self.judge.faults, "lost message")
                continue
            delay = self.random.uniform(0.1, self.slow_network)
            if self.chance(0.01):
                delay += self.random.uniform(0, 300)
                self.judge.count(self.judge.faults, "late message")
            self.after(delay, lambda: self._deliver(message))
        if copies == 2:
            self.judge.count(self.judge.faults, "duplicated message")

    def _deliver(self, message: AnyMessage) -> None:
        node = self.nodes[message.to]
        if (message.sender, message.to) in self.blocked or not node.up:
            return
        if node.paused_at is not None:
            node.mail.append(message)
            return
        assert node.core is not None
        node.core.step(message)
        self.pump(node)

    # ---- the driver's turn

    def maybe_crash(self, node: Node) -> None:
        if self.chance(self.crash_chance) and self.now < self.quiet_from:
            raise Crash

    def pump(self, node: Node) -> None:
        """Mostly the driver turns to the core at once, and takes all there is."""
        try:
            while node.core is not None:
                ready = node.core.ready()
                if ready is None:
                    break
                node.handle(ready)
        except Crash:
            self.judge.count(self.judge.faults, "crash")
            node.crash()
            self.after(self.random.uniform(10, 1000), lambda: self.restart(node))
            return
        self.judge.check_node(node)

    def restart(self, node: Node) -> None:
        if not node.up:
            node.start()

    def leader(self) -> Node | None:
        """Somebody who thinks it leads."""
        leading = [n for n in self.nodes.values() if n.core and n.core.role is Role.LEADER and n.paused_at is None]
        return self.random.choice(leading) if leading else None

    # ---- the run

    def run(self, duration: float = 4000.0) -> None:
        """Faults for a while, then quiet: the cluster must come to an agreement. Raises Violation."""
        self.quiet_from = duration
        for node in self.nodes.values():
            node.start()
        self.after(100, self.actors.client)
        self.after(400, self.actors.operator)
        self.after(200, self.actors.nemesis)
        self._run_until(duration)
        self._quiet()
        self._run_until(self.now + 2500)
        self._check_agreement()

    def _run_until(self, end: float) -> None:
        while self._events and self._events[0][0] <= end:
            self.now, _, action, node, life = heapq.heappop(self._events)
            if node is None:
                action()
            elif node.life == life and node.up:
                action()
                self.pump(node)
        self.now = end

    def _quiet(self) -> None:
        self.log(None, "quiet from here")
        self.loss = self.duplication = self.crash_chance = 0.0
        self.blocked = set()
        self.slow_disk = self.slow_network = 1.0
        for node in self.nodes.values():
            if not node.up:
                node.start()
            node.resume()

    def _check_agreement(self) -> None:
        leading = [n.core for n in self.nodes.values() if n.core and n.core.role is Role.LEADER]
        if len(leading) != 1:
            raise Violation(f"no single leader after the faults: {[core.id for core in leading]}")
        leader = leading[0]
        if leader.commit_index < self.judge.commit_max or leader.commit_index < leader.last_index - 20:
            raise Violation(f"{leader.id} makes no progress: commit {leader.commit_index} of {leader.last_index}")
        for server in leader.configuration.servers:
            node = self.nodes[server.id]
            if node.machine.index < leader.commit_index - 20:
                raise Violation(f"{server.id} stays behind: {node.machine.index} of {leader.commit_index}")


def command(seed: int) -> str:
    return f"python tests/sim/raft_cluster.py {seed}"


def run_seed(seed: int) -> Cluster:
    """Raises AssertionError with the command that replays the seed."""
    cluster = Cluster(seed)
    try:
        cluster.run()
    except (AssertionError, PyconsulError, LookupError, TypeError) as error:
        raise Violation(f"{type(error).__name__}: {error}\nreplay with: {command(seed)}") from error
    return cluster


if __name__ == "__main__":
    told = Cluster(int(sys.argv[1]), story=True)
    try:
        told.run()
    finally:
        print("\n".join(told.story or []))
