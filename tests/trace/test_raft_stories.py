"""Stories of consensus cores: scripts with the recorded output of each command, read and reviewed as text.

In ``raft/*.txt`` a line that begins with ``>`` is a command, ``#`` a remark; the lines after a command are what it
showed. RECORD=1 writes the output anew; the difference is then to be reviewed like code.

    servers a b c [+n]     bootstrapped servers (with + in front: running, and not part of the cluster yet)
    stand a                a stands for election now
    tick a 10              time passes for a
    propose a x y          a's clients write
    change a add|learn|demote|remove d
    transfer a b           a hands leadership to b
    read a 7               a read in the context 7
    slow a / sync a        a's disk holds what it is given until it is synced
    cut a b / heal         no messages between a and b, both ways / all connections work
    settle                 messages are delivered until there are none
    snapshot a             a snapshot of all that is applied; the log before it is dropped
    crash a / restart a    what was not synced is lost
    state                  role, term, vote, last entry, commit index and configuration of everybody
    log a                  a's entries as index:term
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pyconsul.clock import seeded_random
from pyconsul.errors import PyconsulError
from pyconsul.raft.config import AddNonVoter, AddVoter, Change, DemoteVoter, RaftConfig, RemoveServer
from pyconsul.raft.core import Raft
from pyconsul.raft.messages import (
    CONFIG,
    NOOP,
    AnyMessage,
    AppendReply,
    AppendRequest,
    Configuration,
    Entry,
    HardState,
    PreVoteReply,
    PreVoteRequest,
    ReadIndexReply,
    ReadIndexRequest,
    Ready,
    Server,
    SnapshotChunk,
    SnapshotMeta,
    SnapshotReply,
    TimeoutNow,
    VoteReply,
    VoteRequest,
)

STORIES = sorted((Path(__file__).parent / "raft").glob("*.txt"))
RECORD = os.environ.get("RECORD") == "1"


class Actor:
    """A core with its disk: what is stored, and the Readies that a slow disk still holds."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.state = HardState()
        self.entries: list[Entry] = []
        self.snapshot: SnapshotMeta | None = None
        self.slow = False
        self.waiting: list[Ready] = []
        self.raft = self._start()

    def _start(self) -> Raft:
        config = RaftConfig(id=self.name, trailing_entries=0)
        return Raft(config, seeded_random(ord(self.name)), self.state, self.entries, self.snapshot)

    def restart(self) -> None:
        self.waiting = []
        self.slow = False
        self.raft = self._start()


class Story:
    def __init__(self) -> None:
        self.actors: dict[str, Actor] = {}
        self.mail: list[AnyMessage] = []
        self.cuts: set[tuple[str, str]] = set()
        self.down: set[str] = set()
        self.lines: list[str] = []

    def run(self, command: str) -> list[str]:
        self.lines = []
        verb, *words = command.split()
        try:
            getattr(self, f"do_{verb}")(*words)
        except PyconsulError as error:
            self.lines.append(f"refused: {error}")
        for actor in self.actors.values():
            if actor.name not in self.down:
                self._drain(actor)
        return self.lines

    # ---- the driver's work

    def _drain(self, actor: Actor) -> None:
        while (ready := actor.raft.ready()) is not None:
            self.mail += ready.messages
            actor.waiting.append(ready)
            if not actor.slow:
                self._store(actor)
            if ready.soft is not None:
                self.lines.append(f"{actor.name} is {ready.soft.role}, leader {ready.soft.leader or 'unknown'}")
            for each in ready.committed:
                self.lines.append(f"{actor.name} applies {self._entry(each)}")
            if ready.committed:
                actor.raft.applied(ready.committed[-1].index)
            for read in ready.read_states:
                self.lines.append(f"{actor.name} may answer read {read.context} at index {read.index}")
            for request in ready.chunk_requests:
                assert actor.snapshot is not None
                meta, data = actor.snapshot, b"state"
                part = data[request.offset : request.offset + 3]
                done = request.offset + len(part) == len(data)
                chunk = SnapshotChunk(actor.name, request.to, request.term, meta, request.offset, part, len(data), done)
                self.mail.append(chunk)
            if ready.snapshot_chunk is not None and ready.snapshot_chunk.done:
                actor.snapshot = ready.snapshot_chunk.meta
                if not actor.raft.snapshot_installed(actor.snapshot):
                    actor.entries = []
                self.lines.append(f"{actor.name} installs the snapshot of {actor.snapshot.index}")

    def _store(self, actor: Actor) -> None:
        for ready in actor.waiting:
            actor.state = ready.hard_state or actor.state
            if ready.entries:
                first = ready.entries[0].index
                actor.entries = [each for each in actor.entries if each.index < first] + ready.entries
            self.mail += ready.messages_after_sync
            if ready.entries:
                actor.raft.persisted(ready.entries[-1].index, ready.entries[-1].term)
        actor.waiting = []

    # ---- commands

    def do_servers(self, *names: str) -> None:
        founders = [name for name in names if not name.startswith("+")]
        configuration = Configuration(tuple(Server(name, f"{name}:8300", True) for name in founders))
        for name in names:
            actor = self.actors[name.lstrip("+")] = Actor(name.lstrip("+"))
            if name in founders:
                actor.raft.bootstrap(configuration)

    def do_stand(self, name: str) -> None:
        self.actors[name].raft.campaign()

    def do_tick(self, name: str, count: str) -> None:
        for _ in range(int(count)):
            self.actors[name].raft.tick()
            self._drain(self.actors[name])

    def do_propose(self, name: str, *datas: str) -> None:
        self.actors[name].raft.propose([data.encode() for data in datas])

    def do_change(self, name: str, what: str, whom: str) -> None:
        address = f"{whom}:8300"
        changes: dict[str, Change] = {
            "add": AddVoter(whom, address),
            "learn": AddNonVoter(whom, address),
            "demote": DemoteVoter(whom),
            "remove": RemoveServer(whom),
        }
        self.actors[name].raft.propose_configuration(changes[what])

    def do_transfer(self, name: str, to: str) -> None:
        self.actors[name].raft.transfer_leadership(to)

    def do_read(self, name: str, context: str) -> None:
        self.actors[name].raft.read_index(int(context))

    def do_slow(self, name: str) -> None:
        self.actors[name].slow = True

    def do_sync(self, name: str) -> None:
        self.actors[name].slow = False
        self._store(self.actors[name])

    def do_cut(self, one: str, other: str) -> None:
        self.cuts |= {(one, other), (other, one)}

    def do_heal(self) -> None:
        self.cuts = set()

    def do_settle(self) -> None:
        for _ in range(200):
            if not self.mail:
                return
            message = self.mail.pop(0)
            if message.to in self.down or message.sender in self.down or (message.sender, message.to) in self.cuts:
                self.lines.append(f"{self._message(message)}  (lost)")
                continue
            self.lines.append(self._message(message))
            self.actors[message.to].raft.step(message)
            self._drain(self.actors[message.to])
        raise AssertionError("the servers talk for ever")

    def do_snapshot(self, name: str) -> None:
        actor = self.actors[name]
        meta = actor.raft.snapshot_meta(actor.raft.applied_index)
        index = actor.raft.snapshot_saved(meta)
        actor.raft.compact(index)
        actor.snapshot = meta
        actor.entries = [each for each in actor.entries if each.index > index]

    def do_crash(self, name: str) -> None:
        self.down.add(name)
        lost = len(self.actors[name].waiting)
        self.lines.append(f"{name} is gone, {lost} unsynced")

    def do_restart(self, name: str) -> None:
        self.down.discard(name)
        self.actors[name].restart()

    def do_state(self) -> None:
        for name, actor in self.actors.items():
            raft = actor.raft
            if name in self.down:
                self.lines.append(f"{name} is down")
                continue
            servers = " ".join(each.id if each.voter else f"({each.id})" for each in raft.configuration.servers)
            self.lines.append(
                f"{name} {raft.role:<12} term {raft.term} vote {raft.vote or '-'} "
                f"last {raft.last_index}:{raft.last_term} commit {raft.commit_index} servers {servers or '-'}"
            )

    def do_log(self, name: str) -> None:
        raft = self.actors[name].raft
        self.lines.append(" ".join([f"[{raft.first_index - 1}]"] + [f"{e.index}:{e.term}" for e in raft.log.entries]))

    # ---- words

    def _entry(self, entry: Entry) -> str:
        kind = {NOOP: "no-op", CONFIG: "configuration"}.get(entry.kind, entry.data.decode(errors="replace"))
        return f"{entry.index}:{entry.term} {kind}"

    def _message(self, m: AnyMessage) -> str:
        head = f"{m.sender} -> {m.to} "
        if isinstance(m, PreVoteRequest):
            return head + f"would you vote for me in term {m.term}? my log ends at {m.last_index}:{m.last_term}"
        if isinstance(m, PreVoteReply):
            return head + (f"I would in term {m.term}" if m.granted else f"I would not; my term is {m.term}")
        if isinstance(m, VoteRequest):
            why = ", the leader wishes it" if m.transfer else ""
            return head + f"vote for me in term {m.term}{why}; my log ends at {m.last_index}:{m.last_term}"
        if isinstance(m, VoteReply):
            return head + (f"my vote for term {m.term}" if m.granted else f"no vote in term {m.term}")
        if isinstance(m, AppendRequest):
            what = " ".join(self._entry(each) for each in m.entries) or "nothing new"
            return head + f"after {m.prev_index}:{m.prev_term}: {what}; commit {m.commit}, round {m.read_round}"
        if isinstance(m, AppendReply):
            if m.success:
                return head + f"stored up to {m.match}, round {m.read_round}"
            return head + f"no; try {m.conflict_index}, my term there is {m.conflict_term}, I am in term {m.term}"
        if isinstance(m, SnapshotChunk):
            return head + f"snapshot of {m.meta.index}: bytes {m.offset} to {m.offset + len(m.data)} of {m.total}"
        if isinstance(m, SnapshotReply):
            return head + (f"have all up to {m.index}" if m.installed else f"go on at byte {m.next_offset}")
        if isinstance(m, ReadIndexRequest):
            return head + "what is the read index?"
        if isinstance(m, ReadIndexReply):
            return head + f"the read index is {m.index}"
        assert isinstance(m, TimeoutNow)
        return head + "stand for election now"


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_story(path: Path) -> None:
    story = Story()
    told: list[str] = []
    for line in path.read_text().splitlines():
        if line.startswith(">"):
            told.append(line)
            told += story.run(line[1:])
        elif line.startswith("#") or not line:
            told.append(line)
    text = "\n".join(told) + "\n"
    if RECORD:
        path.write_text(text)
    assert text == path.read_text()


def test_there_are_stories() -> None:
    assert len(STORIES) >= 7
