"""Drives the consensus core: Ready → send, sync, apply, answer; in batches, once per turn of the event loop.

Everything here runs on the event loop; the disk is behind DiskWriter. Ordering rules are those of ``Ready``
(raft/messages.py): what must wait for the disk waits in the batch that is being saved.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush

import msgspec

from pyconsul.clock import Clock
from pyconsul.errors import (
    DecodeError,
    DiskFullError,
    LeadershipLostError,
    NotLeaderError,
    OverloadedError,
    PeerError,
    PyconsulError,
)
from pyconsul.fsm.apply import StateMachine
from pyconsul.fsm.commands import AnyCommand
from pyconsul.log import pairs
from pyconsul.net.raft_transport import RaftTransport
from pyconsul.raft.core import Raft
from pyconsul.raft.messages import (
    NORMAL,
    AnyMessage,
    AppendRequest,
    Entry,
    Ready,
    SnapshotChunk,
    SoftState,
)
from pyconsul.server.disk_writer import Batch, DiskWriter
from pyconsul.server.snapshots import SnapshotWork

Done = Callable[[object], None]
ReadDone = Callable[[bool], None]

FULL_DISK_SECONDS = 1.0
"""How long writes that were accepted wait for room on a full disk before their callers are told."""

FULL_DISK = "no space left on device: writes are refused until there is"
FULL_DISK_UNKNOWN = "no space left on device: this write waits for room and may still be carried out"

PROGRESS_FROM = 50_000
"""Entries still to be applied from which on the log tells how it goes on."""

APPLY_SECONDS_MAX = 0.02
"""Longest stretch of applying before the event loop gets a turn."""

APPLY_CHECK_EVERY = 64
"""Entries between two looks at the clock."""

LATE_TICKS_MAX = 1.5
"""A tick that is later than this (in ticks since the last one) makes the lease void until it has come."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(AnyMessage).decode


class _Proposal:
    __slots__ = ("command", "data", "done", "term")

    def __init__(self, command: AnyCommand, data: bytes, done: Done) -> None:
        self.command = command
        self.data = data
        self.done = done
        self.term = 0


class RaftLoop:
    """One server's consensus in motion. ``machine`` is replaced as a whole when a snapshot arrives."""

    def __init__(
        self,
        core: Raft,
        machine: StateMachine,
        writer: DiskWriter,
        transport: RaftTransport,
        snapshots: SnapshotWork,
        clock: Clock,
        logger: logging.Logger,
        tick_seconds: float,
        election_ticks: int,
        proposals_max: int = 16384,
    ) -> None:
        self.core = core
        self.machine = machine
        self.on_soft_state: Callable[[SoftState], None] = _ignore
        self.on_applied: Callable[[], None] = _nothing
        self.on_configuration: Callable[[], None] = _nothing
        self.disk_full = False
        self._full_since = 0.0
        self.heard_from_leader = False
        self.last_contact = clock.monotonic()
        self.dropped_messages = 0
        # Servers known by gossip: one that has no log yet must answer a leader that its configuration does not name.
        self.known_addresses: dict[str, str] = {}
        # Servers that were removed and are still being told so.
        self._leaving_addresses: dict[str, str] = {}
        self._addresses: dict[str, str] = {}
        self._writer = writer
        self._transport = transport
        self._snapshots = snapshots
        self._clock = clock
        self._monotonic = clock.monotonic
        self._logger = logger
        self._loop = asyncio.get_running_loop()
        self._tick_seconds = tick_seconds
        self._election_seconds = tick_seconds * election_ticks
        self.proposals_max = proposals_max
        self._proposals: list[_Proposal] = []
        self._pending: dict[int, _Proposal] = {}
        self._committed: deque[Entry] = deque()
        self._apply_scheduled = False
        self._pump_scheduled = False
        self._saves_in_flight = 0
        self._read_waiters: list[ReadDone] = []
        self._leased_waiters: list[ReadDone] = []
        self._read_rounds: dict[int, tuple[float, list[ReadDone]]] = {}
        self._leased_round = 0
        self.rounds_begun = 0  # of reads; what was handed to ``read_index`` since the last one shares the next
        self._reads_until_applied: list[tuple[int, int, list[ReadDone]]] = []
        self._tick_handle: asyncio.TimerHandle | None = None
        self._last_tick = clock.monotonic()
        self._late_from = 0.0  # when the next tick is overdue; nothing is punctual before the first
        self._tick_rest = 0.0  # of a tick: time that passed and was not counted yet
        self._progress_told = 0.0
        self._stopped = False
        self._leader_term_applied = 0
        self._configuration_index = -1
        transport.on_lost = self._lost
        snapshots.attach(self)

    # Life

    def start(self) -> None:
        self._ticked(self._clock.monotonic())
        self._tick_handle = self._loop.call_later(self._tick_seconds, self._tick)
        self.wake()

    def stop(self) -> None:
        """Stops ticking; what waits is answered with LeadershipLostError. The disk writer is stopped by its owner."""
        self._stopped = True
        if self._tick_handle is not None:
            self._tick_handle.cancel()
        self._fail_pending(LeadershipLostError("raft is already shutdown"))
        self._fail_reads()

    # Doors for the server

    @property
    def is_leader(self) -> bool:
        return self.core.role == "leader"

    @property
    def leads_and_caught_up(self) -> bool:
        """This server leads and has applied all that earlier leaders committed."""
        return self.core.role == "leader" and self._leader_term_applied == self.core.term

    @property
    def lease_is_valid(self) -> bool:
        """Default reads may be answered from the store now: the lease holds by ticks, the next tick is not overdue (a
        paused process must not believe in its lease), and all that is committed is applied: followers may have applied
        it already, and their readers seen it."""
        core = self.core
        log = core.log
        return (
            core.has_lease()
            and log.applied == log.commit
            and self._leader_term_applied == core.term
            and self._is_punctual()
        )

    def _is_punctual(self) -> bool:
        return self._monotonic() < self._late_from

    def propose(self, command: AnyCommand, data: bytes, done: Done) -> None:
        """``done`` gets the result, an ApplyError, LeadershipLostError (fate unknown), NotLeaderError or
        OverloadedError (nothing was appended). Never called inside this call."""
        if self.disk_full:
            self._loop.call_soon(done, OverloadedError(FULL_DISK))
            return
        if len(self._proposals) + len(self._pending) >= self.proposals_max:
            self._loop.call_soon(done, OverloadedError(f"more than {self.proposals_max} writes are waiting"))
            return
        self._proposals.append(_Proposal(command, data, done))
        if not self._pump_scheduled:
            self._pump_scheduled = True
            self._loop.call_soon(self._pump)

    def set_disk_full(self, full: bool) -> None:
        """Writes are refused as long as the disk is full. Those in the log already may be committed by others; where
        that does not happen soon, their callers learn that their fate is unknown."""
        self.disk_full = full
        self._full_since = self._clock.monotonic()

    def read_index(self, done: ReadDone, lease: bool) -> None:
        """``done(True)`` once the store holds all that was committed when this was called, as confirmed by a majority
        (``lease``: as the leader knows, while its lease holds); ``done(False)`` when that could not be learnt (ask
        again)."""
        (self._leased_waiters if lease else self._read_waiters).append(done)
        self.wake()

    def receive(self, payloads: list[bytes]) -> None:
        """Messages of peers. Raises DecodeError."""
        if self._stopped:
            return
        core = self.core
        for payload in payloads:
            try:
                message = _decode(payload)
            except msgspec.MsgspecError as error:
                raise DecodeError(f"unreadable Raft message: {error}") from error
            if message.to != core.id:
                # An address that now belongs to another server; its own peers will learn that.
                self.dropped_messages += 1
                continue
            try:
                core.step(message)
            except PeerError as error:
                raise DecodeError(str(error)) from error
            if isinstance(message, AppendRequest | SnapshotChunk) and message.sender == core.leader_id:
                self.heard_from_leader = True
                self.last_contact = self._clock.monotonic()
        self.wake()

    def wake(self) -> None:
        """Handles what the core has ready at the end of this loop turn."""
        if not self._pump_scheduled:
            self._pump_scheduled = True
            self._loop.call_soon(self._pump)

    # Inside

    def _tick(self) -> None:
        now = self._clock.monotonic()
        elapsed = (now - self._last_tick) / self._tick_seconds + self._tick_rest
        self._ticked(now)
        self._tick_handle = self._loop.call_later(self._tick_seconds, self._tick)
        ticks = max(1, int(elapsed))
        self._tick_rest = max(0.0, elapsed - ticks)
        core = self.core
        if ticks > 1 and core.role == "leader":
            # A busy loop is late a little each time, a stopped process a lot at once. The lease is time, so it counts
            # all of it: the followers' clocks have gone on. (A follower waits longer instead: it has not listened.)
            core.stood_still(ticks - 1)
        core.tick()
        if self._read_rounds:
            self._expire_reads(now)
        if self.disk_full and self._pending and now - self._full_since >= FULL_DISK_SECONDS:
            self._fail_pending(LeadershipLostError(FULL_DISK_UNKNOWN))
        if self._leaving_addresses and not self._leaving_addresses.keys() <= core.progress().keys():
            self._close_others()
        self._snapshots.tick(now)
        self.wake()

    def _ticked(self, now: float) -> None:
        self._last_tick = now
        self._late_from = now + LATE_TICKS_MAX * self._tick_seconds

    def _pump(self) -> None:
        self._pump_scheduled = False
        if self._stopped:
            return
        core = self.core
        if self._proposals:
            self._propose_all()
        if self._read_waiters:
            waiters, self._read_waiters = self._read_waiters, []
            core.read_index(self._new_round(waiters))
        if self._leased_waiters and not self._leased_round_open():
            waiters, self._leased_waiters = self._leased_waiters, []
            self._leased_round = self._new_round(waiters)
            core.read_index(self._leased_round, lease=True)
        if core.reads.leased and self._is_punctual():
            core.answer_leased_reads()
        if core.configuration_index != self._configuration_index:
            # Before anything is sent: those who are no members any more still have to be reached with the news.
            self._configuration_index = core.configuration_index
            self._configuration_changed()
        while True:
            ready = core.ready()
            if ready is None:
                break
            self._handle(ready)

    def _leased_round_open(self) -> bool:
        """One question about the lease at a time: what comes meanwhile shares the next, and a busy follower asks about
        more reads at once. One that was lost holds up the next for no longer than a tick."""
        open_round = self._read_rounds.get(self._leased_round)
        return open_round is not None and self._monotonic() - open_round[0] < self._tick_seconds

    def _new_round(self, waiters: list[ReadDone]) -> int:
        self.rounds_begun += 1
        self._read_rounds[self.rounds_begun] = (self._clock.monotonic(), waiters)
        return self.rounds_begun

    def _configuration_changed(self) -> None:
        servers = self.core.configuration.servers
        former, self._addresses = self._addresses, {each.id: each.address for each in servers}
        self._leaving_addresses.update({id_: at for id_, at in former.items() if id_ not in self._addresses})
        self._close_others()
        self.on_configuration()

    def _close_others(self) -> None:
        """Keeps the connections to members, and as leader to those who have to learn that they are none any more."""
        core = self.core
        peers = core.progress()
        self._leaving_addresses = {id_: at for id_, at in self._leaving_addresses.items() if id_ in peers}
        wanted = {*self._addresses.values(), *self._leaving_addresses.values()}
        wanted.discard(self._addresses.get(core.id, ""))
        self._transport.keep_only(wanted)

    def _propose_all(self) -> None:
        proposals, self._proposals = self._proposals, []
        core = self.core
        try:
            index = core.propose([proposal.data for proposal in proposals])
        except (NotLeaderError, OverloadedError) as error:
            # While leadership is handed over a write waits for the next leader, as during an election.
            refusal = NotLeaderError() if core.transferring else error
            for proposal in proposals:
                proposal.done(refusal)
            return
        term = core.term
        pending = self._pending
        for proposal in proposals:
            proposal.term = term
            pending[index] = proposal
            index += 1

    def _handle(self, ready: Ready) -> None:
        if ready.soft is not None:
            self._role_changed(ready.soft)
        for message in ready.messages:
            self._send(message)
        for request in ready.chunk_requests:
            self._snapshots.send_chunk(request)
        if ready.snapshot_chunk is not None:
            # Stored before what is saved below, so that the answer to it does not go out earlier.
            self._snapshots.receive(ready.snapshot_chunk)
        behind = self._saves_in_flight or ready.snapshot_chunk is not None
        if ready.hard_state is not None or ready.entries or (ready.messages_after_sync and behind):
            self._save(ready)
        else:
            for message in ready.messages_after_sync:
                self._send(message)
        if ready.committed:
            self._committed.extend(ready.committed)
            self._apply()
        for state in ready.read_states:
            round_ = self._read_rounds.pop(state.context, None)
            if round_ is None:
                continue
            if self._leased_waiters:
                self.wake()
            if state.index == 0:
                _answer_reads(round_[1], False)
            elif state.index <= self.core.applied_index:
                _answer_reads(round_[1], True)
            else:
                heappush(self._reads_until_applied, (state.index, state.context, round_[1]))

    def _save(self, ready: Ready) -> None:
        messages = ready.messages_after_sync
        last = ready.entries[-1] if ready.entries else None
        self._saves_in_flight += 1

        def saved() -> None:
            self._saves_in_flight -= 1
            for message in messages:
                self._send(message)
            if last is not None and not self._stopped:
                self.core.persisted(last.index, last.term)
                # Not at the end of the turn: what is committed by this is answered now.
                self._pump()

        self._writer.save(Batch(ready.hard_state, ready.entries, saved))

    def _lost(self, address: str) -> None:
        """The connection to a peer broke: the core probes it before it sends on."""
        for peer in self.core.progress():
            if self._address_of(peer) == address:
                self.core.unreachable(peer)
                self.wake()

    def _send(self, message: AnyMessage) -> None:
        address = self._address_of(message.to)
        if address is None:
            self.dropped_messages += 1
            return
        self._transport.send(address, _encode(message))

    def send(self, message: AnyMessage) -> None:
        """Sends a message the driver made itself (a snapshot chunk)."""
        self._send(message)

    def run_on_disk(self, job: Callable[[], None]) -> None:
        """Runs a job on the storage between two saves."""
        self._writer.run(job)

    async def on_disk(self, job: Callable[[], None]) -> None:
        """As ``run_on_disk``, and waits. Raises DiskFullError; any other StorageError ends the process."""
        future: asyncio.Future[None] = self._loop.create_future()
        loop = self._loop

        def report(error: DiskFullError | None) -> None:
            if not future.done():
                if error is None:
                    future.set_result(None)
                else:
                    future.set_exception(error)

        def run() -> None:
            try:
                job()
            except DiskFullError as error:
                loop.call_soon_threadsafe(report, error)
            else:
                loop.call_soon_threadsafe(report, None)

        self._writer.run(run)
        await future

    def _address_of(self, server_id: str) -> str | None:
        # Gossip knows first when a server has come back under another address; the configuration follows.
        known = self.known_addresses.get(server_id)
        if known is not None:
            return known
        for server in self.core.configuration.servers:
            if server.id == server_id:
                return server.address
        return self._leaving_addresses.get(server_id)

    def _role_changed(self, soft: SoftState) -> None:
        if soft.role == "leader":
            self._leader_term_applied = 0
            self.heard_from_leader = True
        else:
            self._fail_pending(LeadershipLostError())
        self.on_soft_state(soft)

    def _fail_pending(self, error: PyconsulError) -> None:
        pending, self._pending = self._pending, {}
        for proposal in pending.values():
            proposal.done(error)
        proposals, self._proposals = self._proposals, []
        for proposal in proposals:
            proposal.done(NotLeaderError())

    def _fail_reads(self) -> None:
        rounds = list(self._read_rounds.values())
        self._read_rounds.clear()
        for _, waiters in rounds:
            _answer_reads(waiters, False)
        late, self._reads_until_applied = self._reads_until_applied, []
        for _, _, waiters in late:
            _answer_reads(waiters, False)
        waiting, self._read_waiters = self._read_waiters + self._leased_waiters, []
        self._leased_waiters = []
        _answer_reads(waiting, False)

    def _expire_reads(self, now: float) -> None:
        limit = now - self._election_seconds
        for context in [context for context, (since, _) in self._read_rounds.items() if since < limit]:
            _answer_reads(self._read_rounds.pop(context)[1], False)

    def _apply(self) -> None:
        self._apply_scheduled = False
        if self._stopped or not self._committed or self._snapshots.installing:
            return
        core = self.core
        machine = self.machine
        committed = self._committed
        pending = self._pending
        answers: list[tuple[Done, object]] = []
        deadline = self._clock.monotonic() + APPLY_SECONDS_MAX
        count = 0
        entry = committed[0]
        while committed:
            entry = committed.popleft()
            if entry.index <= core.applied_index:
                continue  # covered by a snapshot that was installed meanwhile
            proposal = pending.pop(entry.index, None)
            if entry.kind == NORMAL:
                if proposal is not None and proposal.term == entry.term:
                    answers.append((proposal.done, machine.apply(entry.index, proposal.command)))
                else:
                    machine.apply_bytes(entry.index, entry.data)
                    if proposal is not None:
                        answers.append((proposal.done, LeadershipLostError()))
            else:
                machine.skip(entry.index)
                if proposal is not None:
                    answers.append((proposal.done, LeadershipLostError()))
            count += 1
            if count % APPLY_CHECK_EVERY == 0 and self._clock.monotonic() > deadline:
                self._tell_progress(entry.index)
                break
        if entry.index > core.applied_index:
            core.applied(entry.index)
        if entry.term == core.term and core.role == "leader":
            self._leader_term_applied = core.term
        self.on_applied()
        for done, result in answers:
            done(result)
        late = self._reads_until_applied
        while late and late[0][0] <= core.applied_index:
            _answer_reads(heappop(late)[2], True)
        if committed and not self._apply_scheduled:
            self._apply_scheduled = True
            self._loop.call_soon(self._apply)
        self.wake()

    def _tell_progress(self, index: int) -> None:
        """Once a second while there is much to catch up with, as after the start on a long log."""
        behind = self.core.commit_index - index
        now = self._clock.monotonic()
        if behind >= PROGRESS_FROM and now - self._progress_told >= 1.0:
            self._progress_told = now
            self._logger.info("applying the log", extra=pairs(index=index, of=self.core.commit_index))

    def snapshot_restored(self, machine: StateMachine) -> None:
        """A snapshot of the leader took the place of the state; goes on applying what came after it."""
        self.machine = machine
        core = self.core
        late = self._reads_until_applied
        while late and late[0][0] <= core.applied_index:
            _answer_reads(heappop(late)[2], True)
        if self._committed and not self._apply_scheduled:
            self._apply_scheduled = True
            self._loop.call_soon(self._apply)
        self.wake()


def _answer_reads(waiters: list[ReadDone], good: bool) -> None:
    for done in waiters:
        done(good)


def _ignore(soft: SoftState) -> None:
    """Until the server sets its own."""


def _nothing() -> None:
    """Until the server sets its own."""
