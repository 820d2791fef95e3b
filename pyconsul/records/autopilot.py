"""The autopilot configuration as it is stored, and what autopilot finds out about the servers."""

from __future__ import annotations

import msgspec


class AutopilotConfig(msgspec.Struct, array_like=True, frozen=True):
    """``config``: the fields of the JSON object by their names."""

    config: dict[str, bool | int | str]
    create_index: int = 0
    modify_index: int = 0


class AutopilotServer(msgspec.Struct, array_like=True, frozen=True):
    """One Raft peer. ``node_status``: alive, left, failed or none (gossip does not know it). ``stable_since_ns``: when
    ``healthy`` last changed, in nanoseconds since 1970. ``meta``: of the node in the catalog, None: not registered."""

    id: str
    name: str
    address: str
    node_status: str
    version: str
    leader: bool
    voter: bool
    read_replica: bool
    last_contact_ns: int
    last_term: int
    last_index: int
    healthy: bool
    stable_since_ns: int
    meta: dict[str, str] | None


class AutopilotState(msgspec.Struct, array_like=True, frozen=True):
    """``servers`` in the order of the Raft configuration. ``failure_tolerance``: how many voters may fail from now on
    without the cluster losing its majority."""

    healthy: bool
    failure_tolerance: int
    servers: list[AutopilotServer]
