"""Merging, building and checking the agent's configuration."""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pyconsul.agent.addresses import Network
from pyconsul.agent.config import load, read, validate_files
from pyconsul.agent.config_checks import check_start, decode_encrypt_key
from pyconsul.agent.config_keys import CONFIG
from pyconsul.agent.config_reference import reference
from pyconsul.agent.config_reload import changes
from pyconsul.agent.config_schema import OBJECT, OBJECTS, Schema, decode, go_text
from pyconsul.agent.config_sources import FILE_BYTES_MAX
from pyconsul.agent.config_unserved import UNSERVED, is_unserved
from pyconsul.agent.flags import AGENT_FLAGS, key_of_flag
from pyconsul.agent.hcl import parse_hcl
from pyconsul.agent.interfaces import InterfaceAddress
from pyconsul.agent.runtime_config import RuntimeConfig
from pyconsul.codec.go_flags import FlagError
from pyconsul.errors import ConfigError

DATA = Path(__file__).parent / "data"
HOST = Network(lambda: [InterfaceAddress("eth0", ipaddress.ip_address("10.1.2.3"), 24)], lambda: ["eth0"])
KEY = "pUqJrVyVRj5jsiYEkM/tFQYfWyJIv4s3XkvDwy7Cu5s="

Write = Callable[[str, str], str]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    monkeypatch.chdir(tmp_path)

    def put(name: str, text: str) -> str:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return name

    return put


def agent(*argv: str, host: Network = HOST) -> RuntimeConfig:
    return load(["-data-dir=nowhere", *argv], network=host, hostname=lambda: "host1")


def refused(*argv: str, host: Network = HOST) -> str:
    with pytest.raises(ConfigError) as caught:
        agent(*argv, host=host)
    return str(caught.value)


def plain(value: Any) -> Any:
    """A configuration as JSON values."""
    if dataclasses.is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    return value.hex() if isinstance(value, bytes) else value


# Everything -----------------------------------------------------------------------------------------------------------


def test_every_field(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that sets every key gives exactly the golden configuration."""
    monkeypatch.chdir(DATA)
    found = plain(validate_files(["every_field.hcl"], network=HOST))
    assert found == json.loads((DATA / "every_field.json").read_text())


def test_the_file_sets_every_key() -> None:
    def paths(schema: Schema, tree: dict[str, Any], at: str) -> list[str]:
        missing = []
        for key in schema.keys:
            value = tree.get(key.name)
            if value is None:
                missing.append(at + key.name)
            elif key.kind in (OBJECT, OBJECTS):
                inner = value if isinstance(value, dict) else value[0]
                missing += paths(schema.child(key.name), inner, f"{at}{key.name}.")
        return missing

    document = decode(CONFIG, parse_hcl((DATA / "every_field.hcl").read_text()))
    assert document.unknown == []
    # A server must not have it.
    assert paths(CONFIG, document.tree, "") == ["advertise_reconnect_timeout"]


def test_defaults_of_a_server() -> None:
    config = agent("-server")
    assert config.node_name == "host1"
    assert config.datacenter == config.primary_datacenter == "dc1"
    assert (config.leave_on_terminate, config.skip_leave_on_interrupt) == (False, True)
    assert config.ports.http == 8500 and config.ports.https == -1 and config.ports.server == 8300
    assert config.addresses.bind == "0.0.0.0" and config.addresses.advertise == "10.1.2.3"
    assert config.addresses.tagged == dict.fromkeys(("lan", "lan_ipv4", "wan", "wan_ipv4"), "10.1.2.3")
    assert [str(address) for address in config.addresses.http] == ["127.0.0.1:8500"]
    assert config.addresses.https == ()
    assert config.raft.multiplier == 1
    assert config.session_ttl_min_seconds == 10
    assert config.limits.rpc_rate == math.inf
    assert config.encrypt_key == b""
    assert not config.ui.enabled
    assert config.http.max_query_seconds == 600
    assert config.warnings == ()


def test_defaults_of_a_client() -> None:
    config = agent("-hcl", 'advertise_reconnect_timeout = "1h"')
    assert (config.leave_on_terminate, config.skip_leave_on_interrupt) == (True, False)
    assert config.advertise_reconnect_timeout_seconds == 3600


def test_dev_sets_defaults_that_others_override(write: Write) -> None:
    config = load(["-dev"], network=HOST)
    assert config.dev and config.server and config.ui.enabled and config.enable_debug and config.disable_keyring_file
    assert config.data_dir == ""
    assert config.addresses.bind == "127.0.0.1" and config.ports.grpc == 8502 and config.log.level == "DEBUG"
    assert config.gossip_lan.probe_interval_seconds == 0.1 and config.gossip_wan.suspicion_mult == 3
    assert config.gossip_lan.gossip_nodes == 3
    write("a.hcl", 'ports { http = 1234 } log_level = "warn"')
    config = load(["-dev", "-config-file=a.hcl", "-bind=127.0.0.2", "-hcl", 'log_level = "err"'], network=HOST)
    assert config.ports.http == 1234 and config.ports.grpc == 8502
    assert config.addresses.bind == "127.0.0.2" and config.log.level == "err"


# Merging --------------------------------------------------------------------------------------------------------------


def test_files_flags_and_fragments_in_their_order(write: Write) -> None:
    write("a.hcl", 'retry_join = ["a"] ports { http = 1 dns = 1 } node_meta { x = "a" y = "a" } node_name = "a"')
    write("b.json", '{"retry_join": ["b"], "ports": {"dns": 2}, "node_meta": {"y": "b"}, "recursors": ["8.8.8.8"]}')
    config = agent(
        "-retry-join=flag",
        "-hcl",
        'retry_join = ["hcl"] ports { https = 4 }',
        "-config-file=a.hcl",
        "-node-meta=z:flag",
        "-recursor=8.8.8.8",
        "-config-dir=b.json",
        "-recursor=9.9.9.9",
        "-http-port=3",
    )
    assert config.join.retry == ("flag", "a", "b", "hcl")
    assert (config.ports.http, config.ports.dns, config.ports.https) == (3, 2, 4)
    assert config.node_meta == {"x": "a", "y": "b", "z": "flag"}
    assert config.dns.recursors == ("8.8.8.8", "9.9.9.9")
    assert config.node_name == "a"
    assert config.files == ("a.hcl", "b.json")


def test_a_folder_by_name_without_what_is_no_configuration(write: Write, tmp_path: Path) -> None:
    write("d/20.json", '{"datacenter": "twenty"}')
    write("d/10.hcl", 'datacenter = "ten" node_name = "ten"')
    write("d/README", "no")
    (tmp_path / "d" / "sub").mkdir()
    write("elsewhere.hcl", 'domain = "linked."')
    (tmp_path / "d" / "15.hcl").symlink_to(tmp_path / "elsewhere.hcl")
    config = agent("-config-dir=d")
    assert (config.datacenter, config.node_name, config.dns.domain) == ("twenty", "ten", "linked.")
    assert config.files == ("d/10.hcl", "d/15.hcl", "d/20.json")
    skipped = "skipping file d/README, extension must be .hcl or .json, or config format must be set"
    assert config.warnings == (skipped,)


def test_one_service_comes_after_several(write: Write) -> None:
    write("a.hcl", 'services = [{ name = "one" }] service { name = "two" } check { name = "c" ttl = "1s" }')
    write("b.hcl", 'service { name = "three" serviceid = "x" }'.replace(' serviceid = "x"', ""))
    config = agent("-config-file=a.hcl", "-config-file=b.hcl")
    assert [service["name"] for service in config.services] == ["one", "two", "three"]
    assert [dict(check) for check in config.checks] == [{"name": "c", "ttl": "1s"}]


def test_aliases_and_case_give_normal_names() -> None:
    config = agent(
        "-hcl", 'CHECK { Name = "c" ScriptArgs = ["a"] serviceid = "s" TLSSkipVerify = true interval = "1s" }'
    )
    assert dict(config.checks[0]) == {
        "name": "c",
        "args": ["a"],
        "service_id": "s",
        "tls_skip_verify": True,
        "interval": "1s",
    }


def test_old_keys_move_to_their_new_places(write: Write) -> None:
    config = agent("-hcl", 'acl_datacenter = "dc9" acl_token = "t" acl_ttl = "5s" acl_default_policy = "deny"')
    assert config.acl.enabled and config.primary_datacenter == "dc9"
    assert config.acl.default_token == "t" and config.acl.token_ttl_seconds == 5
    assert config.acl.default_policy == "deny"
    newer = agent("-hcl", 'acl_token = "old" acl { tokens { default = "new" } }')
    assert newer.acl.default_token == "new"


def test_what_is_configured_and_not_served_is_named() -> None:
    given = 'acl { enabled = true } tls_min_version = "tls12" ports { https = 8501 dns = 53 } node_meta { a-b = "c" }'
    assert agent("-hcl", given).without_effect == ("acl", "ports.dns", "ports.https", "tls_min_version")
    assert agent("-hcl", 'domain = "x." audit { enabled = true }', "-recursor=9.9.9.9").without_effect == (
        "domain", "recursors"
    )  # fmt: skip


def test_what_is_switched_off_or_belongs_to_development_mode_is_not() -> None:
    assert agent("-dev").without_effect == ()
    assert agent("-hcl", "acl { enabled = false } ports { dns = -1 https = 0 } recursors = []").without_effect == ()
    assert agent("-dev", "-grpc-port=8503").without_effect == ("ports.grpc",)


def test_whatever_is_not_served_is_a_key() -> None:
    known = {line.split("`")[1] for line in reference().splitlines() if line.startswith("| `")}
    assert [path for path in UNSERVED if not any(f"{key}.".startswith(f"{path}.") for key in known)] == []


def test_flags_that_are_not_served_say_so() -> None:
    for flag in AGENT_FLAGS:
        assert flag.help.startswith("Not served: ") == is_unserved(key_of_flag(flag.name)), flag


def test_an_empty_fragment_is_nothing() -> None:
    assert agent("-hcl", " \n", "-hcl", "# only words").services == ()


# Types ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("ports = 5", "'ports' expected a map, got 'int'"),
        ("ports = []", "'ports' expected a map, got 'slice'"),
        ('node_meta = "x"', "'node_meta' expected a map, got 'string'"),
        ("node_meta { a = 1 }", "'node_meta[a]' expected type 'string', got unconvertible type 'int', value: '1'"),
        ("recursors = [1.5]", "'recursors[0]' expected type 'string', got unconvertible type 'float64', value: '1.5'"),
        ("datacenter = true", "'datacenter' expected type 'string', got unconvertible type 'bool', value: 'true'"),
        (
            'domain = ["a", "b"]',
            "'domain' expected type 'string', got unconvertible type '[]interface {}', value: '[a b]'",
        ),
        (
            'server { a = "b" }',
            "'server' expected type 'bool', got unconvertible type 'map[string]interface {}', value: 'map[a:b]'",
        ),
        ('services = ["x"]', "'services[0]' expected a map, got 'string'"),
        (
            'services = [{ port = "1" }]',
            "'services[0].port' expected type 'int', got unconvertible type 'string', value: '1'",
        ),
        (
            "check { header { a = 5 } }",
            "'check.header[a]': source data must be an array or slice, got int",
        ),
        ("watches = 1", "'watches': source data must be an array or slice, got int"),
    ],
)
def test_types_are_strict(text: str, error: str) -> None:
    assert refused("-hcl", text) == f"failed to parse flags-0.hcl: 1 error(s) decoding:\n\n* {error}"


def test_a_list_of_one_passes_for_its_element() -> None:
    config = agent("-hcl", 'ports = [{ http = 5 }] server = [true] datacenter = ["x"]')
    assert (config.ports.http, config.server, config.datacenter) == (5, True, "x")


def test_unknown_keys_at_any_depth() -> None:
    text = refused("-hcl", 'b = 1 a = 2 services = [{ name = "x" check { nosuch = 1 } }]')
    assert text == (
        "failed to parse flags-0.hcl: 3 errors occurred:\n"
        "\t* invalid config key services[0].check.nosuch\n\t* invalid config key a\n\t* invalid config key b\n\n"
    )


def test_free_form_values_lose_the_parser_s_marks() -> None:
    config = agent("-hcl", 'service { name = "a" proxy { config { x = 1 } upstreams = [{ a = 1 }] } }')
    assert config.services[0]["proxy"] == {"config": {"x": 1}, "upstreams": [{"a": 1}]}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "<nil>"),
        (5.0, "5"),
        (1e21, "1e+21"),
        (0.5, "0.5"),
        ({"b": [1, True], "a": {}}, "map[a:map[] b:[1 true]]"),
    ],
)
def test_values_as_go_prints_them(value: object, text: str) -> None:
    assert go_text(value) == text


# Messages that no recording has ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["-hcl", "ports { serf_wan = 8301 }", "-bind=127.0.0.1"],
         "Serf Advertise WAN address 127.0.0.1:8301 already configured for Serf Advertise LAN"),
        (["-hcl", 'addresses { dns = "::1 ::1" }'], "DNS address [::1]:8600 already configured for DNS"),
        (["-hcl", 'addresses { http = "x" }'], "1 error occurred:\n\t* addresses.http: invalid ip address: x\n\n"),
        (["-client=unix:///x"], "1 error occurred:\n\t* client_addr cannot be a unix socket\n\n"),
        (["-advertise=1.1.1.1 2.2.2.2"],
         "2 errors occurred:" + 2 * "\n\t* advertise_addr: multiple addresses found: [1.1.1.1 2.2.2.2]" + "\n\n"),
        (["-advertise=::"], "Advertise address cannot be 0.0.0.0, :: or [::]"),
        (["-bind=[::]"], "No public IPv6 address found"),
        (["-ui-content-path=/v1/"], "ui-content-path cannot have 'v[0-9]'. received: \"/v1/\""),
        (["-node-meta=:x"], "node_meta invalid: Couldn't load metadata pair ('', 'x'): Key cannot be blank"),
        (["-node-meta", f"{'k' * 129}:x"],
         (f"node_meta invalid: Couldn't load metadata pair ('{'k' * 129}', 'x'): "
          "Key is too long (limit: 128 characters)")),
        ([f"-node-meta=k{number}:" for number in range(65)],
         "node_meta invalid: Node metadata cannot contain more than 64 key/value pairs"),
        (["-hcl", "verify_incoming = true ca_file = \"x\""],
         "VerifyIncoming requires either a Cert and Key pair in the configuration file, or auto_encrypt"),
        (["-hcl", 'check { name = "x" ttl = "1" timeout = "x" }'],
         ('2 errors occurred:\n\t* check[].timeout: invalid duration: "x": time: invalid duration "x"\n'
          '\t* check[].ttl: invalid duration: "1": time: missing unit in duration "1"\n\n')),
        (["-hcl", 'dns_config { service_ttl { web = "x" } }'],
         '1 error occurred:\n\t* dns_config.service_ttl["web"]: invalid duration: "x": time: invalid duration "x"\n\n'),
        (["-serf-wan-allowed-cidrs=10.0.0.0"],
         "serf_wan_allowed_cidrs: 1 error occurred:\n\t* invalid cidr: 10.0.0.0\n\n"),
        (["-encrypt=a!"], "encrypt has invalid key: illegal base64 data at input byte 1"),
    ],
)  # fmt: skip
def test_messages(argv: list[str], text: str) -> None:
    assert refused(*argv) == text


@pytest.mark.parametrize(
    ("text", "at"),
    [("xyz!", 3), ("a", 0), ("aGVsbG8", 4), ("aG=lbG8=", 2), ("====", 0), ("aGVsbG8=x", 8), ("aG==x", 4), ("aG=", 3)],
)
def test_where_base64_goes_wrong(text: str, at: int) -> None:
    with pytest.raises(
        ConfigError, match=r"^encrypt has invalid key: illegal base64 data at input byte \d+$"
    ) as caught:
        decode_encrypt_key(text)
    assert str(caught.value).endswith(f" {at}")


def test_a_key_of_32_bytes() -> None:
    assert len(agent("-encrypt", KEY).encrypt_key) == 32


def test_a_file_that_is_much_too_large(write: Write) -> None:
    write("big.hcl", "#" * (FILE_BYTES_MAX + 1))
    assert refused("-config-file=big.hcl") == f"failed to parse big.hcl: larger than {FILE_BYTES_MAX} bytes"


def test_a_template_that_is_none_is_told_where_addresses_may_be_empty() -> None:
    text = refused("-client={{ Nope }}")
    assert text.startswith('1 error occurred:\n\t* client_addr: error parsing "{{ Nope }}": template: function "Nope"')


def test_no_client_address_is_a_warning() -> None:
    config = agent('-client={{ GetInterfaceIP "nosuch" }}')
    assert config.addresses.client == () and config.addresses.http == ()
    assert "client_addr is empty" in config.warnings[0]


def test_rules_of_prefix_filters() -> None:
    config = agent("-hcl", 'telemetry { prefix_filter = ["+a", "-b", "c", ""] }')
    assert config.telemetry.allowed_prefixes == ("a",) and config.telemetry.blocked_prefixes == ("b",)
    assert config.warnings == (
        "Filter rule must begin with either '+' or '-': \"c\"",
        "Cannot have empty filter rule in prefix_filter",
    )


@pytest.mark.parametrize(("protocol", "word"), [("1", "low"), ("4", "high")])
def test_protocol_versions(protocol: str, word: str) -> None:
    with pytest.raises(ConfigError, match=f"Protocol version '{protocol}' too {word}. Must be in range"):
        check_start(agent("-server", f"-protocol={protocol}"))
    check_start(agent(f"-protocol={protocol}"))


# Addresses ------------------------------------------------------------------------------------------------------------


def test_ipv6() -> None:
    config = agent("-bind=[fd00::1]", "-client=::1 127.0.0.1")
    assert config.addresses.bind == "fd00::1"
    assert [str(address) for address in config.addresses.http] == ["[::1]:8500", "127.0.0.1:8500"]
    assert config.addresses.tagged == dict.fromkeys(("lan", "lan_ipv6", "wan", "wan_ipv6"), "fd00::1")


def test_join_addresses_may_be_names_and_templates() -> None:
    config = agent("-join=a.example:8301", "-retry-join={{ GetPrivateIP }}", "-retry-join=provider=x a=b")
    assert config.join.start == ("a.example:8301",)
    assert config.join.retry == ("10.1.2.3", "provider=x a=b")


# Flags ----------------------------------------------------------------------------------------------------------------


def test_every_flag_has_a_key_that_exists_and_words() -> None:
    from pyconsul.agent.flags import _WITH_KEYS

    for flag, path in _WITH_KEYS:
        CONFIG.default(path)
        assert flag.help.endswith("."), flag.name
    assert len(AGENT_FLAGS) == len(_WITH_KEYS) + 6


def test_flags_are_decimal_and_checked_at_once() -> None:
    with pytest.raises(FlagError, match=r'^invalid value "0x10" for flag -dns-port: strconv\.Atoi'):
        agent("-dns-port=0x10")


# Reload ---------------------------------------------------------------------------------------------------------------


def test_a_reload_takes_over_what_it_can() -> None:
    before = agent("-server", "-log-level=info")
    after = read(
        [
            "-data-dir=nowhere",
            "-server",
            "-log-level=debug",
            "-node-meta=a:b",
            "-http-port=1",
            "-hcl",
            'limits { http_max_conns_per_client = 7 kv_max_value_size = 9 } service { name = "s" }',
            "-hcl",
            "raft_trailing_logs = 5 performance { raft_multiplier = 3 } dns_config { only_passing = true }",
        ],
        network=HOST,
        hostname=lambda: "host1",
    )
    found = changes(before, after)
    assert set(found.applied) == {"log", "node_meta", "limits", "services", "raft", "dns"}
    assert set(found.restart) == {"addresses", "ports", "limits", "raft"}
    config = found.config
    assert config.log.level == "debug" and config.node_meta == {"a": "b"}
    assert config.limits.http_max_conns_per_client == 7 and config.limits.kv_max_value_bytes == 524288
    assert config.raft.trailing_logs == 5 and config.raft.multiplier == 1
    assert config.ports.http == 8500 and config.dns.only_passing


def test_a_reload_without_changes() -> None:
    before = agent("-server")
    assert changes(before, agent("-server")) == dataclasses.replace(changes(before, before))
    assert changes(before, before).applied == () == changes(before, before).restart


def test_a_bad_level_on_reload_keeps_the_old_one() -> None:
    before = agent()
    found = changes(before, read(["-data-dir=nowhere", "-log-level=loud"], network=HOST, hostname=lambda: "host1"))
    assert found.config.log.level == "INFO" and found.applied == () and found.restart == ("log",)
