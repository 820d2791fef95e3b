"""Reads share questions to the leader: those that came in one turn, and those that came while one was under way.

None of them is forgotten when a question fails.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

from pyconsul.clock import SystemClock, seeded_random
from pyconsul.errors import NoLeaderError, PyconsulError
from pyconsul.raft.messages import ReadState
from pyconsul.server.backend import ReadMeta, ReadMode
from pyconsul.server.consensus import Consensus
from pyconsul.server.leader import Leader
from pyconsul.server.raft_loop import RaftLoop


class Raft:
    """What Consensus sees of a RaftLoop at a follower; ``begin`` is what it does at the end of a turn."""

    def __init__(self) -> None:
        self.core = SimpleNamespace(role="follower", leader_id="other")
        self.lease_is_valid = False
        self.heard_from_leader = True
        self.last_contact = 0.0
        self.rounds_begun = 0
        self.waiters: list[tuple[bool, Callable[[bool], None]]] = []

    def read_index(self, done: Callable[[bool], None], lease: bool) -> None:
        self.waiters.append((lease, done))

    def begin(self) -> list[Callable[[bool], None]]:
        begun, self.waiters = self.waiters, []
        self.rounds_begun += len({lease for lease, _ in begun})
        return [done for _, done in begun]


def site(hold_seconds: float = 5.0) -> tuple[Raft, Consensus, dict[str, ReadMeta | PyconsulError]]:
    raft = Raft()
    leader = Leader(SystemClock(), logging.getLogger("test"), cast(Any, None), cast(Any, None), 10.0)
    consensus = Consensus(
        cast(RaftLoop, raft), leader, cast(Any, None), SystemClock(), seeded_random(1), hold_seconds, lambda _: None
    )
    return raft, consensus, {}


def ask(consensus: Consensus, answers: dict[str, ReadMeta | PyconsulError], name: str, mode: ReadMode) -> None:
    consensus.read_then(mode, lambda answer: answers.__setitem__(name, answer))


async def test_reads_of_one_turn_and_mode_ask_once() -> None:
    raft, consensus, answers = site()
    for name in ("a", "b"):
        ask(consensus, answers, name, ReadMode.DEFAULT)
    ask(consensus, answers, "c", ReadMode.CONSISTENT)
    assert [lease for lease, _ in raft.waiters] == [True, False]
    leased, confirmed = raft.begin()
    leased(True)
    assert list(answers) == ["a", "b"]
    confirmed(True)
    assert [type(answer) for answer in answers.values()] == [ReadMeta] * 3


async def test_a_read_that_comes_after_the_question_was_sent_has_its_own() -> None:
    raft, consensus, answers = site()
    ask(consensus, answers, "before", ReadMode.DEFAULT)
    [first] = raft.begin()
    ask(consensus, answers, "after", ReadMode.DEFAULT)
    assert len(raft.waiters) == 1
    first(True)
    assert list(answers) == ["before"]
    [second] = raft.begin()
    second(True)
    assert list(answers) == ["before", "after"]


async def test_reads_that_were_refused_are_held_and_asked_again_each() -> None:
    raft, consensus, answers = site()
    for name in ("a", "b"):
        ask(consensus, answers, name, ReadMode.CONSISTENT)
    [refused] = raft.begin()
    refused(False)
    assert not answers
    consensus.leader_changed()
    for again in raft.begin():
        again(True)
    assert list(answers) == ["a", "b"]


async def test_a_read_that_comes_after_a_refusal_in_the_same_turn_is_not_lost() -> None:
    """Nothing has begun yet, but what waited was answered: as when the server stops and starts to refuse."""
    raft, consensus, answers = site()
    ask(consensus, answers, "a", ReadMode.DEFAULT)
    [(_, waiting)] = raft.waiters
    raft.waiters = []
    waiting(False)
    ask(consensus, answers, "b", ReadMode.DEFAULT)
    [(_, waiting)] = raft.waiters
    waiting(True)
    assert list(answers) == ["b"]


async def test_reads_end_with_an_error_when_no_leader_comes() -> None:
    raft, consensus, answers = site(hold_seconds=0.01)
    raft.core.leader_id = ""
    for mode in ReadMode:
        raft.heard_from_leader = False
        ask(consensus, answers, mode.value, mode)
    deadline = asyncio.get_running_loop().time() + 10
    while len(answers) < len(ReadMode):
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.001)
    assert {type(answer) for answer in answers.values()} == {NoLeaderError}


class Core:
    """A follower's core that only counts questions; ``states`` are answers that are ready."""

    def __init__(self) -> None:
        self.id, self.role, self.leader_id = "own", "follower", "other"
        self.configuration_index, self.applied_index = 1, 10
        self.configuration = SimpleNamespace(servers=())
        self.reads = SimpleNamespace(leased=[])
        self.asked: list[tuple[int, bool]] = []
        self.states: list[ReadState] = []

    def read_index(self, context: int, lease: bool = False) -> None:
        self.asked.append((context, lease))

    def progress(self) -> dict[str, object]:
        return {}

    def tick(self) -> None: ...

    def ready(self) -> object:
        states, self.states = self.states, []
        if not states:
            return None
        nothing: list[object] = []
        return SimpleNamespace(
            soft=None, messages=nothing, chunk_requests=nothing, snapshot_chunk=None, hard_state=None, entries=nothing,
            messages_after_sync=nothing, committed=nothing, read_states=states,
        )  # fmt: skip


class HandClock:
    """Moved by hand."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now


def driven() -> tuple[Core, HandClock, RaftLoop, list[str]]:
    core, clock = Core(), HandClock()
    transport = SimpleNamespace(keep_only=lambda addresses: None)
    snapshots = SimpleNamespace(attach=lambda loop: None)
    loop = RaftLoop(
        cast(Any, core), cast(Any, None), cast(Any, None), cast(Any, transport), cast(Any, snapshots), clock,
        logging.getLogger("test"), 0.1, 10,
    )  # fmt: skip
    return core, clock, loop, []


def read(loop: RaftLoop, seen: list[str], name: str, lease: bool = True) -> None:
    loop.read_index(lambda good: seen.append(name if good else f"not {name}"), lease)


async def test_one_question_about_the_lease_is_under_way_at_a_time() -> None:
    core, _, loop, seen = driven()
    read(loop, seen, "a")
    await asyncio.sleep(0)
    read(loop, seen, "b")
    read(loop, seen, "c", lease=False)
    await asyncio.sleep(0)
    assert core.asked == [(1, True), (2, False)]
    core.states = [ReadState(1, 5)]
    loop.wake()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert seen == ["a"]
    assert core.asked[2:] == [(3, True)]
    core.states = [ReadState(2, 5), ReadState(3, 0)]
    loop.wake()
    await asyncio.sleep(0)
    assert seen == ["a", "c", "not b"]


async def test_a_question_that_was_lost_does_not_hold_up_the_next_for_longer_than_a_tick() -> None:
    core, clock, loop, seen = driven()
    read(loop, seen, "a")
    await asyncio.sleep(0)
    read(loop, seen, "b")
    clock.now += 0.11
    loop.wake()
    await asyncio.sleep(0)
    assert core.asked == [(1, True), (2, True)]
    core.states = [ReadState(2, 5)]
    loop.wake()
    await asyncio.sleep(0)
    assert seen == ["b"]
