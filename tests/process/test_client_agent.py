"""Client agents: members without a copy of the state, whose HTTP API asks the servers that gossip found."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pyconsul.testing.connections import connected_to
from pyconsul.testing.processes import AgentProcess, Cluster, Response, run_command, sees, wait_for

RPC_PORT = 8300


@pytest.fixture(scope="module")
def client(shared_servers: Cluster) -> AgentProcess:
    agent = shared_servers.new_client(9)
    agent.start()
    agent.wait_for_leader()
    wait_for("the client is in the catalog", lambda: "client9" in shared_servers.agents[0].catalog())
    return agent


class Background:
    """A request in a thread of its own; ``result`` waits for the answer."""

    def __init__(self, ask: Callable[[], Response]) -> None:
        self._ask = ask
        self._answer: Response | BaseException = AssertionError("no answer")
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._answer = self._ask()
        except BaseException as error:
            self._answer = error

    @property
    def waits(self) -> bool:
        return self._thread.is_alive()

    def result(self) -> Response:
        self._thread.join(40)
        assert not self._thread.is_alive(), "no answer within 40 s"
        if isinstance(self._answer, BaseException):
            raise self._answer
        return self._answer


def servers_in_use(client: AgentProcess) -> set[str]:
    """Addresses of the servers to which the client has connections."""
    return connected_to(client.pid, RPC_PORT)


def test_it_is_a_member_like_any_other(shared_servers: Cluster, client: AgentProcess) -> None:
    first = shared_servers.agents[0]
    member = next(one for one in first.request("GET", "/v1/agent/members").json() if one["Name"] == "client9")
    assert sorted(member["Tags"]) == [
        "acls", "ap", "build", "dc", "id", "role", "segment", "vsn", "vsn_max", "vsn_min",
    ]  # fmt: skip
    assert (member["Tags"]["role"], member["Tags"]["dc"], member["Status"]) == ("node", "dc1", 1)
    node = first.request("GET", "/v1/catalog/node/client9").json()
    assert (node["Node"]["Address"], node["Services"]) == (client.address, {})
    stats = client.request("GET", "/v1/agent/self").json()["Stats"]
    assert sorted(stats) == ["agent", "build", "consul", "runtime", "serf_lan"]
    assert stats["consul"] == {"acl": "disabled", "known_servers": "3", "server": "false"}
    line = next(row for row in run_command("members", address=client.address).stdout.splitlines() if "client9" in row)
    assert line.split()[1:4] == [f"{client.address}:8301", "alive", "client"]
    assert run_command("members", "-wan", address=client.address).returncode == 2
    refused = client.request("PUT", f"/v1/agent/join/{first.address}?wan=1")
    assert (refused.status, refused.body) == (500, b"Must be a server to join WAN cluster")
    refused = client.request("GET", "/v1/operator/keyring")
    assert (refused.status, refused.body) == (500, b"keyring operations must run against a server node")


def test_requests_are_answered_by_servers(shared_servers: Cluster, client: AgentProcess) -> None:
    client.kv_put("client/a", b"1")
    assert shared_servers.leader().kv_get("client/a") == b"1"
    answer = client.request("GET", "/v1/kv/client/a?pretty")
    assert answer.body.startswith(b"[\n    {\n")
    assert answer.headers["x-consul-knownleader"] == "true"
    assert int(answer.headers["x-consul-index"]) > 0
    assert client.request("GET", "/v1/kv/client/missing").status == 404
    assert client.request("POST", "/v1/status/leader").status == 405
    assert client.request("GET", "/v1/kv/client/a?index=x").body == b"Invalid index"
    odd = client.request("PUT", "/v1/session/create", b'{"TTL": "1s"}')
    assert odd.body == b"rpc error making call: Invalid Session TTL '1000000000', must be between [10s=24h0m0s]"
    assert client.request("GET", "/v1/kv/a?dc=other").body == b"rpc error making call: No path to datacenter"
    for number in range(5):  # more than one part of an answer
        client.kv_put(f"client/large/{number}", bytes([65 + number]) * 400_000)
    path = "/v1/kv/client/large/?recurse"
    assert client.request("GET", path).body == shared_servers.leader().request("GET", path).body
    assert client.request("DELETE", "/v1/kv/client/?recurse").body.strip() == b"true"


def test_a_session_belongs_to_the_node_of_the_client(client: AgentProcess) -> None:
    """What a Docker daemon does with its agent: a session, a lock on a key, renewals, a watch, and the end of it."""
    created = client.request("PUT", "/v1/session/create", b'{"Name": "docker", "TTL": "20s", "Behavior": "delete"}')
    session = created.json()["ID"]
    assert client.request("GET", f"/v1/session/info/{session}").json()[0]["Node"] == "client9"
    assert client.request("PUT", f"/v1/kv/docker/nodes/a?acquire={session}", b"a:2375").body.strip() == b"true"
    assert client.request("PUT", f"/v1/session/renew/{session}").status == 200
    tree = client.request("GET", "/v1/kv/docker/nodes/?recurse")
    assert [entry["Session"] for entry in tree.json()] == [session]
    index = tree.headers["x-consul-index"]
    watch = Background(lambda: client.request("GET", f"/v1/kv/docker/nodes/?recurse&index={index}&wait=30s", b"", 60))
    assert client.request("PUT", f"/v1/session/destroy/{session}").body.strip() == b"true"
    assert watch.result().status == 404


def test_a_lock_through_the_client(client: AgentProcess) -> None:
    done = run_command("lock", "-verbose", "client/lock", "echo locked", address=client.address)
    assert (done.returncode, "locked" in done.stdout) == (0, True), done
    assert client.kv_get("client/lock/.lock") is None


def test_a_service_of_the_client_is_registered(shared_servers: Cluster, client: AgentProcess) -> None:
    body = json.dumps({"Name": "web", "Port": 80, "Check": {"TTL": "60s", "Status": "passing"}}).encode()
    assert client.request("PUT", "/v1/agent/service/register", body).status == 200

    def instances() -> Any:
        return shared_servers.leader().request("GET", "/v1/health/service/web?passing").json()

    found = wait_for("the service is in the catalog", instances)
    assert [(one["Node"]["Node"], one["Service"]["Port"]) for one in found] == [("client9", 80)]
    assert client.request("PUT", "/v1/agent/service/deregister/web").status == 200
    wait_for("the service is gone", lambda: not instances())


def test_the_server_in_use_is_killed(shared_servers: Cluster, client: AgentProcess) -> None:
    client.kv_put("client/watched", b"old")
    index = client.request("GET", "/v1/kv/client/watched").headers["x-consul-index"]
    watch = Background(
        lambda: client.request("GET", f"/v1/kv/client/watched?index={index}&wait=60s", b"", timeout_s=90)
    )
    used = wait_for("the client has a connection", lambda: servers_in_use(client))
    gone = [agent for agent in shared_servers.agents if agent.address in used]
    assert len(gone) == 1, used
    gone[0].kill9()
    client.kv_put("client/after", b"1")  # held until the others have a leader, when it was the leader that died
    assert watch.waits
    client.kv_put("client/watched", b"new")
    answer = watch.result()
    assert (answer.status, answer.json()[0]["Value"]) == (200, "bmV3")
    assert servers_in_use(client).isdisjoint({gone[0].address})
    gone[0].start()
    names = {agent.name for agent in shared_servers.agents}
    wait_for("all servers vote again", lambda: shared_servers.leader().voters() == names)
    wait_for("the client knows all again", lambda: sees(client, names))


def test_it_leaves_when_it_ends(shared_servers: Cluster) -> None:
    agents = [shared_servers.new_client(number) for number in (21, 22, 23)]
    first = shared_servers.agents[0]
    for agent in agents:
        agent.start()
    for agent in agents:
        wait_for("it is registered", lambda name=agent.name: name in first.catalog())  # type: ignore[misc]
    agents[0].signal(signal.SIGTERM)
    agents[1].signal(signal.SIGINT)
    assert agents[2].request("PUT", "/v1/agent/leave", timeout_s=30).status == 200
    for agent in agents:
        assert agent.wait_exit() == 0
        assert first.members()[agent.name] == 3, "left"
        wait_for("it is gone from the catalog", lambda name=agent.name: name not in first.catalog())  # type: ignore[misc]


def test_without_servers(tmp_path: Path) -> None:
    with Cluster(tmp_path, size=1) as cluster:
        agent = cluster.new_client(9)  # its server is not started
        agent.start()
        for path in ("/v1/kv/a", "/v1/status/leader", "/v1/catalog/nodes"):
            answer = agent.request("GET", path)
            assert (answer.status, answer.body) == (500, b"No known Consul servers"), path
        assert agent.members() == {"client9": 1}
        assert agent.request("GET", "/v1/event/list").json() == []
        assert agent.terminate() == 0
    cluster.assert_no_tracebacks()
