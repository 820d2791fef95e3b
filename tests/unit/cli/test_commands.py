"""Commands against an agent with canned answers: tables as Consul 1.16 has them, requests as they are sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from canned_agent import CannedAgent, Run

from pyconsul_cli.commands import debug


def member(name: str, address: str, tags: Mapping[str, str], status: int = 1) -> dict[str, object]:
    return {"Name": name, "Addr": address, "Port": 8301, "Status": status, "Tags": tags}


SERVER = {"role": "consul", "build": "1.16.1:pyconsul", "vsn": "2", "dc": "dc1", "segment": ""}
CLIENT = {"role": "node", "build": "1.16.1:pyconsul", "vsn": "2", "dc": "dc1", "segment": ""}


def test_members_table(run: Run, agent: CannedAgent) -> None:
    agent.says(
        "GET /v1/agent/members",
        [
            member("client1", "127.0.0.46", CLIENT, 4),
            member("docker2", "127.0.0.44", SERVER),
            member("docker1", "127.0.0.43", SERVER),
            member("odd", "::1", {"role": "x"}, 3),
        ],
    )
    code, stdout, stderr = run("members", environ=agent.environ)
    assert (code, stderr) == (0, "")
    assert stdout == (
        "Node     Address          Status  Type     Build   Protocol  DC   Partition  Segment\n"
        "docker1  127.0.0.43:8301  alive   server   1.16.1  2         dc1  default    <all>\n"
        "docker2  127.0.0.44:8301  alive   server   1.16.1  2         dc1  default    <all>\n"
        "client1  127.0.0.46:8301  failed  client   1.16.1  2         dc1  default    <default>\n"
        "odd      [::1]:8301       left    unknown                                    \n"
    )
    assert agent.requests == ["GET /v1/agent/members?segment=_all"]


def test_members_sample_of_the_reference(run: Run, agent: CannedAgent) -> None:
    agent.says("GET /v1/agent/members", [member("docker1", "192.168.10.80", SERVER)])
    assert run("members", environ=agent.environ)[1] == (
        "Node     Address             Status  Type    Build   Protocol  DC   Partition  Segment\n"
        "docker1  192.168.10.80:8301  alive   server  1.16.1  2         dc1  default    <all>\n"
    )


def test_members_details_status_and_nobody(run: Run, agent: CannedAgent) -> None:
    agent.says("GET /v1/agent/members", [member("s", "127.0.0.1", SERVER), member("c", "127.0.0.2", CLIENT, 4)])
    code, stdout, _ = run("members", "-detailed", "-status=^fail", "-wan", environ=agent.environ)
    assert code == 0
    assert stdout == (
        "Node  Address         Status  Tags\n"
        "c     127.0.0.2:8301  failed  "
        "ap=default,build=1.16.1:pyconsul,dc=dc1,role=node,segment=<default>,vsn=2\n"
    )
    assert agent.requests[-1] == "GET /v1/agent/members?segment=_all&wan=1"
    assert run("members", "-status=left", environ=agent.environ) == (2, "", "")
    code, stdout, _ = run("members", "-segment=", environ=agent.environ)
    assert [line.split()[-1] for line in stdout.splitlines()[1:]] == ["<default>", "<default>"]
    code, stdout, _ = run("members", "-format=json", environ=agent.environ)
    assert [found["Name"] for found in json.loads(stdout)] == ["s", "c"]


def test_list_peers(run: Run, agent: CannedAgent) -> None:
    servers = [
        {"ID": "b", "Node": "two", "Address": "127.0.0.2:8300", "Leader": True, "Voter": True, "ProtocolVersion": "3"},
        {"ID": "a", "Node": "one", "Address": "127.0.0.1:8300", "Leader": False, "Voter": True, "ProtocolVersion": "3"},
        {"ID": "c", "Node": "(unknown)", "Address": "127.0.0.3:8300", "Leader": False, "Voter": False},
    ]
    for server, index in zip(servers, (120, 119, 100), strict=True):
        server["LastIndex"] = index
    agent.says("GET /v1/operator/raft/configuration", {"Servers": servers, "Index": 0})
    code, stdout, stderr = run("operator", "raft", "list-peers", "-stale", environ=agent.environ)
    assert (code, stderr) == (0, "")
    assert stdout == (
        "Node       ID  Address         State     Voter  RaftProtocol  Commit Index  Trails Leader By\n"
        "two        b   127.0.0.2:8300  leader    true   3             120           -\n"
        "one        a   127.0.0.1:8300  follower  true   3             119           1 commit\n"
        "(unknown)  c   127.0.0.3:8300  follower  false  <=1           100           20 commits\n"
    )
    assert agent.requests == ["GET /v1/operator/raft/configuration?stale="]


def test_info_is_sorted_and_keeps_empty_values(run: Run, agent: CannedAgent) -> None:
    agent.says("GET /v1/agent/self", {"Stats": {"raft": {"term": "2", "state": "Leader"}, "build": {"revision": ""}}})
    assert run("info", environ=agent.environ)[1] == "build:\n\trevision = \nraft:\n\tstate = Leader\n\tterm = 2\n"


def test_join_counts_addresses_that_worked(run: Run, agent: CannedAgent) -> None:
    agent.says("PUT /v1/agent/join/127.0.0.2", b"")
    code, stdout, stderr = run("join", "-wan", "127.0.0.3", "127.0.0.2", environ=agent.environ)
    assert code == 0
    assert stdout == "Successfully joined cluster by contacting 1 nodes.\n"
    assert stderr == "Error joining address '127.0.0.3': Unexpected response code: 404 ()\n"
    assert agent.requests == ["PUT /v1/agent/join/127.0.0.3?wan=1", "PUT /v1/agent/join/127.0.0.2?wan=1"]


def test_rtt(run: Run, agent: CannedAgent) -> None:
    near = {"Vec": [0.0] * 8, "Height": 0.0001, "Adjustment": 0.0, "Error": 1.5}
    far = {**near, "Vec": [0.0003, 0.0004] + [0.0] * 6, "Adjustment": -0.0001}
    agent.says("GET /v1/agent/self", {"Config": {"NodeName": "one", "Datacenter": "dc1"}})
    agent.says("GET /v1/coordinate/nodes", [{"Node": "one", "Coord": near}, {"Node": "two", "Coord": far}])
    assert run("rtt", "two", environ=agent.environ) == (
        0,
        "Estimated two <-> one rtt: 0.600 ms (using LAN coordinates)\n",
        "",
    )
    assert run("rtt", "two", "x", environ=agent.environ) == (1, "", 'Could not find a coordinate for node "x"\n')


def test_maintenance_shows_and_changes(run: Run, agent: CannedAgent) -> None:
    agent.says("GET /v1/agent/self", {"Config": {"NodeName": "s1"}})
    checks = {
        "_node_maintenance": {"CheckID": "_node_maintenance", "Notes": "both"},
        "_service_maintenance:web": {"CheckID": "_service_maintenance:web", "ServiceID": "web", "Notes": "r1"},
        "other": {"CheckID": "other"},
    }
    agent.says("GET /v1/agent/checks", checks)
    agent.says("PUT /v1/agent/service/maintenance/web", b"")
    assert run("maint", environ=agent.environ)[1] == (
        "Node:\n  Name:   s1\n  Reason: both\n\nService:\n  ID:     web\n  Reason: r1\n\n"
    )
    code, stdout, _ = run("maint", "-enable", "-service=web", "-reason=a b", environ=agent.environ)
    assert (code, stdout) == (0, 'Service maintenance is now enabled for "web"\n')
    assert agent.requests[-1] == "PUT /v1/agent/service/maintenance/web?enable=true&reason=a+b"


def test_keyring_lists_pools(run: Run, agent: CannedAgent) -> None:
    pools = [
        {"WAN": True, "Datacenter": "dc1", "Keys": {"k1": 1}, "PrimaryKeys": {"k1": 1}, "NumNodes": 1},
        {"WAN": False, "Datacenter": "dc1", "Keys": {"k1": 2, "k2": 1}, "PrimaryKeys": {"k1": 2}, "NumNodes": 2},
    ]
    agent.says("GET /v1/operator/keyring", pools)
    agent.says("POST /v1/operator/keyring", b"")
    assert run("keyring", "-list", environ=agent.environ)[1] == (
        "==> Gathering installed encryption keys...\n\nWAN:\n  k1 [1/1]\n\ndc1 (LAN):\n  k1 [2/2]\n  k2 [1/2]\n"
    )
    assert run("keyring", "-install=abc", environ=agent.environ)[0] == 0
    assert agent.bodies[-1] == b'{"Key":"abc"}'


def test_services_by_flags_and_by_file(run: Run, agent: CannedAgent, tmp_path: Path) -> None:
    agent.says("PUT /v1/agent/service/register", b"")
    line = ("-name=web", "-id=web-1", "-port=8080", "-tag=a", "-tag=b", "-meta=k=v", "-tagged-address=lan=[::1]:80")
    assert run("services", "register", *line, environ=agent.environ) == (0, "Registered service: web\n", "")
    sent = json.loads(agent.bodies[-1])
    assert sent["Tags"] == ["a", "b"] and sent["Meta"] == {"k": "v"} and sent["Port"] == 8080
    assert sent["TaggedAddresses"] == {"lan": {"Address": "::1", "Port": 80}}
    file = tmp_path / "svc.hcl"
    file.write_text(
        'service { name = "api" id = "api-1" enable_tag_override = true meta { some_key = "x" }\n'
        '  checks = [{ ttl = "10s" }, { http = "http://127.0.0.1" tls_skip_verify = true }] }\n'
    )
    assert run("services", "register", str(file), environ=agent.environ) == (0, "Registered service: api\n", "")
    sent = json.loads(agent.bodies[-1])
    assert sent["ID"] == "api-1" and sent["EnableTagOverride"] is True and sent["Meta"] == {"some_key": "x"}
    assert sent["Checks"][0]["TTL"] == "10s" and sent["Checks"][1]["TLSSkipVerify"] is True
    agent.says("PUT /v1/agent/service/deregister/api-1", b"")
    assert run("services", "deregister", str(file), environ=agent.environ)[1] == "Deregistered service: api-1\n"


def test_autopilot_changes_only_what_is_given(run: Run, agent: CannedAgent) -> None:
    config = {"CleanupDeadServers": True, "LastContactThreshold": "200ms", "MaxTrailingLogs": 250, "ModifyIndex": 4}
    agent.says("GET /v1/operator/autopilot/configuration", config)
    agent.says("PUT /v1/operator/autopilot/configuration", True)
    line = ("operator", "autopilot", "set-config", "-cleanup-dead-servers=false", "-last-contact-threshold=1.5s")
    assert run(*line, environ=agent.environ) == (0, "Configuration updated!\n", "")
    assert agent.requests[-1] == "PUT /v1/operator/autopilot/configuration?cas=4"
    changed = {**config, "CleanupDeadServers": False, "LastContactThreshold": "1.5s"}
    assert json.loads(agent.bodies[-1]) == changed
    agent.says("PUT /v1/operator/autopilot/configuration", False)
    code, _, stderr = run(*line, environ=agent.environ)
    assert (code, stderr) == (1, "Configuration could not be atomically updated, please try again\n")


def test_catalog_tables(run: Run, agent: CannedAgent) -> None:
    nodes = [
        {"Node": "s1", "ID": "04f53ee8-1", "Address": "127.0.0.41", "Datacenter": "dc1", "Meta": {"b": "2", "a": ""}}
    ]
    agent.says("GET /v1/catalog/nodes", nodes)
    assert run("catalog", "nodes", environ=agent.environ)[1] == (
        "Node  ID        Address     DC\ns1    04f53ee8  127.0.0.41  dc1\n"
    )
    detailed = run("catalog", "nodes", "-detailed", "-node-meta=k=v", "-near=_agent", environ=agent.environ)[1]
    assert detailed.splitlines()[1].endswith("a=, b=2")
    assert agent.requests[-1] == "GET /v1/catalog/nodes?near=_agent&node-meta=k%3Av"
    agent.says("GET /v1/catalog/services", {"web": ["b", "a"], "consul": []})
    assert run("catalog", "services", "-tags", environ=agent.environ)[1] == "consul      \nweb         a,b\n"
    agent.says("GET /v1/catalog/node/none", None)
    code, stdout, stderr = run("catalog", "services", "-node=none", environ=agent.environ)
    assert (code, stdout) == (0, "")
    assert stderr == "No services match the given query - try expanding your search.\n"


@pytest.mark.parametrize("body", [b"<html>", b'"text"', b"[1]", b"{}"])
def test_an_answer_of_something_else_is_said_to_be_none(run: Run, agent: CannedAgent, body: bytes) -> None:
    agent.says("GET /v1/agent/members", body)
    code, stdout, stderr = run("members", environ=agent.environ)
    assert (code, stdout) == (1, "")
    assert stderr.startswith("Error retrieving members: the answer is not")


def test_tokens_and_credentials_are_sent_once_and_lines_cannot_be_smuggled(
    run: Run, agent: CannedAgent, tmp_path: Path
) -> None:
    agent.says("PUT /v1/agent/reload", b"")
    file = tmp_path / "token"
    file.write_text(" from-file \n")
    environ = {**agent.environ, "CONSUL_HTTP_TOKEN": "from-environment", "CONSUL_HTTP_AUTH": "user:pass"}
    assert run("reload", environ=environ)[0] == 0
    assert agent.headers[-1]["x-consul-token"] == "from-environment"
    assert agent.headers[-1]["authorization"] == "Basic dXNlcjpwYXNz"
    assert run("reload", "-token=flag", f"-token-file={file}", environ=environ)[0] == 0
    assert agent.headers[-1]["x-consul-token"] == "from-file"
    code, _, stderr = run("reload", "-token=a\r\nX-Evil: 1", environ=environ)
    assert code == 1 and "invalid header field value" in stderr
    assert len(agent.requests) == 2


def test_keys_and_values_as_json(run: Run, agent: CannedAgent) -> None:
    entry = {"Key": "a/b", "Value": "MQ==", "Flags": 0, "CreateIndex": 1, "ModifyIndex": 2, "LockIndex": 0}
    agent.says("GET /v1/kv/a/", ["a/b", "a/c/"])
    code, stdout, _ = run("kv", "get", "-keys", "-format=json", "a/", environ=agent.environ)
    assert (code, json.loads(stdout)) == (0, ["a/b", "a/c/"])
    agent.says("GET /v1/kv/a/", [entry])
    code, stdout, _ = run("kv", "get", "-recurse", "-format=json", "a/", environ=agent.environ)
    assert (code, json.loads(stdout)) == (0, [entry])
    agent.says("GET /v1/kv/a/b", [entry])
    code, stdout, _ = run("kv", "get", "-format=json", "a/b", environ=agent.environ)
    assert (code, json.loads(stdout)) == (0, entry)
    agent.says("GET /v1/kv/none", None, 404)
    assert run("kv", "get", "-recurse", "-format=json", "none", environ=agent.environ)[:2] == (0, "[]\n")


def test_keyring_as_json_is_nothing_but_json(run: Run, agent: CannedAgent) -> None:
    pools = [{"WAN": True, "Datacenter": "dc1", "Keys": {"k": 1}, "PrimaryKeys": {"k": 1}, "NumNodes": 1}]
    agent.says("GET /v1/operator/keyring", pools)
    code, stdout, _ = run("keyring", "-list", "-format=json", environ=agent.environ)
    assert (code, json.loads(stdout)) == (0, pools)


def test_debug_asks_for_profiles_when_told_only(
    run: Run, agent: CannedAgent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debug, "DURATION_MIN_NS", 1)
    monkeypatch.setattr(debug, "INTERVAL_MIN_NS", 1)
    agent.says("GET /v1/agent/self", {"Config": {"Version": "1.16.1"}})
    for path in ("host", "members", "metrics"):
        agent.says(f"GET /v1/agent/{path}", {})
    agent.says("GET /v1/agent/monitor", b"a line\n")
    line = ("debug", "-duration=30ms", "-interval=30ms")
    code, stdout, stderr = run(*line, f"-output={tmp_path}/all", environ=agent.environ)
    assert (code, stderr) == (0, "")
    assert "Capture: 'metrics, logs, host, agent, cluster'\n" in stdout
    assert not any("pprof" in request for request in agent.requests)
    code, _, stderr = run(*line, "-capture=pprof", f"-output={tmp_path}/profiles", environ=agent.environ)
    assert code == 0 and stderr.startswith("==> Error encountered during collection: Unexpected response code: 404")
    assert "GET /debug/pprof/heap" in agent.requests
