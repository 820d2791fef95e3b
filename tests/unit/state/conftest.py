"""A state machine that counts its own indexes, and short ways to make what tests need."""

from __future__ import annotations

from typing import Any

import pytest

from pyconsul.fsm import commands
from pyconsul.fsm.apply import StateMachine
from pyconsul.fsm.commands import AnyCommand
from pyconsul.fsm.snapshot import read_snapshot
from pyconsul.records.catalog import Check, Node, Service
from pyconsul.records.session import ServiceCheckRef, Session
from pyconsul.state.store import Store


class Driver:
    """``do`` applies the next log entry, by way of its bytes, and returns the result."""

    def __init__(self) -> None:
        self.machine = StateMachine(Store())
        self.store = self.machine.store
        self.kv = self.store.kv
        self.sessions = self.store.sessions
        self.catalog = self.store.catalog
        self.watches = self.store.watches

    @property
    def index(self) -> int:
        return self.machine.applied_index

    def do(self, command: AnyCommand) -> Any:
        return self.machine.apply_bytes(self.index + 1, commands.encode(command))

    def snapshot_bytes(self) -> bytes:
        return b"".join(self.machine.snapshot())

    def state(self) -> list[Any]:
        """Everything a snapshot holds but the applied index, to be compared."""
        contents = read_snapshot(self.machine.snapshot())
        return [
            list(contents.kv), contents.kv_index, contents.tombstones, contents.sessions, contents.nodes,
            contents.services, contents.checks, contents.coordinates, contents.marks, contents.autopilot,
        ]  # fmt: skip

    def set(self, key: bytes, value: bytes = b"v", flags: int = 0) -> int:
        assert self.do(commands.KVSet(key, value, flags)) is True
        return self.index

    def node(self, name: str = "n", *checks: Check, node_id: str = "", address: str = "10.0.0.1") -> Any:
        return self.do(commands.Register(Node(node_id, name, address, "dc1"), None, list(checks)))

    def service(self, node: str, service_id: str, name: str = "", **more: Any) -> Any:
        return self.do(
            commands.Register(
                Node("", node, "10.0.0.1", "dc1"),
                Service(node, service_id, name or service_id, **more),
                skip_node_update=True,
            )
        )

    def check(self, node: str, check_id: str, status: str = "passing", service_id: str = "", **more: Any) -> Any:
        return self.do(
            commands.Register(
                Node("", node, "10.0.0.1", "dc1"),
                None,
                [Check("", check_id, check_id, status=status, service_id=service_id, **more)],
                skip_node_update=True,
            )
        )

    def session(
        self,
        number: int = 1,
        node: str = "n",
        behavior: str = "release",
        checks: tuple[str, ...] = (),
        service_checks: tuple[str, ...] = (),
        lock_delay_ns: int = 0,
        ttl: str = "",
    ) -> Any:
        refs = [ServiceCheckRef(name) for name in service_checks] or None
        session = Session(uuid(number), "", node, lock_delay_ns, behavior, ttl, list(checks), refs, [])
        return self.do(commands.SessionCreate(session))

    def lock(self, key: bytes, session: str, value: bytes = b"v", flags: int = 0) -> Any:
        return self.do(commands.KVLock(key, value, flags, session))

    def unlock(self, key: bytes, session: str, value: bytes = b"v", flags: int = 0) -> Any:
        return self.do(commands.KVUnlock(key, value, flags, session))

    def wakes(self, register: Any, *args: Any) -> list[int]:
        """Registers a watch; the list gets the index at which it fires."""
        fired: list[int] = []
        register(*args, lambda: fired.append(self.index))
        return fired


def uuid(number: int) -> str:
    return f"a0000000-0000-4000-8000-{number:012x}"


@pytest.fixture
def driver() -> Driver:
    return Driver()


@pytest.fixture(scope="session")
def new_driver() -> type[Driver]:
    """For tests that need several, and for property tests."""
    return Driver
