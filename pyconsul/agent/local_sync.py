"""Anti-entropy: which commands bring the catalog in line with this agent's node, services and checks. Pure.

The agent is right about its own node, except for the address, the service ``consul`` and the check ``serfHealth``,
which the leader keeps, and for the tags of services with EnableTagOverride. ``node`` is everywhere how the agent wants
its node to be registered.
"""

from __future__ import annotations

import msgspec

from pyconsul.agent.local_state import LocalState
from pyconsul.fsm.commands import Deregister, Register
from pyconsul.records.catalog import CONSUL_SERVICE, SERF_CHECK_ID, Check, Node, Service
from pyconsul.state.catalog import Catalog, same


def mark_differences(state: LocalState, node: Node, catalog: Catalog) -> None:
    """Compares everything with what the catalog has; what differs is marked as changed or removed.

    A node that the catalog lacks is not marked: the leader registers it as soon as gossip knows it, together with its
    check, and nobody would remove one without that check again after its agent has left.
    """
    registered = catalog.node(state.node)
    state.dirty_node = registered is not None and not _same_node(registered, node)
    there = {service.id: service for service in catalog.services_of_node(state.node)}
    for service_id, service in list(state.services.items()):
        other = there.get(service_id)
        if other is None:
            state.dirty_services.add(service_id)
            continue
        if service.enable_tag_override and other.tags != service.tags:
            service = state.services[service_id] = msgspec.structs.replace(service, tags=other.tags)
        if not same(other, service):
            state.dirty_services.add(service_id)
    state.removed_services |= {each for each in there if each not in state.services and each != CONSUL_SERVICE}
    checks = {check.check_id: check for check in catalog.checks_of_node(state.node)}
    for check_id, check in state.checks.items():
        other_check = checks.get(check_id)
        if other_check is None or not _same_check(other_check, check.record, check.output_due is not None):
            state.dirty_checks.add(check_id)
    state.removed_checks |= {each for each in checks if each not in state.checks and each != SERF_CHECK_ID}


def _same_node(there: Node, here: Node) -> bool:
    return (
        there.id == here.id
        and (there.tagged_addresses or {}) == (here.tagged_addresses or {})
        and (there.meta or {}) == (here.meta or {})
    )


def _same_check(there: Check, here: Check, output_may_differ: bool) -> bool:
    if output_may_differ:
        there = msgspec.structs.replace(there, output=here.output)
    return same(there, here)


def next_command(state: LocalState, node: Node) -> Register | Deregister | None:
    """The next step to bring what is marked into the catalog; None: nothing is marked. ``done`` takes it back.

    The node comes last: when it is refused (another one has its name), services and checks are there all the same.
    """
    for service_id in state.removed_services:
        return Deregister(state.node, service_id=service_id)
    for check_id in state.removed_checks:
        return Deregister(state.node, check_id=check_id)
    for service_id in state.dirty_services:
        checks = [
            check.record
            for check in state.checks_of(service_id)
            if check.record.check_id in state.dirty_checks
        ]  # fmt: skip
        return Register(node, state.services[service_id], checks, skip_node_update=True)
    for check_id in state.dirty_checks:
        record = state.checks[check_id].record
        service: Service | None = state.services.get(record.service_id)
        return Register(node, service, [record], skip_node_update=True)
    return Register(node) if state.dirty_node else None


def done(state: LocalState, command: Register | Deregister, node: Node) -> None:
    """The catalog has what the command says."""
    if isinstance(command, Deregister):
        state.removed_services.discard(command.service_id)
        state.removed_checks.discard(command.check_id)
        return
    if not command.skip_node_update and command.node == node:
        state.dirty_node = False
    if command.service is not None:
        state.service_synced(command.service)
    state.checks_synced(command.checks)
