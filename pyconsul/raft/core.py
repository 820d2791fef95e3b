"""The server's role in the cluster, its term and vote; the doors by which everything enters and leaves.

The core is a plain state machine. Time comes in by ``tick``, messages by ``step``, commands by ``propose``, finished
work by ``persisted``, ``applied`` and the snapshot calls; all there is to do comes out of ``ready``. Nothing in here
waits, reads a clock or touches a disk. The modules ``on_*`` hold one family of messages each and work on the fields of
this class; nobody else does.

What always holds:

    role LEADER       leader_id == id; peers has everyone in the configuration but this server
    role not LEADER   peers, rounds and pending reads of a leader are empty
    term, vote        only grow more definite: a vote is never changed within a term
    noop_index        the leader's first own entry: commit_index >= noop_index means an entry of this term is committed
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pyconsul.clock import Random
from pyconsul.errors import CallerError, NotLeaderError, OverloadedError
from pyconsul.invariant import invariant
from pyconsul.raft import on_append, on_config, on_read, on_snapshot, on_vote
from pyconsul.raft.config import (
    Change,
    Configurations,
    RaftConfig,
    checked,
    configurations_in,
    encode_configuration,
)
from pyconsul.raft.log import Log
from pyconsul.raft.messages import (
    CONFIG,
    NOOP,
    NORMAL,
    AnyMessage,
    AppendReply,
    AppendRequest,
    ChunkRequest,
    Configuration,
    Entry,
    HardState,
    PreVoteReply,
    PreVoteRequest,
    ReadIndexReply,
    ReadIndexRequest,
    ReadState,
    Ready,
    SnapshotChunk,
    SnapshotMeta,
    SnapshotReply,
    SoftState,
    TimeoutNow,
    VoteReply,
    VoteRequest,
)
from pyconsul.raft.progress import Progress
from pyconsul.raft.quorum import majority, reached
from pyconsul.raft.role import Role


class Raft:
    """One server's consensus core.

    ``log`` and ``snapshot`` are what the disk held: the state machine is taken to be restored from ``snapshot``, and
    committed entries after it come out of ``ready`` again.
    """

    def __init__(
        self,
        config: RaftConfig,
        random: Random,
        hard_state: HardState = HardState(),  # noqa: B008 (immutable)
        log: Sequence[Entry] = (),
        snapshot: SnapshotMeta | None = None,
    ) -> None:
        self.config = config
        self.id = config.id
        self.random = random
        self.term = hard_state.term
        self.vote = hard_state.vote
        self.log = Log(log, snapshot, hard_state.commit)
        self.term = max(self.term, self.log.last_term)
        self.saved_state = HardState(hard_state.term, hard_state.vote, self.log.commit)
        if snapshot is not None:
            self.configurations = Configurations(snapshot.configuration_index, snapshot.configuration)
        else:
            self.configurations = Configurations(0, Configuration())
        for index, configuration in configurations_in(self.log.entries):
            if index > self.configurations.index:
                self.configurations.append(index, configuration)
        self.role = Role.FOLLOWER
        self.leader_id = ""
        self.voters: tuple[str, ...] = ()
        self.is_voter = False
        on_config.read_members(self)

        self.ticks = 0
        # Ticks since the last message of a leader. Starting at 0 protects, for one election timeout, a lease that this
        # server may have granted before it was restarted (Raft dissertation, section 6.4.1).
        self.contact_elapsed = 0
        self.election_elapsed = 0
        self.election_timeout = 0
        self.votes: dict[str, bool] = {}
        self.draw_timeout()

        # As leader. See on_append.py, on_read.py, on_config.py.
        self.peers: dict[str, Progress] = {}
        self.noop_index = 0
        self.hold_until = 0
        self.heartbeat_elapsed = 0
        self.uncommitted = on_append.Uncommitted()
        self.rounds = on_read.Rounds()
        self.reads = on_read.LeaderReads()
        self.transfer: on_config.Transfer | None = None
        self.lease_given_up = False
        self.leaving = False
        # As follower.
        self.asked = on_read.FollowerReads(random)
        self.incoming: on_snapshot.Incoming | None = None

        # Collected for the next Ready.
        self.messages: list[AnyMessage] = []
        self.messages_after_sync: list[AnyMessage] = []
        self.read_states: list[ReadState] = []
        self.chunk_requests: list[ChunkRequest] = []
        self.snapshot_chunk: SnapshotChunk | None = None
        self.told = SoftState(Role.FOLLOWER.value, "")

    # ---- what may be read

    @property
    def commit_index(self) -> int:
        return self.log.commit

    @property
    def applied_index(self) -> int:
        return self.log.applied

    @property
    def last_index(self) -> int:
        return self.log.last_index

    @property
    def last_term(self) -> int:
        return self.log.last_term

    @property
    def persisted_index(self) -> int:
        return self.log.stable

    @property
    def first_index(self) -> int:
        """The first index that is still in memory (``last_index + 1`` when none is)."""
        return self.log.offset + 1

    @property
    def configuration(self) -> Configuration:
        """The one in force: the newest in the log, committed or not."""
        return self.configurations.latest

    @property
    def configuration_index(self) -> int:
        return self.configurations.index

    @property
    def transferring(self) -> bool:
        return self.transfer is not None

    def progress(self) -> dict[str, Progress]:
        """The leader's view of the others ({} on other servers). To be read, not kept: ``ticks - last_contact`` is
        the age of the last answer in ticks."""
        return dict(self.peers)

    def has_lease(self) -> bool:
        """Whether this leader may answer reads from its own state machine, once it has applied ``commit_index``.

        A majority confirmed this leader in a round that began less than ``lease_ticks`` ago, and none of them helps
        another to be elected within its election timeout (Raft dissertation, section 6.4.1). Only as good as the ticks:
        after a pause the driver must deliver those that are due before it asks. After a leadership transfer was
        attempted there is no lease until the next term, as the target's election does not wait for it.
        """
        if self.role is not Role.LEADER or self.log.commit < self.noop_index:
            return False
        if self.is_voter and len(self.voters) == 1:
            return True
        if not self.config.check_quorum or self.lease_given_up:
            return False
        start = self.rounds.confirmed_tick
        return start is not None and self.ticks - start < self.config.lease_ticks

    def snapshot_meta(self, index: int) -> SnapshotMeta:
        """What a snapshot of the state machine at an applied index has to say about itself."""
        invariant(index <= self.log.applied, "a snapshot beyond what is applied", index=index, applied=self.log.applied)
        configuration_index, configuration = self.configurations.at(index)
        return SnapshotMeta(index, self.log.known_term(index), configuration, configuration_index)

    # ---- doors: time and messages

    def tick(self) -> None:
        """One unit of time has passed."""
        self.ticks += 1
        if self.role is Role.LEADER:
            self._tick_leader()
            return
        self.contact_elapsed += 1
        self.election_elapsed += 1
        on_read.expire(self)
        if self.election_elapsed >= self.election_timeout and on_config.may_stand(self):
            on_vote.campaign(self, pre_vote=self.config.pre_vote)

    def _tick_leader(self) -> None:
        if self.config.check_quorum and not self._heard_by_majority():
            self.become_follower(self.term, "")
            return
        on_config.tick_transfer(self)
        on_config.forget_leavers(self)
        on_snapshot.tick_chunks(self)
        self.heartbeat_elapsed += 1
        if self.heartbeat_elapsed >= self.config.heartbeat_ticks:
            self.heartbeat_elapsed = 0
            on_read.start_round(self)

    def _heard_by_majority(self) -> bool:
        """Check-quorum (Raft dissertation, section 6.2, end): a leader cut off must not keep its clients waiting."""
        return self.ticks - self.majority_of(lambda peer: peer.last_contact, self.ticks) < self.config.election_ticks

    def majority_of(self, value: Callable[[Progress], int], own: int) -> int:
        """The largest value that a majority of voters has reached; ``own`` is this server's, if it is one."""
        peers = self.peers
        return reached([own if voter == self.id else value(peers[voter]) for voter in self.voters])

    def stood_still(self, ticks: int) -> None:
        """The process was stopped for this long and missed these ticks. A leader's lease counts them; nobody is blamed
        for a silence in which this server did not listen, and no election starts because of it."""
        self.ticks += ticks
        for peer in self.peers.values():
            peer.last_contact += ticks

    def step(self, message: AnyMessage) -> None:
        """A message has arrived. Raises PeerError when it breaks the protocol, with nothing changed by it."""
        if message.term > self.term:
            if not self._enter_term(message):
                return
        elif message.term < self.term:
            self._answer_from_the_past(message)
            return
        handler = _HANDLERS[type(message)]
        handler(self, message)

    def _enter_term(self, message: AnyMessage) -> bool:
        """A message of a later term. False when it is to be ignored."""
        if isinstance(message, PreVoteRequest):
            return True  # its term is only a question
        if isinstance(message, PreVoteReply) and message.granted:
            return True  # and this one the answer
        if isinstance(message, VoteRequest) and not message.transfer and self.protects_leader():
            # A server that missed heartbeats, or was removed, must not depose a working leader (sections 4.2.3, 6.4.1).
            return False
        leads = isinstance(message, AppendRequest | SnapshotChunk)
        self.become_follower(message.term, message.sender if leads else "")
        return True

    def _answer_from_the_past(self, message: AnyMessage) -> None:
        """The sender has an older term; those who would go on in vain are told of ours."""
        sender = message.sender
        if isinstance(message, AppendRequest | SnapshotChunk):
            self.messages.append(AppendReply(self.id, sender, self.term, False, 0))
        elif isinstance(message, PreVoteRequest):
            self.messages.append(PreVoteReply(self.id, sender, self.term, False))
        elif isinstance(message, VoteRequest):
            self.messages.append(VoteReply(self.id, sender, self.term, False))
        elif isinstance(message, ReadIndexRequest):
            self.messages.append(ReadIndexReply(self.id, sender, self.term, message.context, 0))

    def protects_leader(self) -> bool:
        """Whether a leader is known to be working, so that elections must wait."""
        if not self.config.check_quorum:
            return False
        return self.role is Role.LEADER or self.contact_elapsed < self.config.election_ticks

    # ---- doors: commands

    def propose(self, datas: list[bytes]) -> int:
        """Appends commands to the log; returns the index of the first. Nothing goes out before ``ready``.

        Raises NotLeaderError; OverloadedError when ``max_uncommitted_bytes`` are waiting or leadership is being handed
        over.
        """
        if self.role is not Role.LEADER:
            raise NotLeaderError()
        if self.transfer is not None:
            raise OverloadedError("leadership is being transferred")
        invariant(datas, "an empty proposal")
        first = self.log.last_index + 1
        size = sum(map(len, datas))
        self.uncommitted.add(first + len(datas) - 1, size, self.config.max_uncommitted_bytes)
        term = self.term
        self.log.append([Entry(term, index, NORMAL, data) for index, data in enumerate(datas, first)])
        return first

    def propose_configuration(self, change: Change) -> int:
        """Appends the configuration changed by one server, in force at once; returns its index.

        Raises NotLeaderError; RetryError while another change is not committed, no entry of this term is, or leadership
        is being handed over; CallerError when no voter would be left.
        """
        if self.role is not Role.LEADER:
            raise NotLeaderError()
        return on_config.propose(self, change)

    def read_index(self, context: int, lease: bool = False) -> None:
        """Asks for an index such that a state machine that has applied it may answer a read that began before this
        call (Raft dissertation, section 6.4). The answer comes in ``Ready.read_states``; index 0 means: try again.

        With ``lease`` the leader may answer without a round as long as its lease holds and its driver vouches for it
        (``answer_leased_reads``).
        """
        on_read.ask(self, context, lease)

    def answer_leased_reads(self) -> None:
        """The driver vouches that no tick is overdue: what trusts the lease is answered by it, if it holds. To be
        called before ``ready``, which hands all that is left to a round."""
        on_read.answer_leased(self)

    def bootstrap(self, configuration: Configuration) -> None:
        """Writes the first entry of a new cluster. All servers that do so must be given the same configuration.

        Raises CallerError when it names no voter or a server twice, or this server has a log already.
        """
        if self.log.last_index or self.term:
            raise CallerError("bootstrap only works on new clusters")
        configuration = checked(configuration)
        self.term = 1
        self.log.append([Entry(1, 1, CONFIG, encode_configuration(configuration))])
        self.configurations.append(1, configuration)
        on_config.members_changed(self)

    def transfer_leadership(self, to: str | None) -> None:
        """Hands leadership to a voter (None: the one that has most) as soon as it has the whole log; given up after an
        election timeout. Raises NotLeaderError, CallerError when there is no such voter."""
        if self.role is not Role.LEADER:
            raise NotLeaderError()
        on_config.start_transfer(self, to)

    def campaign(self) -> None:
        """Starts an election now, without waiting for the timeout. No effect on leaders and non-voters."""
        if self.role is not Role.LEADER and on_config.may_stand(self):
            on_vote.campaign(self, pre_vote=self.config.pre_vote)

    def unreachable(self, server_id: str) -> None:
        """The connection to a server broke: what was on its way is probably lost."""
        if server_id in self.peers:
            self.peers[server_id].unreachable()

    # ---- doors: finished work

    def persisted(self, index: int, term: int) -> None:
        """The entries of a Ready, of which this was the last, are on disk (and with them all of earlier ones)."""
        if self.log.persisted(index, term) and self.role is Role.LEADER:
            on_append.advance_commit(self)

    def applied(self, index: int) -> None:
        """The state machine has applied the entries up to ``index``."""
        self.log.set_applied(index)

    def snapshot_saved(self, meta: SnapshotMeta) -> int:
        """A snapshot of this server's state machine is on disk. Returns the index up to which the log, with
        ``trailing_entries`` kept, has become superfluous: for ``compact``, and for the log on disk."""
        newest = self.log.snapshot
        if newest is None or meta.index > newest.index:
            invariant(meta.index <= self.log.applied, "a snapshot beyond what is applied", meta=meta)
            self.log.snapshot = newest = meta
        return max(self.log.offset, newest.index - self.config.trailing_entries)

    def compact(self, index: int) -> None:
        """Drops the log up to ``index`` from memory. A snapshot at or after ``index`` must be on disk."""
        self.log.compact(index)
        self.configurations.compact(self.log.offset)

    def snapshot_installed(self, meta: SnapshotMeta) -> bool:
        """A snapshot received in chunks is stored and the state machine restored from it.

        Returns False when the log does not continue from it: then nothing of the log on disk is of use any more.
        """
        return on_snapshot.installed(self, meta)

    def snapshot_failed(self, meta: SnapshotMeta) -> None:
        """A snapshot received in chunks turned out to be damaged: it is fetched from its beginning again."""
        on_snapshot.failed(self, meta)

    def ready(self) -> Ready | None:
        """All that is to be done now, or None. Each thing is handed out once."""
        if self.role is Role.LEADER:
            on_append.flush(self)
        else:
            on_read.flush(self)
        log = self.log
        entries = log.take_unstored()
        hard_state = self._take_hard_state(bool(entries))
        committed: list[Entry] = []
        if self.incoming is None or not self.incoming.complete:
            committed = log.take_committed(self.config.max_committed_entries)
        soft = self._take_soft_state()
        if not (
            entries or committed or self.messages or self.messages_after_sync or self.read_states or self.chunk_requests
            or hard_state is not None or soft is not None or self.snapshot_chunk is not None
        ):  # fmt: skip
            return None
        ready = Ready(
            self.messages, self.messages_after_sync, hard_state, entries, committed, self.read_states,
            self.chunk_requests, self.snapshot_chunk, soft,
        )  # fmt: skip
        self.messages = []
        self.messages_after_sync = []
        self.read_states = []
        self.chunk_requests = []
        self.snapshot_chunk = None
        return ready

    def _take_hard_state(self, with_entries: bool) -> HardState | None:
        """The commit index alone is not worth a sync: it is only stored along with something else."""
        saved = self.saved_state
        commit_moved = with_entries and saved.commit != self.log.commit
        if saved.term == self.term and saved.vote == self.vote and not commit_moved:
            return None
        self.saved_state = HardState(self.term, self.vote, self.log.commit)
        return self.saved_state

    def _take_soft_state(self) -> SoftState | None:
        told = self.told
        if told.role == self.role and told.leader == self.leader_id:
            return None
        self.told = SoftState(self.role.value, self.leader_id)
        return self.told

    # ---- changes of role, used by the message families

    def draw_timeout(self) -> None:
        """Starts waiting anew, for a random time (Raft dissertation, section 3.4)."""
        self.election_elapsed = 0
        self.election_timeout = self.config.election_ticks + self.random.randrange(self.config.election_ticks)

    def set_leader(self, leader: str) -> None:
        if leader != self.leader_id:
            self.leader_id = leader
            self.asked.fail(self)

    def become_follower(self, term: int, leader: str) -> None:
        invariant(term >= self.term, "terms never go back", term=term, own=self.term)
        if term > self.term:
            self.term = term
            self.vote = ""
        if self.role is Role.LEADER:
            self._leave_office()
        self.role = Role.FOLLOWER
        self.votes = {}
        self.set_leader(leader)
        self.draw_timeout()

    def become_leader(self) -> None:
        self.role = Role.LEADER
        self.votes = {}
        self.set_leader(self.id)
        if self.incoming is not None and not self.incoming.complete:
            self.incoming = None
        self.lease_given_up = False
        self.leaving = False
        self.rounds = on_read.Rounds()
        self.uncommitted = on_append.Uncommitted()
        noop = self.log.last_index + 1
        self.peers = {s.id: Progress(s.id, noop, self.ticks) for s in self.configuration.servers if s.id != self.id}
        self.noop_index = noop
        # Who won by its own vote alone has not had to wait for that vote to be on disk: no entry of this term may be
        # seen elsewhere before. The no-op is stored with the vote or after it.
        self.hold_until = noop if majority(len(self.voters)) == 1 else 0
        self.log.append([Entry(self.term, noop, NOOP, b"")])
        self.heartbeat_elapsed = 0
        on_read.start_round(self)

    def _leave_office(self) -> None:
        # An office holder protects no lease but its own, and that is over.
        self.contact_elapsed = self.config.election_ticks
        self.reads.fail(self)
        self.peers = {}
        self.transfer = None
        self.leaving = False

    def heard_from_leader(self, leader: str) -> None:
        """A message that only a leader of this term sends."""
        invariant(self.role is not Role.LEADER, "two leaders in one term", term=self.term, own=self.id, other=leader)
        known = self.leader_id in ("", leader)
        invariant(known, "two leaders in one term", term=self.term, one=self.leader_id, other=leader)
        if self.role is not Role.FOLLOWER:
            self.become_follower(self.term, leader)
        self.set_leader(leader)
        self.contact_elapsed = 0
        self.election_elapsed = 0


_HANDLERS: dict[type, Callable[[Raft, Any], None]] = {
    PreVoteRequest: on_vote.on_pre_vote_request,
    PreVoteReply: on_vote.on_pre_vote_reply,
    VoteRequest: on_vote.on_vote_request,
    VoteReply: on_vote.on_vote_reply,
    TimeoutNow: on_config.on_timeout_now,
    AppendRequest: on_append.on_append_request,
    AppendReply: on_append.on_append_reply,
    SnapshotChunk: on_snapshot.on_snapshot_chunk,
    SnapshotReply: on_snapshot.on_snapshot_reply,
    ReadIndexRequest: on_read.on_read_index_request,
    ReadIndexReply: on_read.on_read_index_reply,
}

__all__ = ["Raft", "Role"]
