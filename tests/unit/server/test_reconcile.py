"""What the leader registers of members, and what it leaves as their agents have it."""

from __future__ import annotations

from pyconsul.fsm.apply import StateMachine
from pyconsul.fsm.commands import AnyCommand, Register
from pyconsul.raft.messages import Configuration
from pyconsul.records.catalog import CRITICAL, PASSING, SERF_CHECK_ID, Check, Node
from pyconsul.server.reconcile import ALIVE, FAILED, MemberView, member_actions
from pyconsul.state.store import Store

ADDRESSES = {"lan": "10.0.0.9", "lan_ipv4": "10.0.0.9", "wan": "192.0.2.9", "wan_ipv4": "192.0.2.9"}
META = {"consul-network-segment": "", "rack": "1"}


def member(host: str = "10.0.0.9", status: int = ALIVE) -> MemberView:
    return MemberView("c1", "c1-id", host, "node", "dc1", status, None, (2, 1, 5))


def machine(*commands: AnyCommand) -> StateMachine:
    made = StateMachine(Store())
    take(made, commands)
    return made


def take(machine: StateMachine, commands: object) -> None:
    assert isinstance(commands, list | tuple)
    for command in commands:
        result = machine.apply(machine.applied_index + 1, command)
        assert result is True, result


def actions(machine: StateMachine, view: MemberView) -> list[object]:
    return list(member_actions(view, machine.store, Configuration(()), "s1-id", "dc1"))


def own_record(machine: StateMachine) -> tuple[dict[str, str] | None, dict[str, str] | None]:
    node = machine.store.catalog.node("c1")
    assert node is not None
    return node.tagged_addresses, node.meta


def test_a_new_member_is_registered_with_what_gossip_knows() -> None:
    empty = machine()
    take(empty, actions(empty, member()))
    lan = dict.fromkeys(ADDRESSES, "10.0.0.9")
    assert own_record(empty) == (lan, {"consul-network-segment": ""})
    assert actions(empty, member()) == []


def test_what_the_agent_has_told_of_itself_is_kept() -> None:
    failed = Check("c1", SERF_CHECK_ID, "", CRITICAL)
    known = machine(Register(Node("c1-id", "c1", "10.0.0.9", "dc1", ADDRESSES, META), None, [failed]))
    assert actions(known, member(status=FAILED)) == []
    take(known, actions(known, member()))
    check = known.store.catalog.check("c1", SERF_CHECK_ID)
    assert check is not None and check.status == PASSING
    assert own_record(known) == (ADDRESSES, META)
    moved = member("10.0.0.10")
    take(known, actions(known, moved))
    node = known.store.catalog.node("c1")
    assert node is not None and node.address == "10.0.0.10"
    assert own_record(known) == (ADDRESSES, META), "its agent brings these in line with its new address"
    assert actions(known, moved) == []
