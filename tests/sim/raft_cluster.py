"""A whole cluster of consensus cores in one thread, from one seed.

In the fault model: messages lost, delayed, duplicated and reordered; partitions, also one-way; crashes at any step of
the driver, which lose what was not synced (a sync that was under way may or may not have happened); saves that take
long while the core goes on; clocks whose rates differ by up to 10 %; processes that stand still; snapshots, compaction
and damaged snapshot transfers; membership changes and leadership transfers during all of it.

Not in the model: bits that flip in memory or on disk, disks that lie about a sync, servers that lie.

Run one seed and see its story:  python tests/sim/raft_cluster.py SEED
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
import random
import sys
from collections.abc import Callable
from typing import Any

from pyconsul.errors import PyconsulError
from pyconsul.raft.config import AddNonVoter, AddVoter, Change, DemoteVoter, RaftConfig, RemoveServer
from pyconsul.raft.core import Raft, Role
from pyconsul.raft.messages import (
    NORMAL,
    AnyMessage,
    ChunkRequest,
    Configuration,
    Entry,
    HardState,
    Ready,
    Server,
    SnapshotChunk,
    SnapshotMeta,
    VoteReply,
    VoteRequest,
)

TICK = 10.0
CHUNK = 16
SNAPSHOT_EVERY = 12
ADDRESS = "10.0.0.{}:8300"


class Violation(AssertionError):
    """A promise of Raft did not hold."""


class Crash(BaseException):
    """The simulated process dies here."""


class Machine:
    """The state machine: a hash over all it was given."""

    def __init__(self, index: int = 0, digest: bytes = b"\0" * 32) -> None:
        self.index = index
        self.digest = digest

    def apply(self, entry: Entry) -> None:
        if entry.index != self.index + 1:
            raise Violation(f"applied {entry.index} after {self.index}")
        self.index = entry.index
        if entry.kind == NORMAL:
            self.digest = hashlib.sha256(self.digest + entry.data).digest()

    def dump(self) -> bytes:
        body = self.index.to_bytes(8, "big") + self.digest
        return body + hashlib.sha256(body).digest()

    @classmethod
    def load(cls, data: bytes) -> Machine | None:
        body, check = data[:40], data[40:]
        if hashlib.sha256(body).digest() != check:
            return None
        return cls(int.from_bytes(body[:8], "big"), body[8:])


class Disk:
    """What survives a crash."""

    def __init__(self) -> None:
        self.hard_state = HardState()
        self.entries: list[Entry] = []
        self.snapshot: tuple[SnapshotMeta, bytes] | None = None

    def save(self, hard_state: HardState | None, entries: list[Entry]) -> None:
        if hard_state is not None:
            if hard_state.term < self.hard_state.term:
                raise Violation("the stored term goes back")
            self.hard_state = hard_state
        if not entries:
            return
        first = entries[0].index
        end = self.entries[-1].index if self.entries else (self.snapshot[0].index if self.snapshot else 0)
        if first > end + 1:
            if self.snapshot is None or first != self.snapshot[0].index + 1:
                raise Violation(f"a gap in the stored log: {end}, then {first}")
            self.entries = []
        keep = first - self.entries[0].index if self.entries else 0
        self.entries = self.entries[: max(keep, 0)] + entries

    def compact(self, index: int) -> None:
        if self.entries and index >= self.entries[0].index:
            self.entries = self.entries[index - self.entries[0].index + 1 :]

    def term_at(self, index: int) -> int | None:
        """Covered by a snapshot: 0."""
        if self.snapshot and index <= self.snapshot[0].index:
            return 0
        if self.entries and self.entries[0].index <= index <= self.entries[-1].index:
            return self.entries[index - self.entries[0].index].term
        return None

    def recovered(self) -> list[Entry]:
        covered = self.snapshot[0].index if self.snapshot else 0
        if self.entries and self.entries[-1].index <= covered:
            return []
        return list(self.entries)


class Node:
    """One server: the core, a driver around it, and its disk. ``jobs`` wait for the disk, in order."""

    def __init__(self, cluster: Cluster, node_id: str) -> None:
        self.cluster = cluster
        self.id = node_id
        self.disk = Disk()
        self.core: Raft | None = None
        self.machine = Machine()
        self.jobs: list[Callable[[], None]] = []
        self.syncing = 0
        self.life = 0
        self.paused_at: float | None = None
        self.mail: list[AnyMessage] = []
        self.received = bytearray()
        self.snapshotting = False
        self.rate = 1.0

    @property
    def up(self) -> bool:
        return self.core is not None

    def start(self) -> None:
        cluster = self.cluster
        self.life += 1
        meta, data = self.disk.snapshot or (None, b"")
        machine = Machine.load(data) if meta else Machine()
        assert machine is not None
        self.machine = machine
        self.jobs = []
        self.syncing = 0
        self.mail = []
        self.received = bytearray()
        self.snapshotting = False
        self.paused_at = None
        self.rate = cluster.random.uniform(0.95, 1.05)
        config = RaftConfig(
            id=self.id, max_entries_per_append=cluster.batch, max_bytes_per_append=64, max_inflight=3,
            trailing_entries=5, max_committed_entries=7, chunk_timeout_ticks=8,
        )  # fmt: skip
        seed = cluster.random.getrandbits(32)
        self.core = Raft(config, random.Random(seed), self.disk.hard_state, self.disk.recovered(), meta)
        if not self.core.last_index and self.id in cluster.founders:
            self.core.bootstrap(cluster.first)
        cluster.check_memory(self)
        cluster.log(self, "starts", term=self.core.term, last=self.core.last_index, commit=self.core.commit_index)
        self._schedule_tick()
        cluster.pump(self)

    def crash(self) -> None:
        cluster = self.cluster
        # Syncs under way may have reached the disk all the same; in order, and unknown to anybody.
        survivors = cluster.random.randint(0, len(self.jobs)) if cluster.chance(0.5) else 0
        jobs, self.jobs = self.jobs, []
        self.core = None
        self.life += 1
        for job in jobs[:survivors]:
            job()
        cluster.log(self, "crashes", unsynced=len(jobs), survived=survivors)

    def _schedule_tick(self) -> None:
        self.cluster.after(TICK * self.rate, self._tick, self)

    def _tick(self) -> None:
        if self.paused_at is None:
            assert self.core is not None
            self.core.tick()
            self._schedule_tick()

    # ---- the disk: one sync covers all jobs that waited when it began

    def enqueue(self, job: Callable[[], None]) -> None:
        self.jobs.append(job)
        if not self.syncing:
            self._begin_sync()

    def _begin_sync(self) -> None:
        self.syncing = len(self.jobs)
        self.cluster.after(self.cluster.disk_delay(), self._end_sync, self)

    def _end_sync(self) -> None:
        done, self.jobs = self.jobs[: self.syncing], self.jobs[self.syncing :]
        for job in done:
            job()
        self.syncing = 0
        if self.jobs:
            self._begin_sync()

    # ---- the driver

    def handle(self, ready: Ready) -> None:
        cluster = self.cluster
        core = self.core
        assert core is not None
        life = self.life
        cluster.check_ready(self, ready)
        for message in ready.messages:
            cluster.send(message)
            cluster.maybe_crash(self)
        last = ready.entries[-1] if ready.entries else None

        def stored() -> None:
            self.disk.save(ready.hard_state, ready.entries)
            if self.life == life:
                for message in ready.messages_after_sync:
                    cluster.send(message)
                if last is not None:
                    core.persisted(last.index, last.term)

        if ready.hard_state is not None or ready.entries or ready.messages_after_sync:
            self.enqueue(stored)
        if ready.snapshot_chunk is not None:
            self._receive(ready.snapshot_chunk)
        for request in ready.chunk_requests:
            self._send_chunk(request)
        cluster.maybe_crash(self)
        for entry in ready.committed:
            self.machine.apply(entry)
            cluster.check_applied(self, entry)
        if ready.committed:
            core.applied(ready.committed[-1].index)
            self._maybe_snapshot()
        for state in ready.read_states:
            cluster.check_read(self, state.context, state.index)

    def _maybe_snapshot(self) -> None:
        core = self.core
        assert core is not None
        newest = self.disk.snapshot[0].index if self.disk.snapshot else 0
        if self.snapshotting or core.applied_index - newest < SNAPSHOT_EVERY:
            return
        self.snapshotting = True
        meta, data, life = core.snapshot_meta(core.applied_index), self.machine.dump(), self.life

        def stored() -> None:
            if self.disk.snapshot is None or meta.index > self.disk.snapshot[0].index:
                self.disk.snapshot = (meta, data)
            if self.life == life:
                index = core.snapshot_saved(meta)
                core.compact(index)
                self.disk.compact(index)
                self.snapshotting = False

        self.enqueue(stored)

    def _send_chunk(self, request: ChunkRequest) -> None:
        snapshot = self.disk.snapshot
        assert snapshot is not None
        meta, data = snapshot
        offset = request.offset if request.index == meta.index else 0
        part = data[offset : offset + CHUNK]
        done = offset + len(part) == len(data)
        self.cluster.send(SnapshotChunk(self.id, request.to, request.term, meta, offset, part, len(data), done))

    def _receive(self, chunk: SnapshotChunk) -> None:
        core, life = self.core, self.life
        assert core is not None

        def stored() -> None:
            if self.life != life:
                return
            if chunk.offset == 0:
                self.received = bytearray()
            if chunk.offset != len(self.received):
                raise Violation(f"{self.id} got a chunk at {chunk.offset} after {len(self.received)} bytes")
            self.received += chunk.data
            if not chunk.done:
                return
            data = bytes(self.received)
            machine = Machine.load(data)
            if machine is None or self.cluster.chance(0.1):
                core.snapshot_failed(chunk.meta)
                return
            if machine.index != chunk.meta.index:
                raise Violation("the snapshot is not of the index it says")
            self.disk.snapshot = (chunk.meta, data)
            self.machine = machine
            self.cluster.check_digest(self)
            kept = core.snapshot_installed(chunk.meta)
            if not kept:
                self.disk.entries = []
            self.cluster.count(self.cluster.operations, "snapshot installed")
            self.cluster.log(self, "installs a snapshot", index=chunk.meta.index, kept=kept)

        self.enqueue(stored)


class Cluster:
    """The world around the nodes, and the judge. All that happens is an event at a virtual time in milliseconds."""

    def __init__(self, seed: int, story: bool = False) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.now = 0.0
        self.story: list[str] | None = [] if story else None
        self._events: list[tuple[float, int, Callable[[], None], Node | None, int]] = []
        self._sequence = itertools.count()
        self.loss = self.random.choice([0.0, 0.02, 0.1])
        self.duplication = self.random.choice([0.0, 0.05])
        self.slow_network = self.random.choice([2.0, 20.0])
        self.slow_disk = self.random.choice([1.0, 15.0, 60.0])
        self.crash_chance = self.random.choice([0.0, 0.0005, 0.002])
        self.nemesis_pause = self.random.choice([60.0, 150.0, 300.0])
        # With little traffic a server that was cut off still has a log that wins elections.
        self.client_pause = self.random.choice([20.0, 20.0, 300.0])
        self.batch = self.random.choice([1, 4, 16])
        self.blocked: set[tuple[str, str]] = set()
        size = self.random.choice([3, 3, 4, 5])
        self.founders = [f"s{number}" for number in range(1, size + 1)]
        self.first = Configuration(tuple(Server(each, ADDRESS.format(each), True) for each in self.founders))
        names = [*self.founders, "s8", "s9"]
        self.nodes = {name: Node(self, name) for name in names}
        # The judge's books.
        self.leaders: dict[int, str] = {}
        self.votes: dict[tuple[int, str], str] = {}
        self.entries: dict[tuple[int, int], tuple[int, Entry]] = {}
        self.committed: dict[int, Entry] = {}
        self.digests: dict[int, bytes] = {0: b"\0" * 32}
        self.committed_in: dict[int, tuple[int, int]] = {}
        self.commit_max = 0
        self.quiet_from = 0.0
        self.reads: dict[int, tuple[str, int]] = {}
        self.commands = 0
        self.faults: dict[str, int] = {}
        self.operations: dict[str, int] = {}

    # ---- time, chance, words

    def after(self, delay: float, action: Callable[[], None], node: Node | None = None) -> None:
        """A node's event does not happen when it has crashed meanwhile."""
        life = node.life if node else 0
        heapq.heappush(self._events, (self.now + delay, next(self._sequence), action, node, life))

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def disk_delay(self) -> float:
        return self.random.uniform(0.1, self.slow_disk)

    def log(self, node: Node | None, text: str, **values: Any) -> None:
        if self.story is not None:
            shown = " ".join(f"{name}={value}" for name, value in values.items())
            self.story.append(f"{self.now:9.1f} {node.id if node else '--':>3} {text} {shown}".rstrip())

    def count(self, book: dict[str, int], what: str) -> None:
        book[what] = book.get(what, 0) + 1

    # ---- the network

    def send(self, message: AnyMessage) -> None:
        if isinstance(message, VoteReply) and message.granted:
            self.check_vote(message.term, message.sender, message.to)
        if isinstance(message, VoteRequest):
            self.check_vote(message.term, message.sender, message.sender)
        copies = 2 if self.chance(self.duplication) else 1
        for _ in range(copies):
            if self.chance(self.loss):
                self.count(self.faults, "lost message")
                continue
            delay = self.random.uniform(0.1, self.slow_network)
            if self.chance(0.01):
                delay += self.random.uniform(0, 300)
                self.count(self.faults, "late message")
            self.after(delay, lambda: self._deliver(message))
        if copies == 2:
            self.count(self.faults, "duplicated message")

    def _deliver(self, message: AnyMessage) -> None:
        node = self.nodes[message.to]
        if (message.sender, message.to) in self.blocked or not node.up:
            return
        if node.paused_at is not None:
            node.mail.append(message)
            return
        assert node.core is not None
        node.core.step(message)
        self.pump(node)

    # ---- the driver's turn

    def maybe_crash(self, node: Node) -> None:
        if self.chance(self.crash_chance) and self.now < self.quiet_from:
            raise Crash

    def pump(self, node: Node) -> None:
        """Mostly the driver turns to the core at once, and takes all there is."""
        try:
            while node.core is not None:
                ready = node.core.ready()
                if ready is None:
                    break
                node.handle(ready)
        except Crash:
            self.count(self.faults, "crash")
            node.crash()
            self.after(self.random.uniform(10, 1000), lambda: self._restart(node))
            return
        self.check_node(node)

    def _restart(self, node: Node) -> None:
        if not node.up:
            node.start()

    # ---- the judge

    def check_vote(self, term: int, voter: str, candidate: str) -> None:
        other = self.votes.setdefault((term, voter), candidate)
        if other != candidate:
            raise Violation(f"{voter} votes for {candidate} in term {term} and voted for {other}")

    def check_memory(self, node: Node) -> None:
        """A restarted server knows the vote that it gave away."""
        assert node.core is not None
        given = self.votes.get((node.core.term, node.id))
        if given is not None and node.core.vote != given:
            raise Violation(f"{node.id} voted for {given} in term {node.core.term} and remembers {node.core.vote!r}")

    def check_ready(self, node: Node, ready: Ready) -> None:
        core = node.core
        assert core is not None
        if core.role is Role.LEADER:
            leader = self.leaders.setdefault(core.term, node.id)
            if leader != node.id:
                raise Violation(f"election safety: {leader} and {node.id} lead in term {core.term}")
            if ready.soft is not None and ready.soft.role == "leader":
                self.log(node, "leads", term=core.term)
                self._check_completeness(core)
        previous = core.log.term(ready.entries[0].index - 1) if ready.entries else 0
        for entry in ready.entries:
            known = self.entries.setdefault((entry.index, entry.term), (previous or 0, entry))
            if known != (previous or 0, entry):
                raise Violation(f"log matching: {known} and {(previous, entry)}")
            previous = entry.term

    def _check_completeness(self, core: Raft) -> None:
        """What was committed in an earlier term is in the log of the leader of any later one. (A candidate that stood
        still may learn late that it won, when later terms have committed already; it does no harm.)"""
        for term, (index, entry_term) in self.committed_in.items():
            if term < core.term and index >= core.first_index and core.log.term(index) != entry_term:
                raise Violation(f"leader completeness: {core.id} leads in {core.term} without entry {index} of {term}")

    def check_node(self, node: Node) -> None:
        core = node.core
        if core is None:
            return
        log = core.log
        if not (log.offset <= log.applied <= log.applying <= log.commit <= log.last_index):
            raise Violation(f"positions: {log.offset} {log.applied} {log.applying} {log.commit} {log.last_index}")
        if not log.stable <= log.handed <= log.last_index:
            raise Violation(f"positions: {log.stable} {log.handed} {log.last_index}")
        if core.commit_index > self.commit_max:
            if core.role is Role.LEADER:
                self._check_durable(core)
                self.committed_in[core.term] = (core.commit_index, core.log.known_term(core.commit_index))
            self.commit_max = core.commit_index
        if core.has_lease() and node.paused_at is None:
            self.count(self.operations, "lease checked")
            if core.commit_index < self.commit_max:
                raise Violation(f"lease: {node.id} would serve {core.commit_index}, committed is {self.commit_max}")
            if max(self.leaders) > core.term:
                raise Violation(f"lease: {node.id} has it in term {core.term}, and term {max(self.leaders)} a leader")

    def _check_durable(self, core: Raft) -> None:
        """What a leader commits is on the disks of a majority of its voters at that moment."""
        index = core.commit_index
        term = core.log.term(index)
        if term != core.term:
            raise Violation(f"{core.id} commits {index} of term {term} by counting, in term {core.term}")
        voters = [server.id for server in core.configuration.servers if server.voter]
        held = [self.nodes[voter].disk.term_at(index) in (term, 0) for voter in voters]
        if sum(held) < len(held) // 2 + 1:
            raise Violation(f"{core.id} commits {index} which only {sum(held)} of {len(held)} disks hold")

    def check_applied(self, node: Node, entry: Entry) -> None:
        known = self.committed.setdefault(entry.index, entry)
        if known != entry:
            raise Violation(f"state machine safety: {node.id} applies {entry}, another applied {known}")
        self.digests.setdefault(entry.index, node.machine.digest)
        self.check_digest(node)
        self.count(self.operations, "applied")

    def check_digest(self, node: Node) -> None:
        if self.digests.get(node.machine.index, node.machine.digest) != node.machine.digest:
            raise Violation(f"state machine safety: {node.id} differs at {node.machine.index}")

    def check_read(self, node: Node, context: int, index: int) -> None:
        asker, floor = self.reads.pop(context)
        if asker != node.id:
            raise Violation("a read was answered to another server")
        if index:
            self.count(self.operations, "read")
            if index < floor:
                raise Violation(f"stale read: {node.id} may answer from {index}, {floor} was committed when it asked")

    # ---- clients, operators, and the forces of evil

    def leader(self) -> Node | None:
        """Somebody who thinks it leads."""
        leading = [n for n in self.nodes.values() if n.core and n.core.role is Role.LEADER and n.paused_at is None]
        return self.random.choice(leading) if leading else None

    def _client(self) -> None:
        self.after(self.random.expovariate(1 / self.client_pause), self._client)
        awake = [node for node in self.nodes.values() if node.up and node.paused_at is None]
        if awake and self.chance(0.3):
            node = self.random.choice(awake)
            assert node.core is not None
            self.commands += 1
            self.reads[self.commands] = (node.id, self.commit_max)
            node.core.read_index(self.commands)
            self.pump(node)
        leader = self.leader()
        if leader is not None:
            self._propose(leader)

    def _propose(self, leader: Node) -> None:
        assert leader.core is not None
        count = self.random.randint(1, 4)
        datas = [f"{self.commands + number}".encode() for number in range(count)]
        self.commands += count
        try:
            leader.core.propose(datas)
        except PyconsulError as error:
            self.count(self.operations, type(error).__name__)
        self.pump(leader)

    def _operator(self) -> None:
        if self.now > self.quiet_from:
            return
        self.after(self.random.expovariate(1 / 250), self._operator)
        leader = self.leader()
        if leader is None:
            return
        assert leader.core is not None
        target = self.random.choice(list(self.nodes))
        address = ADDRESS.format(target)
        changes: list[Change | None] = [
            AddVoter(target, address), AddVoter(target, address), AddNonVoter(target, address), DemoteVoter(target),
            RemoveServer(target), None,
        ]  # fmt: skip
        change = self.random.choice(changes)
        try:
            if change is None:
                leader.core.transfer_leadership(self.random.choice([None, target]))
                self.log(leader, "hands leadership over", to=target)
                self.count(self.operations, "transfer")
            else:
                leader.core.propose_configuration(change)
                self.log(leader, "changes the configuration:", change=change)
                self.count(self.operations, "membership change")
        except PyconsulError as error:
            self.log(leader, "refuses:", error=error)
        self.pump(leader)

    def _nemesis(self) -> None:
        if self.now > self.quiet_from:
            return
        self.after(self.random.expovariate(1 / self.nemesis_pause), self._nemesis)
        kinds = ["crash", "pause", "partition", "one-way", "pair", "heal", "heal", "all crash"]
        kind = self.random.choice(kinds)
        # Whoever leads is the most rewarding victim.
        node = (self.leader() if self.chance(0.4) else None) or self.random.choice(list(self.nodes.values()))
        self.log(node, f"nemesis: {kind}")
        self.count(self.faults, kind)
        everybody = list(self.nodes)
        if kind == "crash" and node.up:
            node.crash()
            self.after(self.random.uniform(1, 600), lambda: self._restart(node))
        elif kind == "all crash" and self.chance(0.2):
            for each in [each for each in self.nodes.values() if each.up]:
                each.crash()
                self.after(self.random.uniform(1, 300), lambda each=each: self._restart(each))  # type: ignore[misc]
        elif kind == "pause" and node.up and node.paused_at is None:
            node.paused_at = self.now
            self.after(self.random.uniform(5, 500), lambda: self._resume(node), node)
        elif kind == "partition":
            side = set(self.random.sample(everybody, self.random.randint(1, len(everybody) // 2)))
            self.blocked = {(a, b) for a in everybody for b in everybody if (a in side) != (b in side)}
        elif kind == "one-way":
            self.blocked |= {(node.id, each) for each in everybody if self.chance(0.7)}
        elif kind == "pair":
            other = self.random.choice(everybody)
            self.blocked |= {(node.id, other), (other, node.id)}
        elif kind == "heal":
            self.blocked = set()

    def _resume(self, node: Node) -> None:
        """The driver notices how long it stood still before it does anything else."""
        if node.paused_at is None or node.core is None:
            return
        missed = int((self.now - node.paused_at) / TICK) + 1
        node.paused_at = None
        if node.core.role is Role.LEADER:
            node.core.stood_still(missed)
        node.core.tick()
        node._schedule_tick()
        mail, node.mail = node.mail, []
        self.pump(node)
        for message in mail:
            if node.core is not None:
                node.core.step(message)
                self.pump(node)

    # ---- the run

    def run(self, duration: float = 4000.0) -> None:
        """Faults for a while, then quiet: the cluster must come to an agreement. Raises Violation."""
        self.quiet_from = duration
        for node in self.nodes.values():
            node.start()
        self.after(100, self._client)
        self.after(400, self._operator)
        self.after(200, self._nemesis)
        self._run_until(duration)
        self._quiet()
        self._run_until(self.now + 2500)
        self._check_agreement()

    def _run_until(self, end: float) -> None:
        while self._events and self._events[0][0] <= end:
            self.now, _, action, node, life = heapq.heappop(self._events)
            if node is None:
                action()
            elif node.life == life and node.up:
                action()
                self.pump(node)
        self.now = end

    def _quiet(self) -> None:
        self.log(None, "quiet from here")
        self.loss = self.duplication = self.crash_chance = 0.0
        self.blocked = set()
        self.slow_disk = self.slow_network = 1.0
        for node in self.nodes.values():
            if not node.up:
                node.start()
            self._resume(node)

    def _check_agreement(self) -> None:
        leading = [n.core for n in self.nodes.values() if n.core and n.core.role is Role.LEADER]
        if len(leading) != 1:
            raise Violation(f"no single leader after the faults: {[core.id for core in leading]}")
        leader = leading[0]
        if leader.commit_index < self.commit_max or leader.commit_index < leader.last_index - 20:
            raise Violation(f"{leader.id} makes no progress: commit {leader.commit_index} of {leader.last_index}")
        for server in leader.configuration.servers:
            node = self.nodes[server.id]
            if node.machine.index < leader.commit_index - 20:
                raise Violation(f"{server.id} stays behind: {node.machine.index} of {leader.commit_index}")


def command(seed: int) -> str:
    return f"python tests/sim/raft_cluster.py {seed}"


def run_seed(seed: int) -> Cluster:
    """Raises AssertionError with the command that replays the seed."""
    cluster = Cluster(seed)
    try:
        cluster.run()
    except (AssertionError, PyconsulError, LookupError, TypeError) as error:
        raise Violation(f"{type(error).__name__}: {error}\nreplay with: {command(seed)}") from error
    return cluster


if __name__ == "__main__":
    told = Cluster(int(sys.argv[1]), story=True)
    try:
        told.run()
    finally:
        print("\n".join(told.story or []))
