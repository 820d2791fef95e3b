"""Clients of the key-value store: one operation after the other, each with what the judge is told of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from linear import Operation
from world import IO, current_process

from pyconsul.errors import ApplyError, LeadershipLostError, NoLeaderError, OverloadedError, PyconsulError, RpcError
from pyconsul.fsm import commands
from pyconsul.fsm.commands import AnyCommand
from pyconsul.records.catalog import Node as CatalogNode
from pyconsul.server.backend import ReadMode
from pyconsul.server.node import ConsensusServer

if TYPE_CHECKING:
    from sim_cluster import Cluster
    from sim_node import Node

KEYS = [b"a", b"b", b"c", b"d"]
EXTERNAL = "client"
"""A node of the catalog without an agent; sessions are made on it."""


class Clients:
    """``values``: how many different ones were written so far."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.world = cluster.world
        self.judge = cluster.judge
        self.setting = cluster.setting
        self.values = 0

    def turn(self, number: int) -> None:
        """One client, one operation after the other."""
        world = self.world
        if world.now > self.setting.quiet_from:
            return
        again = partial(self.turn, number)
        running = [each for each in self.cluster.nodes.values() if each.running]
        if not running:
            world.push(0.2, IO, again)
            return
        each = world.random.choice(running)
        process, server = each.process, each.server
        assert process is not None
        assert server is not None
        key = world.random.choice(KEYS)
        kind = world.random.random()
        finished = False

        def finish(record: Callable[[], None] | None) -> None:
            nonlocal finished
            if not finished:
                finished = True
                if record is not None:
                    record()
                world.push(world.random.expovariate(1 / self.setting.client_pause), IO, again)

        def back(record: Callable[[], None]) -> None:
            """The answer travels to the client."""
            world.push(self.cluster.network.delay(), IO, lambda: finish(record))

        if kind < 0.45:
            mode = world.random.choice([ReadMode.DEFAULT, ReadMode.DEFAULT, ReadMode.CONSISTENT, ReadMode.STALE])
            process.spawn(partial(self.read, each, server, number, key, mode, back))
        else:
            self.values += 1
            value = b"v%d" % self.values
            if kind < 0.7:
                process.spawn(partial(self._write, each, server, number, key, value, back))
            elif kind < 0.9:
                process.spawn(partial(self._cas, each, server, number, key, value, back))
            elif kind < 0.95:
                process.spawn(partial(self._delete, each, server, number, key, back))
            else:
                for _ in range(60):
                    self.values += 1
                    process.spawn(
                        partial(self._write, each, server, -1, b"bulk", b"v%d" % self.values, lambda record: None)
                    )
                back(lambda: None)
        # No answer after a while (the server may be gone): on to the next.
        world.push(4.0, IO, lambda: finish(None))

    async def read(
        self, each: Node, server: ConsensusServer, number: int, key: bytes, mode: ReadMode,
        back: Callable[[Callable[[], None]], None],
    ) -> bytes | None:  # fmt: skip
        called, floor, judge = self.world.now, self.judge.floor, self.judge
        consensus = server.consensus
        try:
            if consensus.read_now(mode) is None:
                await consensus.read(mode)
        except PyconsulError as error:
            judge.count(f"read refused: {type(error).__name__}")
            back(lambda: None)
            return None
        store = consensus.store
        entry = store.kv.get(key)
        value = entry.value if entry is not None else None
        applied = store.applied_index
        judge.read(mode.value, each, floor, applied)

        def record() -> None:
            if mode is not ReadMode.STALE:
                judge.saw(applied)
                judge.operation(key, Operation(number, "read", None, value, called, self.world.now))

        back(record)
        return value

    async def submit(self, server: ConsensusServer, command: AnyCommand) -> tuple[str, object]:
        """("done", result), ("refused", error): not carried out; ("maybe", error)."""
        data = commands.encode(command)
        if not isinstance(command, commands.SessionDestroy):  # the leader may write the same for its own reasons
            self.judge.submitted.add(data)
        try:
            result = await server.consensus.write(command)
        except ApplyError as error:
            return "error", error
        except (NoLeaderError, OverloadedError) as error:
            if data in self.judge.submitted:
                self.judge.refused(data)
            self.judge.count(f"write refused: {type(error).__name__}")
            return "refused", error
        except (LeadershipLostError, RpcError) as error:
            self.judge.count(f"write unknown: {type(error).__name__}")
            return "maybe", error
        return "done", result

    async def _change(
        self, server: ConsensusServer, number: int, key: bytes, kind: str, argument: Any, command: AnyCommand,
        back: Callable[[Callable[[], None]], None],
    ) -> None:  # fmt: skip
        called, judge = self.world.now, self.judge
        data = commands.encode(command)
        unknown = Operation(number, kind, argument, None, called)
        position = len(judge.history.setdefault(key, []))
        judge.history[key].append(unknown)  # until the client hears otherwise
        outcome, result = await self.submit(server, command)

        def record() -> None:
            history = judge.history[key]
            place = position if position < len(history) and history[position] is unknown else history.index(unknown)
            if outcome == "refused":
                history[place] = Operation(number, "read", None, None, called)  # nothing happened
            elif outcome == "done":
                judge.acknowledged(data)
                history[place] = Operation(number, kind, argument, result, called, self.world.now)

        back(record)

    async def _write(
        self, each: Node, server: ConsensusServer, number: int, key: bytes, value: bytes,
        back: Callable[[Callable[[], None]], None],
    ) -> None:  # fmt: skip
        await self._change(server, number, key, "write", value, commands.KVSet(key, value), back)

    async def _delete(
        self, each: Node, server: ConsensusServer, number: int, key: bytes, back: Callable[[Callable[[], None]], None]
    ) -> None:
        # Two deletes of a key are the same bytes; the judge tells commands apart by theirs.
        self.values += 1
        txn = commands.Txn([commands.KVOp("delete", key), commands.KVOp("set", b"unique", b"d%d" % self.values)])
        await self._change(server, number, key, "delete", None, txn, back)

    async def _cas(
        self, each: Node, server: ConsensusServer, number: int, key: bytes, value: bytes,
        back: Callable[[Callable[[], None]], None],
    ) -> None:  # fmt: skip
        """Reads, then writes if nobody else has meanwhile."""
        expected = await self.read(each, server, number, key, ReadMode.STALE, lambda record: None)
        entry = server.consensus.store.kv.get(key)
        expected, index = (None, 0) if entry is None else (entry.value, entry.modify_index)
        if self.world.chance(0.5) and each.running:
            await sleep(0.01)
        command = commands.KVCas(key, value, 0, index)
        await self._change(server, number, key, "cas", (expected, value), command, back)

    def register_external(self) -> None:
        each = next((each for each in self.cluster.nodes.values() if each.running), None)
        if each is None or each.process is None or each.server is None:
            self.world.push(0.2, IO, self.register_external)
            return
        server = each.server

        async def register() -> None:
            self.values += 1
            client = CatalogNode("", EXTERNAL, "10.9.9.9", "dc1", {}, {"attempt": str(self.values)})
            await self.submit(server, commands.Register(client))

        each.process.spawn(register)
        if self.world.now < 6.0:
            self.world.push(1.5, IO, self.register_external)


async def sleep(seconds: float) -> None:
    loop = current_process().loop
    future = loop.create_future()

    def wake() -> None:
        if not future.done():
            future.set_result(None)

    loop.call_later(seconds, wake)
    await future
