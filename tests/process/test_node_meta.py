"""What agents say of their own nodes comes into the catalog, and stays there as they say it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pyconsul.testing.processes import AgentProcess, Cluster, wait_for, whole_cluster

SEGMENT = {"consul-network-segment": ""}


def nodes(agent: AgentProcess, query: str = "") -> dict[str, dict[str, Any]]:
    """The nodes of the catalog by name, as ``agent`` lists them."""
    answer = agent.request("GET", f"/v1/catalog/nodes{query}")
    assert answer.status == 200, answer
    return {node["Node"]: node for node in answer.json()}


def meta(agent: AgentProcess) -> dict[str, dict[str, str]]:
    return {name: node["Meta"] for name, node in nodes(agent).items()}


def wait_for_meta(cluster: Cluster, expected: dict[str, dict[str, str]]) -> None:
    for agent in (*cluster.agents, *cluster.clients):
        wait_for(f"{agent.name} shows {expected}", lambda agent=agent: meta(agent) == expected)  # type: ignore[misc]


def serf_health(agent: AgentProcess, node: str) -> str:
    checks = agent.request("GET", f"/v1/health/node/{node}").json()
    return str(next(check["Status"] for check in checks if check["CheckID"] == "serfHealth"))


def test_metadata_and_addresses_of_a_server_and_a_client(tmp_path: Path) -> None:
    with whole_cluster(tmp_path, 1, ["-node-meta=room:cellar"]) as cluster:
        server = cluster.agents[0]
        more = ["-node-meta=rack:1", "-hcl", 'tagged_addresses { backbone = "192.0.2.9" }', "-advertise-wan=192.0.2.8"]
        client = cluster.new_client(2, more)
        client.start()
        client.wait_for_leader()
        both = {"docker1": {**SEGMENT, "room": "cellar"}, "client2": {**SEGMENT, "room": "cellar", "rack": "1"}}
        wait_for_meta(cluster, both)
        for agent in (server, client):
            found = nodes(agent, "?node-meta=rack:1")
            assert set(found) == {"client2"}
            assert found["client2"]["TaggedAddresses"] == {
                "lan": client.address, "lan_ipv4": client.address, "wan": "192.0.2.8", "wan_ipv4": "192.0.2.8",
                "backbone": "192.0.2.9",
            }  # fmt: skip
            assert set(nodes(agent, "?node-meta=room:cellar")) == set(both)
            assert nodes(agent, "?node-meta=rack:2") == {}
            assert agent.request("GET", "/v1/agent/self").json()["Meta"] == both[agent.name]

        # The leader writes the node's registration again when the client has failed and comes back.
        before = nodes(server)["client2"]
        client.kill9()
        wait_for("the client has failed", lambda: serf_health(server, "client2") == "critical")
        assert nodes(server)["client2"] == before
        client.start()
        wait_for("the client is alive", lambda: serf_health(server, "client2") == "passing")
        assert nodes(server)["client2"] == before

        client.terminate()
        client.arguments = [{"-node-meta=rack:1": "-node-meta=rack:2"}.get(each, each) for each in client.arguments]
        client.start()
        both["client2"]["rack"] = "2"
        wait_for_meta(cluster, both)
        assert set(nodes(client, "?node-meta=rack:2")) == {"client2"}
        assert nodes(client, "?node-meta=rack:1") == {}
        cluster.assert_no_tracebacks()


def test_a_reload_takes_new_metadata(tmp_path: Path) -> None:
    folder = tmp_path / "more"
    folder.mkdir()
    written = folder / "meta.hcl"
    written.write_text('node_meta { rack = "1" }')
    with whole_cluster(tmp_path, 1, [f"-config-dir={folder}"]) as cluster:
        server = cluster.agents[0]
        wait_for_meta(cluster, {"docker1": {**SEGMENT, "rack": "1"}})
        written.write_text('node_meta { room = "cellar" }')
        assert server.request("PUT", "/v1/agent/reload").status == 200
        assert meta(server) == {"docker1": {**SEGMENT, "room": "cellar"}}
        cluster.assert_no_tracebacks()
