"""What ``GET /v1/agent/self`` tells of an agent, and members and coordinates of gossip as the HTTP API knows them."""

from __future__ import annotations

from typing import Any

from pyconsul.agent.runtime_config import RuntimeConfig
from pyconsul.gossip.coordinate import Coordinate as GossipCoordinate
from pyconsul.gossip.member import Member
from pyconsul.process.debug_config import debug_config
from pyconsul.process.info import Stats
from pyconsul.process.own_node import node_meta
from pyconsul.records.catalog import Coordinate
from pyconsul.server.backend import MemberInfo
from pyconsul.version import CONSUL_API_VERSION


def self_info(
    config: RuntimeConfig, node_id: str, own: MemberInfo, coordinate: GossipCoordinate, stats: Stats
) -> dict[str, Any]:
    """``own``: the agent's entry in the LAN pool."""
    return {
        "Config": {
            "Datacenter": config.datacenter,
            "PrimaryDatacenter": config.primary_datacenter,
            "NodeName": config.node_name,
            "NodeID": node_id,
            "Revision": "",
            "Server": config.server,
            "Version": CONSUL_API_VERSION,
        },
        "DebugConfig": debug_config(config, node_id),
        "Coord": {
            "Vec": list(coordinate.vector),
            "Error": coordinate.error,
            "Adjustment": coordinate.adjustment,
            "Height": coordinate.height,
        },
        "Member": {
            "Name": own.name,
            "Addr": own.address,
            "Port": own.port,
            "Tags": own.tags,
            "Status": own.status,
            "ProtocolMin": own.protocol_min,
            "ProtocolMax": own.protocol_max,
            "ProtocolCur": own.protocol_cur,
            "DelegateMin": own.delegate_min,
            "DelegateMax": own.delegate_max,
            "DelegateCur": own.delegate_cur,
        },
        "Stats": stats,
        "Meta": node_meta(config),
    }


def node_coordinate(node: str, found: GossipCoordinate) -> Coordinate:
    return Coordinate(node, list(found.vector), found.error, found.adjustment, found.height)


def member_info(member: Member) -> MemberInfo:
    return MemberInfo(
        member.name, member.address_text, member.port, member.tags, member.status, member.protocol_min,
        member.protocol_max, member.protocol_cur, member.delegate_min, member.delegate_max, member.delegate_cur,
    )  # fmt: skip
