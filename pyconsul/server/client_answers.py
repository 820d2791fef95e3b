"""What servers answer to client agents about the agents' own nodes, for their synchronisation with the catalog."""

from __future__ import annotations

import asyncio

import msgspec

from pyconsul.errors import DecodeError, PyconsulError
from pyconsul.fsm import commands
from pyconsul.net.rpc import Reply, RpcServer
from pyconsul.records.catalog import Check, Node, Service
from pyconsul.server import forward
from pyconsul.server.backend import ConsensusApi, ReadMode

CLIENT_APPLY = "client.apply"
"""As ``apply``, to any server: it goes on to the leader from there."""

CLIENT_CATALOG = "client.catalog"
"""Argument: [node, mode of the read]. Result: a CatalogSlice."""


class CatalogSlice(msgspec.Struct, array_like=True):
    """All nodes, and one node's services and checks."""

    nodes: list[Node]
    services: list[Service]
    checks: list[Check]


def decode_catalog(data: bytes) -> CatalogSlice:
    """Raises DecodeError."""
    try:
        return msgspec.msgpack.decode(data, type=CatalogSlice)
    except msgspec.MsgspecError as error:
        raise DecodeError(f"unreadable catalog: {error}") from error


class ClientAnswers:
    """Registers the methods on a server."""

    def __init__(self, rpc: RpcServer, consensus: ConsensusApi) -> None:
        self._consensus = consensus
        self._tasks: set[asyncio.Task[None]] = set()
        rpc.register(CLIENT_APPLY, self._on_apply)
        rpc.register(CLIENT_CATALOG, self._on_catalog)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _on_apply(self, argument: bytes, reply: Reply) -> None:
        def done(result: object) -> None:
            if isinstance(result, PyconsulError):
                reply(forward.failure_of(result), b"")
            else:
                reply(None, forward.encode_result(result))

        self._consensus.submit(commands.decode(argument), done)

    def _on_catalog(self, argument: bytes, reply: Reply) -> None:
        try:
            node, mode = forward.decode_plain(argument, tuple[str, str])
            wanted = ReadMode(mode)
        except ValueError as error:
            raise DecodeError(f"unknown mode of a read: {error}") from error
        task = asyncio.get_running_loop().create_task(self._catalog(node, wanted, reply))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _catalog(self, node: str, mode: ReadMode, reply: Reply) -> None:
        try:
            await self._consensus.read(mode)
        except PyconsulError as error:
            reply(forward.failure_of(error), b"")
            return
        catalog = self._consensus.store.catalog
        found = CatalogSlice(catalog.nodes(), catalog.services_of_node(node), catalog.checks_of_node(node))
        reply(None, forward.encode_result(found))
