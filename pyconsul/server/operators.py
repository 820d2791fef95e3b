"""What operators ask of a cluster, at any server; the leader does it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import msgspec

from pyconsul.clock import Clock
from pyconsul.errors import CallerError, LeadershipLostError, NotLeaderError, PyconsulError, RetryError
from pyconsul.net.rpc import Reply, RpcServer
from pyconsul.raft.config import RemoveServer
from pyconsul.records.autopilot import AutopilotState
from pyconsul.server import forward
from pyconsul.server.consensus import Consensus
from pyconsul.server.raft_loop import RaftLoop

CHANGE_SECONDS_MAX = 10.0
"""How long a removal waits for its turn and for its commitment."""

SUCCESSOR_SECONDS_MAX = 2.0
POLL_SECONDS = 0.01


class RemovePeerRequest(msgspec.Struct, array_like=True, frozen=True):
    """The server with this id, or (``id`` None) with this address."""

    id: str | None
    address: str


class Operators:
    """OperatorApi (server/backend.py). ``state()`` is what this server's autopilot knows, None unless it leads."""

    def __init__(
        self, consensus: Consensus, raft: RaftLoop, clock: Clock, state: Callable[[], AutopilotState | None]
    ) -> None:
        self._consensus = consensus
        self._raft = raft
        self._clock = clock
        self._state = state
        self._serving: set[asyncio.Task[None]] = set()

    # OperatorApi

    async def autopilot_state(self) -> AutopilotState | None:
        async def here() -> AutopilotState | None:
            return self._state()

        return await self._consensus.at_leader(forward.AUTOPILOT_STATE, b"", here, forward.decode_autopilot_state)

    async def remove_peer(self, id_: str | None, address: str) -> None:
        request = RemovePeerRequest(id_, address)
        argument = forward.encode_result(request)
        await self._consensus.at_leader(forward.REMOVE_PEER, argument, lambda: self._remove(request), _nothing)

    async def transfer_leadership(self, to: str) -> None:
        await self._consensus.at_leader(forward.TRANSFER_LEADER, to.encode(), lambda: self._transfer(to), _nothing)

    # For other servers

    def register(self, server: RpcServer) -> None:
        server.register(forward.AUTOPILOT_STATE, self._on_state)
        server.register(forward.REMOVE_PEER, self._on_remove)
        server.register(forward.TRANSFER_LEADER, self._on_transfer)

    async def stop(self) -> None:
        for task in list(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def _on_state(self, argument: bytes, reply: Reply) -> None:
        if self._consensus.is_leader:
            reply(None, forward.encode_result(self._state()))
        else:
            reply(forward.failure_of(NotLeaderError()), b"")

    def _on_remove(self, argument: bytes, reply: Reply) -> None:
        request: RemovePeerRequest = forward.decode_plain(argument, RemovePeerRequest)
        self._serve(self._remove(request), reply)

    def _on_transfer(self, argument: bytes, reply: Reply) -> None:
        self._serve(self._transfer(argument.decode(errors="replace")), reply)

    def _serve(self, work: Coroutine[None, None, None], reply: Reply) -> None:
        async def answer() -> None:
            try:
                await work
            except PyconsulError as error:
                reply(forward.failure_of(error), b"")
            else:
                reply(None, b"")

        task = asyncio.get_running_loop().create_task(answer())
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    # At the leader

    async def _remove(self, request: RemovePeerRequest) -> None:
        core = self._raft.core
        if core.role != "leader":
            raise NotLeaderError
        by_id = request.id is not None
        found = next(
            (
                each.id
                for each in core.configuration.servers
                if (each.id == request.id if by_id else each.address == request.address)
            ),
            None,
        )
        if found is None:
            what = f'id "{request.id}"' if by_id else f'address "{request.address}"'
            raise CallerError(f"{what} was not found in the Raft configuration", 500)
        index = await self._propose_removal(found)
        deadline = self._clock.monotonic() + CHANGE_SECONDS_MAX
        while core.commit_index < index:
            if core.role != "leader":
                raise LeadershipLostError
            if self._clock.monotonic() >= deadline:
                raise RetryError("timed out waiting for the removal to be replicated; it may still happen")
            await asyncio.sleep(POLL_SECONDS)

    async def _propose_removal(self, server_id: str) -> int:
        """Waits for its turn, as there is one change of the configuration at a time."""
        core = self._raft.core
        deadline = self._clock.monotonic() + CHANGE_SECONDS_MAX
        while True:
            try:
                index = core.propose_configuration(RemoveServer(server_id))
            except NotLeaderError:
                raise
            except RetryError:
                if self._clock.monotonic() >= deadline:
                    raise
                await asyncio.sleep(POLL_SECONDS)
            except CallerError as error:
                raise CallerError(str(error), 500) from error
            else:
                self._raft.wake()
                return index

    async def _transfer(self, to: str) -> None:
        core = self._raft.core
        if core.role != "leader":
            raise NotLeaderError
        if to and all(each.id != to for each in core.configuration.servers):
            raise CallerError(f'id "{to}" was not found in the Raft configuration', 500)
        try:
            core.transfer_leadership(to or None)
        except CallerError as error:
            raise CallerError(str(error), 500) from error
        self._raft.wake()
        term = core.term
        while core.role == "leader" and core.term == term:
            if not core.transferring:
                raise CallerError("leadership transfer timed out: the other server did not take over", 500)
            await asyncio.sleep(POLL_SECONDS)
        deadline = self._clock.monotonic() + SUCCESSOR_SECONDS_MAX
        while self._clock.monotonic() < deadline:
            if core.leader_id:
                return
            await asyncio.sleep(POLL_SECONDS)


def _nothing(data: bytes) -> None:
    """The result of what has none."""
