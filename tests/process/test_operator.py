"""What operators do to a running cluster: autopilot, peers, leadership, leaving."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from pyconsul.testing.processes import AgentProcess, Cluster, Response, run_command, wait_for

CONFIGURATION = "/v1/operator/autopilot/configuration"
HEALTH = "/v1/operator/autopilot/health"
STATE = "/v1/operator/autopilot/state"
PEER = "/v1/operator/raft/peer"
TRANSFER = "/v1/operator/raft/transfer-leader"


def servers(agent: AgentProcess) -> dict[str, dict[str, Any]]:
    """The Raft configuration by node name."""
    answer = agent.request("GET", "/v1/operator/raft/configuration")
    assert answer.status == 200, answer
    return {server["Node"]: server for server in answer.json()["Servers"]}


def health(agent: AgentProcess) -> dict[str, Any] | None:
    answer = agent.request("GET", HEALTH)
    assert answer.status in (200, 429), answer
    found: dict[str, Any] = answer.json()
    assert found["Healthy"] == (answer.status == 200)
    return found


def healthy(agent: AgentProcess, count: int) -> bool:
    found = health(agent)
    return found is not None and found["Healthy"] and len(found["Servers"]) == count


class TestAutopilot:
    def test_configuration_written_at_one_is_read_at_all(self, shared_servers: Cluster) -> None:
        first, *others = shared_servers.agents
        before = first.request("GET", CONFIGURATION).json()
        assert before["CleanupDeadServers"] is True
        changed = {**before, "MaxTrailingLogs": 300, "LastContactThreshold": "1500ms"}
        target = f"{CONFIGURATION}?cas={before['ModifyIndex']}"
        for body, written in ((changed, b"true"), (before, b"false")):
            answer = others[0].request("PUT", target, json.dumps(body).encode())
            assert (answer.status, answer.body.strip()) == (200, written)
        for agent in shared_servers.agents:
            after = agent.request("GET", CONFIGURATION).json()
            assert (after["MaxTrailingLogs"], after["LastContactThreshold"]) == (300, "1.5s")
            assert after["CreateIndex"] == before["CreateIndex"]
            assert after["ModifyIndex"] > before["ModifyIndex"]
        back = {name: value for name, value in before.items() if not name.endswith("Index")}
        assert first.request("PUT", CONFIGURATION, json.dumps(back).encode()).body.strip() == b"true"

    def test_health_and_state_are_the_leaders_at_all(self, shared_servers: Cluster) -> None:
        leader = shared_servers.leader()
        for agent in shared_servers.agents:
            wait_for(f"{agent.name} calls all healthy", lambda agent=agent: healthy(agent, 3))  # type: ignore[misc]
            found = health(agent)
            assert found is not None
            assert found["FailureTolerance"] == 1
            assert [each["Name"] for each in found["Servers"] if each["Leader"]] == [leader.name]
            state = agent.request("GET", STATE).json()
            assert state["Voters"][0] == state["Leader"]
            assert state["Servers"][state["Leader"]]["Name"] == leader.name
            statuses = sorted(each["Status"] for each in state["Servers"].values())
            assert statuses == ["leader", "voter", "voter"]
            assert {each["Meta"]["consul-network-segment"] for each in state["Servers"].values()} == {""}

    def test_commands(self, shared_servers: Cluster) -> None:
        address = shared_servers.agents[1].address
        done = run_command("operator", "autopilot", "set-config", "-min-quorum=3", address=address)
        assert (done.returncode, done.stdout) == (0, "Configuration updated!\n"), done
        done = run_command("operator", "autopilot", "get-config", address=address)
        assert "MinQuorum = 3\n" in done.stdout, done
        done = run_command("operator", "autopilot", "set-config", "-min-quorum=0", address=address)
        assert done.returncode == 0, done
        done = run_command("operator", "autopilot", "state", address=address)
        assert done.returncode == 0, done
        assert done.stdout.startswith("Healthy:"), done

    @pytest.mark.slow
    @pytest.mark.timeout(600)
    def test_dead_server_is_removed_and_comes_back(self, tmp_path: Path) -> None:
        with Cluster(tmp_path, size=3) as cluster:
            cluster.start()
            dead, other = cluster.followers()
            dead.kill9()
            wait_for(f"{dead.name} is failed", lambda: other.members()[dead.name] == 4)
            wait_for(f"{dead.name} is out of Raft", lambda: dead.name not in servers(other), 90.0)
            wait_for(f"{dead.name} has left", lambda: other.members()[dead.name] == 3)
            wait_for(f"{dead.name} is out of the catalog", lambda: dead.name not in other.catalog())
            other.kv_put("meanwhile", b"1")
            dead.start()
            wait_for(f"{dead.name} votes again", lambda: dead.name in other.voters(), 90.0)
            assert dead.kv_get("meanwhile", "consistent") == b"1"
            cluster.assert_no_tracebacks()

    @pytest.mark.slow
    @pytest.mark.timeout(600)
    def test_dead_servers_stay_where_the_configuration_says_so(self, tmp_path: Path) -> None:
        with Cluster(tmp_path, size=3, extra=["-hcl", "autopilot { min_quorum = 3 }"]) as cluster:
            cluster.start()
            dead, other = cluster.followers()
            dead.kill9()
            wait_for(f"{dead.name} is failed", lambda: other.members()[dead.name] == 4)
            found = wait_for(f"{dead.name} is unhealthy", lambda: not healthy(other, 3) and health(other))
            assert isinstance(found, dict) and found["FailureTolerance"] == 0
            until = time.monotonic() + 25.0  # two rounds of clean-up
            while time.monotonic() < until:
                assert dead.name in servers(other)
                time.sleep(1.0)
            assert other.members()[dead.name] == 4


class TestRaftPeers:
    def test_refusals(self, shared_servers: Cluster) -> None:
        leader, follower = shared_servers.leader(), shared_servers.followers()[0]
        unknown = 'address "127.0.0.1:1" was not found in the Raft configuration'
        for agent, text in ((leader, unknown), (follower, "rpc error making call: " + unknown)):
            answer = agent.request("DELETE", f"{PEER}?address=127.0.0.1:1")
            assert (answer.status, answer.body.decode()) == (500, text)
        answer = follower.request("PUT", f"{TRANSFER}?id=nobody")
        assert answer.status == 500
        assert 'id "nobody" was not found' in answer.body.decode()

    @pytest.mark.slow
    @pytest.mark.timeout(600)
    def test_removed_peer_that_lives_comes_back(self, tmp_path: Path) -> None:
        with Cluster(tmp_path, size=3) as cluster:
            cluster.start()
            removed, asked = cluster.followers()
            address = f"{removed.address}:8300"
            done = run_command("operator", "raft", "remove-peer", f"-address={address}", address=asked.address)
            assert (done.returncode, done.stdout) == (0, f'Removed peer with address "{address}"\n'), done
            assert removed.name not in servers(asked)
            wait_for("the two that stay are healthy", lambda: healthy(asked, 2))
            wait_for(f"{removed.name} votes again", lambda: removed.name in asked.voters(), 240.0)
            cluster.assert_no_tracebacks()


class TestLeadership:
    def test_transfer(self, shared_servers: Cluster) -> None:
        old, asked = shared_servers.leader(), shared_servers.followers()[0]
        answer: Response = asked.request("POST", TRANSFER)
        assert (answer.status, answer.json()) == (200, {"Success": True})
        new = shared_servers.leader()
        assert new is not old
        identity = servers(asked)[old.name]["ID"]
        done = run_command("operator", "raft", "transfer-leader", f"-id={identity}", address=asked.address)
        assert (done.returncode, done.stdout) == (0, "Success\n"), done
        assert shared_servers.leader() is old

    @pytest.mark.slow
    def test_leader_that_leaves_hands_over(self, tmp_path: Path) -> None:
        drain = ["-hcl", 'performance { leave_drain_time = "100ms" }']
        with Cluster(tmp_path, size=3, extra=drain) as cluster:
            cluster.start()
            leader = cluster.leader()
            left = cluster.followers()
            assert run_command("leave", address=leader.address).returncode == 0
            assert leader.wait_exit() == 0
            assert "transferring leadership" in leader.log()
            for agent in left:
                wait_for(f"{agent.name} knows another leader", lambda agent=agent: agent.leader_address())  # type: ignore[misc]
            wait_for(f"{leader.name} is out of Raft", lambda: set(servers(left[0])) == {each.name for each in left})
            wait_for(f"{leader.name} is out of the catalog", lambda: leader.name not in left[0].catalog())
            left[0].kv_put("after", b"1")
            cluster.assert_no_tracebacks()


class TestLostMajority:
    def test_recovery_by_peers_json(self, tmp_path: Path) -> None:
        with Cluster(tmp_path, size=3) as cluster:
            cluster.start()
            cluster.leader().kv_put("kept", b"1")
            left = cluster.followers()[0]
            wait_for(f"{left.name} has the key", lambda: left.kv_get("kept", "stale"))
            identity = servers(left)[left.name]["ID"]
            for agent in cluster.agents:
                agent.kill9()
            raft = left.data_dir / "raft"
            assert "peers.json" in (raft / "peers.info").read_text()
            peers = [{"id": identity, "address": f"{left.address}:8300", "non_voter": False}]
            (raft / "peers.json").write_text(json.dumps(peers))
            left.start()
            left.wait_for_leader()
            assert left.kv_get("kept") == b"1"
            left.kv_put("after", b"1")
            assert left.voters() == {left.name}
            assert "found peers.json file, recovering Raft configuration" in left.log()
            assert not (raft / "peers.json").exists()
            left.restart()
            left.wait_for_leader()
            assert left.kv_get("after") == b"1"
            cluster.assert_no_tracebacks()
