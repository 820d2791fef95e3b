"""Clients with sessions that take locks, renew for a while, and let go in one way or another."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

from sim_clients import EXTERNAL, Clients, sleep
from world import IO

from pyconsul.errors import PyconsulError
from pyconsul.fsm import commands
from pyconsul.records.session import Session
from pyconsul.server.node import ConsensusServer

if TYPE_CHECKING:
    from sim_cluster import Cluster
    from sim_node import Node

LOCKS = [b"lock/1", b"lock/2"]


class Lockers:
    def __init__(self, cluster: Cluster, clients: Clients) -> None:
        self.cluster = cluster
        self.world = cluster.world
        self.judge = cluster.judge
        self.setting = cluster.setting
        self.clients = clients

    def turn(self, number: int) -> None:
        world = self.world
        if world.now > self.setting.quiet_from:
            return
        running = [each for each in self.cluster.nodes.values() if each.running]
        if running:
            each = world.random.choice(running)
            assert each.process is not None
            assert each.server is not None
            each.process.spawn(partial(self._lock_life, each, each.server, number))
        world.push(world.random.uniform(0.5, 4.0), IO, partial(self.turn, number))

    async def _lock_life(self, each: Node, server: ConsensusServer, number: int) -> None:
        """Creates a session, takes a lock, renews for a while, then releases, destroys, or is silent for ever."""
        world, judge = self.world, self.judge
        session_id = str(UUID(int=world.random.getrandbits(128), version=4))
        ttl = world.random.choice([0.6, 1.5])
        delay_ns = world.random.choice([0, 700_000_000])
        session = Session(session_id, "", EXTERNAL, delay_ns, "release", f"{int(ttl * 1000)}ms", None, None, [])
        called = world.now
        outcome, _ = await self.clients.submit(server, commands.SessionCreate(session))
        if outcome != "done":
            return
        judge.session_alive(session_id, ttl, called)
        key = world.random.choice(LOCKS)
        for _ in range(world.random.randint(1, 6)):
            called = world.now
            self.clients.values += 1
            command = commands.KVLock(key, session_id.encode(), self.clients.values, session_id)
            outcome, result = await self.clients.submit(server, command)
            if outcome == "done" and result is True:
                judge.acquired(key, session_id, called)
            await sleep(world.random.uniform(0.05, ttl))
            called = world.now
            other = world.random.choice([one for one in self.cluster.nodes.values() if one.running] or [each])
            if other.server is None or other is not each:
                other = each
            try:
                renewed = await server.consensus.renew_session(session_id)
            except PyconsulError:
                judge.count("renewal refused")
                continue
            if renewed is None:
                judge.count("renewal too late")
                return
            judge.session_alive(session_id, ttl, called)
        how = world.random.choice(["release", "destroy", "silence"])
        if how == "release":
            judge.releases(key, session_id)
            await self.clients.submit(server, commands.KVUnlock(key, b"free " + session_id.encode(), 0, session_id))
        elif how == "destroy":
            judge.sessions[session_id].given_up = True
            await self.clients.submit(server, commands.SessionDestroy(session_id))
