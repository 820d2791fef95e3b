"""Plays the conversations recorded from Consul 1.10.7 against real agents: one server, and three.

By default the files that do not wait for much; the slow run plays all of them, and the special set-ups: no leader yet,
a lost quorum, a configured HTTP layer, development mode.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from replaying import AGENT, KV, files, judge, play_all, scenarios_of, summary

from pyconsul.clock import SystemClock
from pyconsul.testing.processes import AgentProcess, Cluster, wait_for

SPECIAL = {"dev-mode", "http-config", "lost-quorum", "no-leader"}
WHOLE = [name for name in files(KV) if name not in SPECIAL]
FAST = [
    "kv-basic",
    "kv-cas",
    "kv-list",
    "kv-locks",
    "session-create",
    "txn-kv",
    "txn-http",
    "status",
]
OF_THREE = ["cluster", "kv-basic", "kv-cas", "txn-kv"]
OWN_SERVICES = [
    "agent-anti-entropy",
    "agent-check-register",
    "agent-join-leave",
    "agent-maintenance",
    "agent-members",
    "agent-metrics-host",
    "agent-self",
    "agent-service-health",
    "agent-service-maintenance",
    "agent-service-read",
    "agent-service-register",
]
AGENT_FILES = [*OWN_SERVICES, "agent-check-ttl", "agent-check-kinds-slow"]
PARALLEL = 16

LOST_QUORUM_AFTER_S = 15.0

HTTP_CONFIG = """
http_config {
  block_endpoints  = ["/v1/event", "/v1/kv/sec"]
  response_headers { "Access-Control-Allow-Origin" = "*"  "x-lower" = "1" }
}
limits {
  kv_max_value_size = 100
  txn_max_req_len   = 300
}
disable_http_unprintable_char_filter = true
"""


def urls(cluster: Cluster) -> list[str]:
    """The leader's first."""
    leader = cluster.leader()
    others = [agent for agent in cluster.agents if agent is not leader and agent.running]
    return [leader.http_url, *(agent.http_url for agent in others)]


def check(names: list[str], nodes: list[str], tags: set[str]) -> None:
    results = play_all(names, nodes, tags, PARALLEL)
    print(f"{summary(results)} on {len(nodes)} servers")
    judge(results)


def test_one_server(shared_server: Cluster) -> None:
    check([*FAST, *OWN_SERVICES], urls(shared_server), {"plain"})


def test_three_servers(shared_servers: Cluster) -> None:
    check(OF_THREE, urls(shared_servers), {"plain"})


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_everything_on_one_server(shared_server: Cluster) -> None:
    check([*WHOLE, *AGENT_FILES], urls(shared_server), {"plain"})


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_everything_on_three_servers(shared_servers: Cluster) -> None:
    check([*WHOLE, *AGENT_FILES, "agent-cluster"], urls(shared_servers), {"plain"})


@pytest.mark.slow
def test_before_there_is_a_leader(tmp_path: Path) -> None:
    with Cluster(tmp_path, size=1, expect=3) as cluster:
        cluster.agents[0].start()
        check(["no-leader"], [cluster.agents[0].http_url], {"no-leader"})
    cluster.assert_no_tracebacks()


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_after_the_quorum_was_lost(tmp_path: Path) -> None:
    with Cluster(tmp_path, size=3) as cluster:
        cluster.start()
        cluster.agents[0].kv_put("quorum/kept", b"v")
        last = cluster.agents[2]
        wait_for("the last server has the key", lambda: last.kv_get("quorum/kept", "stale") == b"v")
        for agent in cluster.agents[:2]:
            agent.kill9()
        clock = SystemClock()
        killed = clock.monotonic()
        wait_for("the last server knows no leader", lambda: last.leader_address() == "")
        wait_for("the others have been gone for long enough", lambda: clock.monotonic() - killed > LOST_QUORUM_AFTER_S)
        check(["lost-quorum"], [last.http_url], {"lost-quorum"})
    cluster.assert_no_tracebacks()


@pytest.mark.slow
def test_a_configured_http_layer(tmp_path: Path) -> None:
    config = tmp_path / "http.hcl"
    config.write_text(HTTP_CONFIG)
    with Cluster(tmp_path, size=1, extra=["-config-file", str(config)]) as cluster:
        cluster.agents[0].start()
        cluster.agents[0].wait_for_leader()
        check(["http-config"], [cluster.agents[0].http_url], {"http-config"})
    cluster.assert_no_tracebacks()


@pytest.mark.slow
def test_development_mode(tmp_path: Path) -> None:
    with Cluster(tmp_path, size=0) as cluster:
        address = cluster.block.address(1)
        agent = cluster.add(AgentProcess("dev", address, tmp_path, ["-dev", "-bind", address, "-client", address]))
        agent.start()
        agent.wait_for_leader()
        check(["dev-mode"], [agent.http_url], {"dev"})
    cluster.assert_no_tracebacks()


def test_every_recording_has_a_set_up() -> None:
    """No file, and no scenario of one, is left out of the runs above without being named."""
    tags = {"plain", "dev", "no-leader", "lost-quorum", "http-config"}
    for name in files(KV):
        shown = scenarios_of(name, tags, 3)
        assert len(shown) == len(scenarios_of(name, tags, 99)), f"{name} needs a set-up that no test has"
    assert set(AGENT_FILES) <= set(files(AGENT))
