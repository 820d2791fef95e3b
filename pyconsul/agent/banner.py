"""What the agent prints before its log."""

from __future__ import annotations

from pyconsul.agent.runtime_config import RuntimeConfig
from pyconsul.version import CONSUL_API_VERSION

_COLON_COLUMN = 18
STARTING = "==> Starting Consul agent..."
LOG_FOLLOWS = "==> Log data will now stream in as it occurs:"


def banner(config: RuntimeConfig, node_id: str, version: str = CONSUL_API_VERSION) -> str:
    """All lines up to the log, the last one empty. Not to be printed when the log is JSON.

    The version is the API level that is served, as scripts that read the banner expect.
    """
    ports, tls = config.ports, config.tls
    segment = "<all>" if config.server else ""
    client = " ".join(config.addresses.client)
    outgoing, incoming = _go(tls.verify_outgoing), _go(tls.verify_incoming_rpc)
    gossip = _go(bool(config.encrypt_key))
    auto = _go(tls.auto_encrypt or tls.auto_encrypt_allow)
    rows = (
        ("Version", f"'{version}'"),
        ("Node ID", f"'{node_id}'"),
        ("Node name", f"'{config.node_name}'"),
        ("Datacenter", f"'{config.datacenter}' (Segment: '{segment}')"),
        ("Server", f"{_go(config.server)} (Bootstrap: {_go(config.bootstrap)})"),
        (
            "Client Addr",
            f"[{client}] (HTTP: {ports.http}, HTTPS: {ports.https}, gRPC: {ports.grpc}, DNS: {ports.dns})",
        ),
        ("Cluster Addr", f"{config.addresses.advertise} (LAN: {ports.serf_lan}, WAN: {ports.serf_wan})"),
        (
            "Encrypt",
            f"Gossip: {gossip}, TLS-Outgoing: {outgoing}, TLS-Incoming: {incoming}, Auto-Encrypt-TLS: {auto}",
        ),
    )
    lines = [f"{label:>{_COLON_COLUMN}}: {value}" for label, value in rows]
    return "\n".join((STARTING, *lines, "", LOG_FOLLOWS, "", ""))


def _go(value: bool) -> str:
    return "true" if value else "false"
