"""Transactions: verbs, texts, atomicity."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pyconsul.fsm import commands as c
from pyconsul.records.catalog import Check, Node, Service
from pyconsul.records.kv import KVEntry
from pyconsul.records.txn import (
    CheckOp,
    CheckResult,
    KVOp,
    KVResult,
    NodeOp,
    NodeResult,
    OpError,
    OpResult,
    ServiceOp,
    ServiceResult,
    TxnOp,
    TxnResult,
)
from pyconsul.state.txn import is_read, precheck

SID = "a0000000-0000-4000-8000-000000000001"
OTHER = "a0000000-0000-4000-8000-000000000002"
N = Node("", "n", "10.0.0.1", "dc1")


def kv(verb: str, key: bytes = b"k", value: bytes = b"", **more: Any) -> KVOp:
    return KVOp(verb, key, value, **more)


def errors(result: TxnResult) -> list[tuple[int, str]]:
    assert result.results == []
    return [(error.op_index, error.what) for error in result.errors]


@pytest.fixture
def ready(driver: Any) -> Any:
    """k = v with ModifyIndex 4, held by SID since; a second session."""
    driver.node("n")
    driver.session(1)
    driver.session(2)
    driver.lock(b"k", SID, b"v")
    assert driver.index == 4
    return driver


def test_all_share_one_index_and_later_ones_see_earlier_ones(driver: Any) -> None:
    ops = [kv("set", b"a", b"1"), kv("get", b"a"), kv("set", b"ab"), kv("get-tree", b"a"), kv("delete", b"a")]
    result = driver.do(c.Txn([*ops, kv("check-not-exists", b"a")]))
    one = KVEntry(b"a", b"1", 0, driver.index, driver.index)
    two = KVEntry(b"ab", b"", 0, driver.index, driver.index)
    shown = [(one, False), (one, True), (two, False), (one, True), (two, True)]
    assert result == TxnResult([KVResult(entry, with_value) for entry, with_value in shown], [])
    assert driver.kv.list(b"") == [two]


@pytest.mark.parametrize(
    "op, with_value",
    [
        (kv("set", value=b"new"), False),
        (kv("cas", value=b"new", index=4), False),
        (kv("cas", b"new", index=0), False),
        (kv("lock", session=SID, value=b"new"), False),
        (kv("lock", b"free", session=SID.upper()), False),
        (kv("unlock", session=SID), False),
        (kv("get"), True),
        (kv("check-index", index=4), False),
        (kv("check-session", session=SID), False),
    ],
)
def test_verbs_with_one_result(ready: Any, op: KVOp, with_value: bool) -> None:
    result = ready.do(c.Txn([op]))
    assert result == TxnResult([KVResult(ready.kv.get(op.key), with_value)], [])


@pytest.mark.parametrize(
    "op",
    [
        kv("delete"),
        kv("delete", b"none"),
        kv("delete-tree", b""),
        kv("delete-tree", b"none"),
        kv("delete-cas", index=4),
        kv("delete-cas", b"none", index=9),
        kv("check-not-exists", b"none"),
        kv("get-tree", b"none"),
    ],
)
def test_verbs_without_result(ready: Any, op: KVOp) -> None:
    assert ready.do(c.Txn([op])) == TxnResult([], [])


@pytest.mark.parametrize(
    "op, text",
    [
        (kv("cas", index=3), 'failed to set key "k", index is stale'),
        (kv("cas", index=0), 'failed to set key "k", index is stale'),
        (kv("lock", session=OTHER), 'failed to lock key "k", lock is already held'),
        (kv("lock"), "missing session"),
        (kv("lock", session=SID[:-1] + "f"), f'invalid session "{SID[:-1]}f"'),
        (kv("lock", session="x"), "failed session lookup: index error: UUID must be 36 characters"),
        (kv("unlock", session=OTHER), 'failed to unlock key "k", lock isn\'t held, or is held by another session'),
        (kv("unlock", b"n", session=SID), 'failed to unlock key "n", lock isn\'t held, or is held by another session'),
        (kv("unlock"), "missing session"),
        (kv("get", b'q"\n\xff\xc3\xa9'), 'key "q\\"\\n\\xffé" doesn\'t exist'),
        (kv("check-index", index=1), 'failed index check for key "k", current modify index 4 != 1'),
        (kv("check-index", b"no"), 'failed to check index, key "no" doesn\'t exist'),
        (kv("check-session"), f'failed session check for key "k", current session "{SID}" != ""'),
        (kv("check-session", b"no"), 'failed to check session, key "no" doesn\'t exist'),
        (kv("check-not-exists"), 'key "k" exists'),
        (kv("delete-cas", index=1), 'failed to delete key "k", index is stale'),
        (kv("Set"), 'unknown KV verb "Set"'),
        (kv("set", b""), "Must provide key"),
        (kv("get-tree", b""), "Must provide key"),
    ],
)  # fmt: skip
def test_texts(ready: Any, op: KVOp, text: str) -> None:
    before = ready.state()
    assert errors(ready.do(c.Txn([kv("set", b"other"), op]))) == [(1, text)]
    assert ready.state() == before


def test_all_errors_each_as_if_those_before_had_not_failed(ready: Any) -> None:
    result = ready.do(c.Txn([kv("cas", b"a", b"1", index=7), kv("set", b"b"), kv("get", b"b"), kv("get", b"a")]))
    assert errors(result) == [(0, 'failed to set key "a", index is stale'), (3, 'key "a" doesn\'t exist')]


def test_preconditions_hide_the_rest(ready: Any) -> None:
    result = ready.do(c.Txn([kv("get", b"none"), kv("set", b"")]))
    assert errors(result) == [(1, "Must provide key")]


def test_lock_delays_are_the_callers(driver: Any) -> None:
    ops = [kv("lock", b"a"), kv("lock", b"b"), kv("set", b"a")]
    assert precheck(ops, lambda key: key == b"a") == [OpError(0, 'failed to lock key "a" due to lock delay')]
    assert precheck(ops) == []


def test_writes_without_change_show_the_old_index(ready: Any) -> None:
    ready.set(b"a", b"1")
    index = ready.index
    result = ready.do(c.Txn([kv("set", b"a", b"1"), kv("cas", b"a", b"1", index=index)]))
    assert [found.entry.modify_index for found in result.results] == [index, index]
    assert ready.kv.index == index


@pytest.mark.parametrize(
    "ops, read",
    [
        ([], True),
        ([kv("get"), kv("get-tree"), kv("check-index"), kv("check-session"), kv("check-not-exists"), kv("huh")], True),
        ([NodeOp("get", N), ServiceOp("get", Service("n", "s", "s")), CheckOp("get", Check("n", "c", "c"))], True),
        ([kv("get"), kv("set")], False),
        ([NodeOp("huh", N)], False),
        ([ServiceOp("set", Service("n", "s", "s"))], False),
        ([CheckOp("delete", Check("n", "c", "c"))], False),
    ],
)
def test_reads(ops: list[Any], read: bool) -> None:
    assert is_read(ops) is read


def test_read_only_evaluation_changes_nothing(ready: Any) -> None:
    entry = ready.kv.get(b"k")
    assert ready.store.txn_read([kv("get"), kv("get-tree", b"n")]) == TxnResult([KVResult(entry, True)], [])
    assert errors(ready.store.txn_read([kv("get", b"x"), kv("huh")])) == [
        (0, 'key "x" doesn\'t exist'),
        (1, 'unknown KV verb "huh"'),
    ]
    assert errors(ready.store.txn_read([kv("get", b"")])) == [(0, "Must provide key")]
    assert ready.store.txn_read([]) == TxnResult([], [])
    assert ready.index == 4


# Catalog


def test_node_service_check(driver: Any) -> None:
    service, check = Service("n", "w", "web", ["t"]), Check("n", "c", "c", service_id="w")
    result = driver.do(c.Txn([NodeOp("set", N), ServiceOp("set", service), CheckOp("set", check)]))
    catalog = driver.catalog
    found: list[OpResult] = [
        NodeResult(catalog.node("n")),
        ServiceResult(catalog.service("n", "w")),
        CheckResult(catalog.check("n", "c")),
    ]
    assert result == TxnResult(found, [])
    assert (catalog.check("n", "c").service_name, catalog.check("n", "c").status) == ("web", "critical")
    gets = [NodeOp("get", N), ServiceOp("get", service), CheckOp("get", check)]
    assert driver.store.txn_read(gets) == TxnResult(found, [])
    gone: list[TxnOp] = [CheckOp("delete", check), ServiceOp("delete", service), NodeOp("delete", N)]
    assert driver.do(c.Txn(gone)) == TxnResult([], []) == driver.do(c.Txn(gone))
    assert catalog.nodes() == catalog.services() == catalog.checks() == []


def test_node_get_by_id(driver: Any) -> None:
    node_id = "11111111-1111-4111-8111-111111111111"
    driver.node("n", node_id=node_id)
    get = NodeOp("get", Node(node_id, "", "", ""))
    assert driver.store.txn_read([get]) == TxnResult([NodeResult(driver.catalog.node("n"))], [])


def with_index(row: Any, index: int) -> Any:
    return replace(row, modify_index=index)


OPS = {
    "node": (NodeOp, Node("", "m", "10.0.0.2", "dc1"), 'node "m"'),
    "service": (ServiceOp, Service("n", "w", "web"), 'service "w" on node "n"'),
    "check": (CheckOp, Check("n", "c", "c"), 'check "c" on node "n"'),
}


@pytest.mark.parametrize("kind", OPS)
def test_catalog_check_and_set(driver: Any, kind: str) -> None:
    op, row, name = OPS[kind]
    driver.node("n")

    def run(verb: str, index: int) -> TxnResult:
        result = driver.do(c.Txn([op(verb, with_index(row, index))]))
        assert isinstance(result, TxnResult)
        return result

    stale = [(0, f"failed to set {name}, index is stale")]
    stale_delete = [(0, f"failed to delete {name}, index is stale")]
    assert errors(run("get", 0)) == [(0, f"{name} doesn't exist")]
    assert errors(run("cas", 7)) == stale
    assert errors(run("delete-cas", 0)) == errors(run("delete-cas", 7)) == stale_delete
    assert run("cas", 0).errors == []
    created = driver.index
    assert errors(run("cas", 0)) == errors(run("cas", created + 1)) == stale
    assert run("cas", created).errors == []
    assert errors(run("delete-cas", created + 1)) == stale_delete
    assert run("delete-cas", created) == TxnResult([], [])
    assert errors(run("bogus", 0)) == [(0, f'unknown {kind.capitalize()} verb "bogus"')]


@pytest.mark.parametrize(
    "op, text",
    [
        (NodeOp("set", Node("", "", "10.0.0.1", "dc1")), "Must provide node"),
        (NodeOp("set", Node("abc", "n", "10.0.0.1", "dc1")), "Bad node ID: uuid string is wrong length"),
        (ServiceOp("delete", Service("n", "w", "")), "Must provide service name with ID"),
        (ServiceOp("set", Service("n", "w", "w", address="::")), "Invalid service address"),
        (ServiceOp("set", Service("none", "w", "w")), "Missing node registration"),
        (CheckOp("set", Check("none", "c", "c")), "Missing node registration"),
        (CheckOp("set", Check("n", "c", "c", service_id="no")), "Missing service registration"),
    ],
)
def test_catalog_texts(driver: Any, op: Any, text: str) -> None:
    driver.node("n")
    before = driver.state()
    assert errors(driver.do(c.Txn([op]))) == [(0, text)]
    assert driver.state() == before


# Atomicity, against everything the state can do

keys = st.sampled_from([b"k", b"a", b"a/b", b"a/c"])
kv_ops = st.builds(
    KVOp,
    st.sampled_from(["set", "cas", "lock", "unlock", "delete", "delete-tree", "delete-cas"]),
    keys,
    st.sampled_from([b"", b"1"]),
    st.just(0),
    st.integers(0, 12),
    st.sampled_from([SID, OTHER, SID.upper()]),
)
verbs = st.sampled_from(["set", "delete", "cas"])
names = st.sampled_from(["n", "N", "m"])
node_ops = st.builds(
    NodeOp,
    verbs,
    st.builds(Node, st.sampled_from(["", "11111111-1111-4111-8111-111111111111"]), names, st.just(""), st.just("dc1")),
)
service_ops = st.builds(ServiceOp, verbs, st.builds(Service, names, st.sampled_from(["w", "x"]), st.just("web")))
check_ops = st.builds(
    CheckOp,
    verbs,
    st.builds(
        Check,
        names,
        st.sampled_from(["c", "d"]),
        st.just("c"),
        st.sampled_from(["passing", "critical"]),
        service_id=st.sampled_from(["", "w"]),
    ),
)
all_ops = st.lists(st.one_of(kv_ops, node_ops, service_ops, check_ops), min_size=3, max_size=8)


@settings(deadline=None)
@given(all_ops, all_ops)
def test_a_refused_transaction_leaves_no_mark(new_driver: Any, before: list[Any], ops: list[Any]) -> None:
    driver = new_driver()
    driver.node("n", Check("", "c", "c", status="passing"), node_id="11111111-1111-4111-8111-111111111111")
    driver.session(1, behavior="delete", checks=("c",))
    driver.session(2)
    driver.lock(b"a/b", SID)
    driver.lock(b"a/c", OTHER)
    driver.set(b"k")
    for op in before:
        driver.do(c.Txn([op]))
    driver.machine.drain_effects()
    state, held = driver.state(), (driver.sessions.keys_of(SID), driver.sessions.keys_of(OTHER))
    fired = [driver.wakes(driver.watches.prefix, b""), driver.wakes(driver.watches.sessions)]
    fired += [driver.wakes(driver.watches.table, name) for name in ("nodes", "services", "checks")]
    result = driver.do(c.Txn([*ops, kv("get", b"never")]))
    assert result.errors
    assert driver.state() == state
    assert held == (driver.sessions.keys_of(SID), driver.sessions.keys_of(OTHER))
    assert not any(fired) and driver.machine.drain_effects() == []
    twin = new_driver()  # the same without the refused one goes on the same way
    twin.machine.restore(driver.machine.snapshot())
    for op in ops:
        assert twin.do(c.Txn([op])) == driver.do(c.Txn([op]))
        for session in driver.sessions.list():
            checks = [driver.catalog.check(session.node, check_id) for check_id in session.node_checks or ()]
            assert driver.catalog.node(session.node) is not None
            assert all(check is not None and check.status != "critical" for check in checks)
    assert twin.snapshot_bytes() == driver.snapshot_bytes()
