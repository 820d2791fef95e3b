"""Keys: writes without change, locks, indexes and traces, one rule per test."""

from __future__ import annotations

from typing import Any

import pytest

from pyconsul.errors import ApplyError
from pyconsul.fsm import commands as c
from pyconsul.records.kv import KVEntry

SID = "a0000000-0000-4000-8000-000000000001"
OTHER = "a0000000-0000-4000-8000-000000000002"


@pytest.fixture
def locked(driver: Any) -> Any:
    """A node with two sessions; the first holds the key k."""
    driver.node("n")
    driver.session(1)
    driver.session(2)
    assert driver.lock(b"k", SID) is True
    return driver


def test_an_empty_store_has_index_1(driver: Any) -> None:
    assert driver.kv.index == driver.kv.index_of_key(b"k") == driver.kv.index_of_prefix(b"k") == 1
    assert driver.kv.list(b"") == [] and driver.kv.keys(b"") == []


def test_a_change_keeps_the_create_index(driver: Any) -> None:
    created = driver.set(b"k", b"1")
    changed = driver.set(b"k", b"2", flags=2**64 - 1)
    assert driver.kv.get(b"k") == KVEntry(b"k", b"2", 2**64 - 1, created, changed)


def test_a_write_without_change_moves_nothing(driver: Any) -> None:
    created = driver.set(b"k", b"1")
    fired = driver.wakes(driver.watches.key, b"k")
    driver.set(b"k", b"1")
    assert driver.kv.get(b"k").modify_index == driver.kv.index == created and not fired
    driver.set(b"k", b"1", flags=1)
    assert driver.kv.get(b"k").modify_index == driver.kv.index == driver.index and fired


@pytest.mark.parametrize("offset, result", [(0, True), (1, False), (-1, False)])
def test_cas_needs_the_exact_index(driver: Any, offset: int, result: bool) -> None:
    index = driver.set(b"k", b"1")
    assert driver.do(c.KVCas(b"k", b"2", 0, index + offset)) is result
    assert driver.kv.get(b"k").value == (b"2" if result else b"1")


def test_cas_0_only_creates(driver: Any) -> None:
    assert driver.do(c.KVCas(b"k", b"1", 0, 0)) is True
    assert driver.do(c.KVCas(b"k", b"2", 0, 0)) is False
    assert driver.do(c.KVCas(b"none", b"2", 0, 5)) is False and driver.kv.get(b"none") is None


def test_delete_cas(driver: Any) -> None:
    index = driver.set(b"k")
    assert driver.do(c.KVDeleteCas(b"k", 0)) is False
    assert driver.do(c.KVDeleteCas(b"k", index + 1)) is False
    assert driver.do(c.KVDeleteCas(b"none", 7)) is True
    assert driver.kv.index == index
    assert driver.do(c.KVDeleteCas(b"k", index)) is True and driver.kv.get(b"k") is None


def test_lists_and_names(driver: Any) -> None:
    for key in (b"a/b/c", b"a/b", b"a", b"ab", b"b", b"a/\xff", b"\xff\xff", b"\xff\xff\x00"):
        driver.set(key)
    assert driver.kv.keys(b"a/") == [b"a/b", b"a/b/c", b"a/\xff"]
    assert driver.kv.keys(b"a") == [b"a", b"a/b", b"a/b/c", b"a/\xff", b"ab"]
    assert driver.kv.keys(b"\xff") == [b"\xff\xff", b"\xff\xff\x00"]
    assert [entry.key for entry in driver.kv.list(b"a/b")] == [b"a/b", b"a/b/c"]
    assert len(driver.kv.keys(b"")) == len(driver.kv) == 8


def test_separator_cuts_behind_the_prefix(driver: Any) -> None:
    for key in (b"a/b/c", b"a/b/d", b"a/x", b"ax/1", b"ax/2"):
        driver.set(key)
    assert driver.kv.keys(b"a", b"/") == [b"a/", b"ax/"]
    assert driver.kv.keys(b"a/", b"/") == [b"a/b/", b"a/x"]
    assert driver.kv.keys(b"", b"x/") == [b"a/b/c", b"a/b/d", b"a/x", b"ax/"]


def test_the_index_of_a_list_is_its_largest(driver: Any) -> None:
    driver.set(b"p/a")
    driver.set(b"p/b")
    index = driver.set(b"p/a", b"2")
    driver.set(b"q")
    assert driver.kv.index_of_prefix(b"p/") == index
    assert driver.kv.list_with_index(b"p/") == (driver.kv.list(b"p/"), index)
    assert driver.kv.index_of_prefix(b"") == driver.index


def test_a_delete_moves_lists_above_and_an_emptied_list_keeps_it(driver: Any) -> None:
    driver.set(b"p/a")
    driver.set(b"p/b")
    driver.do(c.KVDelete(b"p/b"))
    deleted = driver.index
    assert driver.kv.index_of_prefix(b"p/") == deleted
    driver.do(c.KVDelete(b"p/a"))
    emptied = driver.index
    driver.set(b"q")
    assert driver.kv.index_of_prefix(b"p/") == driver.kv.index_of_prefix(b"p/a") == emptied
    assert driver.kv.index_of_prefix(b"p/b") == deleted
    assert driver.kv.index_of_prefix(b"p/c") == driver.index  # no trace: the store's


def test_a_recursive_delete_leaves_one_trace_at_its_prefix(driver: Any) -> None:
    driver.set(b"a/x/1")
    driver.set(b"a/y")
    driver.do(c.KVDeleteTree(b"a/"))
    deleted = driver.index
    driver.set(b"z")
    assert driver.kv.index_of_prefix(b"a/") == driver.kv.index_of_prefix(b"a") == deleted
    assert driver.kv.index_of_prefix(b"a/x/") == driver.index
    assert len(driver.kv.tombstones) == 1


def test_deleting_everything_leaves_no_trace(driver: Any) -> None:
    driver.set(b"a")
    driver.do(c.KVDeleteTree(b""))
    assert len(driver.kv.tombstones) == 0 and driver.kv.index == driver.index


def test_deletes_of_nothing_move_nothing(driver: Any) -> None:
    index = driver.set(b"a")
    for command in (c.KVDelete(b"none"), c.KVDeleteTree(b"none"), c.KVDeleteCas(b"none", 3)):
        assert driver.do(command) is True
    assert driver.kv.index == index and len(driver.kv.tombstones) == 0 and driver.machine.drain_effects() == []


def test_reaping_moves_no_index_and_wakes_nobody(driver: Any) -> None:
    driver.set(b"p/a")
    driver.do(c.KVDelete(b"p/a"))
    deleted = driver.index
    driver.set(b"z")
    stored = driver.kv.index
    fired = driver.wakes(driver.watches.prefix, b"p/")
    driver.do(c.TombstoneReap(deleted - 1))
    assert driver.kv.index_of_prefix(b"p/") == deleted
    driver.do(c.TombstoneReap(deleted))
    assert driver.kv.index_of_prefix(b"p/") == stored == driver.kv.index
    assert not fired


def test_a_later_delete_of_a_name_outlives_the_reaping_of_the_first(driver: Any) -> None:
    driver.set(b"a")
    driver.do(c.KVDelete(b"a"))
    first = driver.index
    driver.set(b"a")
    driver.do(c.KVDelete(b"a"))
    second = driver.index
    driver.set(b"z")
    driver.do(c.TombstoneReap(first))
    assert driver.kv.index_of_prefix(b"a") == second


# Locks


def test_acquire_creates_with_lock_index_1(locked: Any) -> None:
    entry = locked.kv.get(b"k")
    assert (entry.session, entry.lock_index, entry.create_index) == (SID, 1, locked.index)
    assert locked.sessions.keys_of(SID) == [b"k"]


def test_acquire_by_another_is_refused_and_moves_nothing(locked: Any) -> None:
    index = locked.kv.index
    assert locked.lock(b"k", OTHER, b"other") is False
    assert locked.kv.index == index and locked.kv.get(b"k").value == b"v"


def test_acquire_again_by_the_holder(locked: Any) -> None:
    index = locked.kv.index
    assert locked.lock(b"k", SID) is True
    assert locked.kv.index == index
    assert locked.lock(b"k", SID, b"new") is True
    entry = locked.kv.get(b"k")
    assert (entry.value, entry.lock_index, entry.modify_index) == (b"new", 1, locked.index)


def test_release_writes_and_keeps_the_lock_index(locked: Any) -> None:
    assert locked.unlock(b"k", OTHER) is False
    assert locked.unlock(b"none", SID) is False
    assert locked.unlock(b"k", SID, b"", 3) is True
    entry = locked.kv.get(b"k")
    assert (entry.value, entry.flags, entry.session, entry.lock_index) == (b"", 3, "", 1)
    assert locked.lock(b"k", OTHER) is True and locked.kv.get(b"k").lock_index == 2


def test_a_plain_write_keeps_the_session_and_clears_the_lock_index(locked: Any) -> None:
    index = locked.set(b"k", b"v")  # the same value: a change all the same, once
    entry = locked.kv.get(b"k")
    assert (entry.session, entry.lock_index, entry.modify_index) == (SID, 0, index)
    locked.set(b"k", b"v")
    assert locked.kv.get(b"k").modify_index == index
    locked.unlock(b"k", SID)
    assert locked.kv.get(b"k").lock_index == 0
    locked.lock(b"k", SID)
    assert locked.kv.get(b"k").lock_index == 1


def test_deleting_a_held_key_ends_the_lock(locked: Any) -> None:
    locked.do(c.KVDelete(b"k"))
    assert locked.sessions.keys_of(SID) == [] and locked.sessions.get(SID) is not None
    assert locked.lock(b"k", OTHER) is True


def test_another_spelling_is_another_holder_and_ends_with_the_session(locked: Any) -> None:
    assert locked.lock(b"u", SID.upper()) is True
    assert locked.lock(b"u", SID) is False
    assert locked.kv.get(b"u").session == SID.upper()
    locked.do(c.SessionDestroy(SID))
    assert locked.kv.get(b"u").session == locked.kv.get(b"k").session == ""


@pytest.mark.parametrize(
    "session, text",
    [
        ("", "missing session"),
        ("11111111-2222-3333-4444-555555555555", 'invalid session "11111111-2222-3333-4444-555555555555"'),
        ("abc", "failed session lookup: index error: UUID must be 36 characters"),
        (SID[:-1] + "g", "failed session lookup: index error: Invalid UUID: "),
        (SID.replace("-", "") + "0000", "failed session lookup: index error: Invalid UUID: "),
    ],
)
def test_refused_acquires(driver: Any, session: str, text: str) -> None:
    result = driver.lock(b"k", session)
    assert isinstance(result, ApplyError) and str(result).startswith(text)
    assert driver.kv.get(b"k") is None and driver.kv.index == 1


def test_release_needs_some_id(driver: Any) -> None:
    assert str(driver.unlock(b"k", "")) == "missing session"
    assert driver.unlock(b"k", "abc") is False
