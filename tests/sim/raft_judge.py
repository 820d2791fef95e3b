"""What must never be seen of consensus cores. Raises Violation at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from votes import Votes
from world import Violation

from pyconsul.raft.core import Raft, Role
from pyconsul.raft.messages import Entry, Ready

if TYPE_CHECKING:
    from raft_cluster import Cluster
    from raft_node import Node


class Judge:
    """``faults`` and ``operations``: how often what happened."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.leaders: dict[int, str] = {}
        self.votes = Votes()
        self.entries: dict[tuple[int, int], tuple[int, Entry]] = {}
        self.committed: dict[int, Entry] = {}
        self.digests: dict[int, bytes] = {0: b"\0" * 32}
        self.committed_in: dict[int, tuple[int, int]] = {}
        self.commit_max = 0
        self.reads: dict[int, tuple[str, int]] = {}
        self.faults: dict[str, int] = {}
        self.operations: dict[str, int] = {}

    def count(self, book: dict[str, int], what: str) -> None:
        book[what] = book.get(what, 0) + 1

    def check_memory(self, node: Node) -> None:
        """A restarted server knows the vote that it gave away."""
        assert node.core is not None
        self.votes.remembers(node.id, node.core.term, node.core.vote)

    def check_ready(self, node: Node, ready: Ready) -> None:
        core = node.core
        assert core is not None
        if core.role is Role.LEADER:
            leader = self.leaders.setdefault(core.term, node.id)
            if leader != node.id:
                raise Violation(f"election safety: {leader} and {node.id} lead in term {core.term}")
            if ready.soft is not None and ready.soft.role == "leader":
                self.cluster.log(node, "leads", term=core.term)
                self._check_completeness(core)

    def check_entries(self, previous: int, entries: list[Entry]) -> None:
        """Two logs with an entry of the same index and term agree up to it. ``previous``: the term before the entries.

        Asked for what is sent or stored. What a lone voter only had in memory when it crashed was never anybody's log:
        its term is not on its disk either, and after the restart it may lead in it anew.
        """
        for entry in entries:
            known = self.entries.setdefault((entry.index, entry.term), (previous, entry))
            if known != (previous, entry):
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
        held = [self.cluster.nodes[voter].disk.term_at(index) in (term, 0) for voter in voters]
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
