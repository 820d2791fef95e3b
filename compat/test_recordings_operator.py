"""Plays the conversations about autopilot, Raft peers and keys, recorded from Consul 1.10.7, against real agents."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from replaying import HERE, Results, judge, play, summary

from pyconsul.testing.processes import AgentProcess, Cluster, wait_for

RECORDINGS = HERE / "recordings" / "operator"
HEALTH = "/v1/operator/autopilot/health"

KEY = "pUqJrVyVRj5jsiYEkM/tFQYfWyJIv4s3XkvDwy7Cu5s="
"""The one with which the conversations about keys begin."""

NEWER: dict[str, list[str]] = {
    "configuration: one server": ["Servers[0]"],
    "configuration: three voters, one leader": ["Servers[0]", "Servers[1]", "Servers[2]"],
}
"""Scenarios in which a server of the Raft configuration has one field more here: LastIndex, as in Consul 1.16."""

CAME_LATER = {"/v1/operator/raft/transfer-leader", "/v1/operator/usage"}
"""Not there in 1.10.7, and so an empty 404 in the recording; in 1.16 they are."""


def scenarios(file: str) -> list[dict[str, Any]]:
    """With what is newer here than in the recordings taken into account."""
    found: list[dict[str, Any]] = json.loads((RECORDINGS / f"{file}.json").read_text())
    for scenario in found:
        if scenario["name"] in NEWER:
            scenario["open"] = NEWER[scenario["name"]]
        scenario["steps"] = [step for step in scenario["steps"] if step.get("path") not in CAME_LATER]
    return found


def replay(files: Sequence[str], nodes: Sequence[str]) -> Results:
    """One by one: most change what the others look at."""
    results = {(file, one["name"]): play(nodes, one) for file in files for one in scenarios(file)}
    print(f"{summary(results)} on {len(nodes)} servers")
    return results


def wait_until_healthy(agent: AgentProcess) -> None:
    wait_for(f"{agent.name} calls all servers healthy", lambda: agent.request("GET", HEALTH).status == 200)


def named(cluster: Cluster, names: Sequence[str]) -> None:
    """The recordings know their servers by name."""
    for agent, name in zip(cluster.agents, names, strict=True):
        agent.arguments[agent.arguments.index("-node") + 1] = agent.name = name


def test_one_server(tmp_path: Path) -> None:
    with Cluster(tmp_path, size=1) as cluster:
        named(cluster, ["op-single"])
        cluster.start()
        wait_until_healthy(cluster.agents[0])
        judge(replay(["single/autopilot", "single/keyring", "single/raft"], [cluster.agents[0].http_url]))
    cluster.assert_no_tracebacks()


def test_one_server_with_encryption(tmp_path: Path) -> None:
    with Cluster(tmp_path, size=1, extra=["-encrypt", KEY]) as cluster:
        named(cluster, ["op-keyring"])
        cluster.start()
        judge(replay(["keyring/keyring"], [cluster.agents[0].http_url]))
    cluster.assert_no_tracebacks()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_three_servers(tmp_path: Path) -> None:
    with Cluster(tmp_path, size=3) as cluster:
        named(cluster, ["op-1", "op-2", "op-3"])
        cluster.start()
        wait_until_healthy(cluster.agents[0])
        judge(replay(["cluster/cluster"], [agent.http_url for agent in cluster.agents]))
    cluster.assert_no_tracebacks()
