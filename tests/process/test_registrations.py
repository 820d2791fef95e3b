"""Engines registered as dockerd registers them, each through the server of its host, while servers die and return."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from pyconsul.testing.processes import AgentProcess, Cluster, wait_for

FLAGS = 3304740253564472344
SESSION = b'{"Behavior":"delete","LockDelay":"1ms","TTL":"30s"}\n'


GIVEN_UP_S = 35.0
"""Long before the session's TTL would end it, which is 60 s at the latest: its node is what ended it."""


def key_of(agent: AgentProcess) -> str:
    return f"docker/nodes/{agent.address}:2375"


def register(agent: AgentProcess) -> str:
    """The heartbeat's steps 2 to 6; returns the session."""
    created = agent.request("PUT", "/v1/session/create", SESSION)
    assert created.status == 200, created
    session = str(created.json()["ID"])
    taken = agent.request("PUT", f"/v1/kv/{key_of(agent)}?acquire={session}&flags={FLAGS}")
    assert (taken.status, taken.body.strip()) == (200, b"true"), taken
    assert renew(agent, session) == 200
    value = f"{agent.address}:2375".encode()
    written = agent.request("PUT", f"/v1/kv/{key_of(agent)}?flags={FLAGS}", value)
    assert (written.status, written.body.strip()) == (200, b"true"), written
    return session


def renew(agent: AgentProcess, session: str) -> int:
    return agent.request("PUT", f"/v1/session/renew/{session}").status


def registered(agent: AgentProcess) -> dict[str, dict[str, Any]]:
    """The entries of all engines, as ``agent`` lists them."""
    answer = agent.request("GET", "/v1/kv/docker/nodes/?recurse")
    if answer.status == 404:
        return {}
    assert answer.status == 200, answer
    return {entry["Key"]: entry for entry in answer.json()}


def held_by(agent: AgentProcess, sessions: dict[str, str]) -> bool:
    """Whether exactly these keys are there, each held by its session and with what the heartbeat wrote."""
    entries = registered(agent)
    for key, entry in entries.items():
        assert entry["Flags"] == FLAGS, entry
        assert base64.b64decode(entry["Value"]).decode() == key.removeprefix("docker/nodes/"), entry
    return {key: entry.get("Session") for key, entry in entries.items()} == sessions


@pytest.fixture
def three_servers(shared_servers: Cluster) -> Cluster:
    """Without the engines of the test before."""
    shared_servers.wait_until_whole()
    leader = shared_servers.leader()
    for entry in registered(leader).values():
        assert leader.request("PUT", f"/v1/session/destroy/{entry['Session']}").status == 200
    assert registered(leader) == {}
    return shared_servers


def test_engines_stay_registered_while_their_own_server_lives(three_servers: Cluster) -> None:
    agents = three_servers.agents
    sessions = {key_of(agent): register(agent) for agent in agents}
    for agent in agents:
        assert held_by(agent, sessions)

    dead = three_servers.leader()
    others = [agent for agent in agents if agent is not dead]
    index = others[0].request("GET", "/v1/kv/docker/nodes/?recurse").headers["x-consul-index"]
    dead.kill9()
    left = {key: session for key, session in sessions.items() if key != key_of(dead)}
    wait_for("the engine of the dead server is gone, the others are not", lambda: held_by(others[0], left), GIVEN_UP_S)
    woken = others[1].request("GET", f"/v1/kv/docker/nodes/?recurse&index={index}&wait=10s")
    assert len(woken.json()) == 2, "a watch with the index from before the death must answer at once"
    for agent in others:
        assert renew(agent, sessions[key_of(agent)]) == 200

    dead.start()
    dead.wait_for_leader()
    again = wait_for("the engine can register again", lambda: register(dead))
    assert held_by(others[0], {**left, key_of(dead): again})


def test_engines_stay_registered_through_a_restart_of_all_servers(three_servers: Cluster) -> None:
    agents = three_servers.agents
    sessions = {key_of(agent): register(agent) for agent in agents}
    for agent in agents:
        agent.kill9()
    for agent in agents:
        agent.start(wait=False)
    for agent in agents:
        agent.wait_until_serving()
    three_servers.wait_until_whole()
    for agent in agents:
        assert held_by(agent, sessions), json.dumps(registered(agent))
        assert renew(agent, sessions[key_of(agent)]) == 200


def test_engines_stay_registered_while_servers_restart_one_after_the_other(three_servers: Cluster) -> None:
    """An upgrade: a server that is back before the others take it for dead loses nobody."""
    agents = three_servers.agents
    sessions = {key_of(agent): register(agent) for agent in agents}
    for agent in agents:
        agent.terminate()
        agent.start()
        three_servers.wait_until_whole()
        for each in agents:
            assert held_by(each, sessions), json.dumps(registered(each))
