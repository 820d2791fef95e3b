"""Snapshots: they hold everything, at one moment, and damaged ones are refused without harm."""

from __future__ import annotations

import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyconsul.errors import DecodeError
from pyconsul.fsm import commands as c
from pyconsul.fsm import snapshot
from pyconsul.fsm.apply import StateMachine
from pyconsul.state.store import Store


def restored(data: bytes, cut: int = 1 << 30) -> StateMachine:
    machine = StateMachine(Store())
    machine.restore(data[at : at + cut] for at in range(0, len(data), cut))
    return machine


def test_everything_comes_back(machine: StateMachine) -> None:
    other = restored(b"".join(machine.snapshot()))
    a, b = machine.store, other.store
    assert other.applied_index == machine.applied_index
    assert a.kv.list(b"") == b.kv.list(b"") and a.kv.index == b.kv.index
    for prefix in (b"deleted", b"tree/", b"tree", b"none", b"plain"):
        assert a.kv.index_of_prefix(prefix) == b.kv.index_of_prefix(prefix)
    assert a.sessions.list() == b.sessions.list() and a.sessions.index == b.sessions.index
    for session in a.sessions.list():
        assert a.sessions.keys_of(session.id) == b.sessions.keys_of(session.id)
        assert a.sessions.of_node(session.node) == b.sessions.of_node(session.node)
    assert a.catalog.nodes() == b.catalog.nodes() and a.catalog.services() == b.catalog.services()
    assert a.catalog.checks_of_service("web") == b.catalog.checks_of_service("web") != []
    assert a.catalog.coordinates() == b.catalog.coordinates() != []
    for name in ("web", "gone"):
        assert a.catalog.service_index(name) == b.catalog.service_index(name)
    assert a.autopilot_config() == b.autopilot_config() is not None


def test_the_bytes_are_the_same_again(machine: StateMachine) -> None:
    data = b"".join(machine.snapshot())
    assert b"".join(restored(data).snapshot()) == data


def test_an_empty_state(empty: StateMachine) -> None:
    data = b"".join(empty.snapshot())
    assert b"".join(restored(data).snapshot()) == data
    assert restored(data).store.kv.index == 1


@pytest.mark.parametrize("cut", [1, 7, 4096, 65536])
def test_chunks_may_be_cut_anywhere(machine: StateMachine, cut: int) -> None:
    machine.apply(1000, c.KVDelete(b"large"))
    data = b"".join(machine.snapshot())
    assert b"".join(restored(data, cut).snapshot()) == data


def test_chunks_are_small(machine: StateMachine) -> None:
    for n in range(2000):
        machine.apply(1000 + n, c.KVSet(b"k%04d" % n, b"v" * 300))
    sizes = [len(chunk) for chunk in machine.snapshot()]
    assert max(sizes) <= snapshot.CHUNK_BYTES_MAX and len(sizes) > 10 and min(sizes) > 0


def test_it_is_of_one_moment(machine: StateMachine, log: list[Any]) -> None:
    expected = b"".join(machine.snapshot())
    chunks = machine.snapshot()
    got = []
    changes: list[c.AnyCommand] = [
        c.KVSet(b"large", b"other"), c.KVDelete(b"held"), c.KVDelete(b"deleted"), c.KVSet(b"a", b"new"),
        c.TombstoneReap(1000), c.SessionDestroy("a0000000-0000-4000-8000-000000000002"), c.Deregister("m"),
        c.KVSet(b"held", b"again"), c.KVDeleteTree(b""), c.KVSet(b"plain", b"after"), c.AutopilotConfigSet({}),
    ]  # fmt: skip
    for at, command in enumerate(changes):
        machine.apply(1000 + at, command)
        got.append(next(chunks, b""))
    assert b"".join([*got, *chunks]) == expected


def test_restore_replaces_and_drops_effects(machine: StateMachine, empty: StateMachine) -> None:
    data = list(empty.snapshot())
    running = machine.snapshot()
    first = next(running)
    expected_rest = b"".join(machine.snapshot())[len(first) :]
    machine.restore(data)
    assert machine.store.kv.list(b"") == []
    assert machine.store.sessions.list() == []
    assert machine.store.catalog.nodes() == []
    assert machine.applied_index == 0 and machine.drain_effects() == []
    assert b"".join(running) == expected_rest, "a snapshot under way goes on with what it began"
    machine.apply(1, c.KVSet(b"k", b"v"))


def test_progress(machine: StateMachine) -> None:
    calls: list[tuple[int, int]] = []
    snapshot.read_snapshot(machine.snapshot(), lambda done, of: calls.append((done, of)))
    assert calls[-1][0] == calls[-1][1] > 0 and calls == sorted(calls)


# Damage


def frame(kind: int, rows: Any) -> bytes:
    payload = msgspec.msgpack.encode(rows)
    return struct.pack(">IB", len(payload), kind) + payload


HEAD = snapshot.MAGIC + frame(0, [1, 5, 5, {2: 1}])
ROW = frame(2, [[b"k", b"v", 0, 5, 5]])
END = frame(1, [])


def test_the_format_by_hand() -> None:
    entry = restored(HEAD + ROW + END).store.kv.get(b"k")
    assert entry is not None and (entry.value, entry.modify_index) == (b"v", 5)


@pytest.mark.parametrize(
    "data, text",
    [
        (b"", "middle of a frame"),
        (b"pycon", "middle of a frame"),
        (b"something else altogether", "wrong first bytes"),
        (snapshot.MAGIC, "another frame than its head"),
        (snapshot.MAGIC + ROW, "another frame than its head"),
        (snapshot.MAGIC + frame(0, [2, 5, 5, {}]) + END, "format 2"),
        (snapshot.MAGIC + frame(0, ["x"]), "unreadable head"),
        (HEAD + ROW, "too early"),
        (HEAD + ROW + END[:-1], "middle of a frame"),
        (HEAD + ROW + END + END, "behind its end"),
        (HEAD + END, "0 rows of kind 2 instead of 1"),
        (HEAD + frame(99, []) + END, "unknown kind: 99"),
        (HEAD + frame(2, [["k"]]) + END, "unreadable rows of kind 2"),
        (HEAD + struct.pack(">IB", 2**32 - 1, 2), "frame of 4294967295 bytes"),
        (snapshot.MAGIC + frame(0, [1, 5, 5, {2: 2}]) + ROW + ROW + END, "not in order"),
    ],
)
def test_refused(machine: StateMachine, data: bytes, text: str) -> None:
    before = b"".join(machine.snapshot())
    fired: list[int] = []
    machine.store.watches.prefix(b"", lambda: fired.append(1))
    with pytest.raises(DecodeError, match=text):
        machine.restore([data])
    assert b"".join(machine.snapshot()) == before and not fired


@settings(deadline=None)
@given(st.data())
def test_any_damage_is_refused_or_harmless(data: st.DataObject) -> None:
    good = bytearray(HEAD + ROW + frame(3, [[b"t", 4]]) + END)
    at = data.draw(st.integers(0, len(good) - 1))
    good[at] = data.draw(st.integers(0, 255))
    try:
        machine = restored(bytes(good[: data.draw(st.integers(0, len(good)))]))
    except DecodeError:
        return
    assert b"".join(machine.snapshot())
