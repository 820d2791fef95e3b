"""Checks of the built configuration, in Consul's order and words. Each raises ConfigError at the first thing wrong."""

from __future__ import annotations

import base64
import binascii
import re
import resource
from collections.abc import Iterable, Mapping
from pathlib import Path

from pyconsul.agent.addresses import ListenAddress, is_any
from pyconsul.agent.config_sources import go_os_error
from pyconsul.agent.runtime_config import RuntimeConfig, TlsConfig
from pyconsul.codec.quote import quote
from pyconsul.errors import ConfigError

ANY_ADDRESS = "0.0.0.0, :: or [::]"
LOG_LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERR", "ERROR")
KEY_SIZES = (16, 24, 32)
PROTOCOL_MIN, PROTOCOL_MAX = 2, 3
DATACENTER_NAME = re.compile(r"[a-z0-9_-]+")
CONTENT_PATH = re.compile(r"[A-Za-z0-9/_-]+")
VERSIONED_PATH = re.compile(r"/v\d+/")
INVALID_NODE_NAME = re.compile(r"[^A-Za-z0-9-]")
META_KEY = re.compile(r"[a-zA-Z0-9_-]+")
NAME_BYTES_MAX = 63
META_PAIRS_MAX, META_KEY_MAX, META_VALUE_MAX = 64, 128, 512
RESERVED_META = ("consul-",)
DESCRIPTORS_RESERVED = 20
_DEPLOYMENT_TABLE = "See https://www.consul.io/docs/internals/consensus.html#deployment-table"


def check_names(config: RuntimeConfig, raft_protocol: int) -> None:
    """Datacenter, data directory, path of the web page, node name."""
    if raft_protocol != 3:
        raise ConfigError(f"raft_protocol version {raft_protocol} is not supported by this version of Consul")
    if not config.datacenter:
        raise ConfigError("datacenter cannot be empty")
    if not DATACENTER_NAME.fullmatch(config.datacenter):
        raise ConfigError(
            "datacenter can only contain lowercase alphanumeric, - or _ characters. "
            f"received: {quote(config.datacenter)}"
        )
    if not config.data_dir and not config.dev:
        raise ConfigError("data_dir cannot be empty")
    if not CONTENT_PATH.fullmatch(config.ui.content_path):
        shown = quote(config.ui.content_path)
        raise ConfigError(f"ui-content-path can only contain alphanumeric, -, _, or /. received: {shown}")
    if VERSIONED_PATH.fullmatch(config.ui.content_path):
        raise ConfigError(f"ui-content-path cannot have 'v[0-9]'. received: {quote(config.ui.content_path)}")
    if not config.dev:
        _check_data_dir(config.data_dir)
    if not config.node_name:
        raise ConfigError("node_name cannot be empty")


def _check_data_dir(path: str) -> None:
    try:
        if not Path(path).is_dir() and Path(path).stat():
            raise ConfigError(f"data_dir {quote(path)} is not a directory")
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigError(f"Error getting info on data_dir: {go_os_error('stat', error, path)}") from error


def node_name_warnings(name: str) -> list[str]:
    if INVALID_NODE_NAME.search(name):
        why = "invalid characters. Valid characters include all alpha-numerics and dashes."
    elif len(name.encode()) > NAME_BYTES_MAX:
        why = f"it being too long. Valid lengths are between 1 and {NAME_BYTES_MAX} bytes."
    else:
        return []
    return [f"Node name {quote(name)} will not be discoverable via DNS due to {why}"]


def check_advertised(advertise: str, advertise_wan: str) -> None:
    if is_any(advertise):
        raise ConfigError(f"Advertise address cannot be {ANY_ADDRESS}")
    if is_any(advertise_wan):
        raise ConfigError(f"Advertise WAN address cannot be {ANY_ADDRESS}")


def check_bootstrap(config: RuntimeConfig) -> list[str]:
    """Whether and how this server may bootstrap. Returns warnings."""
    expect = config.bootstrap_expect
    if config.bootstrap and expect > 0:
        raise ConfigError("'bootstrap_expect > 0' and 'bootstrap = true' are mutually exclusive")
    if expect < 0:
        raise ConfigError(f"bootstrap_expect cannot be {expect}. Must be greater than or equal to zero")
    if config.bootstrap and not config.server:
        raise ConfigError("'bootstrap = true' requires 'server = true'")
    if expect > 0 and not config.server:
        raise ConfigError("'bootstrap_expect > 0' requires 'server = true'")
    if expect > 0 and config.dev:
        raise ConfigError("'bootstrap_expect > 0' not allowed in dev mode")
    warnings = []
    if expect == 2:
        warnings.append(
            f"bootstrap_expect = 2: A cluster with 2 servers will provide no failure tolerance. {_DEPLOYMENT_TABLE}"
        )
    elif expect > 2 and expect % 2 == 0:
        warnings.append(
            "bootstrap_expect is even number: A cluster with an even number of servers does not achieve "
            f"optimum fault tolerance. {_DEPLOYMENT_TABLE}"
        )
    if expect > 0:
        warnings.append(f"bootstrap_expect > 0: expecting {expect} servers")
    if config.bootstrap:
        warnings.append("bootstrap = true: do not enable unless necessary")
    return warnings


def check_node_meta(meta: Mapping[str, str]) -> None:
    if len(meta) > META_PAIRS_MAX:
        raise ConfigError(f"node_meta invalid: Node metadata cannot contain more than {META_PAIRS_MAX} key/value pairs")
    for key, value in meta.items():
        if not key:
            reason = "Key cannot be blank"
        elif not META_KEY.fullmatch(key):
            reason = "Key contains invalid characters"
        elif len(key.encode()) > META_KEY_MAX:
            reason = f"Key is too long (limit: {META_KEY_MAX} characters)"
        elif key.startswith(RESERVED_META):
            reason = f"Key prefix '{RESERVED_META[0]}' is reserved for internal use"
        elif len(value.encode()) > META_VALUE_MAX:
            reason = f"Value is too long (limit: {META_VALUE_MAX} characters)"
        else:
            continue
        raise ConfigError(f"node_meta invalid: Couldn't load metadata pair ('{key}', '{value}'): {reason}")


def decode_encrypt_key(text: str) -> bytes:
    """The raw gossip key. Its length is checked at the start of the agent, as Consul does."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        reason = f"illegal base64 data at input byte {_bad_base64_byte(text)}"
        raise ConfigError(f"encrypt has invalid key: {reason}") from error


def _bad_base64_byte(text: str) -> int:
    """Where Go's decoder gives up: at a foreign byte, a misplaced ``=``, or the last group of a text that is cut."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    for at, char in enumerate(text):
        if char == "=" and at % 4 == 3:
            return at + 1
        if char == "=" and at % 4 == 2:
            if at + 1 == len(text):
                return len(text)
            return at + 2 if text[at + 1] == "=" else at
        if char not in alphabet:
            return at
    return len(text) - len(text) % 4


def check_unique(groups: Iterable[tuple[str, Iterable[ListenAddress]]]) -> None:
    """No two listeners on one address and port."""
    in_use: dict[tuple[str, str], str] = {}
    for name, addresses in groups:
        for address in addresses:
            place = (address.network, str(address))
            if place in in_use:
                raise ConfigError(f"{name} address {address} already configured for {in_use[place]}")
            in_use[place] = name


def check_descriptors(conns_per_client_max: int) -> None:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit != resource.RLIM_INFINITY and conns_per_client_max > limit - DESCRIPTORS_RESERVED:
        raise ConfigError(
            f"system allows a max of {limit} file descriptors, but limits.http_max_conns_per_client: "
            f"{conns_per_client_max} needs at least {conns_per_client_max + DESCRIPTORS_RESERVED}"
        )


def check_ui(config: RuntimeConfig) -> None:
    if config.ui.enabled and config.ui.dir:
        raise ConfigError(
            "Both the ui_config.enabled and ui_config.dir (or -ui and -ui-dir) were specified, "
            "please provide only one.\n"
            "ui_config.enabled (-ui) serves the page that is built in;\n"
            "ui_config.dir (-ui-dir) serves the files of a folder of your own instead."
        )


def check_setup(config: RuntimeConfig) -> None:
    """What only the agent checks, before its banner: log level and TLS. (``validate`` lets these pass.)"""
    if config.log.level.upper() not in LOG_LEVELS:
        valid = " ".join(LOG_LEVELS)
        raise ConfigError(f"Invalid log level: {config.log.level}. Valid log levels are: [{valid}]")
    _check_tls(config.tls)
    if config.data_dir and Path(config.data_dir, "mdb").exists():
        raise ConfigError(
            f'CRITICAL: Deprecated data folder found at "{config.data_dir}/mdb"!\n'
            "Consul will refuse to boot with this directory present.\n"
            "See https://www.consul.io/docs/upgrade-specific.html for more information."
        )


def _check_tls(tls: TlsConfig) -> None:
    versions = ("tls10", "tls11", "tls12", "tls13")
    if tls.min_version and tls.min_version not in versions:
        raise ConfigError(
            f"TLSMinVersion: value {tls.min_version} not supported, please specify one of [{', '.join(versions)}]"
        )
    if tls.cert_file or tls.key_file:
        for name in (tls.cert_file, tls.key_file):
            try:
                Path(name).read_bytes()
            except OSError as error:
                reason = go_os_error("open", error, name)
                raise ConfigError(f"Failed to load cert/key pair: {reason}") from error
    have_ca = bool(tls.ca_file or tls.ca_path)
    if tls.verify_outgoing and not have_ca:
        raise ConfigError("VerifyOutgoing set, and no CA certificate provided!")
    if tls.verify_incoming_rpc or tls.verify_incoming_https:
        if not have_ca:
            raise ConfigError("VerifyIncoming set but no CA certificates were provided")
        if not (tls.cert_file and tls.key_file) and not tls.auto_encrypt:
            raise ConfigError(
                "VerifyIncoming requires either a Cert and Key pair in the configuration file, or auto_encrypt"
            )


def check_start(config: RuntimeConfig) -> None:
    """What is found only after the banner; the agent logs it as ``Error starting agent``."""
    if config.encrypt_key and len(config.encrypt_key) not in KEY_SIZES:
        raise ConfigError("Failed to configure keyring: Invalid key: key size must be 16, 24 or 32 bytes")
    wanted = config.protocol
    if config.server and not PROTOCOL_MIN <= wanted <= PROTOCOL_MAX:
        side = "low" if wanted < PROTOCOL_MIN else "high"
        allowed = f"[{PROTOCOL_MIN}, {PROTOCOL_MAX}]"
        raise ConfigError(
            f"Failed to start Consul server: Protocol version '{wanted}' too {side}. Must be in range: {allowed}"
        )
    if config.acl.enabled and config.acl.default_policy not in ("allow", "deny"):
        raise ConfigError(f"Failed to start Consul server: Unsupported default ACL policy: {config.acl.default_policy}")
