"""Nodes, services, checks and network coordinates of the catalog."""

from __future__ import annotations

from typing import Any

import msgspec

SERF_CHECK_ID = "serfHealth"
SERF_CHECK_NAME = "Serf Health Status"
SERF_ALIVE_OUTPUT = "Agent alive and reachable"
SERF_FAILED_OUTPUT = "Agent not live or unreachable"
CONSUL_SERVICE = "consul"

PASSING, WARNING, CRITICAL = "passing", "warning", "critical"


class Node(msgspec.Struct, array_like=True, frozen=True):
    """A node. None and {} of the maps are both kept, because reads show the difference."""

    id: str
    node: str
    address: str
    datacenter: str
    tagged_addresses: dict[str, str] | None = None
    meta: dict[str, str] | None = None
    create_index: int = 0
    modify_index: int = 0


class Service(msgspec.Struct, array_like=True, frozen=True):
    """A service instance on a node. ``proxy`` and ``connect`` are kept as the JSON objects that were given."""

    node: str
    id: str
    service: str
    tags: list[str] | None = None
    address: str = ""
    meta: dict[str, str] | None = None
    port: int = 0
    weights_passing: int = 1
    weights_warning: int = 1
    enable_tag_override: bool = False
    kind: str = ""
    socket_path: str = ""
    tagged_addresses: dict[str, dict[str, Any]] | None = None
    proxy: dict[str, Any] | None = None
    connect: dict[str, Any] | None = None
    create_index: int = 0
    modify_index: int = 0


class Check(msgspec.Struct, array_like=True, frozen=True):
    """A health check. ``definition`` is the JSON object to be shown (durations already as Go texts)."""

    node: str
    check_id: str
    name: str
    status: str = CRITICAL
    notes: str = ""
    output: str = ""
    service_id: str = ""
    service_name: str = ""
    service_tags: list[str] | None = None
    type: str = ""
    interval: str = ""
    timeout: str = ""
    definition: dict[str, Any] = {}
    create_index: int = 0
    modify_index: int = 0


class Coordinate(msgspec.Struct, array_like=True, frozen=True):
    """Where a node is in the round-trip space; ``vec``, ``error``, ``adjustment`` and ``height`` in seconds."""

    node: str
    vec: list[float]
    error: float
    adjustment: float
    height: float
