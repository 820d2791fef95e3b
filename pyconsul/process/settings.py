"""From the agent's configuration to what each layer takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from pyconsul.agent.runtime_config import GossipTiming, RuntimeConfig
from pyconsul.api.limits import HttpSettings
from pyconsul.codec.duration import SECOND, format_duration
from pyconsul.errors import ConfigError
from pyconsul.gossip.keyring import Keyring
from pyconsul.gossip.timings import LAN, WAN, Timings
from pyconsul.server.config import ServerConfig
from pyconsul.server.gossip_config import GossipConfig, lan_merge_check, reconnect_timeout_by_tag, wan_merge_check
from pyconsul.storage.keyring_file import load_keyring, save_keyring


def server_config(config: RuntimeConfig, node_id: str, data_dir: Path) -> ServerConfig:
    """For the replicated part. ``-dev`` forms a cluster by itself."""
    autopilot = config.autopilot
    return ServerConfig(
        node_name=config.node_name,
        node_id=node_id,
        datacenter=config.datacenter,
        data_dir=data_dir,
        bind_address=config.addresses.rpc_bind.host,
        advertise_address=config.addresses.rpc_advertise.host,
        rpc_port=config.addresses.rpc_bind.port,
        bootstrap=config.bootstrap or config.dev,
        bootstrap_expect=config.bootstrap_expect,
        raft_multiplier=config.raft.multiplier,
        snapshot_threshold=config.raft.snapshot_threshold,
        snapshot_interval_seconds=config.raft.snapshot_interval_seconds,
        trailing_logs=config.raft.trailing_logs,
        hold_seconds=config.rpc_hold_seconds,
        session_ttl_min_seconds=config.session_ttl_min_seconds,
        autopilot={
            "CleanupDeadServers": autopilot.cleanup_dead_servers,
            "LastContactThreshold": _duration(autopilot.last_contact_threshold_seconds),
            "MaxTrailingLogs": autopilot.max_trailing_logs,
            "MinQuorum": autopilot.min_quorum,
            "ServerStabilizationTime": _duration(autopilot.server_stabilization_seconds),
        },
    )


def http_settings(config: RuntimeConfig) -> HttpSettings:
    """For the HTTP layer."""
    http, limits = config.http, config.limits
    return HttpSettings(
        response_headers=dict(http.response_headers),
        block_endpoints=list(http.block_endpoints),
        allow_write_http_from=list(http.allow_write_http_from),
        max_header_bytes=http.max_header_bytes or 1_048_576,
        use_cache=http.use_cache,
        kv_max_value_size=limits.kv_max_value_bytes,
        txn_max_req_len=limits.txn_max_request_bytes,
        http_max_conns_per_client=limits.http_max_conns_per_client,
        disable_http_unprintable_char_filter=config.disable_http_unprintable_char_filter,
        ui_enabled=config.ui.enabled or bool(config.ui.dir),
        dev_mode=config.dev,
        session_ttl_min_ns=int(config.session_ttl_min_seconds * SECOND),
        rpc_rate=limits.rpc_rate,
        rpc_max_burst=limits.rpc_max_burst,
    )


def gossip_timings(timing: GossipTiming, base: Timings, reconnect_seconds: float) -> Timings:
    """The configured periods over the profile of a pool."""
    return Timings(
        probe_interval=timing.probe_interval_seconds,
        probe_timeout=timing.probe_timeout_seconds,
        suspicion_mult=timing.suspicion_mult,
        gossip_interval=timing.gossip_interval_seconds,
        gossip_nodes=timing.gossip_nodes,
        retransmit_mult=timing.retransmit_mult,
        gossip_to_the_dead_time=base.gossip_to_the_dead_time,
        push_pull_interval=base.push_pull_interval,
        stream_timeout=base.stream_timeout,
        reconnect_timeout=reconnect_seconds,
    )


def gossip_config(config: RuntimeConfig, tags: dict[str, str], node_id: str, data_dir: Path, wan: bool) -> GossipConfig:
    """For the LAN or the WAN pool. In the WAN a node is called ``<node>.<datacenter>``.

    A keyring file wins over the configured key, and turns encryption on without one. Raises ConfigError, StorageError.
    """
    addresses = config.addresses
    serf = data_dir / "serf"
    bind = addresses.serf_wan_bind if wan else addresses.serf_lan_bind
    advertise = addresses.serf_wan_advertise if wan else addresses.serf_lan_advertise
    if bind is None or advertise is None:
        raise ConfigError("ports.serf_wan is off")
    ring, save = _keyring(config, serf / ("remote.keyring" if wan else "local.keyring"))
    timings = (
        gossip_timings(config.gossip_wan, WAN, config.reconnect_timeout_wan_seconds)
        if wan
        else gossip_timings(config.gossip_lan, LAN, config.reconnect_timeout_seconds)
    )
    return GossipConfig(
        name=f"{config.node_name}.{config.datacenter}" if wan else config.node_name,
        pool="wan" if wan else "lan",
        bind_address=bind.host,
        bind_port=bind.port,
        advertise_address=advertise.host,
        advertise_port=advertise.port,
        default_port=8302 if wan else 8301,
        tags=tags,
        keyring=ring,
        verify_incoming=config.encrypt_verify_incoming,
        verify_outgoing=config.encrypt_verify_outgoing,
        timings=timings,
        snapshot_path=None if config.dev else serf / ("remote.snapshot" if wan else "local.snapshot"),
        rejoin_after_leave=config.join.rejoin_after_leave,
        merge_check=wan_merge_check() if wan else lan_merge_check(config.node_name, node_id, config.datacenter),
        reconnect_timeout_of=reconnect_timeout_by_tag,
        allowed_networks=config.serf_wan_allowed_cidrs if wan else config.serf_lan_allowed_cidrs,
        save_keyring=save,
    )


def _keyring(config: RuntimeConfig, path: Path) -> tuple[Keyring | None, Callable[[Sequence[bytes]], None] | None]:
    """The ring to start with, and how changes of it are kept."""
    given = [config.encrypt_key] if config.encrypt_key else []
    if config.disable_keyring_file or config.dev:
        return (Keyring(given) if given else None), None
    kept = load_keyring(path)
    if kept is None and given:
        save_keyring(path, given)
    keys = kept or given
    return (Keyring(keys) if keys else None), lambda changed: save_keyring(path, changed)


def _duration(seconds: float) -> str:
    return format_duration(int(seconds * SECOND))
