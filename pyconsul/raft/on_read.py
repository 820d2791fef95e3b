"""Rounds of confirmation, the lease that grows from them, and read indexes (Raft dissertation, section 6.4).

A round is a number that every append message carries and every answer repeats. An answer to round r from a majority
says: when round r began, nobody else could have been elected. Heartbeats begin rounds, and so do reads that wait; any
append message tells a follower of the newest one.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from pyconsul.clock import Random
from pyconsul.raft.messages import ReadIndexReply, ReadIndexRequest, ReadState
from pyconsul.raft.progress import Progress
from pyconsul.raft.role import Role

if TYPE_CHECKING:
    from pyconsul.raft.core import Raft


class Rounds:
    """The leader's rounds in this term. ``begun``: (round, tick it began), oldest first, unconfirmed ones only."""

    __slots__ = ("begun", "confirmed", "confirmed_tick", "newest")

    # Only reached without check-quorum, when nobody answers; forgetting old rounds is harmless.
    LIMIT = 1024

    def __init__(self) -> None:
        self.newest = 0
        self.confirmed = 0
        self.confirmed_tick: int | None = None
        self.begun: deque[tuple[int, int]] = deque(maxlen=self.LIMIT)

    def begin(self, tick: int) -> int:
        self.newest += 1
        self.begun.append((self.newest, tick))
        return self.newest

    def confirm(self, number: int) -> None:
        self.confirmed = number
        begun = self.begun
        while begun and begun[0][0] <= number:
            self.confirmed_tick = begun.popleft()[1]


class LeaderReads:
    """Contexts as (server that asks, "" for this one; context). ``waiting`` ones belong to no round yet; ``sharing``
    ones share round ``round`` and the read index ``index``; ``leased`` ones may be answered by the lease alone."""

    __slots__ = ("index", "leased", "round", "sharing", "waiting")

    def __init__(self) -> None:
        self.leased: list[tuple[str, int]] = []
        self.waiting: list[tuple[str, int]] = []
        self.sharing: list[tuple[str, int]] = []
        self.round = 0
        self.index = 0

    def __len__(self) -> int:
        return len(self.leased) + len(self.waiting) + len(self.sharing)

    def fail(self, raft: Raft) -> None:
        """Leadership has ended."""
        for asker, context in self.sharing + self.waiting + self.leased:
            answer(raft, asker, context, 0)
        self.leased = []
        self.waiting = []
        self.sharing = []


class FollowerReads:
    """A follower's contexts: ``waiting`` to be asked about (``leased``: those that trust the leader's lease), or
    ``asked`` under a number of this server's own.

    The numbers begin at a random place, so that an answer to a question from before a restart answers nothing.
    """

    __slots__ = ("asked", "leased", "number", "waiting")

    def __init__(self, random: Random) -> None:
        self.leased: list[int] = []
        self.waiting: list[int] = []
        self.asked: dict[int, tuple[int, list[int]]] = {}
        self.number = random.getrandbits(40) << 20

    def __len__(self) -> int:
        unasked = len(self.waiting) + len(self.leased)
        return unasked + sum(len(contexts) for _, contexts in self.asked.values())

    def fail(self, raft: Raft) -> None:
        """The leader asked is not the leader any more."""
        for _, contexts in self.asked.values():
            raft.read_states += [ReadState(context, 0) for context in contexts]
        raft.read_states += [ReadState(context, 0) for context in self.waiting + self.leased]
        self.asked = {}
        self.leased = []
        self.waiting = []


def answer(raft: Raft, asker: str, context: int, index: int) -> None:
    if asker:
        raft.messages.append(ReadIndexReply(raft.id, asker, raft.term, context, index))
    else:
        raft.read_states.append(ReadState(context, index))


def ask(raft: Raft, context: int, lease: bool) -> None:
    """A read of this server's own clients."""
    limit = raft.config.max_pending_reads
    if raft.role is Role.LEADER and len(raft.reads) < limit:
        reads = raft.reads
        (reads.leased if lease else reads.waiting).append(("", context))
    elif raft.role is Role.FOLLOWER and raft.leader_id and len(raft.asked) < limit:
        asked = raft.asked
        (asked.leased if lease else asked.waiting).append(context)
    else:
        raft.read_states.append(ReadState(context, 0))


def answer_leased(raft: Raft) -> None:
    """Answers the reads that trust the lease, if it holds; else they take part in a round like all others."""
    reads = raft.reads
    if reads.leased and raft.has_lease():
        leased, reads.leased = reads.leased, []
        for asker, context in leased:
            answer(raft, asker, context, raft.log.commit)


def start_round(raft: Raft) -> None:
    """Begins a round; ``flush`` of on_append.py tells everybody. A leader that is alone has its majority at once."""
    raft.rounds.begin(raft.ticks)
    count_round(raft)


def share_round(raft: Raft) -> None:
    """Gives waiting reads a round in common, one such round at a time: the next ones gather meanwhile.

    Before an entry of this term is committed the leader does not know what is committed, so reads wait for that.
    """
    reads = raft.reads
    if reads.leased:
        # Nobody vouched for the lease before these were due.
        reads.waiting += reads.leased
        reads.leased = []
    if reads.waiting and not reads.sharing and raft.log.commit >= raft.noop_index:
        reads.sharing, reads.waiting = reads.waiting, []
        reads.index = raft.log.commit
        reads.round = raft.rounds.newest + 1
        start_round(raft)


def on_round_answer(raft: Raft, peer: Progress, number: int) -> None:
    """A server of this term has answered an append message of the round."""
    if number > peer.acked_round:
        peer.acked_round = number
        if number > raft.rounds.confirmed:
            count_round(raft)


def count_round(raft: Raft) -> None:
    rounds = raft.rounds
    confirmed = raft.majority_of(lambda peer: peer.acked_round, rounds.newest)
    if confirmed > rounds.confirmed:
        rounds.confirm(confirmed)
    reads = raft.reads
    if reads.sharing and rounds.confirmed >= reads.round:
        for asker, context in reads.sharing:
            answer(raft, asker, context, reads.index)
        reads.sharing = []


def on_read_index_request(raft: Raft, message: ReadIndexRequest) -> None:
    if raft.role is Role.LEADER and len(raft.reads) < raft.config.max_pending_reads:
        reads = raft.reads
        (reads.leased if message.lease else reads.waiting).append((message.sender, message.context))
    else:
        answer(raft, message.sender, message.context, 0)


def on_read_index_reply(raft: Raft, message: ReadIndexReply) -> None:
    _, contexts = raft.asked.asked.pop(message.context, (0, []))
    raft.read_states += [ReadState(context, message.index) for context in contexts]


def flush(raft: Raft) -> None:
    """Asks the leader about all contexts that gathered, in one question of each kind."""
    asked = raft.asked
    if asked.waiting:
        _ask_leader(raft, asked.waiting, False)
        asked.waiting = []
    if asked.leased:
        _ask_leader(raft, asked.leased, True)
        asked.leased = []


def _ask_leader(raft: Raft, contexts: list[int], lease: bool) -> None:
    asked = raft.asked
    asked.number += 1
    asked.asked[asked.number] = (raft.ticks, contexts)
    raft.messages.append(ReadIndexRequest(raft.id, raft.leader_id, raft.term, asked.number, lease))


def expire(raft: Raft) -> None:
    """Gives up questions that got no answer within an election timeout: one of the two messages was lost."""
    asked = raft.asked.asked
    while asked:
        number = next(iter(asked))
        tick, contexts = asked[number]
        if raft.ticks - tick < raft.config.election_ticks:
            return
        del asked[number]
        raft.read_states += [ReadState(context, 0) for context in contexts]
