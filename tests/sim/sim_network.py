"""What lies between the servers: it loses, delays, doubles and cuts off, whatever they send each other."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from world import IO

from pyconsul.errors import RpcError
from pyconsul.net.rpc import RpcFailure

if TYPE_CHECKING:
    from sim_cluster import Cluster
    from sim_node import Node

Answered = Callable[[RpcFailure | RpcError | None, bytes], None]


class Network:
    """``blocked``: pairs of names (from, to) between which nothing arrives."""

    def __init__(self, cluster: Cluster) -> None:
        self.world = cluster.world
        self.judge = cluster.judge
        self.setting = cluster.setting
        self.blocked: set[tuple[str, str]] = set()
        self.by_host = {each.host: each for each in cluster.nodes.values()}
        self.by_address = {each.address: each for each in cluster.nodes.values()}

    def delay(self) -> float:
        delay = self.world.random.uniform(0.0001, self.setting.slow_network)
        if self.setting.loss and self.world.chance(0.01):
            delay += self.world.random.uniform(0, 0.6)
            self.judge.count("late message")
        return delay

    def cut(self, sender: Node, target: Node) -> bool:
        return (sender.name, target.name) in self.blocked

    def copies(self) -> int:
        """How many times a message comes out of the network's other end: usually once."""
        setting, world = self.setting, self.world
        sent = 2 if setting.duplication and world.chance(setting.duplication) else 1
        if sent == 2:
            self.judge.count("doubled message")
        return sent

    def lost(self) -> bool:
        if self.setting.loss and self.world.chance(self.setting.loss):
            self.judge.count("lost message")
            return True
        return False

    def send(self, sender: Node, address: str, payload: bytes) -> None:
        """A message of Raft."""
        target = self.by_address.get(address)
        if target is None or sender.server is None:
            return
        for _ in range(self.copies()):
            if not self.lost():
                self.world.push(self.delay(), IO, partial(self._arrive, sender, target, payload))

    def _arrive(self, sender: Node, target: Node, payload: bytes) -> None:
        if self.cut(sender, target) or target.process is None or target.on_payloads is None:
            self.judge.count("message cut off")
            return
        process, receive = target.process, target.on_payloads
        self.world.push(0.0, IO, lambda: receive([payload]), process)

    def call(self, caller: Node, address: str, method: str, argument: bytes, done: Answered) -> None:
        """A request between servers. Its connection may not come about, or be lost at any moment."""
        world = self.world
        target = self.by_address[address]
        process = caller.process
        assert process is not None

        def answer(delay: float, failure: RpcFailure | RpcError | None, result: bytes = b"") -> None:
            world.push(delay, IO, lambda: done(failure, result), process)

        def arrive() -> None:
            if self.cut(caller, target) or not target.running:
                answer(world.random.uniform(0.001, 0.3), RpcError("connection refused", sent=False))
                return
            server = target.server
            assert server is not None
            handler = server.rpc.handlers[method]  # type: ignore[attr-defined]
            life = target.process

            def reply(failure: RpcFailure | None, result: bytes) -> None:
                if self.cut(target, caller):
                    return
                answer(self.delay(), failure, result)

            world.push(0.0, IO, lambda: handler(argument, reply), life)
            # The connection breaks when the other side dies or is cut off for long.
            answer(world.random.uniform(1.0, 3.0), RpcError("connection lost", sent=True))

        world.push(self.delay(), IO, arrive)
