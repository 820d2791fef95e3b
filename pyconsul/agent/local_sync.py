"""Anti-entropy: which commands bring the catalog in line with this agent's services and checks. Pure.

The agent is right about its own node, except for the service ``consul`` and the check ``serfHealth``, which the leader
keeps, and for the tags of services with EnableTagOverride.
"""

from __future__ import annotations

import msgspec

from pyconsul.agent.local_state import LocalState
from pyconsul.fsm.commands import Deregister, Register
from pyconsul.records.catalog import CONSUL_SERVICE, SERF_CHECK_ID, Check, Node, Service
from pyconsul.state.catalog import Catalog, same


def mark_differences(state: LocalState, catalog: Catalog) -> None:
    """Compares everything with what the catalog has; what differs is marked as changed or removed."""
    node = state.node
    there = {service.id: service for service in catalog.services_of_node(node)}
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
    checks = {check.check_id: check for check in catalog.checks_of_node(node)}
    for check_id, check in state.checks.items():
        other_check = checks.get(check_id)
        if other_check is None or not _same_check(other_check, check.record, check.output_due is not None):
            state.dirty_checks.add(check_id)
    state.removed_checks |= {each for each in checks if each not in state.checks and each != SERF_CHECK_ID}


def _same_check(there: Check, here: Check, output_may_differ: bool) -> bool:
    if output_may_differ:
        there = msgspec.structs.replace(there, output=here.output)
    return same(there, here)


def next_command(state: LocalState, node: Node) -> Register | Deregister | None:
    """The next step to bring what is marked into the catalog; None: nothing is marked. ``done`` takes it back."""
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
    return None


def done(state: LocalState, command: Register | Deregister) -> None:
    """The catalog has what the command says."""
    if isinstance(command, Deregister):
        state.removed_services.discard(command.service_id)
        state.removed_checks.discard(command.check_id)
        return
    if command.service is not None:
        state.service_synced(command.service)
    state.checks_synced(command.checks)
