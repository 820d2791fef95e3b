"""What a real Consul said about command lines and files, said again: recordings of ``agent`` and ``validate``."""

from __future__ import annotations

import ipaddress
import json
import resource
from pathlib import Path
from typing import Any

import pytest

from pyconsul.agent.addresses import Network
from pyconsul.agent.banner import LOG_FOLLOWS, banner
from pyconsul.agent.config import load, validate_files
from pyconsul.agent.config_checks import check_start
from pyconsul.agent.interfaces import InterfaceAddress
from pyconsul.agent.logging import AgentLog
from pyconsul.agent.node_id import setup_node_id
from pyconsul.codec.go_flags import FlagError
from pyconsul.errors import ConfigError
from pyconsul.storage.text_file import TextFile

RECORDINGS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[3] / "compat" / "cli" / "cli.json").read_text(encoding="utf-8")
)
AGENT_ERRORS = [case for case in RECORDINGS if case["group"] == "agent" and case["stderr"].strip()]
BANNERS = [case for case in RECORDINGS if case["group"] == "agent" and case["stdout"].startswith("==> Starting")]
VALIDATE = [case for case in RECORDINGS if case["group"] == "validate"]

FILES = {
    "afile": "x",
    "unknown.json": '{"data_dir": "d", "nosuch_key": 1, "ports": {"https": 8501, "foo": 1}}',
    "unknown.hcl": 'data_dir = "d"\nnosuch_key = 1\n',
    "bad.json": '{"data_dir": ',
    "bad.hcl": "data_dir = \nfoo {\n",
    "type.json": '{"bootstrap_expect": "three", "server": true}',
    "type2.json": '{"server": "yes", "data_dir": 5}',
    "dur.json": '{"session_ttl_min": "ten"}',
    "mult.json": '{"performance": {"raft_multiplier": 11}}',
    "noext.conf": '{"data_dir": "d"}',
    "cd1/10-a.hcl": 'datacenter = "from-10-a"\nnode_name = "n10a"\n',
    "cd1/20-b.json": '{"datacenter": "from-20-b"}',
    "cd1/30-c.txt": "not configuration",
    "cd1/sub/40-d.hcl": "broken {",
    "cd2/01-z.hcl": 'datacenter = "from-cd2"\n',
    "one.hcl": 'datacenter = "from-one"\n',
    "v/ok.hcl": 'data_dir = "/dd"\nbind_addr = "127.0.0.50"\n',
    "v/ok.json": '{"data_dir": "/dd", "bind_addr": "127.0.0.50", "server": true, "bootstrap": true}',
    "v/warn.hcl": 'data_dir = "/dd"\nbind_addr = "127.0.0.50"\nserver = true\nbootstrap_expect = 2\nui = true\n',
    "v2/a.json": '{"data_dir": "/dd"}',
    "v2/b.hcl": 'bind_addr = "127.0.0.50"\n',
    "v2/c.txt": "x",
    "v2/sub/d.json": "{",
    "v/conf": 'data_dir = "/dd"\nbind_addr = "127.0.0.50"\n',
    "v/m1.json": '{"data_dir": "/dd", "bind_addr": "127.0.0.50", "datacenter": "one"}',
    "v/m2.json": '{"data_dir": "/dd", "bind_addr": "127.0.0.50", "datacenter": "two words"}',
    "v/ent.hcl": (
        'data_dir = "/dd"\nbind_addr = "127.0.0.50"\nlicense_path = "x"\nread_replica = true\n'
        "audit { enabled = true }\n"
    ),
    "v/seg.hcl": 'data_dir = "/dd"\nbind_addr = "127.0.0.50"\nsegment = "alpha"\n',
    "v/dep.hcl": (
        'data_dir = "/dd"\nbind_addr = "127.0.0.50"\nacl_datacenter = "dc1"\nui = true\nui_dir = "x"\n'
        "acl_enforce_version_8 = true\n"
    ),
    "v/dep2.hcl": (
        'data_dir = "/dd"\nbind_addr = "127.0.0.50"\nacl_datacenter = "dc1"\nui = true\nacl_enforce_version_8 = true\n'
    ),
    "v/script.hcl": 'data_dir = "/dd"\nbind_addr = "127.0.0.50"\nenable_script_checks = true\n',
    "v/svc.hcl": (
        'data_dir = "/dd"\nbind_addr = "127.0.0.50"\n'
        'service { name = "a" check { tcp = "127.0.0.1:1" interval = "5" } }\n'
    ),
    "v/str.json": '{"data_dir": "/dd", "ports": {"http": "8500"}}',
    "v/boolstr.hcl": 'data_dir = "/dd"\nserver = "true"\n',
    "v/empty.json": "",
    "v/dup.json": '{"data_dir": "/no", "bind_addr": "127.0.0.50", "data_dir": "/dd"}',
    "v/perf.hcl": 'data_dir = "/dd"\nbind_addr = "127.0.0.50"\nperformance { raft_multiplier = 0 }\n',
}

V0 = InterfaceAddress("v0", ipaddress.ip_address("10.20.0.2"), 24)
SECOND = InterfaceAddress("v0", ipaddress.ip_address("10.20.0.3"), 24)
LO = InterfaceAddress("lo", ipaddress.ip_address("127.0.0.1"), 8, loopback=True)


def case_id(case: dict[str, Any]) -> str:
    return str(case["name"])


def network_of(case: dict[str, Any]) -> Network:
    """The host that the recording's setup describes."""
    setup = case["setup"]
    if "two private IPv4" in setup:
        interfaces = [LO, V0, SECOND]
    elif "no interface that is up" in setup:
        interfaces = []
    elif "only the loopback interface" in setup:
        interfaces = [LO]
    else:
        interfaces = [LO, V0]
    return Network(lambda: interfaces, lambda: ["v0"])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for name in ("uidir", "logs", "data", "tls"):
        (tmp_path / name).mkdir()
    for kind in ("agent-ca.pem",):
        (tmp_path / "tls" / f"consul-{kind}").write_text("ca")
    for kind in ("0.pem", "0-key.pem"):
        (tmp_path / "tls" / f"dc1-server-consul-{kind}").write_text("x")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def argv_of(case: dict[str, Any], folder: Path) -> list[str]:
    return [word.replace("DATA_DIR", f"{folder}/data") for word in case["argv"][1:]]


def mask(text: str, folder: Path) -> str:
    return text.replace(f"{folder}/data", "DATA_DIR")


@pytest.mark.parametrize("case", AGENT_ERRORS, ids=case_id)
def test_an_agent_that_does_not_start(case: dict[str, Any], folder: Path) -> None:
    if case["name"] == "node-id file is damaged":
        (folder / "data" / "node-id").write_text("damaged")
    if case["name"] == "old mdb directory present":
        (folder / "data" / "mdb").mkdir()
    expected = str(case["stderr"])
    with pytest.raises(ConfigError) as caught:
        config = load(argv_of(case, folder), network=network_of(case))
        setup_node_id(config.node_id, config.data_dir, TextFile(folder / "data" / "node-id"))
        AgentLog(config.log, root="agent-of-recordings").stop()
    text = mask(str(caught.value), folder)
    if isinstance(caught.value, FlagError):
        assert expected.startswith(f"{text}\nUsage:\n")
        assert expected.endswith(f"==> error parsing flags: {text}\n")
        return
    if "file descriptors" in expected:
        expected = expected.replace("20000", str(resource.getrlimit(resource.RLIMIT_NOFILE)[0]))
    if "{{ADVICE" in expected:  # two lines of our own words
        assert f"==> {text}\n".splitlines()[0] == expected.splitlines()[0]
        assert len(text.splitlines()) == 3
        return
    if "nosuch/x-" in expected:  # the time in a file's name
        before, after = "==> Failed to setup logging: open nosuch/x-", ".log: no such file or directory"
        assert f"==> {text}".startswith(before) and text.endswith(after)
        return
    assert f"==> {text}\n" == expected


@pytest.mark.parametrize("case", BANNERS, ids=case_id)
def test_the_banner_of_an_agent_that_starts(case: dict[str, Any], folder: Path) -> None:
    shown = case["stdout"].partition(f"{LOG_FOLLOWS}\n\n")[0] + f"{LOG_FOLLOWS}\n\n"
    node_id = shown.partition("Node ID: '")[2].partition("'")[0]
    config = load(argv_of(case, folder), network=network_of(case), hostname=lambda: "myhost.example.org")
    assert banner(config, node_id, "1.10.7") == shown
    if case["argv"].count("-node-id=11111111-2222-3333-4444-AAAAAAAAAAAA"):
        assert config.node_id == node_id


@pytest.mark.parametrize("case", BANNERS, ids=case_id)
def test_what_fails_right_after_the_banner(case: dict[str, Any], folder: Path) -> None:
    config = load(argv_of(case, folder), network=network_of(case), hostname=lambda: "myhost.example.org")
    marks = ("Failed to configure keyring", "Protocol version", "Unsupported default ACL policy")
    if any(mark in case["stdout"] for mark in marks):
        with pytest.raises(ConfigError) as caught:
            check_start(config)
        assert f'[ERROR] agent: Error starting agent: error="{caught.value}"' in case["stdout"]
    else:
        check_start(config)


@pytest.mark.parametrize("case", BANNERS, ids=case_id)
def test_warnings_are_those_of_the_log(case: dict[str, Any], folder: Path) -> None:
    config = load(argv_of(case, folder), network=network_of(case), hostname=lambda: "myhost.example.org")
    if config.log.level not in ("warn", "info", "INFO"):
        return
    # Consul logs them once more below another name: that is how the log tells which lines they are (a reload repeats).
    head, mark = case["stdout"], " [WARN]  agent.auto_config: "
    logged = list(dict.fromkeys(line.partition(mark)[2] for line in head.splitlines() if mark in line))
    assert list(config.warnings) == logged


@pytest.mark.parametrize("case", VALIDATE, ids=case_id)
def test_validate(case: dict[str, Any], folder: Path) -> None:
    words = [word for word in case["argv"][1:] if not word.startswith("-")]
    options = [word.partition("=")[2] for word in case["argv"] if word.startswith("-config-format=")]
    if not words:
        pytest.skip("only about the command's own flags and arguments")
    name, holds, text = case["setup"].partition(" holds: ")
    if holds:
        (folder / name).write_text(text.replace(" / ", "\n") + "\n", encoding="utf-8")
    expected = str(case["stderr"])
    try:
        config = validate_files(words, *options, network=network_of(case))
    except ConfigError as error:
        assert case["exit"] == 1, f"refused: {error}"
        prefix = "" if str(error).startswith("-config-format") else "Config validation failed: "
        if "{{ADVICE" in expected:
            assert f"{prefix}{error}".splitlines()[0] == expected.splitlines()[0]
        else:
            assert f"{prefix}{error}\n" == expected
        return
    assert case["exit"] == 0
    if "-quiet" not in case["argv"]:
        assert "".join(f"{warning}\n" for warning in config.warnings) == expected


def test_the_recordings_are_there() -> None:
    assert len(AGENT_ERRORS) > 60 and len(BANNERS) > 50 and len(VALIDATE) > 40
