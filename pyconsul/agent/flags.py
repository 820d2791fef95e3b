"""The flags of ``pyconsul agent``, and the configuration that they stand for.

Every flag but a few stands for a configuration key; the tree that they give is merged with those of the files.
"""

from __future__ import annotations

from pyconsul.agent.config_schema import Tree
from pyconsul.codec.go_flags import BOOL, INT, PAIRS, STRING, STRINGS, Flag, FlagSet, ParsedFlags

_LOG_LEVELS = ("trace", "debug", "info", "warn", "err")


def _optional(name: str, type: str, help: str, **more: tuple[str, ...]) -> Flag:  # noqa: A002
    return Flag(name, type, help, optional=True, **more)  # type: ignore[arg-type]


_WITH_KEYS: tuple[tuple[Flag, str], ...] = (
    (_optional("advertise", STRING, "Address that other members use for this agent."), "advertise_addr"),
    (_optional("advertise-wan", STRING, "Address that members of other datacenters use."), "advertise_addr_wan"),
    (
        Flag("allow-write-http-from", STRINGS, "Network that may write over HTTP, as a CIDR."),
        "http_config.allow_write_http_from",
    ),
    (_optional("alt-domain", STRING, "Not served: a second DNS domain to answer for."), "alt_domain"),
    (_optional("bind", STRING, "Address for RPC, replication and gossip."), "bind_addr"),
    (_optional("bootstrap", BOOL, "Let this server elect itself; for one server only."), "bootstrap"),
    (
        _optional("bootstrap-expect", INT, "Number of servers to wait for before the first election."),
        "bootstrap_expect",
    ),
    (
        _optional("check_output_max_size", INT, "Not served: bytes of a check's output that are kept."),
        "check_output_max_size",
    ),
    (_optional("client", STRING, "Addresses for HTTP, separated by blanks."), "client_addr"),
    (_optional("data-dir", STRING, "Folder for everything that must outlive the agent."), "data_dir"),
    (_optional("datacenter", STRING, "Datacenter of this agent."), "datacenter"),
    (
        _optional("default-query-time", STRING, "Not served: how long a blocking query waits if it does not say."),
        "default_query_time",
    ),
    (
        _optional("disable-host-node-id", BOOL, "Make a random node id instead of one of the host."),
        "disable_host_node_id",
    ),
    (_optional("disable-keyring-file", BOOL, "Keep the gossip keyring in memory only."), "disable_keyring_file"),
    (_optional("dns-port", INT, "Not served: port for DNS; -1 switches it off."), "ports.dns"),
    (_optional("domain", STRING, "Not served: DNS domain to answer for."), "domain"),
    (
        _optional("enable-local-script-checks", BOOL, "Allow script checks from files only."),
        "enable_local_script_checks",
    ),
    (_optional("enable-script-checks", BOOL, "Allow script checks, from HTTP too."), "enable_script_checks"),
    (_optional("encrypt", STRING, "Key of the gossip: 16, 24 or 32 bytes in base64."), "encrypt"),
    (_optional("grpc-port", INT, "Not served: port for gRPC; -1 switches it off."), "ports.grpc"),
    (_optional("http-port", INT, "Port for HTTP; -1 switches it off."), "ports.http"),
    (_optional("https-port", INT, "Not served: port for HTTPS; -1 switches it off."), "ports.https"),
    (Flag("join", STRINGS, "Member to join at the start; the agent ends if none answers."), "start_join"),
    (Flag("join-wan", STRINGS, "Member of another datacenter to join at the start."), "start_join_wan"),
    (_optional("log-file", STRING, "File, or folder with a slash at its end, for the log."), "log_file"),
    (_optional("log-json", BOOL, "Write the log as JSON, one object per line."), "log_json"),
    (_optional("log-level", STRING, "trace, debug, info, warn or err.", choices=_LOG_LEVELS), "log_level"),
    (_optional("log-rotate-bytes", INT, "Size at which a new log file is begun."), "log_rotate_bytes"),
    (_optional("log-rotate-duration", STRING, "Age at which a new log file is begun."), "log_rotate_duration"),
    (_optional("log-rotate-max-files", INT, "Old log files to keep; 0 keeps all, -1 none."), "log_rotate_max_files"),
    (_optional("max-query-time", STRING, "Not served: how long a blocking query may wait at most."), "max_query_time"),
    (_optional("node", STRING, "Name of this agent; the host name by default."), "node_name"),
    (_optional("node-id", STRING, "UUID of this agent; by default made and kept."), "node_id"),
    (Flag("node-meta", PAIRS, "A fact about the node, as key:value.", separator=":"), "node_meta"),
    (_optional("pid-file", STRING, "File for the process id."), "pid_file"),
    (Flag("primary-gateway", STRINGS, "Not served: mesh gateway of the primary datacenter."), "primary_gateways"),
    (_optional("protocol", INT, "Protocol version of the gossip, 2 or 3."), "protocol"),
    (_optional("raft-protocol", INT, "Protocol version of the replication, 3."), "raft_protocol"),
    (_optional("read-replica", BOOL, "Has no effect in this edition."), "read_replica"),
    (Flag("recursor", STRINGS, "Not served: DNS server to ask about other names."), "recursors"),
    (_optional("rejoin", BOOL, "Join the known members again even after a leave."), "rejoin_after_leave"),
    (_optional("retry-interval", STRING, "Time between two tries to join."), "retry_interval"),
    (_optional("retry-interval-wan", STRING, "The same for other datacenters."), "retry_interval_wan"),
    (Flag("retry-join", STRINGS, "Member to join, tried again until one answers."), "retry_join"),
    (Flag("retry-join-wan", STRINGS, "The same for other datacenters."), "retry_join_wan"),
    (_optional("retry-max", INT, "Tries to join before the agent ends; 0 is no limit."), "retry_max"),
    (_optional("retry-max-wan", INT, "The same for other datacenters."), "retry_max_wan"),
    (_optional("segment", STRING, "Refused in this edition."), "segment"),
    (Flag("serf-lan-allowed-cidrs", STRINGS, "Network whose members may join."), "serf_lan_allowed_cidrs"),
    (_optional("serf-lan-bind", STRING, "Bind address of the LAN gossip."), "serf_lan"),
    (_optional("serf-lan-port", INT, "Port of the LAN gossip."), "ports.serf_lan"),
    (
        Flag("serf-wan-allowed-cidrs", STRINGS, "Network whose members of other datacenters may join."),
        "serf_wan_allowed_cidrs",
    ),
    (_optional("serf-wan-bind", STRING, "Bind address of the WAN gossip."), "serf_wan"),
    (_optional("serf-wan-port", INT, "Port of the WAN gossip; -1 switches it off."), "ports.serf_wan"),
    (_optional("server", BOOL, "Run as a server; without it the agent is a client."), "server"),
    (_optional("server-port", INT, "Port for RPC and replication."), "ports.server"),
    (_optional("syslog", BOOL, "Send the log to syslog too."), "enable_syslog"),
    (_optional("ui", BOOL, "Serve the web page."), "ui_config.enabled"),
    (_optional("ui-content-path", STRING, "Path of the web page."), "ui_config.content_path"),
    (_optional("ui-dir", STRING, "Folder that is served instead of the built-in page."), "ui_config.dir"),
)

AGENT_FLAGS = FlagSet(
    (flag for flag, _ in _WITH_KEYS),
    Flag("config-dir", STRINGS, "Folder of configuration files, read in order of name.", into="config-file"),
    Flag("config-file", STRINGS, "Configuration file, HCL or JSON; may be repeated."),
    Flag("config-format", STRING, "hcl or json, for all files.", choices=("hcl", "json")),
    Flag("dev", BOOL, "A lone server for development, on 127.0.0.1, that keeps nothing."),
    Flag("hcl", STRINGS, "A piece of HCL configuration; may be repeated."),
    Flag("non-voting-server", BOOL, "The old name of -read-replica.", optional=True, into="read-replica"),
)
"""Every flag of ``pyconsul agent``."""


def config_of_flags(parsed: ParsedFlags) -> tuple[Tree, Tree]:
    """The configuration that the given flags stand for: lists and the rest apart, as they merge in different places."""
    lists: Tree = {}
    others: Tree = {}
    for flag, path in _WITH_KEYS:
        if flag.name in parsed.given:
            _put(lists if flag.type == STRINGS else others, path, parsed.optional(flag.name))
    return lists, others


def _put(tree: Tree, path: str, value: object) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        inner = tree.setdefault(parent, {})
        if isinstance(inner, dict):
            tree = inner
    tree[last] = value


def key_of_flag(name: str) -> str:
    """The dotted configuration key that a flag stands for; empty for those that stand for none."""
    target = AGENT_FLAGS.get(name)
    wanted = target.into if target is not None else name
    return next((path for flag, path in _WITH_KEYS if flag.name == wanted), "")
