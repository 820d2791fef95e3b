"""What the leader does about members: which commands and which changes of the Raft configuration bring the catalog and
the peers in line with gossip. Pure: looks at a store, a configuration and the members, returns what is to be done.

Rules: design/gossip.md, "What the leader does with members".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from pyconsul.fsm.commands import AnyCommand, Deregister, Register
from pyconsul.raft.messages import Configuration, Server
from pyconsul.records.catalog import (
    CONSUL_SERVICE,
    CRITICAL,
    PASSING,
    SERF_ALIVE_OUTPUT,
    SERF_CHECK_ID,
    SERF_CHECK_NAME,
    SERF_FAILED_OUTPUT,
    Check,
    Node,
    Service,
)
from pyconsul.server.server_tags import ServerInfo
from pyconsul.state.store import Store

ALIVE, LEAVING, LEFT, FAILED = 1, 2, 3, 4


class MemberView(msgspec.Struct, frozen=True):
    """A gossip member of the LAN pool as reconciliation sees it. ``server`` is None for clients and strangers."""

    name: str
    id: str
    host: str
    role: str
    datacenter: str
    status: int
    server: ServerInfo | None
    serf_versions: tuple[int, int, int]  # current, min, max of memberlist


class AddServer(msgspec.Struct, frozen=True):
    """Add as a non-voter, or give a known id its new address (then it keeps its vote)."""

    server: Server


class RemoveServer(msgspec.Struct, frozen=True):
    id: str


Action = AnyCommand | AddServer | RemoveServer


def member_actions(
    member: MemberView, store: Store, configuration: Configuration, own_id: str, datacenter: str
) -> list[Action]:
    """What has to be done about one member; [] when all is as it should be."""
    if member.datacenter != datacenter or (member.server is None and member.role != "node"):
        return []
    if member.status == ALIVE:
        return _alive(member, store, configuration, own_id)
    if member.status == FAILED:
        return _failed(member, store)
    if member.status == LEFT:
        return _left(member, store, configuration, own_id)
    return []


def gone_actions(
    members: Mapping[str, MemberView], store: Store, configuration: Configuration, own_id: str
) -> list[Action]:
    """Nodes with a serf check, and nothing behind it any more: they were reaped while another server led."""
    actions: list[Action] = []
    for node in store.catalog.nodes():
        if node.node in members or node.id == own_id:
            continue
        if store.catalog.check(node.node, SERF_CHECK_ID) is not None:
            actions.append(Deregister(node.node))
            actions += [RemoveServer(each.id) for each in configuration.servers if each.id == node.id]
    return actions


def _alive(member: MemberView, store: Store, configuration: Configuration, own_id: str) -> list[Action]:
    actions: list[Action] = []
    server = member.server
    if server is not None and member.id != own_id:
        actions += _join_raft(server, configuration)
    register = _registration(member, store.catalog.node(member.name))
    if not _is_registered(register, store):
        actions.append(register)
    return actions


def _join_raft(server: ServerInfo, configuration: Configuration) -> list[Action]:
    wanted = server.rpc_address
    actions: list[Action] = []
    for each in configuration.servers:
        if each.id == server.id:
            if each.address == wanted:
                return []
            return [AddServer(Server(each.id, wanted, each.voter))]
        if each.address == wanted:
            # The host was set up anew: its old identity will never answer again.
            actions.append(RemoveServer(each.id))
    actions.append(AddServer(Server(server.id, wanted, False)))
    return actions


def _registration(member: MemberView, known: Node | None) -> Register:
    """Tagged addresses and metadata of a ``known`` node stay: its agent tells them. A new one has what gossip knows."""
    host = member.host
    family = "ipv6" if ":" in host else "ipv4"
    tagged: dict[str, str] | None = {"lan": host, f"lan_{family}": host, "wan": host, f"wan_{family}": host}
    meta: dict[str, str] | None = {"consul-network-segment": ""}
    if known is not None:
        tagged, meta = known.tagged_addresses, known.meta
    service: Service | None = None
    server = member.server
    if server is not None:
        replica = "true" if server.read_replica else "false"
        current, lowest, highest = member.serf_versions
        service = Service(
            node=member.name,
            id=CONSUL_SERVICE,
            service=CONSUL_SERVICE,
            tags=[],
            meta={
                "non_voter": replica,
                "raft_version": server.raft_version,
                "read_replica": replica,
                "serf_protocol_current": str(current),
                "serf_protocol_max": str(highest),
                "serf_protocol_min": str(lowest),
                "version": server.build,
            },
            port=server.port,
        )
    check = Check(
        node=member.name, check_id=SERF_CHECK_ID, name=SERF_CHECK_NAME, status=PASSING, output=SERF_ALIVE_OUTPUT,
        service_tags=[],
    )  # fmt: skip
    node = Node(
        id=member.id, node=member.name, address=host, datacenter=member.datacenter, tagged_addresses=tagged,
        meta=meta,
    )  # fmt: skip
    return Register(node, service, [check])


def _is_registered(register: Register, store: Store) -> bool:
    catalog = store.catalog
    node = catalog.node(register.node.node)
    if node is None or node.id != register.node.id or node.address != register.node.address:
        return False
    check = catalog.check(node.node, SERF_CHECK_ID)
    if check is None or check.status != PASSING:
        return False
    wanted = register.service
    if wanted is not None:
        service = catalog.service(node.node, CONSUL_SERVICE)
        return service is not None and service.port == wanted.port and service.meta == wanted.meta
    return True


def _failed(member: MemberView, store: Store) -> list[Action]:
    node = store.catalog.node(member.name)
    if node is None:
        return []
    check = store.catalog.check(member.name, SERF_CHECK_ID)
    if check is not None and check.status == CRITICAL:
        return []
    failed = Check(
        node=node.node, check_id=SERF_CHECK_ID, name=SERF_CHECK_NAME, status=CRITICAL, output=SERF_FAILED_OUTPUT,
        service_tags=[],
    )  # fmt: skip
    return [Register(node, None, [failed], skip_node_update=True)]


def _left(member: MemberView, store: Store, configuration: Configuration, own_id: str) -> list[Action]:
    if member.id == own_id:
        return []
    actions: list[Action] = []
    if member.server is not None:
        actions += [RemoveServer(each.id) for each in configuration.servers if each.id == member.id]
    if store.catalog.node(member.name) is not None:
        actions.append(Deregister(member.name))
    return actions


def reaped_actions(
    members: Sequence[MemberView], store: Store, configuration: Configuration, own_id: str
) -> list[Action]:
    """What is left to do for members that gossip has just forgotten."""
    actions: list[Action] = []
    for member in members:
        actions += _left(member, store, configuration, own_id)
    return actions
