"""Lists that were encoded before are those that would be encoded now."""

from __future__ import annotations

import gc

from hypothesis import given, settings
from hypothesis import strategies as st

from pyconsul.api.kept_lists import BODY_BYTES_MAX, LISTS_MAX, KeptLists
from pyconsul.api.kv import KeysRead, ListRead
from pyconsul.server.backend import ReadMeta
from pyconsul.state.store import Store

META = ReadMeta(known_leader=True, last_contact_ms=0, forwarded=False)
KEYS = st.sampled_from([b"a", b"a/b", b"a/c", b"ab", b"b", b"\xff"])
PREFIXES = st.sampled_from([b"", b"a", b"a/", b"b", b"c"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), KEYS, st.sampled_from([b"", b"1", b"2"])),
        st.tuples(st.just("delete"), KEYS, st.just(b"")),
        st.tuples(st.just("delete-tree"), PREFIXES, st.just(b"")),
        st.tuples(st.just("reap"), st.just(b""), st.just(b"")),
        st.tuples(st.just("restore"), st.just(b""), st.just(b"")),
        st.tuples(st.just("list"), PREFIXES, st.just(b"")),
        st.tuples(st.just("keys"), PREFIXES, st.sampled_from([b"", b"/"])),
    ),
    max_size=40,
)


@settings(max_examples=300, deadline=None)
@given(steps=STEPS)
def test_a_kept_list_is_the_list(steps: list[tuple[str, bytes, bytes]]) -> None:
    kept, store = KeptLists(), Store()
    for number, (what, name, value) in enumerate(steps):
        index = number + 2
        if what == "set":
            store.kv.set(index, name, value, 0)
        elif what == "delete":
            store.kv.delete(index, name)
        elif what == "delete-tree":
            store.kv.delete_tree(index, name)
        elif what == "reap":
            store.kv.tombstones.reap(index - 3)
        elif what == "restore":
            store = Store()
        for read, fresh in (
            (ListRead(kept, name), ListRead(KeptLists(), name)),
            (KeysRead(kept, name, value), KeysRead(KeptLists(), name, value)),
        ):
            for _ in range(2):
                answer, expected = read.answer(store, META), fresh.answer(store, META)
                assert (answer.status, answer.head, answer.body) == (expected.status, expected.head, expected.body)
                assert read.index(store) == fresh.index(store)


def test_a_list_is_encoded_once_until_a_key_changes() -> None:
    kept, store = KeptLists(), Store()
    store.kv.set(5, b"a", b"1", 0)
    first = ListRead(kept, b"a").answer(store, META)
    assert ListRead(kept, b"a").answer(store, META).body is first.body
    store.kv.set(6, b"elsewhere", b"1", 0)
    again = ListRead(kept, b"a").answer(store, META)
    assert again.body == first.body
    assert again.body is not first.body


def test_only_some_and_only_short_lists_are_kept() -> None:
    kept, table = KeptLists(), Store().kv
    table.set(5, b"a", b"1", 0)
    assert kept.find(table, (b"", None)) is None
    kept.keep((b"", None), 5, b"x" * (BODY_BYTES_MAX + 1))
    for number in range(LISTS_MAX + 1):
        kept.keep((b"%d" % number, None), 5, b"x")
    assert kept.find(table, (b"", None)) is None
    assert kept.find(table, (b"0", None)) == (5, b"x")
    assert kept.find(table, (b"%d" % LISTS_MAX, None)) is None


def test_a_replaced_table_is_let_go() -> None:
    kept = KeptLists()
    table = Store().kv
    kept.find(table, (b"", None))
    del table
    gc.collect()
    other = Store().kv
    other.set(5, b"a", b"1", 0)
    assert kept.find(other, (b"", None)) is None
