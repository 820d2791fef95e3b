"""Watches wake on the writes that concern them, once, after the whole entry, and on no others."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyconsul.fsm import commands as c
from pyconsul.records.txn import KVOp
from pyconsul.state.watch import Watches

SID = "a0000000-0000-4000-8000-000000000001"
NAMES = [b"a", b"a/", b"a/b", b"a/b/c", b"ab", b"b", b"\xff", b"\xff\xff"]
PREFIXES = [b"", b"a", b"a/", b"a/b", b"a/b/c/d", b"c", b"\xff"]


@pytest.mark.parametrize(
    "command, wakes",
    [
        (c.KVSet(b"k", b"new"), True),
        (c.KVSet(b"k", b"v"), False),
        (c.KVSet(b"k2", b"new"), False),
        (c.KVSet(b"", b"new"), False),
        (c.KVDelete(b"k"), True),
        (c.KVDelete(b"none"), False),
        (c.KVDeleteTree(b""), True),
        (c.KVDeleteTree(b"k"), True),
        (c.KVDeleteTree(b"k/"), False),
        (c.KVCas(b"k", b"new", 0, 99), False),
        (c.KVLock(b"k", b"v", 0, "abc"), False),
        (c.Txn([KVOp("set", b"k", b"new"), KVOp("get", b"none")]), False),
        (c.Txn([KVOp("set", b"k", b"new"), KVOp("set", b"k", b"newer")]), True),
        (c.TombstoneReap(99), False),
    ],
)
def test_a_key(driver: Any, command: Any, wakes: bool) -> None:
    driver.set(b"k", b"v")
    driver.set(b"k/x", b"v")
    driver.do(c.KVDelete(b"k/x"))
    fired = driver.wakes(driver.watches.key, b"k")
    driver.do(command)
    assert fired == ([driver.index] if wakes else [])
    assert len(driver.watches) == (0 if wakes else 1)


def test_a_key_that_is_not_there_wakes_at_its_creation(driver: Any) -> None:
    fired = driver.wakes(driver.watches.key, b"k")
    driver.set(b"other")
    assert not fired
    driver.set(b"k")
    assert fired == [driver.index]


def test_the_end_of_a_session_wakes_its_keys(driver: Any) -> None:
    driver.node("n")
    driver.session(1)
    driver.lock(b"k", SID)
    woken = [driver.wakes(driver.watches.key, b"k"), driver.wakes(driver.watches.prefix, b"")]
    still = driver.wakes(driver.watches.key, b"other")
    driver.do(c.SessionDestroy(SID))
    assert woken == [[driver.index]] * 2 and not still


def test_once_after_the_whole_transaction(driver: Any) -> None:
    seen: list[Any] = []
    driver.watches.prefix(b"p/", lambda: seen.append(driver.kv.keys(b"p/")))
    driver.do(c.Txn([KVOp("set", b"p/1", b""), KVOp("set", b"p/2", b""), KVOp("delete", b"p/1")]))
    assert seen == [[b"p/2"]]
    driver.set(b"p/3")
    assert len(seen) == 1


def test_a_callback_may_watch_again(driver: Any) -> None:
    fired: list[int] = []

    def again() -> None:
        fired.append(driver.index)
        driver.watches.key(b"k", again)

    driver.watches.key(b"k", again)
    indexes = [driver.set(b"k", value) for value in (b"1", b"2", b"3")]
    assert fired == indexes


def test_cancel(driver: Any) -> None:
    fired: list[str] = []
    handles = [driver.watches.key(b"k", lambda: fired.append("a")), driver.watches.prefix(b"k", lambda: None)]
    driver.watches.key(b"k", lambda: fired.append("b"))
    for handle in handles * 2:
        handle.cancel()
        assert not handle.active
    driver.set(b"k")
    assert fired == ["b"]
    assert len(driver.watches) == 0


def test_cancel_of_one_that_fires_in_the_same_round(driver: Any) -> None:
    watches = Watches()
    fired: list[str] = []

    def first() -> None:
        fired.append("a")
        later.cancel()

    watches.key(b"k", first)
    later = watches.key(b"k", lambda: fired.append("b"))
    watches.touch_key(b"k")
    watches.fire()
    assert fired == ["a"], "a cancelled callback is not called"


def test_sessions(driver: Any) -> None:
    driver.node("n")
    driver.node("m")
    driver.session(2, node="m")
    watches = driver.watches
    one = driver.wakes(watches.session, SID.upper())
    node = driver.wakes(watches.node_sessions, "N")
    every = driver.wakes(watches.sessions)
    driver.session(3, node="m")
    assert every == [driver.index] and not one and not node
    every = driver.wakes(watches.sessions)
    driver.session(1)
    created = driver.index
    assert every == one == node == [created]
    one, node = driver.wakes(watches.session, SID), driver.wakes(watches.node_sessions, "n")
    driver.do(c.SessionDestroy("a0000000-0000-4000-8000-000000000002"))
    driver.do(c.SessionDestroy("a0000000-0000-4000-8000-0000000000ff"))
    driver.lock(b"k", SID)
    assert not one and not node
    driver.do(c.SessionDestroy(SID))
    assert one == node == [driver.index]


def test_restore_wakes_everybody(driver: Any) -> None:
    watches = driver.watches
    fired = [
        driver.wakes(watches.key, b"k"), driver.wakes(watches.prefix, b"p"), driver.wakes(watches.sessions),
        driver.wakes(watches.table, "nodes"), driver.wakes(watches.service, "web"),
    ]  # fmt: skip
    driver.machine.restore(list(driver.machine.snapshot()))
    assert fired == [[0]] * 5 and len(watches) == 0


changes = st.one_of(
    st.builds(c.KVSet, st.sampled_from(NAMES), st.sampled_from([b"1", b"2"])),
    st.builds(c.KVDelete, st.sampled_from(NAMES)),
    st.builds(c.KVDeleteTree, st.sampled_from(PREFIXES)),
    st.lists(
        st.builds(KVOp, st.sampled_from(["set", "delete", "delete-tree"]), st.sampled_from(NAMES), st.just(b"3")),
        max_size=4,
    ).map(lambda ops: c.Txn([*ops])),
)


@settings(deadline=None)
@given(st.lists(changes, min_size=5, max_size=12), st.booleans())
def test_exactly_the_watches_whose_part_changed(new_driver: Any, commands: list[Any], crowded: bool) -> None:
    """``crowded`` makes recursive deletes go through the keys, otherwise through the watches."""
    driver = new_driver()
    for name in NAMES:
        driver.set(name)
    for n in range(20 if crowded else 0):
        driver.watches.key(b"never/%d" % n, lambda: None)
    for command in commands:
        fired: dict[tuple[str, bytes], list[int]] = {
            (kind, name): [] for kind, names in (("key", NAMES), ("prefix", PREFIXES)) for name in names
        }
        handles = [
            getattr(driver.watches, kind)(name, lambda at=at: at.append(1)) for (kind, name), at in fired.items()
        ]
        before = {name: driver.kv.get(name) for name in NAMES}
        driver.do(command)
        changed = [name for name in NAMES if driver.kv.get(name) != before[name]]
        if isinstance(command, c.Txn):  # a key may have been deleted and set again, or created and deleted
            changed = touched_by(command, before)
        for (kind, name), at in fired.items():
            expected = name in changed if kind == "key" else any(key.startswith(name) for key in changed)
            assert len(at) == expected, (kind, name)
        for handle in handles:
            handle.cancel()
    assert len(driver.watches) == (20 if crowded else 0)


def touched_by(txn: c.Txn, before: dict[bytes, Any]) -> list[bytes]:
    there = {name: entry.value for name, entry in before.items() if entry is not None}
    touched = []
    for op in txn.ops:
        assert isinstance(op, KVOp)
        if op.verb == "set":
            if there.get(op.key) != op.value:
                touched.append(op.key)
            there[op.key] = op.value
            continue
        for name in list(there):
            if name == op.key or (op.verb == "delete-tree" and name.startswith(op.key)):
                del there[name]
                touched.append(name)
    return touched
