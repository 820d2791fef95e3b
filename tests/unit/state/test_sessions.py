"""Sessions: creation, what ends them, and what that does to their keys."""

from __future__ import annotations

from typing import Any

import pytest

from pyconsul.errors import ApplyError
from pyconsul.fsm import commands as c
from pyconsul.records.catalog import Check, Node, Service
from pyconsul.records.txn import CheckOp, NodeOp, ServiceOp
from pyconsul.state.effects import SessionCreated, SessionEnded, TombstonesLeft

SID = "a0000000-0000-4000-8000-000000000001"


@pytest.fixture
def ready(driver: Any) -> Any:
    """Node n with the check c, the service web and its check sc; node m with a check c, too."""
    driver.node("n")
    driver.service("n", "web")
    driver.check("n", "c")
    driver.check("n", "sc", service_id="web")
    driver.node("m")
    driver.check("m", "c")
    driver.machine.drain_effects()
    return driver


def test_create(ready: Any) -> None:
    assert ready.session(1, node="N", checks=("C",), ttl="10s") == SID
    session = ready.sessions.get(SID.upper())
    assert session == ready.sessions.list()[0] == ready.sessions.of_node("n")[0]
    assert (session.node, session.create_index, session.modify_index) == ("N", ready.index, ready.index)
    assert ready.sessions.index == ready.index
    assert ready.machine.drain_effects() == [SessionCreated(session)] and ready.machine.drain_effects() == []


@pytest.mark.parametrize(
    "more, text",
    [
        ({"node": "none"}, "Missing node registration"),
        ({"checks": ("c", "x")}, "Missing check 'x' registration"),
        ({"checks": ("bad",)}, "Check 'bad' is in critical state"),
        ({"service_checks": ("x",)}, "Missing check 'x' registration"),
        ({"node": "m", "checks": ("bad",)}, "Missing check 'bad' registration"),
    ],
)
def test_refused(ready: Any, more: dict[str, Any], text: str) -> None:
    ready.check("n", "bad", "critical")
    result = ready.session(1, **more)
    assert isinstance(result, ApplyError) and str(result) == text
    assert ready.sessions.list() == [] and ready.sessions.index == 1


def test_an_id_is_used_once(ready: Any) -> None:
    ready.session(1)
    assert isinstance(ready.session(1), ApplyError)


def test_list_is_by_id(ready: Any) -> None:
    for number in (3, 1, 2):
        ready.session(number)
    assert [session.id[-1] for session in ready.sessions.list()] == ["1", "2", "3"]
    assert [session.id[-1] for session in ready.sessions.of_node("N")] == ["1", "2", "3"]
    assert ready.sessions.of_node("m") == []


@pytest.mark.parametrize("bad", ["", "abc", SID + "0", "é" * 36])
def test_malformed_ids(ready: Any, bad: str) -> None:
    text = "failed session lookup: index error: UUID must be 36 characters"
    with pytest.raises(ApplyError, match=text):
        ready.sessions.get(bad)
    assert str(ready.do(c.SessionDestroy(bad))) == text


def test_destroy_of_an_unknown_one(ready: Any) -> None:
    assert ready.do(c.SessionDestroy(SID)) is True
    assert ready.sessions.index == 1 and ready.machine.drain_effects() == []


N = Node("", "n", "10.0.0.1", "dc1")
ENDS: dict[str, Any] = {
    "destroyed": c.SessionDestroy(SID.upper()),
    "check critical": c.Register(N, None, [Check("n", "C", "c", status="critical")]),
    "check without status": c.Register(N, None, [Check("n", "c", "c", status="")]),
    "check deleted": c.Deregister("N", check_id="C"),
    "service check critical": c.Register(N, None, [Check("n", "sc", "sc", status="critical", service_id="web")]),
    "service deleted": c.Deregister("n", service_id="WEB"),
    "node deleted": c.Deregister("n"),
    "check deleted in a transaction": c.Txn([CheckOp("delete", Check("n", "c", "c"))]),
    "check critical in a transaction": c.Txn([CheckOp("set", Check("n", "c", "c", status="critical"))]),
    "service deleted in a transaction": c.Txn([ServiceOp("delete", Service("n", "web", "web"))]),
    "node deleted in a transaction": c.Txn([NodeOp("delete", N)]),
}
STAYS: dict[str, Any] = {
    "warning": c.Register(N, None, [Check("n", "c", "c", status="warning")]),
    "another check critical": c.Register(N, None, [Check("n", "d", "d", status="critical")]),
    "that check on another node": c.Register(
        Node("", "m", "10.0.0.1", "dc1"), None, [Check("m", "c", "c", status="critical")]
    ),
    "another node deleted": c.Deregister("m"),
    "node changed": c.Register(Node("", "n", "10.0.0.9", "dc1")),
    "a refused transaction": c.Txn([NodeOp("delete", N), NodeOp("get", Node("", "none", "", ""))]),
    "a refused registration": c.Register(
        N, None, [Check("n", "c", "c", status="critical"), Check("n", "x", "x", service_id="none")]
    ),
}


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("behavior", ["release", "delete"])
def test_ends(ready: Any, how: str, behavior: str) -> None:
    ready.session(1, behavior=behavior, checks=("c",), service_checks=("sc",), lock_delay_ns=7)
    for key in (b"b", b"a"):
        ready.lock(key, SID)
    ready.lock(b"given-up", SID)
    ready.unlock(b"given-up", SID)
    session, created = ready.sessions.get(SID), ready.kv.get(b"a").create_index
    ready.machine.drain_effects()
    fired = [ready.wakes(ready.watches.session, SID), ready.wakes(ready.watches.key, b"a")]
    ready.do(ENDS[how])
    end = ready.index
    assert fired == [[end], [end]]
    assert ready.sessions.list() == [] and ready.sessions.index == end
    effects = ready.machine.drain_effects()
    assert SessionEnded(session, [b"a", b"b"]) in effects
    if behavior == "release":
        entry = ready.kv.get(b"a")
        assert (entry.value, entry.session, entry.lock_index, entry.modify_index) == (b"v", "", 1, end)
        assert entry.create_index == created and len(effects) == 1
    else:
        assert ready.kv.keys(b"") == [b"given-up"]
        assert ready.kv.index_of_prefix(b"a") == end and TombstonesLeft(end) in effects
    assert ready.kv.get(b"given-up").modify_index < end


@pytest.mark.parametrize("how", STAYS)
def test_stays(ready: Any, how: str) -> None:
    ready.session(1, behavior="delete", checks=("c",), service_checks=("sc",))
    ready.lock(b"k", SID)
    index, entry = ready.sessions.index, ready.kv.get(b"k")
    ready.machine.drain_effects()
    fired = [ready.wakes(ready.watches.sessions), ready.wakes(ready.watches.key, b"k")]
    ready.do(STAYS[how])
    assert ready.sessions.get(SID) is not None and ready.sessions.index == index
    assert ready.kv.get(b"k") is entry and ready.sessions.keys_of(SID) == [b"k"]
    assert fired == [[], []] and ready.machine.drain_effects() == []


def test_does_not_come_back(ready: Any) -> None:
    ready.session(1, checks=("c",))
    ready.check("n", "c", "critical")
    ready.check("n", "c", "passing")
    assert ready.sessions.list() == []


def test_all_sessions_of_a_check_end_together(ready: Any) -> None:
    for number in (1, 2, 3):
        ready.session(number, checks=("c",) if number < 3 else ())
    ready.check("n", "c", "critical")
    assert [session.id[-1] for session in ready.sessions.list()] == ["3"]
    ended = [effect.session.id[-1] for effect in ready.machine.drain_effects() if isinstance(effect, SessionEnded)]
    assert ended == ["1", "2"]
