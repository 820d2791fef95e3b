"""What the agent runs with: the configuration after merging and checking, frozen and typed.

Times are in seconds, sizes in bytes. A port of -1 is switched off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyconsul.agent.addresses import ListenAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    dns: int
    http: int
    https: int
    grpc: int
    server: int
    serf_lan: int
    serf_wan: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Literal addresses of this agent. ``client`` may be empty: then there is no HTTP and no DNS."""

    bind: str
    advertise: str
    advertise_wan: str
    client: tuple[str, ...]
    dns: tuple[ListenAddress, ...]
    http: tuple[ListenAddress, ...]
    https: tuple[ListenAddress, ...]
    grpc: tuple[ListenAddress, ...]
    rpc_bind: ListenAddress
    rpc_advertise: ListenAddress
    serf_lan_bind: ListenAddress
    serf_lan_advertise: ListenAddress
    serf_wan_bind: ListenAddress | None
    serf_wan_advertise: ListenAddress | None
    tagged: Mapping[str, str]
    translate_wan: bool
    unix_socket_user: str
    unix_socket_group: str
    unix_socket_mode: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GossipTiming:
    gossip_interval_seconds: float
    gossip_nodes: int
    probe_interval_seconds: float
    probe_timeout_seconds: float
    suspicion_mult: int
    retransmit_mult: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinConfig:
    """``retry_max`` 0: no limit."""

    start: tuple[str, ...]
    start_wan: tuple[str, ...]
    retry: tuple[str, ...]
    retry_wan: tuple[str, ...]
    retry_interval_seconds: float
    retry_interval_wan_seconds: float
    retry_max: int
    retry_max_wan: int
    rejoin_after_leave: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RaftTiming:
    """``multiplier`` stretches all election times; when snapshots are taken, and how much log stays behind them."""

    multiplier: int
    snapshot_threshold: int
    snapshot_interval_seconds: float
    trailing_logs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AutopilotDefaults:
    """Used when a cluster starts for the first time; later the replicated configuration counts."""

    cleanup_dead_servers: bool
    last_contact_threshold_seconds: float
    max_trailing_logs: int
    min_quorum: int
    server_stabilization_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """``rpc_rate``: requests per second, infinity for no limit."""

    http_max_conns_per_client: int
    https_handshake_timeout_seconds: float
    rpc_rate: float
    rpc_max_burst: int
    rpc_max_conns_per_client: int
    rpc_handshake_timeout_seconds: float
    kv_max_value_bytes: int
    txn_max_request_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpConfig:
    """``max_header_bytes`` 0: the server's own limit."""

    block_endpoints: tuple[str, ...]
    response_headers: Mapping[str, str]
    allow_write_http_from: tuple[str, ...]
    use_cache: bool
    max_header_bytes: int
    default_query_seconds: float
    max_query_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsConfig:
    """``service_ttl_seconds``: by service name, ``*`` for all others."""

    domain: str
    alt_domain: str
    recursors: tuple[str, ...]
    allow_stale: bool
    max_stale_seconds: float
    node_ttl_seconds: float
    service_ttl_seconds: Mapping[str, float]
    enable_truncate: bool
    only_passing: bool
    disable_compression: bool
    udp_answer_limit: int
    a_record_limit: int
    recursor_timeout_seconds: float
    node_meta_txt: bool
    use_cache: bool
    cache_max_age_seconds: float
    soa_refresh: int
    soa_retry: int
    soa_expire: int
    soa_min_ttl: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AclConfig:
    enabled: bool
    default_policy: str
    down_policy: str
    token_ttl_seconds: float
    policy_ttl_seconds: float
    role_ttl_seconds: float
    enable_key_list_policy: bool
    enable_token_replication: bool
    enable_token_persistence: bool
    initial_management_token: str
    default_token: str
    agent_token: str
    agent_recovery_token: str
    replication_token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsConfig:
    ca_file: str
    ca_path: str
    cert_file: str
    key_file: str
    verify_incoming_rpc: bool
    verify_incoming_https: bool
    verify_outgoing: bool
    verify_server_hostname: bool
    min_version: str
    cipher_suites: str
    server_name: str
    agent_tls_for_checks: bool
    auto_encrypt_allow: bool
    auto_encrypt: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """``level``: as written; checked when logging is set up. ``rotate_max_files`` 0: keep all, -1: none."""

    level: str
    json: bool
    file: str
    rotate_bytes: int
    rotate_seconds: float
    rotate_max_files: int
    syslog: bool
    syslog_facility: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UiConfig:
    """``content_path`` begins and ends with a slash."""

    enabled: bool
    dir: str
    content_path: str
    metrics_provider: str
    metrics_provider_options_json: str
    dashboard_url_templates: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryConfig:
    metrics_prefix: str
    filter_default: bool
    allowed_prefixes: tuple[str, ...]
    blocked_prefixes: tuple[str, ...]
    disable_hostname: bool
    prometheus_retention_seconds: float
    statsd_address: str
    statsite_address: str
    dogstatsd_address: str
    dogstatsd_tags: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeConfig:
    """``node_id`` is what was configured, perhaps empty; ``pyconsul.agent.node_id`` decides.

    ``bootstrap_expect`` is 0 when ``bootstrap`` is true. ``session_ttl_min_seconds`` is what counts (10 by default).
    ``encrypt_key``: raw bytes, empty for no encryption. Definitions are objects with normal key names.
    """

    node_name: str
    node_id: str
    node_meta: Mapping[str, str]
    datacenter: str
    primary_datacenter: str
    data_dir: str
    dev: bool
    server: bool
    bootstrap: bool
    bootstrap_expect: int
    protocol: int
    pid_file: str
    leave_on_terminate: bool
    skip_leave_on_interrupt: bool
    addresses: Addresses
    ports: Ports
    join: JoinConfig
    gossip_lan: GossipTiming
    gossip_wan: GossipTiming
    serf_lan_allowed_cidrs: tuple[str, ...]
    serf_wan_allowed_cidrs: tuple[str, ...]
    reconnect_timeout_seconds: float
    reconnect_timeout_wan_seconds: float
    advertise_reconnect_timeout_seconds: float
    encrypt_key: bytes
    encrypt_verify_incoming: bool
    encrypt_verify_outgoing: bool
    raft: RaftTiming
    autopilot: AutopilotDefaults
    leave_drain_seconds: float
    rpc_hold_seconds: float
    session_ttl_min_seconds: float
    limits: Limits
    http: HttpConfig
    dns: DnsConfig
    acl: AclConfig
    tls: TlsConfig
    log: LogConfig
    ui: UiConfig
    telemetry: TelemetryConfig
    check_update_interval_seconds: float
    check_output_max_bytes: int
    discard_check_output: bool
    enable_script_checks: bool
    enable_local_script_checks: bool
    enable_debug: bool
    disable_coordinates: bool
    disable_remote_exec: bool
    disable_host_node_id: bool
    disable_keyring_file: bool
    disable_update_check: bool
    disable_anonymous_signature: bool
    disable_http_unprintable_char_filter: bool
    services: tuple[Mapping[str, object], ...]
    checks: tuple[Mapping[str, object], ...]
    watches: tuple[Mapping[str, object], ...]
    files: tuple[str, ...]
    """The configuration files that were read, in order."""
    warnings: tuple[str, ...]
    """To be logged at WARN once logging works."""
    without_effect: tuple[str, ...]
    """Keys that were set and that this version does not serve."""
