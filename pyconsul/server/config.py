"""What a server has to be told. Made from the agent's configuration, or by hand in tests."""

from __future__ import annotations

from pathlib import Path

import msgspec

TICK_SECONDS = 0.05
"""One tick of the consensus core at ``raft_multiplier`` 1."""

HEARTBEAT_TICKS = 2
ELECTION_TICKS = 14
"""Election timeouts are drawn from 0.7 to 1.4 s at multiplier 1: a killed leader is replaced in well under 2 s, and a
follower has to miss seven heartbeats in a row before it asks around (docs/decisions, "Election timeouts")."""


class ServerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Addresses are literal IP addresses. Ports of 0 are chosen by the system (tests).

    ``wan_port`` None: no WAN pool. ``bootstrap``: form a cluster alone when there is no state.
    ``bootstrap_expect`` 0: wait to be added by an existing cluster.
    """

    node_name: str
    node_id: str
    datacenter: str
    data_dir: Path
    bind_address: str
    advertise_address: str
    rpc_port: int = 8300
    lan_port: int = 8301
    wan_port: int | None = None
    advertise_wan_address: str = ""
    bootstrap: bool = False
    bootstrap_expect: int = 0
    raft_multiplier: int = 1
    snapshot_threshold: int = 16384
    snapshot_interval_seconds: float = 30.0
    trailing_logs: int = 10240
    hold_seconds: float = 7.0
    leave_drain_seconds: float = 5.0
    session_ttl_min_seconds: float = 10.0
    encrypt_key: bytes | None = None
    rejoin_after_leave: bool = False
    member_snapshot: bool = True
    disable_keyring_file: bool = False
    encrypt_verify_incoming: bool = True
    encrypt_verify_outgoing: bool = True
    reconnect_timeout_seconds: float = 72 * 3600.0
    dev_timing: bool = False
    node_meta: dict[str, str] = {}
    autopilot: dict[str, bool | int | str] = {}

    @property
    def tick_seconds(self) -> float:
        return TICK_SECONDS * self.raft_multiplier
