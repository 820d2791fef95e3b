"""Reads and writes of the replicated state, from any server: ConsensusApi (server/backend.py) over a RaftLoop.

A request that needs a leader while there is none, or whose leader says that it is none, is held and tried again until
the hold time is over. A write that may have reached a leader is never sent twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from pyconsul.clock import Clock, Random
from pyconsul.errors import (
    ApplyError,
    NoLeaderError,
    NotLeaderError,
    PyconsulError,
    RpcError,
)
from pyconsul.fsm import commands
from pyconsul.fsm.commands import AnyCommand, KVLock, Txn
from pyconsul.net.rpc import Reply, RpcFailure, RpcServer
from pyconsul.records.session import Session
from pyconsul.server import forward
from pyconsul.server.backend import RaftPeer, ReadMeta, ReadMode
from pyconsul.server.leader import Leader
from pyconsul.server.raft_loop import RaftLoop
from pyconsul.state.store import Store

T = TypeVar("T")

DEFAULT = ReadMode.DEFAULT
STALE = ReadMode.STALE
"""Members of an enumeration cost twice as much to look up, which every read would pay."""

RETRY_SECONDS = 0.1
"""Pause before a leader that could not be reached, or that says it is none, is asked again."""

HOLD_JITTER = 1 / 16
HELD_MAX = 65536
"""Requests held at once; further ones are answered as if their time were over."""


class Consensus:
    """``describe_peer(id)`` tells (node name, raft protocol version) of a Raft peer that gossip knows."""

    def __init__(
        self,
        raft: RaftLoop,
        leader: Leader,
        pool: forward.RpcPool,
        clock: Clock,
        random: Random,
        hold_seconds: float,
        describe_peer: Callable[[str], tuple[str, str] | None],
    ) -> None:
        self.raft = raft
        self.pool = pool
        self._leader = leader
        self._clock = clock
        self._random = random
        self._hold_seconds = hold_seconds
        self._describe_peer = describe_peer
        self._loop = asyncio.get_running_loop()
        self._held: dict[_Held, None] = {}  # in the order of arrival
        self._leased_reads: _Reads | None = None
        self._confirmed_reads: _Reads | None = None
        self._default_meta = ReadMeta(known_leader=True, last_contact_ms=0, forwarded=False)
        self._forwarded_meta = ReadMeta(known_leader=True, last_contact_ms=0, forwarded=True)

    # ConsensusApi

    @property
    def store(self) -> Store:
        return self.raft.machine.store

    @property
    def is_leader(self) -> bool:
        return self.raft.core.role == "leader"

    def leader_address(self) -> str:
        core = self.raft.core
        if not core.leader_id:
            return ""
        for server in core.configuration.servers:
            if server.id == core.leader_id:
                return server.address
        return self.raft.known_addresses.get(core.leader_id, "")

    def peer_addresses(self) -> list[str]:
        return [server.address for server in self.raft.core.configuration.servers]

    def read_now(self, mode: ReadMode) -> ReadMeta | None:
        if mode is DEFAULT:
            return self._default_meta if self.raft.lease_is_valid else None
        if mode is ReadMode.STALE and self.raft.heard_from_leader:
            return self._stale_meta()
        return None

    def read_then(self, mode: ReadMode, done: Callable[[ReadMeta | PyconsulError], None]) -> None:
        raft = self.raft
        if mode is STALE or not raft.core.leader_id:
            self.hold_read(mode, done)
            return
        lease = mode is DEFAULT
        reads = self._leased_reads if lease else self._confirmed_reads
        if reads is None or reads.rounds_begun != raft.rounds_begun:
            reads = _Reads(self, mode, raft.rounds_begun)
            if lease:
                self._leased_reads = reads
            else:
                self._confirmed_reads = reads
            raft.read_index(reads, lease)
        reads.waiting.append(done)

    async def read(self, mode: ReadMode) -> ReadMeta:
        meta = self.read_now(mode)
        if meta is not None:
            return meta
        future: asyncio.Future[ReadMeta | PyconsulError] = self._loop.create_future()
        self.read_then(mode, lambda result: _resolve(future, result))
        result = await future
        if isinstance(result, PyconsulError):
            raise result
        return result

    def confirmed_meta(self) -> ReadMeta:
        """Of a read whose index a majority has just confirmed."""
        return self._default_meta if self.is_leader else self._forwarded_meta

    def hold_read(self, mode: ReadMode, done: Callable[[ReadMeta | PyconsulError], None]) -> None:
        """Tries the read again when there may be a leader, until the hold time is over."""
        _HeldRead(self, mode, done).hold()

    def reads_answered(self, reads: _Reads, good: bool) -> None:
        """What was to be learnt for these reads is known, or could not be learnt."""
        if reads is self._leased_reads:
            self._leased_reads = None
        elif reads is self._confirmed_reads:
            self._confirmed_reads = None
        if good:
            meta = self.confirmed_meta()
            for done in reads.waiting:
                done(meta)
        else:
            for done in reads.waiting:
                self.hold_read(reads.mode, done)

    def submit(self, command: AnyCommand, done: Callable[[object], None]) -> None:
        _Write(self, command, commands.encode(command), done).route()

    def submit_here(self, command: AnyCommand, done: Callable[[object], None]) -> None:
        """As ``submit``, but NotLeaderError when this server does not lead (any more): never sent to another."""
        self.raft.propose(command, commands.encode(command), done)

    async def write(self, command: AnyCommand) -> object:
        future: asyncio.Future[object] = self._loop.create_future()
        self.submit(command, lambda result: _resolve(future, result))
        result = await future
        if isinstance(result, PyconsulError):
            raise result
        return result

    async def renew_session(self, session_id: str) -> Session | None:
        deadline = self._deadline()
        while True:
            if self.is_leader and self.raft.lease_is_valid:
                return self._leader.renew(session_id)
            address = self.leader_address()
            if address and not self.is_leader:
                try:
                    return forward.decode_session(await self._ask(address, forward.RENEW_SESSION, session_id.encode()))
                except RpcError as error:
                    if error.sent:
                        raise
                except (NoLeaderError, NotLeaderError):
                    pass  # held below, like any request without a leader
            await self._leader_or_pause(deadline)

    async def session_times(self) -> dict[str, float]:
        if self.is_leader:
            return self._leader.session_times()
        address = self.leader_address()
        if not address:
            return {}
        try:
            times: dict[str, float] = forward.decode_plain(
                await self._ask(address, forward.SESSION_TIMES, b""), dict[str, float]
            )
        except (RpcError, NoLeaderError, NotLeaderError):  # only a display asks, and it asks again
            return {}
        return times

    async def raft_configuration(self, stale: bool) -> tuple[list[RaftPeer], int]:
        async def here() -> tuple[list[RaftPeer], int]:
            return self._own_raft_configuration()

        def decode(data: bytes) -> tuple[list[RaftPeer], int]:
            peers, index = forward.decode_plain(data, tuple[list[list[object]], int])
            return [RaftPeer(*peer) for peer in peers], index

        if stale:
            return await here()
        return await self.at_leader(forward.RAFT_CONFIGURATION, b"", here, decode)

    async def at_leader(
        self,
        method: str,
        argument: bytes,
        here: Callable[[], Awaitable[T]],
        decode: Callable[[bytes], T],
    ) -> T:
        """What the leader answers: ``here()`` when it is this server, else the decoded answer to the request.

        ``here`` raises NotLeaderError when it did nothing because leadership has ended: then the next one is asked.
        Raises what the leader raises, NoLeaderError after the hold time, RpcError when the leader went away.
        """
        deadline = self._deadline()
        while True:
            address = self.leader_address()
            try:
                if self.is_leader:
                    return await here()
                if address:
                    return decode(await self._ask(address, method, argument))
            except RpcError as error:
                if error.sent:
                    raise
            except (NoLeaderError, NotLeaderError):
                pass  # held below, like any request without a leader
            await self._leader_or_pause(deadline)

    # For other servers

    def register(self, server: RpcServer) -> None:
        server.register(forward.APPLY, self._on_apply)
        server.register(forward.RENEW_SESSION, self._on_renew)
        server.register(forward.SESSION_TIMES, self._on_session_times)
        server.register(forward.STATUS_PEERS, self._on_status_peers)
        server.register(forward.RAFT_CONFIGURATION, self._on_raft_configuration)

    def leader_changed(self) -> None:
        """Tries again what is held; called when the role or the known leader changed."""
        for held in list(self._held):
            held.wake()

    # Inside

    def admits(self, command: AnyCommand) -> bool:
        """Whether this server may propose the command now. Lock-delays are known to a leader that has applied what
        earlier ones committed, not before."""
        return self.raft.leads_and_caught_up if isinstance(command, KVLock | Txn) else self.is_leader

    def admit(self, command: AnyCommand) -> object | None:
        """What the leader answers without the log: None, or the result."""
        return self._leader.admit(command)

    def deadline(self) -> float:
        return self._deadline()

    def _deadline(self) -> float:
        return self._clock.monotonic() + self._hold_seconds * (1 + HOLD_JITTER * self._random.random())

    def hold(self, deadline: float, retry: Callable[[], None], expired: Callable[[], None]) -> None:
        """Calls ``retry`` when a leader may be there again (or after a short pause), ``expired`` after the deadline."""
        now = self._clock.monotonic()
        if now >= deadline or len(self._held) >= HELD_MAX:
            self._loop.call_soon(expired)
            return
        # While no leader is known only a change (or the deadline) can help; else the one we know is asked again.
        pause = RETRY_SECONDS if self.raft.core.leader_id else deadline - now
        held = _Held(self._held, retry)
        held.timer = self._loop.call_later(pause, held.wake)
        self._held[held] = None

    async def _leader_or_pause(self, deadline: float) -> None:
        future: asyncio.Future[bool] = self._loop.create_future()
        self.hold(deadline, lambda: _resolve(future, True), lambda: _resolve(future, False))
        if not await future:
            raise NoLeaderError

    async def _ask(self, address: str, method: str, argument: bytes) -> bytes:
        """One request to another server. Raises RpcError, and the error that it answers."""
        future: asyncio.Future[bytes] = self._loop.create_future()

        def done(failure: RpcFailure | RpcError | None, result: bytes) -> None:
            if future.done():
                return
            if failure is None:
                future.set_result(result)
            else:
                future.set_exception(rpc_error(failure) if isinstance(failure, RpcError) else forward.error_of(failure))

        self.pool.client(address).call(method, argument, done)
        return await future

    def _stale_meta(self) -> ReadMeta:
        core = self.raft.core
        if core.role == "leader":
            return self._default_meta
        age = self._clock.monotonic() - self.raft.last_contact
        return ReadMeta(known_leader=bool(core.leader_id), last_contact_ms=int(age * 1000), forwarded=False)

    def _own_raft_configuration(self) -> tuple[list[RaftPeer], int]:
        core = self.raft.core
        progress = core.progress() if core.role == "leader" else {}
        peers = []
        for server in core.configuration.servers:
            name, version = self._describe_peer(server.id) or ("(unknown)", "unknown")
            if server.id == core.id:
                last_index = core.last_index
            else:
                known = progress.get(server.id)
                last_index = known.match if known is not None else 0
            leads = server.id == core.leader_id
            peers.append(RaftPeer(server.id, name, server.address, leads, version, server.voter, last_index))
        return peers, core.configuration_index

    def _on_apply(self, argument: bytes, reply: Reply) -> None:
        command = commands.decode(argument)
        if not self.admits(command):
            reply(forward.failure_of(NotLeaderError()), b"")
            return

        def done(result: object) -> None:
            if isinstance(result, PyconsulError):
                reply(forward.failure_of(result), b"")
            else:
                reply(None, forward.encode_result(result))

        refused = self.admit(command)
        if refused is not None:
            done(refused)
        else:
            self.raft.propose(command, argument, done)

    def _on_renew(self, argument: bytes, reply: Reply) -> None:
        # A leader that was replaced without knowing must not promise that the session lives on.
        if not self.raft.lease_is_valid:
            reply(forward.failure_of(NotLeaderError()), b"")
            return
        try:
            session = self._leader.renew(argument.decode(errors="replace"))
        except ApplyError as error:
            reply(forward.failure_of(error), b"")
        else:
            reply(None, forward.encode_result(session))

    def _on_session_times(self, argument: bytes, reply: Reply) -> None:
        if self.is_leader:
            reply(None, forward.encode_result(self._leader.session_times()))
        else:
            reply(forward.failure_of(NotLeaderError()), b"")

    def _on_status_peers(self, argument: bytes, reply: Reply) -> None:
        reply(None, forward.encode_result(self.peer_addresses()))

    def _on_raft_configuration(self, argument: bytes, reply: Reply) -> None:
        if not self.is_leader:
            reply(forward.failure_of(NotLeaderError()), b"")
            return
        peers, index = self._own_raft_configuration()
        rows: list[Sequence[object]] = [
            [peer.id, peer.node, peer.address, peer.leader, peer.protocol_version, peer.voter, peer.last_index]
            for peer in peers
        ]
        reply(None, forward.encode_result((rows, index)))


class _Held:
    """One request that waits for a leader."""

    __slots__ = ("_held", "_retry", "timer")

    def __init__(self, held: dict[_Held, None], retry: Callable[[], None]) -> None:
        self._held = held
        self._retry = retry
        self.timer: asyncio.TimerHandle | None = None

    def wake(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
        self._held.pop(self, None)
        self._retry()


class _Reads:
    """Reads of one mode that came since the last round began and wait for the same answer. No object for each."""

    __slots__ = ("_consensus", "mode", "rounds_begun", "waiting")

    def __init__(self, consensus: Consensus, mode: ReadMode, rounds_begun: int) -> None:
        self._consensus = consensus
        self.mode = mode
        self.rounds_begun = rounds_begun
        self.waiting: list[Callable[[ReadMeta | PyconsulError], None]] = []

    def __call__(self, good: bool) -> None:
        self._consensus.reads_answered(self, good)


class _HeldRead:
    """One read that was refused once; called with the outcome of the next try."""

    __slots__ = ("_consensus", "_deadline", "_done", "_mode")

    def __init__(self, consensus: Consensus, mode: ReadMode, done: Callable[[ReadMeta | PyconsulError], None]) -> None:
        self._consensus = consensus
        self._mode = mode
        self._done = done
        self._deadline = consensus.deadline()

    def hold(self) -> None:
        self._consensus.hold(self._deadline, self._again, self._expired)

    def _again(self) -> None:
        consensus = self._consensus
        meta = consensus.read_now(self._mode)
        if meta is not None:
            self._done(meta)
        elif self._mode is not STALE and consensus.raft.core.leader_id:
            consensus.raft.read_index(self, self._mode is DEFAULT)
        else:
            self.hold()

    def __call__(self, good: bool) -> None:
        if good:
            self._done(self._consensus.confirmed_meta())
        else:
            self.hold()

    def _expired(self) -> None:
        self._done(NoLeaderError())


class _Write:
    """One write on its way to the leader; called with the outcome of each try."""

    __slots__ = ("_command", "_consensus", "_data", "_deadline", "_done")

    def __init__(self, consensus: Consensus, command: AnyCommand, data: bytes, done: Callable[[object], None]) -> None:
        self._consensus = consensus
        self._command = command
        self._data = data
        self._done = done
        self._deadline = 0.0  # set when it first has to wait

    def route(self) -> None:
        consensus = self._consensus
        raft = consensus.raft
        if raft.core.role == "leader":
            if not consensus.admits(self._command):
                self._hold()
                return
            refused = consensus.admit(self._command)
            if refused is not None:
                asyncio.get_running_loop().call_soon(self._done, refused)
            else:
                raft.propose(self._command, self._data, self)
            return
        address = consensus.leader_address()
        if address:
            consensus.pool.client(address).call(forward.APPLY, self._data, self._answered)
        else:
            self._hold()

    def __call__(self, result: object) -> None:
        """The outcome at this server as the leader."""
        if isinstance(result, NotLeaderError):
            self._hold()
        else:
            self._done(result)

    def _answered(self, failure: RpcFailure | RpcError | None, result: bytes) -> None:
        if failure is None:
            self._done(forward.decode_result(self._command, result))
        elif isinstance(failure, RpcError):
            if failure.sent:
                self._done(rpc_error(failure))
            else:
                self._hold()
        else:
            error = forward.error_of(failure)
            if isinstance(error, NotLeaderError | NoLeaderError):
                self._hold()
            else:
                self._done(error)

    def _hold(self) -> None:
        if self._deadline == 0.0:
            self._deadline = self._consensus.deadline()
        self._consensus.hold(self._deadline, self.route, self._expired)

    def _expired(self) -> None:
        self._done(NoLeaderError())


def rpc_error(error: RpcError) -> RpcError:
    """The error with Consul's prefix, by whether the request was sent."""
    prefix = "rpc error making call: " if error.sent else "rpc error getting client: "
    return RpcError(prefix + str(error), error.sent)


def _resolve(future: asyncio.Future[T], value: T) -> None:
    if not future.done():
        future.set_result(value)
