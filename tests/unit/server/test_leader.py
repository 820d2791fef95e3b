"""A leader's own duties about time: ending sessions, and not promising what has ended."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from pyconsul.errors import LeadershipLostError, OverloadedError
from pyconsul.fsm.apply import StateMachine
from pyconsul.fsm.commands import AnyCommand, Register, SessionCreate, SessionDestroy
from pyconsul.records.catalog import Node
from pyconsul.records.session import Session
from pyconsul.server.leader import Leader
from pyconsul.state.store import Store

ID = "3f1c5f62-9d4b-4d39-9d49-0a9a58a8d9b1"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now


class Bench:
    """A leader over a state machine; what it writes waits in ``written`` to be applied or refused."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.machine = StateMachine(Store())
        self.written: list[tuple[AnyCommand, Callable[[object], None]]] = []
        self.leader = Leader(
            self.clock,
            logging.getLogger("test"),
            lambda: self.machine.store,
            lambda command, done: self.written.append((command, done)),
        )
        self.apply(Register(Node("", "n", "10.0.0.1", "dc1")))
        self.leader.start()
        self.apply(SessionCreate(Session(ID, "", "n", 0, "release", "10s", None, None, [])))

    def apply(self, command: AnyCommand) -> object:
        result = self.machine.apply(self.machine.applied_index + 1, command)
        self.leader.observe(self.machine.drain_effects())
        return result

    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds
        self.leader.tick()


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_session_ends_after_twice_its_ttl_without_renewal(bench: Bench) -> None:
    bench.pass_time(15.0)
    assert bench.leader.renew(ID) is not None
    bench.pass_time(19.9)
    assert bench.written == []
    bench.pass_time(0.2)
    assert [command for command, _ in bench.written] == [SessionDestroy(ID)]


def test_a_session_whose_end_is_on_its_way_cannot_be_renewed(bench: Bench) -> None:
    """A renewal that was acknowledged would be broken by the entry that is in the log already."""
    bench.pass_time(20.1)
    assert bench.leader.renew(ID) is None
    command, done = bench.written.pop()
    done(bench.apply(command))
    assert bench.leader.renew(ID) is None


def test_when_the_end_could_not_be_replicated_the_session_goes_on(bench: Bench) -> None:
    bench.pass_time(20.1)
    _, done = bench.written.pop()
    done(OverloadedError("no space"))
    assert bench.leader.renew(ID) is not None
    bench.pass_time(20.1)
    assert [command for command, _ in bench.written] == [SessionDestroy(ID)]


def test_when_it_is_not_known_whether_the_end_was_replicated_the_session_is_given_up(bench: Bench) -> None:
    """As when the disk is full: the entry is in the log of this leader and may be committed yet."""
    bench.pass_time(20.1)
    _, done = bench.written.pop()
    done(LeadershipLostError())
    assert bench.leader.renew(ID) is None
    bench.pass_time(20.1)
    assert [command for command, _ in bench.written] == [SessionDestroy(ID)]


def test_a_new_leadership_knows_no_ends_of_the_last_one(bench: Bench) -> None:
    bench.pass_time(20.1)
    bench.leader.stop()
    bench.leader.start()
    assert bench.leader.renew(ID) is not None
