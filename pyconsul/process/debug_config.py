"""The run-time configuration as ``agent/self`` shows it: names as Consul's tools know them, secrets hidden."""

from __future__ import annotations

from typing import Any

from pyconsul.agent.runtime_config import RuntimeConfig
from pyconsul.codec.duration import format_duration

HIDDEN = "hidden"


def debug_config(config: RuntimeConfig, node_id: str) -> dict[str, Any]:
    """A JSON object; addresses as texts ``ip:port``."""

    def seconds(value: float) -> str:
        return format_duration(int(value * 1e9))

    addresses = config.addresses
    return {
        "ACLDatacenter": config.primary_datacenter,
        "ACLMasterToken": HIDDEN,
        "ACLsEnabled": config.acl.enabled,
        "AdvertiseAddrLAN": addresses.advertise,
        "AdvertiseAddrWAN": addresses.advertise_wan,
        "BindAddr": addresses.bind,
        "Bootstrap": config.bootstrap,
        "BootstrapExpect": config.bootstrap_expect,
        "CheckOutputMaxSize": config.check_output_max_bytes,
        "CheckUpdateInterval": seconds(config.check_update_interval_seconds),
        "ClientAddrs": list(addresses.client),
        "DNSDomain": config.dns.domain,
        "DNSPort": config.ports.dns,
        "DataDir": config.data_dir,
        "Datacenter": config.datacenter,
        "DevMode": config.dev,
        "DisableCoordinates": config.disable_coordinates,
        "DisableHostNodeID": config.disable_host_node_id,
        "DisableKeyringFile": config.disable_keyring_file,
        "DisableRemoteExec": config.disable_remote_exec,
        "EnableDebug": config.enable_debug,
        "EnableLocalScriptChecks": config.enable_local_script_checks,
        "EnableRemoteScriptChecks": config.enable_script_checks,
        "EncryptKey": HIDDEN,
        "GRPCPort": config.ports.grpc,
        "HTTPMaxConnsPerClient": config.limits.http_max_conns_per_client,
        "HTTPPort": config.ports.http,
        "HTTPSPort": config.ports.https,
        "KVMaxValueSize": config.limits.kv_max_value_bytes,
        "LeaveDrainTime": seconds(config.leave_drain_seconds),
        "LeaveOnTerm": config.leave_on_terminate,
        "LogLevel": config.log.level,
        "NodeID": node_id,
        "NodeMeta": dict(config.node_meta),
        "NodeName": config.node_name,
        "PrimaryDatacenter": config.primary_datacenter,
        "RPCHoldTimeout": seconds(config.rpc_hold_seconds),
        "RaftSnapshotInterval": seconds(config.raft.snapshot_interval_seconds),
        "RaftSnapshotThreshold": config.raft.snapshot_threshold,
        "RaftTrailingLogs": config.raft.trailing_logs,
        "RejoinAfterLeave": config.join.rejoin_after_leave,
        "RetryJoinLAN": list(config.join.retry),
        "SerfPortLAN": config.ports.serf_lan,
        "SerfPortWAN": config.ports.serf_wan,
        "ServerMode": config.server,
        "ServerPort": config.ports.server,
        "SessionTTLMin": seconds(config.session_ttl_min_seconds),
        "SkipLeaveOnInt": config.skip_leave_on_interrupt,
        "TaggedAddresses": dict(addresses.tagged),
        "TxnMaxReqLen": config.limits.txn_max_request_bytes,
        "UIConfig": {"ContentPath": config.ui.content_path, "Enabled": config.ui.enabled},
        "Watches": [dict(watch) for watch in config.watches],
    }
