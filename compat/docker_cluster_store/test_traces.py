"""All recorded conversations of dockerd against a cluster of three agents of ours. What is compared: RULES.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from docker_cluster_store.replay import replay

from pyconsul.testing.processes import AgentProcess, Cluster


class ClusterController:
    """The scenario's hands: servers by their number, from 1."""

    def __init__(self, agents: Sequence[AgentProcess]) -> None:
        self._agents = agents

    def stop(self, server: int) -> None:
        self._agents[server - 1].terminate()

    def kill(self, server: int) -> None:
        self._agents[server - 1].kill9()

    def start(self, server: int) -> None:
        self._agents[server - 1].start(wait=False)

    def freeze(self, server: int) -> None:
        self._agents[server - 1].pause()

    def thaw(self, server: int) -> None:
        self._agents[server - 1].resume()

    def wait_until_led(self, servers: Sequence[int]) -> None:
        for server in servers:
            agent = self._agents[server - 1]
            agent.wait_until_serving()
            agent.wait_for_leader()


@pytest.fixture
def emptied(shared_servers: Cluster) -> Cluster:
    """Without the keys and sessions of the conversation before."""
    leader = shared_servers.leader()
    assert leader.request("DELETE", "/v1/kv/?recurse").body.strip() == b"true"
    for session in leader.request("GET", "/v1/session/list").json():
        assert leader.request("PUT", f"/v1/session/destroy/{session['ID']}").status == 200
    return shared_servers


@pytest.mark.parametrize("scenario", ["start", "network", "path", "tls", "churn-sample", "failure"])
async def test_conversation_shows_no_difference(emptied: Cluster, scenario: str) -> None:
    report = await replay(scenario, [agent.http_url for agent in emptied.agents])
    print(report)
    assert not report.differences, str(report)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("scenario", ["start", "failure"])
async def test_conversation_in_real_time(three_servers: Cluster, scenario: str) -> None:
    report = await replay(scenario, [agent.http_url for agent in three_servers.agents], real_time=True)
    print(report, report.lifetimes_s)
    assert not report.differences, str(report)
    assert len(report.lifetimes_s) == (2 if scenario == "failure" else 0)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_conversation_through_outages(three_servers: Cluster) -> None:
    report = await replay(
        "outage", [agent.http_url for agent in three_servers.agents], ClusterController(three_servers.agents)
    )
    print(report)
    assert not report.differences, str(report)


async def test_one_server_for_all_three_engines(tmp_path: Path) -> None:
    """The least that must work: a single server, asked by three engines. Its one name is all that may differ."""
    with Cluster(tmp_path, size=1) as cluster:
        cluster.start()
        report = await replay("network", [cluster.agents[0].http_url])
    others = [each for each in report.differences if each.rule != "sessions" or "Node: recorded" not in each.text]
    assert not others, str(report)
