"""A core under a test's hand: messages go in one by one, what comes out is kept and looked at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from pyconsul.clock import seeded_random
from pyconsul.raft.config import RaftConfig, encode_configuration
from pyconsul.raft.core import Raft, Role
from pyconsul.raft.messages import (
    CONFIG,
    NORMAL,
    AnyMessage,
    AppendReply,
    AppendRequest,
    ChunkRequest,
    Configuration,
    Entry,
    HardState,
    ReadState,
    Server,
    SnapshotChunk,
    SnapshotMeta,
    VoteReply,
)

M = TypeVar("M")


def members(*ids: str, nonvoters: Sequence[str] = ()) -> Configuration:
    return Configuration(
        tuple(Server(each, f"{each}:8300", True) for each in ids)
        + tuple(Server(each, f"{each}:8300", False) for each in nonvoters)
    )


def log_of(*terms: int, configuration: Configuration | None = None) -> list[Entry]:
    """Entries of these terms from index 2 on, after a configuration (a, b, c unless given) at index 1 in term 1."""
    first = Entry(1, 1, CONFIG, encode_configuration(configuration or members("a", "b", "c")))
    return [first] + [Entry(term, index, NORMAL, b"%d" % index) for index, term in enumerate(terms, 2)]


class Bench:
    """One core with everything it hands out, its disk as fast as the test wants it."""

    def __init__(
        self,
        entries: Sequence[Entry] | None = None,
        state: HardState | None = None,
        snapshot: SnapshotMeta | None = None,
        **settings: Any,
    ) -> None:
        entries = log_of() if entries is None else entries
        last_term = entries[-1].term if entries else snapshot.term if snapshot else 0
        self.raft = Raft(
            RaftConfig(id="a", **settings), seeded_random(1), state or HardState(term=last_term), entries, snapshot
        )
        self.sent: list[AnyMessage] = []
        self.sent_after_sync: list[AnyMessage] = []
        self.states: list[HardState] = []
        self.entries: list[Entry] = []
        self.committed: list[Entry] = []
        self.reads: list[ReadState] = []
        self.chunks: list[SnapshotChunk] = []
        self.chunk_requests: list[ChunkRequest] = []

    def drain(self, sync: bool = True, apply: bool = True) -> Bench:
        """Does the driver's work. Without ``sync`` the disk is slow: nothing is reported as stored."""
        while (ready := self.raft.ready()) is not None:
            self.sent += ready.messages
            self.sent_after_sync += ready.messages_after_sync
            if ready.hard_state is not None:
                self.states.append(ready.hard_state)
            self.entries += ready.entries
            self.committed += ready.committed
            self.reads += ready.read_states
            self.chunk_requests += ready.chunk_requests
            if ready.snapshot_chunk is not None:
                self.chunks.append(ready.snapshot_chunk)
            if sync and ready.entries:
                self.raft.persisted(ready.entries[-1].index, ready.entries[-1].term)
            if apply and ready.committed:
                self.raft.applied(ready.committed[-1].index)
        return self

    def take(self, kind: type[M]) -> list[M]:
        """Messages of a kind sent since the last such question, whether or not they waited for the disk."""
        self.drain()
        found: list[M] = [message for message in self.sent + self.sent_after_sync if isinstance(message, kind)]
        self.sent = [message for message in self.sent if not isinstance(message, kind)]
        self.sent_after_sync = [message for message in self.sent_after_sync if not isinstance(message, kind)]
        return found

    def forget(self) -> Bench:
        self.drain()
        self.sent, self.sent_after_sync = [], []
        return self

    def tick(self, count: int = 1) -> Bench:
        for _ in range(count):
            self.raft.tick()
        return self

    def elapse(self) -> Bench:
        """Lets the patience with any leader end, without standing for election."""
        self.raft.contact_elapsed = self.raft.config.election_ticks
        return self

    def lead(self, votes: Iterable[str] = ("b",), settle: bool = True) -> Bench:
        """Wins an election; with ``settle`` the first entry of the term is committed."""
        raft = self.raft
        raft.campaign()
        if raft.role is Role.PRECANDIDATE:
            from pyconsul.raft.messages import PreVoteReply

            for voter in votes:
                raft.step(PreVoteReply(voter, raft.id, raft.term + 1, True))
        for voter in votes:
            if raft.role is Role.CANDIDATE:
                raft.step(VoteReply(voter, raft.id, raft.term, True))
        assert raft.role is Role.LEADER
        if settle:
            self.drain()
            for voter in raft.voters:
                if voter != raft.id:
                    self.ack(voter)
        return self.forget() if settle else self

    def ack(self, sender: str, index: int | None = None, read_round: int | None = None) -> Bench:
        """The follower has stored all up to ``index`` (default: everything) and answers the newest round."""
        raft = self.raft
        self.drain()
        match = raft.last_index if index is None else index
        newest = raft.rounds.newest if read_round is None else read_round
        raft.step(AppendReply(sender, raft.id, raft.term, True, match, 0, 0, newest))
        return self.drain()

    def append(
        self, term: int, prev: tuple[int, int], *entries: Entry, commit: int = 0, sender: str = "b", read_round: int = 0
    ) -> AppendReply:
        """An AppendRequest after ``prev`` (index, term); the answer."""
        self.forget()
        raft = self.raft
        raft.step(AppendRequest(sender, raft.id, term, prev[0], prev[1], commit, list(entries), read_round))
        (reply,) = self.take(AppendReply)
        return reply


def entry(term: int, index: int, data: bytes = b"") -> Entry:
    return Entry(term, index, NORMAL, data)
