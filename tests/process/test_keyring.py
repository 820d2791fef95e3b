"""Keys of gossip encryption on three agents: listed, changed while they run, refused where they are wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from pyconsul.testing.processes import Cluster, run_command, wait_for, whole_cluster

OLD = "pUqJrVyVRj5jsiYEkM/tFQYfWyJIv4s3XkvDwy7Cu5s="
NEW = "J4nQZ3cAe5a4tOk3JfqFhbzyEyN0W9Qq0s1aVxJ1gHI="
FOREIGN = "MTIzNDU2Nzg5MDEyMzQ1Ng=="


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two servers and a client."""
    with whole_cluster(tmp_path_factory.mktemp("keyring"), 2, ["-encrypt", OLD]) as cluster:
        client = cluster.new_client(9)
        client.start()
        wait_for("the client is a member", lambda: cluster.agents[1].members().get("client9") == 1)
        wait_for("both servers are in the WAN pool", lambda: wan_members(cluster) == {"docker1.dc1", "docker2.dc1"})
        yield cluster
        for agent in [*cluster.agents, client]:
            assert not any(key in agent.log() for key in (OLD, NEW, FOREIGN)), "a key is in the log"


def wan_members(cluster: Cluster) -> set[str]:
    members = cluster.agents[1].request("GET", "/v1/agent/members?wan=1").json()
    return {member["Name"] for member in members if member["Status"] == 1}


def keyring(cluster: Cluster, *arguments: str) -> tuple[int, str]:
    done = run_command("keyring", *arguments, address=cluster.agents[1].address)
    return done.returncode, done.stdout + done.stderr


def listed(cluster: Cluster) -> dict[str, list[str]]:
    """Lines of keys by pool."""
    code, text = keyring(cluster, "-list")
    assert code == 0, text
    found: dict[str, list[str]] = {}
    for block in text.split("\n\n")[1:]:
        name, *keys = block.splitlines()
        found[name] = sorted(key.strip() for key in keys)
    return found


def test_keys_are_changed_on_all_agents(cluster: Cluster) -> None:
    assert listed(cluster) == {"WAN:": [f"{OLD} [2/2]"], "dc1 (LAN):": [f"{OLD} [3/3]"]}
    assert keyring(cluster, "-install", NEW) == (0, "==> Installing new gossip encryption key...\n")
    assert listed(cluster) == {"WAN:": sorted([f"{OLD} [2/2]", f"{NEW} [2/2]"]),
                               "dc1 (LAN):": sorted([f"{OLD} [3/3]", f"{NEW} [3/3]"])}  # fmt: skip
    code, text = keyring(cluster, "-remove", OLD)
    assert code == 1
    for line in (
        "WAN error: 2/2 nodes reported failure",
        "docker1.dc1: Removing the primary key is not allowed",
        "dc1 (LAN) error: 3/3 nodes reported failure",
        "client9: Removing the primary key is not allowed",
    ):
        assert line in text
    assert keyring(cluster, "-use", NEW) == (0, "==> Changing primary gossip encryption key...\n")
    assert keyring(cluster, "-remove", OLD) == (0, "==> Removing gossip encryption key...\n")
    assert listed(cluster) == {"WAN:": [f"{NEW} [2/2]"], "dc1 (LAN):": [f"{NEW} [3/3]"]}
    kept = cluster.agents[0].data_dir / "serf" / "local.keyring"
    wait_for("the keyring file has the new key alone", lambda: json.loads(kept.read_text()) == [NEW])
    assert kept.stat().st_mode & 0o777 == 0o600
    assert cluster.agents[0].members() == {"docker1": 1, "docker2": 1, "client9": 1}


def test_local_keys_and_relayed_answers(cluster: Cluster) -> None:
    url = "/v1/operator/keyring"
    server = cluster.agents[0]
    local = server.request("GET", f"{url}?local-only=true&relay-factor=1")
    assert [(pool["WAN"], pool["NumNodes"]) for pool in local.json()] == [(False, 3)]
    for method, query, body, text in (
        ("GET", "relay-factor=x", b"", 'Error parsing relay factor: strconv.Atoi: parsing "x": invalid syntax'),
        ("GET", "relay-factor=6", b"", "Invalid relay-factor: Relay factor must be in range: [0, 5]"),
        ("GET", "local-only=x", b"", 'Error parsing local-only: strconv.ParseBool: parsing "x": invalid syntax'),
        ("POST", "local-only=true", b"{}", "Invalid use of local-only: local-only can only be set for list requests"),
        ("POST", "", b'{"Ke": ""}', 'Request decode failed: json: unknown field "Ke"'),
        ("PUT", "", b"", "Request decode failed: EOF"),
    ):
        answer = server.request(method, f"{url}?{query}", body)
        assert (answer.status, answer.body.decode()) == (400, f"Bad request: {text}")


def test_an_agent_with_another_key_is_refused(cluster: Cluster) -> None:
    stranger = cluster.new_client(31)
    stranger.arguments[stranger.arguments.index("-encrypt") + 1] = FOREIGN
    stranger.start()
    refused = stranger.request("PUT", f"/v1/agent/join/{cluster.agents[0].address}")
    assert refused.status == 500
    wait_for("the server says why", lambda: "No installed keys could decrypt the message" in cluster.agents[0].log())
    wait_for("the stranger says why", lambda: "Join cluster failed, will retry" in stranger.log())
    plain = cluster.new_client(32)
    del plain.arguments[plain.arguments.index("-encrypt") :]
    plain.start()
    refused = plain.request("PUT", f"/v1/agent/join/{cluster.agents[0].address}")
    assert refused.status == 500
    assert b"Remote state is encrypted and encryption is not configured" in refused.body
    assert set(cluster.agents[0].members()) == {"docker1", "docker2", "client9"}
    for agent in (stranger, plain):
        assert not any(key in agent.log() for key in (OLD, NEW, FOREIGN))
        agent.close()
