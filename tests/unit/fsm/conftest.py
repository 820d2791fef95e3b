"""A state machine with something of everything in it."""

from __future__ import annotations

import pytest

from pyconsul.fsm import commands as c
from pyconsul.fsm.apply import StateMachine
from pyconsul.records.catalog import Check, Node, Service
from pyconsul.records.session import Session
from pyconsul.state.store import Store

SID = "a0000000-0000-4000-8000-00000000000%d"
LOG: list[c.AnyCommand] = [
    c.Register(Node("", "n", "10.0.0.1", "dc1", {"b": "1", "a": "2"}, {})),
    c.Register(
        Node("11111111-1111-4111-8111-111111111111", "m", "10.0.0.2", "dc1"),
        Service("m", "w", "web", ["t"], proxy={"Config": {"x": [1, 2.5, None]}}),
        [Check("", "c", "c", status="passing", service_id="w", definition={"HTTP": "http://x"})],
    ),
    c.Register(Node("", "n", "10.0.0.1", "dc1"), Service("n", "gone", "gone")),
    c.Deregister("n", service_id="gone"),
    c.SessionCreate(Session(SID % 1, "s", "m", 15, "delete", "10s", ["c"], None, [])),
    c.SessionCreate(Session(SID % 2, "", "n", 0, "release", "", None, [], [])),
    c.KVSet(b"plain", b"value", 2**64 - 1),
    c.KVLock(b"held", b"", 0, SID % 1),
    c.KVLock(b"held too", b"", 0, SID % 2),
    c.KVSet(b"deleted", b"x"),
    c.KVDelete(b"deleted"),
    c.KVSet(b"tree/a", b"x"),
    c.KVDeleteTree(b"tree/"),
    c.KVSet(b"deleted", b"x"),
    c.KVDelete(b"deleted"),
    c.KVSet(b"\xff\x00", b"\x00"),
    c.KVSet(b"large", b"l" * 200_000),
    c.AutopilotConfigSet({"CleanupDeadServers": True, "MaxTrailingLogs": 250}),
    c.CoordinateBatch([("n", [0.1] * 8, 1.5, 0.0, 1e-5)]),
    c.KVLock(b"held", b"", 0, SID % 2),
    c.KVCas(b"plain", b"", 0, 1),
]


def filled() -> StateMachine:
    machine = StateMachine(Store())
    for index, command in enumerate(LOG, start=10):
        machine.apply_bytes(index, c.encode(command))
    return machine


@pytest.fixture(scope="session")
def log() -> list[c.AnyCommand]:
    return LOG


@pytest.fixture
def machine() -> StateMachine:
    return filled()


@pytest.fixture
def empty() -> StateMachine:
    return StateMachine(Store())
