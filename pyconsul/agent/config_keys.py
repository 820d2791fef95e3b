"""Every key of the agent's configuration, with type, default and a line for the reference."""

from __future__ import annotations

from pyconsul.agent.config_schema import (
    ANY,
    BOOL,
    DURATION,
    FLOAT,
    INT,
    LISTS,
    MAP,
    MAPS,
    OBJECT,
    OBJECTS,
    STRING,
    STRINGS,
    Key,
    Schema,
)


def _all(kind: str, text: str) -> tuple[Key, ...]:
    """Keys of one kind without defaults that explain themselves, from their names."""
    return tuple(Key(name, kind) for name in text.split())


CHECK_KEYS = (
    *_all(STRING, "id name notes token status http method body tcp grpc shell alias_node alias_service h2ping"),
    *_all(STRING, "tls_server_name"),
    Key("docker_container_id", STRING, aliases=("dockercontainerid",)),
    Key("args", STRINGS, aliases=("scriptargs", "script_args")),
    Key("service_id", STRING, aliases=("serviceid",)),
    Key("header", LISTS),
    *_all(BOOL, "grpc_use_tls"),
    Key("tls_skip_verify", BOOL, aliases=("tlsskipverify",)),
    *_all(DURATION, "interval timeout ttl"),
    Key("deregister_critical_service_after", DURATION, aliases=("deregistercriticalserviceafter",)),
    *_all(INT, "output_max_size success_before_passing failures_before_critical"),
)

SERVICE_KEYS = (
    *_all(STRING, "id name address socket_path token kind"),
    Key("tags", STRINGS),
    Key("port", INT),
    Key("meta", MAP),
    Key("tagged_addresses", ANY, help="Address and port by name."),
    Key("weights", OBJECT, keys=_all(INT, "passing warning")),
    Key("enable_tag_override", BOOL, False, aliases=("enabletagoverride",)),
    Key("check", OBJECT, keys=CHECK_KEYS),
    Key("checks", OBJECTS, keys=CHECK_KEYS),
    Key("connect", ANY),
    Key("proxy", ANY),
)


def _gossip(interval: str, nodes: int, probe: str, timeout: str, suspicion: int, retransmit: int) -> tuple[Key, ...]:
    return (
        Key("gossip_interval", DURATION, interval, "Time between two rounds of gossip."),
        Key("gossip_nodes", INT, nodes, "How many members each round of gossip is sent to."),
        Key("probe_interval", DURATION, probe, "Time between two probes of a random member."),
        Key("probe_timeout", DURATION, timeout, "How long an answer to a probe is waited for."),
        Key("suspicion_mult", INT, suspicion, "Multiplier of the time a suspect has to defend itself."),
        Key("retransmit_mult", INT, retransmit, "Multiplier of how often a message is passed on."),
    )


ACL_TOKEN_KEYS = (
    Key("master", STRING, help="Secret of the management token made at the bootstrap."),
    Key("default", STRING, help="Used for requests without a token."),
    Key("agent", STRING, help="Used by the agent for its own updates."),
    Key("agent_master", STRING, help="Lets the agent's own endpoints be used while no server answers."),
    Key("replication", STRING),
    Key("managed_service_provider", ANY),
)

ACL_KEYS = (
    Key("enabled", BOOL, False, "Access control is on."),
    Key("default_policy", STRING, "allow", "What holds where no rule does: allow or deny."),
    Key("down_policy", STRING, "extend-cache", "What holds while tokens cannot be resolved."),
    Key("token_ttl", DURATION, "30s"),
    Key("policy_ttl", DURATION, "30s"),
    Key("role_ttl", DURATION, "0s"),
    Key("enable_key_list_policy", BOOL, False, "Lists of keys need the list permission."),
    Key("enable_token_replication", BOOL, False),
    Key("enable_token_persistence", BOOL, False, "Tokens set over HTTP are kept in the data directory."),
    Key("msp_disable_bootstrap", BOOL, False),
    Key("tokens", OBJECT, keys=ACL_TOKEN_KEYS),
)

DNS_KEYS = (
    Key("allow_stale", BOOL, True, "Any server may answer."),
    Key("max_stale", DURATION, "87600h"),
    Key("node_ttl", DURATION, "0s"),
    Key("service_ttl", MAP, help="Time to live by service name; * for all others."),
    Key("enable_truncate", BOOL, False),
    Key("only_passing", BOOL, False),
    Key("disable_compression", BOOL, False),
    Key("udp_answer_limit", INT, 3),
    Key("a_record_limit", INT, 0),
    Key("recursor_timeout", DURATION, "2s"),
    Key("enable_additional_node_meta_txt", BOOL, True),
    Key("use_cache", BOOL, False),
    Key("cache_max_age", DURATION, "0s"),
    Key(
        "soa",
        OBJECT,
        keys=(Key("refresh", INT, 3600), Key("retry", INT, 600), Key("expire", INT, 86400), Key("min_ttl", INT, 0)),
    ),
    Key("prefer_namespace", BOOL),
)

TELEMETRY_KEYS = (
    Key("metrics_prefix", STRING, "consul"),
    Key("filter_default", BOOL, True),
    Key("prefix_filter", STRINGS, help="Rules +prefix and -prefix."),
    Key("disable_hostname", BOOL, False),
    Key("prometheus_retention_time", DURATION, "0s"),
    Key("statsd_address", STRING),
    Key("statsite_address", STRING),
    Key("dogstatsd_addr", STRING),
    Key("dogstatsd_tags", STRINGS),
    Key("disable_compat_1.9", BOOL, False),
    *_all(STRING, "circonus_api_app circonus_api_token circonus_api_url circonus_broker_id circonus_broker_select_tag"),
    *_all(STRING, "circonus_check_display_name circonus_check_force_metric_activation circonus_check_id"),
    *_all(
        STRING, "circonus_check_instance_id circonus_check_search_tag circonus_check_tags circonus_submission_interval"
    ),
    *_all(STRING, "circonus_submission_url"),
)

UI_KEYS = (
    Key("enabled", BOOL, False, "The web page is served."),
    Key("dir", STRING, help="A folder that is served instead of the built-in page."),
    Key("content_path", STRING, "/ui/", "Path of the page below the HTTP address."),
    Key("metrics_provider", STRING),
    Key("metrics_provider_files", STRINGS),
    Key("metrics_provider_options_json", STRING),
    Key("metrics_proxy", ANY),
    Key("dashboard_url_templates", MAP),
)

AUTOPILOT_KEYS = (
    Key("cleanup_dead_servers", BOOL, True),
    Key("last_contact_threshold", DURATION, "200ms"),
    Key("max_trailing_logs", INT, 250),
    Key("min_quorum", INT, 0),
    Key("server_stabilization_time", DURATION, "10s"),
    Key("redundancy_zone_tag", STRING),
    Key("upgrade_version_tag", STRING),
    Key("disable_upgrade_migration", BOOL),
)

LIMIT_KEYS = (
    Key("http_max_conns_per_client", INT, 200, "Open HTTP connections from one address."),
    Key("https_handshake_timeout", DURATION, "5s"),
    Key("rpc_rate", FLOAT, -1.0, "RPC requests per second from this agent; negative: no limit."),
    Key("rpc_max_burst", INT, 1000),
    Key("rpc_max_conns_per_client", INT, 100, "Open connections to the server port from one address."),
    Key("rpc_handshake_timeout", DURATION, "5s"),
    Key("kv_max_value_size", INT, 524288, "Bytes of a value."),
    Key("txn_max_req_len", INT, 524288, "Bytes of a transaction."),
)

PORT_KEYS = (
    Key("dns", INT, 8600, "DNS over UDP and TCP; 0 or less is off, here and for the other ports."),
    Key("http", INT, 8500, "HTTP API and web page."),
    Key("https", INT, -1),
    Key("grpc", INT, -1),
    Key("server", INT, 8300, "RPC and replication between servers."),
    Key("serf_lan", INT, 8301, "Gossip within the datacenter."),
    Key("serf_wan", INT, 8302, "Gossip between datacenters."),
    Key("sidecar_min_port", INT, 21000),
    Key("sidecar_max_port", INT, 21255),
    Key("expose_min_port", INT, 21500),
    Key("expose_max_port", INT, 21755),
    Key("proxy_min_port", INT, 20000),
    Key("proxy_max_port", INT, 20255),
)

NETWORK_KEYS = (
    Key("bind_addr", STRING, "0.0.0.0", "Address for RPC, replication and gossip."),
    Key("client_addr", STRING, "127.0.0.1", "Addresses for HTTP, separated by blanks."),
    Key("advertise_addr", STRING, help="Address that other members use; the bind address by default."),
    Key("advertise_addr_ipv4", STRING),
    Key("advertise_addr_ipv6", STRING),
    Key("advertise_addr_wan", STRING),
    Key("advertise_addr_wan_ipv4", STRING),
    Key("advertise_addr_wan_ipv6", STRING),
    Key("tagged_addresses", MAP, help="Further addresses of the node by name, for the catalog."),
    Key("translate_wan_addrs", BOOL, False),
    Key("addresses", OBJECT, keys=_all(STRING, "dns http https grpc"), help="Instead of client_addr, by protocol."),
    Key("ports", OBJECT, keys=PORT_KEYS),
    Key("unix_sockets", OBJECT, keys=_all(STRING, "user group mode")),
    Key("serf_lan", STRING, help="Bind address of the LAN gossip."),
    Key("serf_wan", STRING, help="Bind address of the WAN gossip."),
    Key("serf_lan_allowed_cidrs", STRINGS),
    Key("serf_wan_allowed_cidrs", STRINGS),
    Key("recursors", STRINGS, help="DNS servers that are asked about other names."),
    Key("start_join", STRINGS, help="Members to join; the agent ends when none answers."),
    Key("start_join_wan", STRINGS),
    Key("retry_join", STRINGS, help="Members to join, tried again until one answers."),
    Key("retry_join_wan", STRINGS),
    Key("retry_interval", DURATION, "30s"),
    Key("retry_interval_wan", DURATION, "30s"),
    Key("retry_max", INT, 0, "Tries before the agent ends; 0: no limit."),
    Key("retry_max_wan", INT, 0),
    Key("rejoin_after_leave", BOOL, False, "Join the known members again even after a leave."),
    Key("reconnect_timeout", DURATION, "72h"),
    Key("reconnect_timeout_wan", DURATION, "72h"),
    Key("advertise_reconnect_timeout", DURATION),
    Key("primary_gateways", STRINGS),
    Key("primary_gateways_interval", DURATION, "30s"),
    Key("gossip_lan", OBJECT, keys=_gossip("200ms", 3, "1s", "500ms", 4, 4)),
    Key("gossip_wan", OBJECT, keys=_gossip("500ms", 3, "5s", "3s", 6, 4)),
    Key("encrypt", STRING, help="Key of the gossip: 16, 24 or 32 bytes in base64."),
    Key("encrypt_verify_incoming", BOOL, True),
    Key("encrypt_verify_outgoing", BOOL, True),
)

TLS_KEYS = (
    *_all(STRING, "ca_file ca_path cert_file key_file server_name tls_cipher_suites"),
    Key("verify_incoming", BOOL, False),
    Key("verify_incoming_rpc", BOOL, False),
    Key("verify_incoming_https", BOOL, False),
    Key("verify_outgoing", BOOL, False),
    Key("verify_server_hostname", BOOL, False),
    Key("tls_min_version", STRING, "tls12"),
    Key("tls_prefer_server_cipher_suites", BOOL, False),
    Key("enable_agent_tls_for_checks", BOOL, False),
    Key("auto_encrypt", OBJECT, keys=(*_all(BOOL, "allow_tls tls"), *_all(STRINGS, "dns_san ip_san"))),
)

OLD_ACL_KEYS = (
    *_all(STRING, "acl_datacenter acl_default_policy acl_down_policy acl_token acl_master_token acl_agent_token"),
    *_all(STRING, "acl_agent_master_token acl_replication_token"),
    Key("acl_ttl", DURATION),
    *_all(BOOL, "acl_enable_key_list_policy enable_acl_replication"),
)

SERVER_KEYS = (
    Key("server", BOOL, False, "This agent is a server."),
    Key("bootstrap", BOOL, False, "This server may elect itself."),
    Key("bootstrap_expect", INT, 0, "Servers to wait for before the first election."),
    Key(
        "performance",
        OBJECT,
        keys=(
            Key("raft_multiplier", INT, 1, "Factor of all election times, 1 to 10."),
            Key("leave_drain_time", DURATION, "5s"),
            Key("rpc_hold_timeout", DURATION, "7s", "How long requests wait for a leader."),
        ),
    ),
    Key("raft_protocol", INT, 3),
    Key("raft_snapshot_threshold", INT, 16384, "Log entries after which a snapshot is taken."),
    Key("raft_snapshot_interval", DURATION, "30s"),
    Key("raft_trailing_logs", INT, 10240, "Log entries that are kept behind a snapshot."),
    Key("autopilot", OBJECT, keys=AUTOPILOT_KEYS),
    Key("session_ttl_min", DURATION, "0s", "The shortest TTL of a session; 10 s in effect when not set."),
    Key("rpc", OBJECT, keys=(Key("enable_streaming", BOOL, True),)),
    Key("use_streaming_backend", BOOL, True),
    Key("read_replica", BOOL, aliases=("non_voting_server",)),
)

OTHER_KEYS = (
    Key("cache", OBJECT, keys=(Key("entry_fetch_rate", FLOAT), Key("entry_fetch_max_burst", INT, 2))),
    Key("check_update_interval", DURATION, "5m"),
    Key("check_output_max_size", INT, 4096),
    Key("discard_check_output", BOOL, False),
    Key("service", OBJECT, keys=SERVICE_KEYS),
    Key("services", OBJECTS, keys=SERVICE_KEYS),
    Key("check", OBJECT, keys=CHECK_KEYS),
    Key("checks", OBJECTS, keys=CHECK_KEYS),
    Key("watches", MAPS),
    Key("discovery_max_stale", DURATION, "0s"),
    Key("disable_coordinates", BOOL, False),
    Key("disable_remote_exec", BOOL, True),
    Key("disable_host_node_id", BOOL, True),
    Key("disable_keyring_file", BOOL, False),
    Key("disable_update_check", BOOL, False),
    Key("disable_anonymous_signature", BOOL, False),
    Key("disable_http_unprintable_char_filter", BOOL, False),
    Key("enable_debug", BOOL, False),
    Key("enable_central_service_config", BOOL, True),
    Key("enable_script_checks", BOOL, False),
    Key("enable_local_script_checks", BOOL, False),
    Key("default_query_time", DURATION, "300s", "How long a blocking query waits when it does not say."),
    Key("max_query_time", DURATION, "600s", "How long a blocking query may wait at most."),
    Key("connect", ANY),
    Key("config_entries", OBJECT, keys=(Key("bootstrap", MAPS),)),
    Key("auto_config", ANY),
    *OLD_ACL_KEYS,
    Key("acl_enforce_version_8", ANY),
    *_all(STRING, "segment license_path"),
    Key("segments", MAPS),
    Key("audit", ANY),
    Key("snapshot_agent", ANY),
    Key("ui", BOOL),
    Key("ui_dir", STRING),
    Key("ui_content_path", STRING),
)

CONFIG = Schema(
    (
        Key("node_name", STRING, help="Name of this agent in the cluster; the host name by default."),
        Key("node_id", STRING, help="A UUID; made and kept in the data directory by default."),
        Key("node_meta", MAP, help="Facts about the node, for the catalog and its filters."),
        Key("datacenter", STRING, "dc1"),
        Key("primary_datacenter", STRING),
        Key("data_dir", STRING, help="Where everything is kept that must outlive the agent."),
        Key("domain", STRING, "consul."),
        Key("alt_domain", STRING),
        Key("protocol", INT, 2),
        Key("pid_file", STRING),
        Key("leave_on_terminate", BOOL, help="SIGTERM leaves the cluster; by default clients do, servers do not."),
        Key("skip_leave_on_interrupt", BOOL, help="SIGINT does not leave; by default true for servers only."),
        Key("log_level", STRING, "INFO", "TRACE, DEBUG, INFO, WARN or ERROR."),
        Key("log_json", BOOL, False),
        Key("log_file", STRING),
        Key("log_rotate_bytes", INT, 0),
        Key("log_rotate_duration", DURATION, "24h"),
        Key("log_rotate_max_files", INT, 0),
        Key("enable_syslog", BOOL, False),
        Key("syslog_facility", STRING, "LOCAL0"),
        *NETWORK_KEYS,
        *SERVER_KEYS,
        *TLS_KEYS,
        Key("acl", OBJECT, keys=ACL_KEYS),
        Key("limits", OBJECT, keys=LIMIT_KEYS),
        Key(
            "http_config",
            OBJECT,
            keys=(
                Key("block_endpoints", STRINGS, help="Prefixes of paths that are refused."),
                Key("response_headers", MAP, help="Headers that every answer gets."),
                Key("allow_write_http_from", STRINGS, help="Networks that may write; empty: all."),
                Key("use_cache", BOOL, True),
                Key("max_header_bytes", INT, 0),
            ),
        ),
        Key("dns_config", OBJECT, keys=DNS_KEYS),
        Key("telemetry", OBJECT, keys=TELEMETRY_KEYS),
        Key("ui_config", OBJECT, keys=UI_KEYS),
        *OTHER_KEYS,
    )
)
