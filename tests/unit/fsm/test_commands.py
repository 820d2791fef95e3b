"""Commands keep their bytes: a log that was written once can be read for ever."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyconsul.errors import DecodeError
from pyconsul.fsm import commands as c
from pyconsul.records.catalog import Check, Node, Service
from pyconsul.records.session import ServiceCheckRef, Session

SESSION = Session("i", "n", "node", 1, "delete", "10s", None, [ServiceCheckRef("x")], ["y"])
ALL = [
    c.KVSet(b"\xff", b"v", 2**64 - 1),
    c.KVCas(b"k", b"", 0, 5),
    c.KVLock(b"k", b"v", 1, "s"),
    c.KVUnlock(b"k", b"v", 1, "s"),
    c.KVDelete(b""),
    c.KVDeleteCas(b"k", 0),
    c.KVDeleteTree(b""),
    c.SessionCreate(SESSION),
    c.SessionDestroy("i"),
    c.Register(Node("", "n", "a", "dc1", {"lan": "a"}, {}), Service("n", "s", "s", meta={}), [Check("n", "c", "c")]),
    c.Deregister("n", "s", "c"),
    c.Txn(
        [
            c.KVOp("set", b"k", b"v"),
            c.NodeOp("get", Node("", "n", "", "")),
            c.ServiceOp("set", Service("n", "s", "s")),
            c.CheckOp("cas", Check("n", "c", "c", modify_index=7)),
        ]
    ),
    c.TombstoneReap(9),
    c.AutopilotConfigSet({"CleanupDeadServers": True, "MaxTrailingLogs": 5, "ServerStabilizationTime": "10s"}, 3),
    c.CoordinateBatch([("n", [0.5] * 8, 1.5, 0.0, 0.0)]),
]


@pytest.mark.parametrize("command", ALL, ids=lambda command: type(command).__name__)
def test_round_trip(command: c.AnyCommand) -> None:
    assert c.decode(c.encode(command)) == command


def test_every_command_is_tried() -> None:
    assert {type(command) for command in ALL} == set(c.AnyCommand.__args__)  # type: ignore[attr-defined]


def test_the_bytes_of_old_logs() -> None:
    """Written down by hand: tag, then the fields in their order."""
    assert c.decode(msgspec.msgpack.encode([1, b"k", b"v"])) == c.KVSet(b"k", b"v", 0)
    assert c.decode(msgspec.msgpack.encode([2, b"k", b"v", 3, 4])) == c.KVCas(b"k", b"v", 3, 4)
    assert c.decode(msgspec.msgpack.encode([48, [[1, "set", b"k"]]])) == c.Txn([c.KVOp("set", b"k")])
    assert c.decode(msgspec.msgpack.encode([64, 12])) == c.TombstoneReap(12)


@pytest.mark.parametrize(
    "data",
    [b"", b"\x90", b"\xc1", msgspec.msgpack.encode([9999, b"k"]), msgspec.msgpack.encode([1, "text"]),
     c.encode(c.KVSet(b"k", b"v"))[:-1], c.encode(c.KVSet(b"k", b"v")) + b"x"],
)  # fmt: skip
def test_what_is_no_command(data: bytes) -> None:
    with pytest.raises(DecodeError, match="unreadable command in the log"):
        c.decode(data)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_command_or_refused(data: bytes) -> None:
    try:
        command = c.decode(data)
    except DecodeError:
        return
    assert c.decode(c.encode(command)) == command
