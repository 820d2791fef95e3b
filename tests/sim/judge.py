"""What must never be seen, whatever the network, the disks and the clocks do. Raises Violation at once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from linear import Operation, explained
from votes import Votes
from world import Violation, World

from pyconsul.fsm import commands
from pyconsul.raft.core import Role
from pyconsul.raft.messages import NORMAL, AnyMessage, Entry, Ready
from pyconsul.server.node import ConsensusServer
from pyconsul.state.effects import SessionEnded
from pyconsul.state.store import Store

if TYPE_CHECKING:
    from sim_node import Node


@dataclass
class SessionBook:
    """What a client may believe of its session. ``alive_until``: true time up to which the server owes it."""

    ttl_seconds: float
    alive_until: float
    given_up: bool = False
    ended_at: float | None = None


@dataclass
class Hold:
    session: str
    since: float
    released: bool = False


@dataclass
class Judge:
    world: World
    leaders: dict[int, str] = field(default_factory=dict)
    votes: Votes = field(default_factory=Votes)
    entries: dict[tuple[int, int], tuple[int, Entry]] = field(default_factory=dict)
    committed: dict[int, Entry] = field(default_factory=dict)
    index_of: dict[bytes, int] = field(default_factory=dict)
    never: set[bytes] = field(default_factory=set)
    submitted: set[bytes] = field(default_factory=set)
    hashes: dict[int, bytes] = field(default_factory=dict)
    commit_max: int = 0
    floor: int = 0
    history: dict[bytes, list[Operation]] = field(default_factory=dict)
    sessions: dict[str, SessionBook] = field(default_factory=dict)
    holds: dict[bytes, list[Hold]] = field(default_factory=dict)
    delays: dict[bytes, tuple[float, float]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    leases_checked: int = 0

    def count(self, what: str, number: int = 1) -> None:
        self.counts[what] = self.counts.get(what, 0) + number

    # Raft

    def starts(self, node: Node, server: ConsensusServer) -> None:
        """A restarted server remembers its vote, and what it acknowledged."""
        core = server.raft.core
        self.votes.remembers(node.name, core.term, core.vote)
        self.delays.clear()  # kept in memory only: a server that starts anew knows none

    def sends(self, message: AnyMessage) -> None:
        self.votes.sent(message)

    def ready(self, node: Node, ready: Ready) -> None:
        core = node.raft.core
        if core.voters == (node.name,) and node.stored_state_term() < core.term:
            # The only voter elects itself in silence, and nothing leaves it before its vote is on disk. If it dies
            # earlier, that election never took place and another may have the term.
            for entry in ready.committed:
                self._committed(node, entry)
            return
        if core.role is Role.LEADER:
            leader = self.leaders.setdefault(core.term, node.name)
            if leader != node.name:
                raise Violation(f"election safety: {leader} and {node.name} lead in term {core.term}")
        previous = core.log.term(ready.entries[0].index - 1) if ready.entries else 0
        for entry in ready.entries:
            known = self.entries.setdefault((entry.index, entry.term), (previous or 0, entry))
            if known != (previous or 0, entry):
                raise Violation(f"log matching: {known} and {(previous, entry)}")
            previous = entry.term
        for entry in ready.committed:
            self._committed(node, entry)

    def _committed(self, node: Node, entry: Entry) -> None:
        known = self.committed.setdefault(entry.index, entry)
        if known is not entry:
            if known != entry:
                raise Violation(f"state machine safety: {node.name} applies {entry}, another applied {known}")
            return
        if entry.kind == NORMAL:
            if entry.data in self.never:
                raise Violation(f"a write that was refused for good is committed at {entry.index}")
            if entry.data in self.submitted and entry.data in self.index_of:
                raise Violation(f"one write is in the log twice: at {self.index_of[entry.data]} and {entry.index}")
            self.index_of[entry.data] = entry.index

    def step(self, node: Node) -> None:
        """After each step of this server, so cheap when nothing has changed."""
        server = node.server
        assert server is not None
        core = server.raft.core
        commit = core.commit_index
        if commit > self.commit_max:
            if core.role is Role.LEADER:
                self._durable(node, commit)
            self.commit_max = commit
        if core.role is Role.LEADER and server.raft.lease_is_valid:
            self.leases_checked += 1
            applied = server.raft.machine.store.applied_index
            if applied < self.floor:
                raise Violation(f"lease: {node.name} would serve {applied}, {self.floor} was seen by somebody")

    def _durable(self, node: Node, index: int) -> None:
        core = node.raft.core
        term = core.log.term(index)
        if term != core.term:
            raise Violation(f"{node.name} commits {index} of term {term} by counting, in term {core.term}")
        voters = [server.id for server in core.configuration.servers if server.voter]
        held = [node.cluster.nodes[voter].stored_term(index) in (term, 0) for voter in voters]
        if sum(held) < len(held) // 2 + 1:
            raise Violation(f"{node.name} commits {index} which only {sum(held)} of {len(held)} disks hold")

    def applied(self, node: Node, server: ConsensusServer) -> None:
        """The state after some entries: the same as on every other server at that index."""
        machine = server.raft.machine
        store = machine.store
        index = store.applied_index
        if index != server.raft.core.applied_index:
            raise Violation(f"{node.name} has applied {index}, its core says {server.raft.core.applied_index}")
        digest = hashlib.sha256(b"".join(machine.snapshot())).digest()
        if self.hashes.setdefault(index, digest) != digest:
            raise Violation(f"state machine safety: the state of {node.name} differs at {index}")
        self.count("states compared")
        check_locks(store)

    # Clients

    def refused(self, data: bytes) -> None:
        """The client was told that its write was not, and will not be, carried out."""
        if data in self.index_of:
            raise Violation(f"a write that was refused for good is committed at {self.index_of[data]}")
        self.never.add(data)

    def acknowledged(self, data: bytes) -> None:
        index = self.index_of.get(data)
        if index is None:
            raise Violation(f"a write was acknowledged and is not committed: {commands.decode(data)}")
        self.floor = max(self.floor, index)
        self.count("writes")

    def read(self, mode: str, node: Node, floor: int, applied: int) -> None:
        """A read was answered from a state of index ``applied``; ``floor`` had been seen when it was asked."""
        self.count(f"{mode} reads")
        if mode == "stale":
            return
        if applied < floor:
            raise Violation(f"stale {mode} read: {node.name} answers from {applied}, {floor} was seen before it asked")

    def saw(self, applied: int) -> None:
        self.floor = max(self.floor, applied)

    def operation(self, key: bytes, operation: Operation) -> None:
        self.history.setdefault(key, []).append(operation)

    def linearizable(self) -> None:
        """Independent of indexes: each key's history, as its clients saw it, has an explanation."""
        for key, operations in self.history.items():
            self.count("operations judged", len(operations))
            if not explained(operations):
                lines = "\n".join(str(each) for each in sorted(operations, key=lambda each: each.called))
                raise Violation(f"the history of {key.decode()} has no explanation:\n{lines}")

    # Sessions and locks

    def session_alive(self, session: str, ttl_seconds: float, asked_at: float) -> None:
        """Created, or renewed: the client was told."""
        book = self.sessions.setdefault(session, SessionBook(ttl_seconds, 0.0))
        if book.ended_at is not None and book.ended_at < asked_at and not book.given_up:
            raise Violation(f"session {session} was renewed at {asked_at:.3f}, it ended at {book.ended_at:.3f}")
        if book.ended_at is None or book.given_up:
            book.alive_until = max(book.alive_until, asked_at + ttl_seconds)
        else:
            # It ended while the renewal was under way, and the client was told that it lives.
            raise Violation(f"session {session}: a renewal was acknowledged, and it has ended at {book.ended_at:.3f}")
        self.count("sessions created or renewed")

    def effects(self, node: Node, effects: list[Any], leads: bool) -> None:
        now = self.world.now
        for effect in effects:
            if not isinstance(effect, SessionEnded):
                continue
            book = self.sessions.get(effect.session.id)
            if leads and effect.keys and effect.session.lock_delay_ns > 0:
                for key in effect.keys:
                    self.delays.setdefault(key, (now, now + 0.85 * effect.session.lock_delay_ns / 1e9))
            if book is None or book.ended_at is not None:
                continue
            book.ended_at = now
            if not book.given_up and now < book.alive_until:
                raise Violation(
                    f"session {effect.session.id} has ended at {now:.3f}, it was promised until {book.alive_until:.3f}"
                )
            self.count("sessions ended")

    def acquired(self, key: bytes, session: str, called: float) -> None:
        """A client was told that its session holds the key now."""
        now = self.world.now
        self.count("locks taken")
        holds = self.holds.setdefault(key, [])
        for hold in holds:
            book = self.sessions[hold.session]
            if hold.session == session or hold.released or book.given_up or hold.since > called:
                continue
            if book.alive_until > now:
                raise Violation(f"lock {key.decode()} held twice: by {hold.session} since {hold.since:.3f}, {session}")
        begun, until = self.delays.get(key, (now, 0.0))
        if begun < called and now < until:
            raise Violation(f"lock {key.decode()} was taken at {now:.3f}, its delay lasts until {until:.3f}")
        self.delays.pop(key, None)
        holds[:] = [hold for hold in holds if not hold.released and hold.session != session]
        holds.append(Hold(session, now))

    def releases(self, key: bytes, session: str) -> None:
        for hold in self.holds.get(key, []):
            if hold.session == session:
                hold.released = True


def check_locks(store: Store) -> None:
    for entry in store.kv.list(b""):
        if entry.session and store.sessions.get(entry.session) is None:
            raise Violation(f"{entry.key!r} is held by a session that has ended: {entry.session}")
