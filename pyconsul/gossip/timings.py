"""Periods and limits of gossip, all in seconds unless said otherwise. Source: docs/design/gossip.md, "Timings"."""

from __future__ import annotations

import msgspec


class Timings(msgspec.Struct, frozen=True, kw_only=True):
    """The defaults are Consul's for the LAN pool.

    ``*_mult``: factors, see suspicion.py and queue.py. ``reconnect_timeout``/``tombstone_timeout``: how long failed and
    left members are remembered. ``event_size_max``/``query_size_max``: bytes of an encoded message.
    """

    probe_interval: float = 1.0
    probe_timeout: float = 0.5
    indirect_checks: int = 3
    suspicion_mult: int = 4
    suspicion_max_timeout_mult: int = 6
    awareness_max_multiplier: int = 8
    gossip_interval: float = 0.2
    gossip_nodes: int = 3
    gossip_to_the_dead_time: float = 30.0
    retransmit_mult: int = 4
    push_pull_interval: float = 30.0
    stream_timeout: float = 10.0
    dead_node_reclaim_time: float = 30.0

    reap_interval: float = 15.0
    reconnect_interval: float = 30.0
    reconnect_timeout: float = 72 * 3600.0
    tombstone_timeout: float = 24 * 3600.0
    recent_intent_timeout: float = 300.0
    broadcast_timeout: float = 5.0
    leave_propagate_delay: float = 3.0
    queue_check_interval: float = 30.0
    queue_length_max: int = 4096
    snapshot_interval: float = 0.5
    event_size_max: int = 512
    query_size_max: int = 1024


LAN = Timings()
WAN = Timings(
    probe_interval=5.0,
    probe_timeout=3.0,
    suspicion_mult=6,
    gossip_interval=0.5,
    gossip_to_the_dead_time=60.0,
    push_pull_interval=60.0,
    stream_timeout=30.0,
)
DEV = Timings(probe_interval=0.1, probe_timeout=0.1, suspicion_mult=3, gossip_interval=0.1)
SERF = Timings(dead_node_reclaim_time=0.0, reconnect_timeout=24 * 3600.0, leave_propagate_delay=1.0)
"""The defaults of the ``serf`` command."""
