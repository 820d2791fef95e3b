"""The state machine as the server uses it: results, refusals, indexes, effects."""

from __future__ import annotations

import msgspec
import pytest

from pyconsul.errors import ApplyError, DecodeError, InvariantError, PyconsulError
from pyconsul.fsm import commands as c
from pyconsul.fsm.apply import StateMachine
from pyconsul.state.effects import SessionCreated, TombstonesLeft
from pyconsul.state.store import Store


def test_results(empty: StateMachine) -> None:
    assert empty.apply(5, c.KVSet(b"k", b"v")) is True
    assert empty.apply(7, c.KVCas(b"k", b"v", 0, 9)) is False
    refused = empty.apply(8, c.KVLock(b"k", b"v", 0, ""))
    assert isinstance(refused, ApplyError) and str(refused) == "missing session"
    assert empty.applied_index == 8 and empty.store.kv.index == 5


def test_entries_without_a_command_count(empty: StateMachine) -> None:
    empty.skip(3)
    assert empty.applied_index == 3 and empty.store.kv.index == 1
    with pytest.raises(InvariantError):
        empty.skip(3)


@pytest.mark.parametrize("index", [4, 5])
def test_no_entry_is_applied_twice(empty: StateMachine, index: int) -> None:
    empty.apply(5, c.KVSet(b"k", b"v"))
    with pytest.raises(InvariantError, match="applied twice"):
        empty.apply(index, c.KVSet(b"k", b"w"))
    assert empty.store.kv.get(b"k") is not None and empty.applied_index == 5


def test_what_cannot_be_read_changes_nothing(empty: StateMachine) -> None:
    with pytest.raises(DecodeError, match="unreadable command"):
        empty.apply_bytes(1, msgspec.msgpack.encode([999]))
    with pytest.raises(PyconsulError, match="does not know: int"):
        empty.apply(1, 5)  # type: ignore[arg-type]
    assert empty.applied_index == 0


def test_every_command_has_a_handler(empty: StateMachine) -> None:
    assert set(empty._handlers) == set(c.AnyCommand.__args__)  # type: ignore[attr-defined]


def test_effects_are_told_once_in_order(machine: StateMachine) -> None:
    effects = machine.drain_effects()
    assert [type(effect) for effect in effects] == [SessionCreated] * 2 + [TombstonesLeft] * 3
    assert machine.drain_effects() == []


def test_autopilot_configuration(empty: StateMachine) -> None:
    store = empty.store
    assert store.autopilot_config() is None
    assert empty.apply(1, c.AutopilotConfigSet({"a": 1}, 5)) is False
    assert empty.apply(2, c.AutopilotConfigSet({"a": 1}, 0)) is True
    assert empty.apply(3, c.AutopilotConfigSet({"a": 2}, 0)) is False
    assert empty.apply(4, c.AutopilotConfigSet({"a": 3}, 2)) is True
    fired: list[int] = []
    store.watches.table("autopilot", lambda: fired.append(1))
    assert empty.apply(5, c.AutopilotConfigSet({"a": 4}, 2)) is False and not fired
    assert empty.apply(6, c.AutopilotConfigSet({"a": True})) is True and fired
    config = store.autopilot_config()
    assert config is not None and (config.config, config.create_index, config.modify_index) == ({"a": True}, 2, 6)


def test_same_log_same_bytes(machine: StateMachine, log: list[c.AnyCommand]) -> None:
    """One server applies everything, another starts from a snapshot of a third at every place of the log."""
    expected = b"".join(machine.snapshot())
    for at in range(len(log) + 1):
        first, second = StateMachine(Store()), StateMachine(Store())
        for index, command in enumerate(log[:at], start=10):
            first.apply(index, command)
        second.restore(first.snapshot())
        for index, command in enumerate(log[at:], start=10 + at):
            second.apply(index, command)
        assert b"".join(second.snapshot()) == expected, at
