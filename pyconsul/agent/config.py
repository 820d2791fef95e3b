"""From a command line to the configuration that the agent runs with.

``load`` reads, merges, builds and checks. The parts that stand on their own are built in ``config_sections``.
"""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Callable, Mapping, Sequence

from pyconsul.agent import config_checks as checks
from pyconsul.agent import config_sections as sections
from pyconsul.agent.addresses import ListenAddress, Network, is_any
from pyconsul.agent.config_sources import Sources, error_list, from_command_line, from_files
from pyconsul.agent.config_unserved import unserved_in
from pyconsul.agent.config_values import UNIX_PREFIX, Values
from pyconsul.agent.interfaces import private_ipv4, public_ipv6
from pyconsul.agent.runtime_config import (
    Addresses,
    AutopilotDefaults,
    LogConfig,
    Ports,
    RaftTiming,
    RuntimeConfig,
    UiConfig,
)
from pyconsul.errors import ConfigError

SESSION_TTL_MIN_SECONDS = 10.0
"""The shortest session TTL when ``session_ttl_min`` is not set."""

_CHECK_DURATIONS = ("interval", "timeout", "ttl", "deregister_critical_service_after")


def load(
    argv: Sequence[str], *, network: Network | None = None, hostname: Callable[[], str] = socket.gethostname
) -> RuntimeConfig:
    """The configuration of ``pyconsul agent ARGV``, with everything checked that can be before the banner.

    No environment variable counts. Raises FlagError for a bad command line and ConfigError for anything else; the texts
    are what follows ``==> ``.
    """
    config = read(argv, network=network, hostname=hostname)
    checks.check_setup(config)
    return config


def read(
    argv: Sequence[str], *, network: Network | None = None, hostname: Callable[[], str] = socket.gethostname
) -> RuntimeConfig:
    """The same without the checks of log level and TLS: for a reload, which takes only some of it."""
    return _Builder(from_command_line(argv), network or Network(), hostname).build()


def validate_files(
    paths: Sequence[str],
    config_format: str = "",
    *,
    network: Network | None = None,
    hostname: Callable[[], str] = socket.gethostname,
) -> RuntimeConfig:
    """The configuration of these files and folders alone. Raises ConfigError."""
    return _Builder(from_files(paths, config_format), network or Network(), hostname).build()


class _Builder:
    def __init__(self, sources: Sources, network: Network, hostname: Callable[[], str]) -> None:
        self._sources = sources
        self._hostname = hostname
        self._network = network
        self._warnings = list(sources.warnings)
        self._values = Values(sources.tree, network)

    def build(self) -> RuntimeConfig:
        values, dev = self._values, self._sources.dev
        self._old_keys()
        multiplier = values.integer("performance.raft_multiplier")
        if not 1 <= multiplier <= 10:
            raise ConfigError(f"performance.raft_multiplier cannot be {multiplier}. Must be between 1 and 10")
        server = values.boolean("server")
        bootstrap, expect = values.boolean("bootstrap"), values.integer("bootstrap_expect")
        if expect == 1:
            bootstrap, expect = True, 0
            self._warnings.append("BootstrapExpect is set to 1; this is the same as Bootstrap mode.")
        ports = self._ports()
        addresses = self._addresses(ports)
        if server and values.is_set("advertise_reconnect_timeout"):
            raise ConfigError("advertise_reconnect_timeout can only be used on a client")
        datacenter = values.text("datacenter").lower()
        services, own_checks = values.objects("services"), values.objects("checks")
        self._check_definitions(services, own_checks)
        config = RuntimeConfig(
            node_name=self._node_name(),
            node_id=values.text("node_id").lower(),
            node_meta=values.mapping("node_meta"),
            datacenter=datacenter,
            primary_datacenter=values.text("primary_datacenter").lower() or datacenter,
            data_dir=values.text("data_dir"),
            dev=dev,
            server=server,
            bootstrap=bootstrap,
            bootstrap_expect=expect,
            protocol=values.integer("protocol"),
            pid_file=values.text("pid_file"),
            leave_on_terminate=values.boolean("leave_on_terminate")
            if values.is_set("leave_on_terminate")
            else not server,
            skip_leave_on_interrupt=values.boolean("skip_leave_on_interrupt")
            if values.is_set("skip_leave_on_interrupt")
            else server,
            addresses=addresses,
            ports=ports,
            join=sections.join(values),
            gossip_lan=sections.gossip(values, "gossip_lan"),
            gossip_wan=sections.gossip(values, "gossip_wan"),
            serf_lan_allowed_cidrs=self._cidrs("serf_lan_allowed_cidrs"),
            serf_wan_allowed_cidrs=self._cidrs("serf_wan_allowed_cidrs"),
            reconnect_timeout_seconds=values.seconds("reconnect_timeout"),
            reconnect_timeout_wan_seconds=values.seconds("reconnect_timeout_wan"),
            advertise_reconnect_timeout_seconds=values.seconds("advertise_reconnect_timeout"),
            encrypt_key=b"",
            encrypt_verify_incoming=values.boolean("encrypt_verify_incoming"),
            encrypt_verify_outgoing=values.boolean("encrypt_verify_outgoing"),
            raft=self._raft(multiplier),
            autopilot=AutopilotDefaults(
                cleanup_dead_servers=values.boolean("autopilot.cleanup_dead_servers"),
                last_contact_threshold_seconds=values.seconds("autopilot.last_contact_threshold"),
                max_trailing_logs=values.integer("autopilot.max_trailing_logs"),
                min_quorum=values.integer("autopilot.min_quorum"),
                server_stabilization_seconds=values.seconds("autopilot.server_stabilization_time"),
            ),
            leave_drain_seconds=values.seconds("performance.leave_drain_time"),
            rpc_hold_seconds=values.seconds("performance.rpc_hold_timeout"),
            session_ttl_min_seconds=values.seconds("session_ttl_min") or SESSION_TTL_MIN_SECONDS,
            limits=sections.limits(values),
            http=sections.http(values),
            dns=sections.dns(values),
            acl=sections.acl(values),
            tls=sections.tls(values),
            log=LogConfig(
                level=values.text("log_level"),
                json=values.boolean("log_json"),
                file=values.text("log_file"),
                rotate_bytes=values.integer("log_rotate_bytes"),
                rotate_seconds=values.seconds("log_rotate_duration"),
                rotate_max_files=values.integer("log_rotate_max_files"),
                syslog=values.boolean("enable_syslog"),
                syslog_facility=values.text("syslog_facility"),
            ),
            ui=self._ui(),
            telemetry=sections.telemetry(values, self._warnings),
            check_update_interval_seconds=values.seconds("check_update_interval"),
            check_output_max_bytes=values.integer("check_output_max_size"),
            discard_check_output=values.boolean("discard_check_output"),
            enable_script_checks=values.boolean("enable_script_checks"),
            enable_local_script_checks=values.boolean("enable_local_script_checks")
            or values.boolean("enable_script_checks"),
            enable_debug=values.boolean("enable_debug"),
            disable_coordinates=values.boolean("disable_coordinates"),
            disable_remote_exec=values.boolean("disable_remote_exec"),
            disable_host_node_id=values.boolean("disable_host_node_id"),
            disable_keyring_file=values.boolean("disable_keyring_file"),
            disable_update_check=values.boolean("disable_update_check"),
            disable_anonymous_signature=values.boolean("disable_anonymous_signature"),
            disable_http_unprintable_char_filter=values.boolean("disable_http_unprintable_char_filter"),
            services=services,
            checks=own_checks,
            watches=values.objects("watches"),
            files=tuple(self._sources.files),
            warnings=(),
            without_effect=unserved_in(values.tree, dev),
        )
        values.raise_errors()
        return self._check(config)

    def _check(self, config: RuntimeConfig) -> RuntimeConfig:
        """The checks that look at the whole; the order decides which of several mistakes is told first."""
        checks.check_names(config, self._values.integer("raft_protocol"))
        self._warnings += checks.node_name_warnings(config.node_name)
        checks.check_advertised(config.addresses.advertise, config.addresses.advertise_wan)
        self._warnings += checks.check_bootstrap(config)
        checks.check_ui(config)
        if self._values.text("segment"):
            raise ConfigError("Network segments are not supported in this version of Consul")
        checks.check_node_meta(config.node_meta)
        encrypt = self._values.text("encrypt")
        key = checks.decode_encrypt_key(encrypt) if encrypt else b""
        where = config.addresses
        wan = [where.serf_wan_advertise] if where.serf_wan_advertise is not None else []
        checks.check_unique(
            (
                ("DNS", where.dns),
                ("HTTP", where.http),
                ("HTTPS", where.https),
                ("RPC Advertise", [where.rpc_advertise]),
                ("Serf Advertise LAN", [where.serf_lan_advertise]),
                ("Serf Advertise WAN", wan),
            )
        )
        checks.check_descriptors(config.limits.http_max_conns_per_client)
        # Consul says so without ACLs only; here they have no effect.
        if config.enable_script_checks and not config.http.allow_write_http_from:
            self._warnings.append(
                "using enable-script-checks without ACLs and without allow_write_http_from is DANGEROUS, "
                "use enable-local-script-checks instead, see https://www.hashicorp.com/blog/"
                "protecting-consul-from-rce-risk-in-specific-configurations/"
            )
        return dataclasses.replace(config, encrypt_key=key, warnings=tuple(self._warnings))

    def _old_keys(self) -> None:
        """Keys of earlier releases, moved to where they are today."""
        tree = self._values.tree
        moves = (
            (
                "acl_datacenter",
                "primary_datacenter",
                "The 'acl_datacenter' field is deprecated. Use the 'primary_datacenter' field instead.",
            ),
            ("ui", "ui_config.enabled", "The 'ui' field is deprecated. Use the 'ui_config.enabled' field instead."),
            ("ui_dir", "ui_config.dir", "The 'ui_dir' field is deprecated. Use the 'ui_config.dir' field instead."),
            (
                "ui_content_path",
                "ui_config.content_path",
                "The 'ui_content_path' field is deprecated. Use the 'ui_config.content_path' field instead.",
            ),
        )
        for old, new, warning in moves:
            if old in tree:
                self._warnings.append(warning)
                self._move(old, new)
        for old, new in (
            ("acl_default_policy", "acl.default_policy"),
            ("acl_down_policy", "acl.down_policy"),
            ("acl_ttl", "acl.token_ttl"),
            ("acl_token", "acl.tokens.default"),
            ("acl_master_token", "acl.tokens.master"),
            ("acl_agent_token", "acl.tokens.agent"),
            ("acl_agent_master_token", "acl.tokens.agent_master"),
            ("acl_replication_token", "acl.tokens.replication"),
            ("acl_enable_key_list_policy", "acl.enable_key_list_policy"),
            ("enable_acl_replication", "acl.enable_token_replication"),
        ):
            if old in tree:
                self._move(old, new)

    def _move(self, old: str, new: str) -> None:
        """Copies the value of an old key to its new place, unless something stands there."""
        if self._values.is_set(new):
            return
        *parents, last = new.split(".")
        tree = self._values.tree
        value = tree[old]
        for parent in parents:
            inner = tree.get(parent)
            copied = dict(inner) if isinstance(inner, dict) else {}
            tree[parent] = copied
            tree = copied
        tree[last] = value

    def _node_name(self) -> str:
        given = self._values.text("node_name") if self._values.is_set("node_name") else self._hostname()
        return given.strip()

    def _ports(self) -> Ports:
        port = self._values.port
        return Ports(
            dns=port("dns"),
            http=port("http"),
            https=port("https"),
            grpc=port("grpc"),
            server=port("server"),
            serf_lan=port("serf_lan"),
            serf_wan=port("serf_wan"),
        )

    def _addresses(self, ports: Ports) -> Addresses:
        values = self._values
        found = values.addresses("bind_addr", values.text("bind_addr"))
        if not found:
            raise ConfigError("bind_addr cannot be empty")
        if len(found) > 1:
            raise ConfigError("bind_addr cannot contain multiple addresses. Use 'addresses.{dns,http,https}' instead.")
        bind = found[0]
        if bind.startswith(UNIX_PREFIX):
            raise ConfigError("bind_addr cannot be a unix socket")
        checks.check_advertised(values.text("advertise_addr"), values.text("advertise_addr_wan"))
        advertise_given = values.text("advertise_addr")
        chosen = values.one_ip("advertise_addr", advertise_given) or bind
        if is_any(chosen):
            chosen = self._detect(chosen)
        advertise = values.one_ip("advertise_addr", advertise_given) or chosen
        advertise_wan = values.one_ip("advertise_addr_wan", values.text("advertise_addr_wan")) or advertise
        client = values.ips("client_addr", values.text("client_addr"))
        if not client:
            self._warnings.append(
                "client_addr is empty, client services (DNS, HTTP, HTTPS, GRPC) will not be listening for connections"
            )
        lan_bind = values.one_ip("serf_lan", values.text("serf_lan")) or bind
        wan_bind = values.one_ip("serf_wan", values.text("serf_wan")) or bind
        wan_on = ports.serf_wan > 0
        return Addresses(
            bind=bind,
            advertise=advertise,
            advertise_wan=advertise_wan,
            client=tuple(client),
            dns=values.listeners("dns", client, ports.dns),
            http=values.listeners("http", client, ports.http),
            https=values.listeners("https", client, ports.https),
            grpc=values.listeners("grpc", client, ports.grpc),
            rpc_bind=ListenAddress(bind, ports.server),
            rpc_advertise=ListenAddress(advertise, ports.server),
            serf_lan_bind=ListenAddress(lan_bind, ports.serf_lan),
            serf_lan_advertise=ListenAddress(advertise, ports.serf_lan),
            serf_wan_bind=ListenAddress(wan_bind, ports.serf_wan) if wan_on else None,
            serf_wan_advertise=ListenAddress(advertise_wan, ports.serf_wan) if wan_on else None,
            tagged=self._tagged(advertise, advertise_wan),
            translate_wan=values.boolean("translate_wan_addrs"),
            unix_socket_user=values.text("unix_sockets.user"),
            unix_socket_group=values.text("unix_sockets.group"),
            unix_socket_mode=values.text("unix_sockets.mode"),
        )

    def _detect(self, bind: str) -> str:
        """The address to advertise when every address is bound."""
        kind, find = ("public IPv6", public_ipv6) if ":" in bind else ("private IPv4", private_ipv4)
        candidates = find(self._network.interfaces())
        if not candidates:
            raise ConfigError(f"No {kind} address found")
        if len(candidates) > 1:
            raise ConfigError(f"Multiple {kind} addresses found. Please configure one with 'bind' and/or 'advertise'.")
        return candidates[0]

    def _tagged(self, advertise: str, advertise_wan: str) -> Mapping[str, str]:
        values = self._values
        tagged = {"lan": advertise, "wan": advertise_wan}
        for tag, address, given in (("lan", advertise, "advertise_addr"), ("wan", advertise_wan, "advertise_addr_wan")):
            family = "ipv6" if ":" in address else "ipv4"
            tagged[f"{tag}_{family}"] = address
            for other in ("ipv4", "ipv6"):
                own = values.one_ip(f"{given}_{other}", values.text(f"{given}_{other}"))
                if own:
                    tagged[f"{tag}_{other}"] = own
        return {**tagged, **values.mapping("tagged_addresses")}

    def _raft(self, multiplier: int) -> RaftTiming:
        values = self._values
        return RaftTiming(
            multiplier=multiplier,
            snapshot_threshold=values.integer("raft_snapshot_threshold"),
            snapshot_interval_seconds=values.seconds("raft_snapshot_interval"),
            trailing_logs=values.integer("raft_trailing_logs"),
        )

    def _cidrs(self, name: str) -> tuple[str, ...]:
        texts = self._values.strings(name)
        bad = self._values.cidrs("", texts)
        if bad:
            raise ConfigError(f"{name}: {error_list(bad)}")
        return texts

    def _ui(self) -> UiConfig:
        values = self._values
        # An empty path is the root; "ui" and "/ui/" are the same.
        content_path = f"/{values.text('ui_config.content_path').strip('/')}/".replace("//", "/")
        return UiConfig(
            enabled=values.boolean("ui_config.enabled"),
            dir=values.text("ui_config.dir"),
            content_path=content_path,
            metrics_provider=values.text("ui_config.metrics_provider"),
            metrics_provider_options_json=values.text("ui_config.metrics_provider_options_json"),
            dashboard_url_templates=values.mapping("ui_config.dashboard_url_templates"),
        )

    def _check_definitions(
        self, services: Sequence[Mapping[str, object]], own_checks: Sequence[Mapping[str, object]]
    ) -> None:
        """Durations in definitions; everything else is checked where services are registered."""
        definitions = list(own_checks)
        for service in services:
            one, several = service.get("check"), service.get("checks")
            definitions += [one] if isinstance(one, dict) else []
            definitions += [check for check in several if isinstance(check, dict)] if isinstance(several, list) else []
        for check in definitions:
            for name in _CHECK_DURATIONS:
                text = check.get(name)
                if isinstance(text, str):
                    self._values.parse_seconds(f"check[].{name}", text)
