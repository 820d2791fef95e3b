"""Parts of the configuration that depend on nothing but their own keys."""

from __future__ import annotations

import math

from pyconsul.agent.addresses import is_any
from pyconsul.agent.config_checks import ANY_ADDRESS
from pyconsul.agent.config_values import Values
from pyconsul.agent.runtime_config import (
    AclConfig,
    DnsConfig,
    GossipTiming,
    HttpConfig,
    JoinConfig,
    Limits,
    TelemetryConfig,
    TlsConfig,
)
from pyconsul.errors import ConfigError


def join(values: Values) -> JoinConfig:
    return JoinConfig(
        start=values.hosts("start_join"),
        start_wan=values.hosts("start_join_wan"),
        retry=values.hosts("retry_join"),
        retry_wan=values.hosts("retry_join_wan"),
        retry_interval_seconds=values.seconds("retry_interval"),
        retry_interval_wan_seconds=values.seconds("retry_interval_wan"),
        retry_max=values.integer("retry_max"),
        retry_max_wan=values.integer("retry_max_wan"),
        rejoin_after_leave=values.boolean("rejoin_after_leave"),
    )


def gossip(values: Values, name: str) -> GossipTiming:
    return GossipTiming(
        gossip_interval_seconds=values.seconds(f"{name}.gossip_interval"),
        gossip_nodes=values.integer(f"{name}.gossip_nodes"),
        probe_interval_seconds=values.seconds(f"{name}.probe_interval"),
        probe_timeout_seconds=values.seconds(f"{name}.probe_timeout"),
        suspicion_mult=values.integer(f"{name}.suspicion_mult"),
        retransmit_mult=values.integer(f"{name}.retransmit_mult"),
    )


def limits(values: Values) -> Limits:
    rate = values.number("limits.rpc_rate")
    return Limits(
        http_max_conns_per_client=values.integer("limits.http_max_conns_per_client"),
        https_handshake_timeout_seconds=values.seconds("limits.https_handshake_timeout"),
        rpc_rate=rate if rate >= 0 else math.inf,
        rpc_max_burst=values.integer("limits.rpc_max_burst"),
        rpc_max_conns_per_client=values.integer("limits.rpc_max_conns_per_client"),
        rpc_handshake_timeout_seconds=values.seconds("limits.rpc_handshake_timeout"),
        kv_max_value_bytes=values.integer("limits.kv_max_value_size"),
        txn_max_request_bytes=values.integer("limits.txn_max_req_len"),
    )


def http(values: Values) -> HttpConfig:
    allowed = values.strings("http_config.allow_write_http_from")
    values.errors.extend(values.cidrs("allow_write_http_from", allowed))
    return HttpConfig(
        block_endpoints=values.strings("http_config.block_endpoints"),
        response_headers=values.mapping("http_config.response_headers"),
        allow_write_http_from=allowed,
        use_cache=values.boolean("http_config.use_cache"),
        max_header_bytes=values.integer("http_config.max_header_bytes"),
        default_query_seconds=values.seconds("default_query_time"),
        max_query_seconds=values.seconds("max_query_time"),
    )


def dns(values: Values) -> DnsConfig:
    recursors = tuple(dict.fromkeys(values.hosts("recursors")))
    if any(is_any(recursor) for recursor in recursors):
        raise ConfigError(f"DNS recursor address cannot be {ANY_ADDRESS}")
    return DnsConfig(
        domain=values.text("domain"),
        alt_domain=values.text("alt_domain"),
        recursors=recursors,
        allow_stale=values.boolean("dns_config.allow_stale"),
        max_stale_seconds=values.seconds("dns_config.max_stale"),
        node_ttl_seconds=values.seconds("dns_config.node_ttl"),
        service_ttl_seconds={
            name: values.parse_seconds(f'dns_config.service_ttl["{name}"]', text)
            for name, text in values.mapping("dns_config.service_ttl").items()
        },
        enable_truncate=values.boolean("dns_config.enable_truncate"),
        only_passing=values.boolean("dns_config.only_passing"),
        disable_compression=values.boolean("dns_config.disable_compression"),
        udp_answer_limit=values.integer("dns_config.udp_answer_limit"),
        a_record_limit=values.integer("dns_config.a_record_limit"),
        recursor_timeout_seconds=values.seconds("dns_config.recursor_timeout"),
        node_meta_txt=values.boolean("dns_config.enable_additional_node_meta_txt"),
        use_cache=values.boolean("dns_config.use_cache"),
        cache_max_age_seconds=values.seconds("dns_config.cache_max_age"),
        soa_refresh=values.integer("dns_config.soa.refresh"),
        soa_retry=values.integer("dns_config.soa.retry"),
        soa_expire=values.integer("dns_config.soa.expire"),
        soa_min_ttl=values.integer("dns_config.soa.min_ttl"),
    )


def acl(values: Values) -> AclConfig:
    return AclConfig(
        enabled=values.boolean("acl.enabled") or bool(values.text("acl_datacenter")),
        default_policy=values.text("acl.default_policy"),
        down_policy=values.text("acl.down_policy"),
        token_ttl_seconds=values.seconds("acl.token_ttl"),
        policy_ttl_seconds=values.seconds("acl.policy_ttl"),
        role_ttl_seconds=values.seconds("acl.role_ttl"),
        enable_key_list_policy=values.boolean("acl.enable_key_list_policy"),
        enable_token_replication=values.boolean("acl.enable_token_replication"),
        enable_token_persistence=values.boolean("acl.enable_token_persistence"),
        initial_management_token=values.text("acl.tokens.master"),
        default_token=values.text("acl.tokens.default"),
        agent_token=values.text("acl.tokens.agent"),
        agent_recovery_token=values.text("acl.tokens.agent_master"),
        replication_token=values.text("acl.tokens.replication"),
    )


def tls(values: Values) -> TlsConfig:
    incoming = values.boolean("verify_incoming")
    hostname = values.boolean("verify_server_hostname")
    return TlsConfig(
        ca_file=values.text("ca_file"),
        ca_path=values.text("ca_path"),
        cert_file=values.text("cert_file"),
        key_file=values.text("key_file"),
        verify_incoming_rpc=incoming or values.boolean("verify_incoming_rpc"),
        verify_incoming_https=incoming or values.boolean("verify_incoming_https"),
        verify_outgoing=values.boolean("verify_outgoing") or hostname,
        verify_server_hostname=hostname,
        min_version=values.text("tls_min_version"),
        cipher_suites=values.text("tls_cipher_suites"),
        server_name=values.text("server_name"),
        agent_tls_for_checks=values.boolean("enable_agent_tls_for_checks"),
        auto_encrypt_allow=values.boolean("auto_encrypt.allow_tls"),
        auto_encrypt=values.boolean("auto_encrypt.tls"),
    )


def telemetry(values: Values, warnings: list[str]) -> TelemetryConfig:
    allowed, blocked = [], []
    for rule in values.strings("telemetry.prefix_filter"):
        if rule.startswith("+"):
            allowed.append(rule[1:])
        elif rule.startswith("-"):
            blocked.append(rule[1:])
        elif not rule:
            warnings.append("Cannot have empty filter rule in prefix_filter")
        else:
            warnings.append(f"Filter rule must begin with either '+' or '-': \"{rule}\"")
    return TelemetryConfig(
        metrics_prefix=values.text("telemetry.metrics_prefix"),
        filter_default=values.boolean("telemetry.filter_default"),
        allowed_prefixes=tuple(allowed),
        blocked_prefixes=tuple(blocked),
        disable_hostname=values.boolean("telemetry.disable_hostname"),
        prometheus_retention_seconds=values.seconds("telemetry.prometheus_retention_time"),
        statsd_address=values.text("telemetry.statsd_address"),
        statsite_address=values.text("telemetry.statsite_address"),
        dogstatsd_address=values.text("telemetry.dogstatsd_addr"),
        dogstatsd_tags=values.strings("telemetry.dogstatsd_tags"),
    )
