"""What agents tell of each other: members and their tags, who failed, left or is refused, events, coordinates."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator

import pytest

from pyconsul.testing.processes import AgentProcess, Cluster, run_command, sees, wait_for, whole_cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A server and two clients that stay."""
    with whole_cluster(tmp_path_factory.mktemp("members"), 1) as cluster:
        for number in (8, 9):
            cluster.new_client(number).start()
        for agent in [cluster.agents[0], *cluster.clients]:
            wait_for("all know each other", lambda agent=agent: sees(agent, {"docker1", "client8", "client9"}))  # type: ignore[misc]
        yield cluster


@pytest.fixture
def server(cluster: Cluster) -> AgentProcess:
    return cluster.agents[0]


def command(agent: AgentProcess, *arguments: str) -> str:
    """What ``pyconsul ARGUMENTS`` prints; it must succeed."""
    done = run_command(*arguments, address=agent.address)
    assert done.returncode == 0, done
    return done.stdout


def test_members_in_detail(server: AgentProcess) -> None:
    rows = {line.split()[0]: line.split() for line in command(server, "members", "-detailed").splitlines()}
    assert rows["Node"] == ["Node", "Address", "Status", "Tags"]
    name, address, status, tags = rows["docker1"]
    assert (name, address, status) == ("docker1", f"{server.address}:8301", "alive")
    assert [tag.partition("=")[0] for tag in tags.split(",")] == [
        "acls", "ap", "bootstrap", "build", "dc", "ft_fs", "ft_si", "id", "port", "raft_vsn", "role", "segment",
        "vsn", "vsn_max", "vsn_min", "wan_join_port",
    ]  # fmt: skip
    assert "segment=<all>" in tags
    assert [tag.partition("=")[0] for tag in rows["client9"][3].split(",")] == [
        "acls", "ap", "build", "dc", "id", "role", "segment", "vsn", "vsn_max", "vsn_min",
    ]  # fmt: skip
    assert command(server, "members", "-status=alive").count("client") == 4
    assert run_command("members", "-status=failed", address=server.address).returncode == 2


@pytest.mark.slow
def test_a_failed_member_is_forced_to_leave(cluster: Cluster, server: AgentProcess) -> None:
    gone = [cluster.new_client(number) for number in (21, 22)]
    for agent in gone:
        agent.start()
    for agent in gone:
        wait_for(f"{agent.name} is there", lambda agent=agent: agent.name in server.catalog())  # type: ignore[misc]
    for agent in gone:
        agent.kill9()
    names = {agent.name for agent in gone}
    wait_for("both failed", lambda: {server.members()[name] for name in names} == {4}, 60)
    health = server.request("GET", "/v1/health/node/client21").json()
    assert [(check["CheckID"], check["Status"]) for check in health] == [("serfHealth", "critical")]

    assert command(server, "force-leave", "client21") == ""
    wait_for("it has left", lambda: server.members()["client21"] == 3)
    assert command(server, "force-leave", "-prune", "client22") == ""
    wait_for("it is forgotten", lambda: "client22" not in server.members())
    wait_for("both are out of the catalog", lambda: not names & server.catalog())
    for other in ("client8", "client9"):
        agent = next(each for each in cluster.clients if each.name == other)
        wait_for("the others agree", lambda agent=agent: agent.members().get("client21") == 3)  # type: ignore[misc]
        wait_for("the others forget it", lambda agent=agent: "client22" not in agent.members())  # type: ignore[misc]
    unknown = run_command("force-leave", "nosuch", address=server.address)
    assert (unknown.returncode, "agent: No node found with name 'nosuch'" in unknown.stderr) == (1, True)


def test_a_living_member_refutes_that_it_left(cluster: Cluster, server: AgentProcess) -> None:
    command(server, "force-leave", "client8")
    wait_for("it is alive", lambda: server.members()["client8"] == 1)
    assert "client8" in server.catalog()


def test_an_event_reaches_those_whom_it_concerns(cluster: Cluster, server: AgentProcess) -> None:
    client8, client9 = cluster.clients[:2]
    everyone = command(client8, "event", "-name=deploy", "1.2.3").split()[-1]
    some = command(server, "event", "-name=restart", "-node=client9").split()[-1]

    def ids(agent: AgentProcess) -> list[str]:
        return [event["ID"] for event in agent.request("GET", "/v1/event/list").json()]

    wait_for("client9 has both", lambda: sorted(ids(client9)) == sorted([everyone, some]))
    for agent in (server, client8):
        wait_for("the others have one", lambda agent=agent: ids(agent) == [everyone])  # type: ignore[misc]
    event = client8.request("GET", "/v1/event/list?name=deploy").json()[0]
    assert (event["Name"], base64.b64decode(event["Payload"])) == ("deploy", b"1.2.3")


def test_who_does_not_belong_is_refused(cluster: Cluster, server: AgentProcess) -> None:
    own_id = server.request("GET", "/v1/agent/self").json()["Config"]["NodeID"]
    other = cluster.new_client(31, ["-datacenter", "dc2"])
    twin = cluster.new_client(32, ["-node-id", own_id])
    namesake = cluster.new_client(33, name="client9")
    for agent in (other, twin, namesake):
        agent.folder = cluster.folder / agent.address
        agent.folder.mkdir()
        agent.log_path = agent.folder / "log"
        agent.arguments[1] = str(agent.folder / "data")
        agent.start()
    refused = other.request("PUT", f"/v1/agent/join/{server.address}")
    assert refused.status == 500
    assert re.search(rb"Member '\w+' part of wrong datacenter 'dc1'", refused.body), refused
    refused = twin.request("PUT", f"/v1/agent/join/{server.address}")
    assert refused.status == 500
    assert f"Member 'docker1' has conflicting node ID '{own_id}' with this agent's ID".encode() in refused.body
    wait_for("the name is in use", lambda: "Conflicting address for client9" in server.log())
    members = {one["Name"]: one["Addr"] for one in server.request("GET", "/v1/agent/members").json()}
    assert members["client9"] == cluster.clients[1].address
    assert "client31" not in members
    for agent in (other, twin, namesake):
        agent.close()


def test_a_member_that_stops_for_three_seconds_is_not_given_up(cluster: Cluster, server: AgentProcess) -> None:
    client = cluster.clients[0]
    before = server.log().count("EventMemberFailed: client8")
    client.pause()
    threading.Event().wait(3.0)  # the length is what is tested
    client.resume()
    wait_for("it answers", lambda: client.request("GET", "/v1/agent/self").status == 200)
    for agent in (server, *cluster.clients[:2]):
        wait_for("it is taken for alive", lambda agent=agent: agent.members()["client8"] == 1)  # type: ignore[misc]
    assert server.log().count("EventMemberFailed: client8") == before
    assert "client8" in server.catalog()


def coordinate(place: float) -> bytes:
    vector = [place, 0, 0, 0, 0, 0, 0, 0]
    return json.dumps({"Node": "far", "Coord": {"Vec": vector, "Error": 1.5, "Adjustment": 0, "Height": 0}}).encode()


@pytest.mark.slow
def test_a_coordinate_is_set_by_request(cluster: Cluster, server: AgentProcess) -> None:
    """Servers gather them for 5 s."""
    body = b'{"Node": "far", "Address": "192.0.2.1"}'
    assert server.request("PUT", "/v1/catalog/register", body).status == 200
    client = cluster.clients[0]
    assert client.request("GET", "/v1/coordinate/node/far").status == 404
    assert client.request("PUT", "/v1/coordinate/update", coordinate(0.5)).status == 200
    assert client.request("PUT", "/v1/coordinate/update", coordinate(0.25)).status == 200
    wait_for("it is written", lambda: client.request("GET", "/v1/coordinate/node/FAR").status == 200)
    found = client.request("GET", "/v1/coordinate/node/FAR").json()
    assert [(one["Node"], one["Coord"]["Vec"][0]) for one in found] == [("FAR", 0.25)]
    assert command(server, "rtt", "far", "far").startswith("Estimated far <-> far rtt: 0.000 ms (using LAN")
    assert server.request("PUT", "/v1/catalog/deregister", b'{"Node": "far"}').status == 200
    wait_for("it goes with its node", lambda: client.request("GET", "/v1/coordinate/node/far").status == 404)


@pytest.mark.slow
def test_agents_tell_their_coordinates(cluster: Cluster, server: AgentProcess) -> None:
    """Each sends its own 15 to 30 s after its start; they are gathered for 5 s."""

    def nodes() -> set[str]:
        return {one["Node"] for one in server.request("GET", "/v1/coordinate/nodes").json()}

    wait_for("all have sent theirs", lambda: nodes() >= {"docker1", "client8", "client9"}, 90)
    shown = re.compile(r"Estimated client9 <-> docker1 rtt: \d+\.\d{3} ms \(using LAN coordinates\)\n")
    assert shown.fullmatch(command(cluster.clients[1], "rtt", "client9", "docker1"))
    wan = command(server, "rtt", "-wan", "docker1.dc1", "docker1.dc1")
    assert wan.endswith("(using WAN coordinates)\n")
    unknown = run_command("rtt", "nosuch", address=server.address)
    assert (unknown.returncode, 'Could not find a coordinate for node "nosuch"' in unknown.stderr) == (1, True)
