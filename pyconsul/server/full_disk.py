"""A leader whose disk is full refuses writes; another server may have room, and then leadership goes there.

Asking first matters: a server that cannot store its vote would take the leader out of office and not replace it, and
with no leader the reads, which a full disk does not hinder, would stop as well.
"""

from __future__ import annotations

import asyncio
import logging

from pyconsul.errors import PyconsulError
from pyconsul.log import pairs
from pyconsul.net.rpc import Reply, RpcServer
from pyconsul.server import forward
from pyconsul.server.forward import RpcPool
from pyconsul.server.raft_loop import RaftLoop

AGAIN_SECONDS = 2.0
ASK_SECONDS_MAX = 1.0


class FullDisk:
    """``hand_over`` runs while this server's disk is full."""

    def __init__(self, raft: RaftLoop, pool: RpcPool, logger: logging.Logger) -> None:
        self._raft = raft
        self._pool = pool
        self._logger = logger

    def register(self, server: RpcServer) -> None:
        server.register(forward.HAS_ROOM, self._on_has_room)

    def _on_has_room(self, argument: bytes, reply: Reply) -> None:
        reply(None, forward.encode_result(not self._raft.disk_full))

    async def hand_over(self) -> None:
        """Ends when there is room again."""
        core = self._raft.core
        while self._raft.disk_full:
            if core.role == "leader" and not core.transferring:
                heir = await self._one_with_room()
                if heir and core.role == "leader" and self._raft.disk_full:
                    self._transfer(heir)
            await asyncio.sleep(AGAIN_SECONDS)

    def _transfer(self, heir: str) -> None:
        try:
            self._raft.core.transfer_leadership(heir)
        except PyconsulError as error:  # no voter any more; the next round asks anew
            self._logger.debug("leadership stays on the full disk", extra=pairs(error=error))
            return
        self._logger.info("transferring leadership to a server whose disk has room", extra=pairs(id=heir))
        self._raft.wake()

    async def _one_with_room(self) -> str:
        """Id of the voter with the longest log that says so, "" when there is none."""
        core = self._raft.core
        addresses = {each.id: each.address for each in core.configuration.servers if each.voter}
        peers = sorted(core.progress().values(), key=lambda peer: peer.match, reverse=True)
        for peer in peers:
            if peer.id not in addresses:
                continue
            try:
                answer = await self._pool.client(addresses[peer.id]).ask(forward.HAS_ROOM, b"", ASK_SECONDS_MAX)
                if forward.decode_plain(answer, bool):
                    return peer.id
            except PyconsulError as error:  # unreachable: no heir
                self._logger.debug("no answer about room on the disk", extra=pairs(id=peer.id, error=error))
        return ""
