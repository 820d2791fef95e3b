"""Keys of the configuration that are read and checked, and have no effect: this version lacks what they are for.

Whoever sets one is told so at the start: an operator who switches access control or TLS on must not believe in it.
"""

from __future__ import annotations

from collections.abc import Iterator

from pyconsul.agent.config_schema import Tree
from pyconsul.agent.config_sources import DEV, ENTERPRISE_KEYS, look_up

UNSERVED = frozenset((
    # access control
    "acl", "acl_agent_master_token", "acl_agent_token", "acl_datacenter", "acl_default_policy", "acl_down_policy",
    "acl_enable_key_list_policy", "acl_master_token", "acl_replication_token", "acl_token", "acl_ttl",
    "enable_acl_replication",
    # TLS
    "auto_config", "auto_encrypt", "ca_file", "ca_path", "cert_file", "key_file", "server_name",
    "enable_agent_tls_for_checks", "tls_cipher_suites", "tls_min_version", "tls_prefer_server_cipher_suites",
    "verify_incoming", "verify_incoming_https", "verify_incoming_rpc", "verify_outgoing", "verify_server_hostname",
    "addresses.https", "ports.https", "limits.https_handshake_timeout", "limits.rpc_handshake_timeout",
    # DNS
    "addresses.dns", "ports.dns", "alt_domain", "dns_config", "domain", "recursors",
    # the service mesh
    "addresses.grpc", "ports.grpc", "ports.expose_max_port", "ports.expose_min_port", "ports.proxy_max_port",
    "ports.proxy_min_port", "ports.sidecar_max_port", "ports.sidecar_min_port", "config_entries", "connect",
    "enable_central_service_config", "primary_gateways", "primary_gateways_interval",
    # the rest
    "cache", "rpc", "use_streaming_backend", "default_query_time", "max_query_time", "discovery_max_stale",
    "check_output_max_size", "discard_check_output", "watches",
    "translate_wan_addrs", "unix_sockets", "limits.rpc_max_conns_per_client", "snapshot_agent", "telemetry",
    "enable_debug", "ui_config.dashboard_url_templates", "ui_config.metrics_provider",
    "ui_config.metrics_provider_files", "ui_config.metrics_provider_options_json", "ui_config.metrics_proxy",
))  # fmt: skip
"""Paths; one that holds others stands for all of them."""

_TOLD_ALREADY = frozenset(path for path, _ in ENTERPRISE_KEYS)


def is_unserved(path: str) -> bool:
    """Whether what stands at a dotted path has no effect."""
    parts = path.split(".")
    return any(".".join(parts[:length]) in UNSERVED for length in range(1, len(parts) + 1))


def unserved_in(tree: Tree, dev: bool) -> tuple[str, ...]:
    """Those that somebody set, in order. What is switched off, or belongs to ``-dev``, is as wished."""
    return tuple(
        path
        for path in sorted(UNSERVED)
        if any(
            not _is_off(value) and leaf not in _TOLD_ALREADY and not (dev and look_up(DEV, leaf) == value)
            for leaf, value in _leaves(path, look_up(tree, path))
        )
    )


def _leaves(path: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(f"{path}.{name}", inner)
    else:
        yield path, value


def _is_off(value: object) -> bool:
    if isinstance(value, int | float):
        return value <= 0
    return value in (None, "", [])
