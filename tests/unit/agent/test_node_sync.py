"""The record of the agent's own node: when it is written to the catalog, and what is left to the leader."""

from __future__ import annotations

import logging

import msgspec
import pytest

from pyconsul.agent.local_services import LocalServices
from pyconsul.agent.local_state import LocalState
from pyconsul.agent.local_sync import done, mark_differences, next_command
from pyconsul.clock import SystemClock, seeded_random
from pyconsul.errors import NoLeaderError
from pyconsul.fsm.apply import StateMachine
from pyconsul.fsm.commands import AnyCommand, Deregister, Register
from pyconsul.records.catalog import Node, Service
from pyconsul.server.backend import ReadMeta, ReadMode
from pyconsul.state.store import Store

LAN = {"lan": "10.0.0.1", "lan_ipv4": "10.0.0.1", "wan": "10.0.0.1", "wan_ipv4": "10.0.0.1"}
NODE = Node("11111111-2222-3333-4444-555555555555", "here", "10.0.0.1", "dc1", LAN, {"rack": "1"})


def changed(**fields: object) -> Node:
    return msgspec.structs.replace(NODE, **fields)


class Replicated:
    """A store that takes commands at once, or has no leader."""

    def __init__(self, *nodes: Node) -> None:
        self.machine = StateMachine(Store())
        self.leader = True
        for node in nodes:
            self.apply(Register(node))
        self.written: list[AnyCommand] = []

    @property
    def store(self) -> Store:
        return self.machine.store

    def apply(self, command: AnyCommand) -> None:
        result = self.machine.apply(self.machine.applied_index + 1, command)
        if isinstance(result, Exception):
            raise result

    async def read(self, mode: ReadMode) -> ReadMeta:
        return ReadMeta(True, 0, False)

    async def write(self, command: AnyCommand) -> object:
        if not self.leader:
            raise NoLeaderError
        self.written.append(command)
        self.apply(command)
        return True

    def shown(self) -> Node:
        found = self.store.catalog.node("here")
        assert found is not None
        return msgspec.structs.replace(found, create_index=0, modify_index=0)


class Agent:
    """``node`` is what the agent's configuration says."""

    def __init__(self, replicated: Replicated) -> None:
        self.node = NODE
        self.local = LocalServices(
            LocalState("here", seeded_random(1)), lambda: replicated, lambda: self.node, SystemClock(),
            seeded_random(1), logging.getLogger("agent"),
        )  # fmt: skip


def state() -> LocalState:
    return LocalState("here", seeded_random(1))


@pytest.mark.parametrize(
    ("there", "is_written"),
    [
        (NODE, False),
        (changed(create_index=4, modify_index=9), False),
        (changed(meta={}), True),
        (changed(meta={"rack": "1", "old": "x"}), True),
        (changed(tagged_addresses=None), True),
        (changed(tagged_addresses={**LAN, "wan": "192.0.2.1"}), True),
        (changed(id=""), True),
        # The leader knows it from gossip.
        (changed(address="10.0.0.2"), False),
    ],
)
def test_what_differs_is_written(there: Node, is_written: bool) -> None:
    replicated, here = Replicated(there), state()
    mark_differences(here, NODE, replicated.store.catalog)
    assert here.has_changes == is_written
    assert next_command(here, NODE) == (Register(NODE) if is_written else None)


def test_no_map_and_an_empty_one_are_the_same() -> None:
    replicated, here = Replicated(changed(meta=None, tagged_addresses=None)), state()
    mark_differences(here, changed(meta={}, tagged_addresses={}), replicated.store.catalog)
    assert not here.has_changes


def test_a_node_that_is_missing_is_left_to_the_leader() -> None:
    here = state()
    here.dirty_node = True
    mark_differences(here, NODE, Store().catalog)
    assert next_command(here, NODE) is None


def test_services_do_not_wait_for_a_node_that_cannot_be_written() -> None:
    here = state()
    here.add_service(Service("here", "web", "web"), [], 0.0)
    here.dirty_node = True
    first = next_command(here, NODE)
    assert isinstance(first, Register) and first.service is not None and first.skip_node_update
    done(here, first, NODE)
    assert here.dirty_node
    last = next_command(here, NODE)
    assert last == Register(NODE)
    done(here, last, NODE)
    assert not here.has_changes


def test_a_change_of_the_node_during_the_write_is_written_afterwards() -> None:
    here = state()
    here.dirty_node = True
    done(here, Register(NODE), changed(meta={"rack": "2"}))
    assert here.dirty_node


async def test_a_full_comparison_brings_the_node_in_line_and_changes_nothing_after_that() -> None:
    replicated = Replicated(changed(meta={}, tagged_addresses=None))
    agent = Agent(replicated)
    assert await agent.local.full_sync()
    assert replicated.shown() == NODE
    assert await agent.local.full_sync()
    assert replicated.written == [Register(NODE)]


async def test_new_metadata_is_written_at_once_and_made_up_for_without_a_leader(
    caplog: pytest.LogCaptureFixture,
) -> None:
    replicated = Replicated(NODE)
    agent = Agent(replicated)
    agent.node = changed(meta={"rack": "2"})
    with caplog.at_level(logging.INFO, "agent"):
        await agent.local.node_changed()
        assert replicated.shown() == agent.node
        agent.node = changed(meta={"rack": "3"})
        replicated.leader = False
        await agent.local.node_changed()
        assert replicated.shown().meta == {"rack": "2"}
        replicated.leader = True
        assert await agent.local.full_sync()
    assert replicated.shown() == agent.node
    assert [each.message for each in caplog.records].count("Synced node info") == 2


async def test_a_node_that_the_leader_registers_late_gets_its_metadata() -> None:
    replicated = Replicated()
    agent = Agent(replicated)
    assert await agent.local.full_sync()
    assert replicated.written == []
    replicated.apply(Register(changed(meta={})))
    assert await agent.local.full_sync()
    assert replicated.shown() == NODE
    replicated.apply(Deregister("here"))
    assert await agent.local.full_sync()
    assert replicated.store.catalog.node("here") is None
