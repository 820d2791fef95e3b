"""Recordings of three servers and a client, played in their order against real agents: join, members, raft, autopilot,
events, leaving, deaths."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from cli_agents import Stage, sorted_lines
from cli_recordings import Recording, load

from pyconsul.testing.processes import AgentProcess, sees, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

APART = "docker1, docker2 and docker3 (127.0.0.43, .44, .45) each started"
TOGETHER = "docker1, docker2 and docker3 (127.0.0.43, .44, .45) joined"
TWO = "docker1 and docker2 joined, docker3 alone"
PATIENCE_S = 60.0
VOTES_S = 120.0
"""The recordings set a time of stabilization of 15 s."""
COORDINATES_S = 90.0
"""An agent tells its coordinate every 15 to 30 s; the servers gather for 5 s what they are told."""
HTTP_ADDR = "CONSUL_HTTP_ADDR"
NEEDS_NO_PATIENCE = re.compile(r"^(join|leave|force-leave|event|exec)$")

NO_FILTER = "-filter is not served by the catalog's endpoints yet: they answer with everything"
EXCEPTIONS = {
    "members: unknown flag -filter": "1.16 has this flag, and so have we",
    "operator raft: list-peers -stale without leader": "-stale answers without a leader: with what this server knows",
    "snapshot: save without leader": "snapshot files are not served yet: the commands refuse",
    "rtt: one node: the agent is the other": "whether a fresh client is known yet is a matter of time",
    "catalog: nodes -near=_agent": "how far the nodes are is a matter of the moment",
    **{
        f"catalog: nodes -filter{name}": NO_FILTER
        for name in ("", " without match", " invalid", " unknown field", " from stdin")
    },
    "operator raft: list-peers shortly after the join": "whether the third server has its vote yet is a matter of time",
    "operator autopilot: state right after a change of leader": "ours has a state from its first moment as leader",
}

NODE_ID = re.compile(r"\b[0-9a-f]{8}\b(?!-)")
INFO_VALUE = re.compile(r"^(\t(?!acl|bootstrap|known|leader |server|version = 1|protocol|prerelease).*? =).*$", re.M)
RTT = re.compile(r"rtt: [0-9.]+ ms")
PORTS = re.compile(r"read tcp 127.0.0.\d+:\d+->127.0.0.\d+:\d+: read: .*")
STATE = re.compile(
    r"((?:Last Contact|Last Term|Last Index|Failure Tolerance|Leader|Status):\s+|"
    r'"(?:LastContact|StableSince|Status)": |'
    r'"(?:LastTerm|LastIndex|FailureTolerance|OptimisticFailureTolerance)": |"Leader": )[^\n,]*'
)
VOTER_LINE = re.compile(r'^ {8}"[0-9a-f-]{36}",?\n', re.M)
"""Whether the third server has its vote yet is a matter of time."""
LATER_TAGS = re.compile(r",ap=default|(?<=,build=1.16.1:)pyconsul")
PARTITION = re.compile(r"  (?:Partition|default  )(?=  (?:Segment|<))")
PEER_COLUMNS = re.compile(r"^(Node .*  RaftProtocol|.*  (?:true|false)   3)  .*$", re.M)
"""What 1.16, whose form we print, shows beyond the recorded 1.10."""
SECONDS = re.compile(r"Completed in [0-9.]+ seconds")
"""What the notes of the recordings say to vary."""


def masked(recording: Recording, text: str) -> str:
    text = RTT.sub("rtt: TIME", NODE_ID.sub("NODEID", PORTS.sub("REASON", SECONDS.sub("SECONDS", text))))
    if recording.group == "members":
        text = LATER_TAGS.sub("", PARTITION.sub("", text))
    if "list-peers" in recording.argv:
        text = PEER_COLUMNS.sub(r"\1", text)
    if recording.group == "info":
        text = INFO_VALUE.sub(r"\1 VALUE", text)
    if recording.argv[:3] == ["operator", "autopilot", "state"]:
        text = VOTER_LINE.sub("", text)
        text = "".join(sorted(set(STATE.sub(r"\1VALUE", text).splitlines(keepends=True))))
    if "list-peers" in recording.argv or "-near=_agent" in recording.argv:
        text = sorted_lines(re.sub(r"leader  |follower", "ROLE    ", text))
    return text


class Cluster(Stage):
    """What happens between the recordings. Each change is made once, when the first setup names it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        for number in (1, 2, 3):
            self.agent(f"docker{number}", 42 + number, "-bootstrap-expect", "2")
        self.done: set[str] = set()

    def once(self, what: str) -> bool:
        new = what not in self.done
        self.done.add(what)
        return new

    def leads(self, name: str) -> AgentProcess:
        """Makes this server the leader."""
        agent = self.agents[name]

        def does() -> bool:
            if agent.leader_address().startswith(f"{agent.address}:"):
                return True
            node_id = agent.request("GET", "/v1/agent/self").json()["Config"]["NodeID"]
            agent.request("PUT", f"/v1/operator/raft/transfer-leader?id={node_id}")
            return False

        wait_for(f"{name} leads", does)
        return agent

    def status(self, name: str, status: int) -> None:
        for agent in self.agents.values():
            if agent.running and agent.name != name:
                wait_for(
                    f"{agent.name} sees {name} with status {status}",
                    partial(lambda agent: agent.members().get(name) == status, agent),
                )

    def together(self, *names: str) -> None:
        for name in names:
            wait_for(f"{name} sees all", partial(sees, self.agents[name], set(names)))
        first = self.agents[names[0]]
        servers = {name for name in names if name.startswith("docker")}
        wait_for(f"{names} are in the catalog", lambda: first.catalog() >= set(names))
        wait_for(f"{servers} vote", lambda: first.voters() >= servers, VOTES_S)

    def located(self, recording: Recording) -> None:
        """``rtt`` asks what the agents tell of themselves only now and then: waits until both nodes are there."""
        asked = next(each for each in self.agents.values() if each.address in self.here(recording.env[HTTP_ADDR]))
        names = {word for word in recording.argv[1:] if not word.startswith("-")}
        wan = "-wan" in recording.argv
        if len(names) == 1:
            names.add(f"{asked.name}.dc1" if wan else asked.name)

        def known() -> set[str]:
            if wan:
                areas = asked.request("GET", "/v1/coordinate/datacenters").json()
                return {f"{one['Node']}.{area['Datacenter']}" for area in areas for one in area["Coordinates"]}
            return {one["Node"] for one in asked.request("GET", "/v1/coordinate/nodes").json()}

        wait_for(f"{asked.name} knows where {sorted(names)} are", lambda: known() >= names, COORDINATES_S)

    def prepare(self, recording: Recording) -> None:
        setup = recording.setup
        if setup.startswith(TOGETHER) and self.once("together"):
            self.leads("docker2")
        if recording.group == "rtt" and recording.exit == 0:
            self.located(recording)
        if recording.title == "operator raft: list-peers":
            self.together("docker1", "docker2", "docker3")
            self.leads("docker2")
        if "client1 (127.0.0.46) joined" in setup and self.once("client"):
            client = self.agent("client1", 46, "-retry-join", self.block.address(43), server=False)
            client.start()
            self.together("docker1", "docker2", "docker3", "client1")
        if "client1 was killed" in setup and self.once("client killed"):
            self.agents["client1"].kill9()
            self.status("client1", 4)
        if recording.title == "leave: extra argument":
            self.agents["client1"].start()
            self.together("docker1", "docker2", "docker3", "client1")
        if "docker3 left and was started again" in setup and self.once("docker3 again"):
            self.agents["docker3"].wait_exit()
            self.agents["docker3"].start()
        if "docker3 left, came" in setup and self.once("docker3 joins"):
            self.agents["docker3"].request("PUT", f"/v1/agent/join/{self.block.address(43)}")
            self.together("docker1", "docker2", "docker3")
        if "the leader was killed" in setup and self.once("leader killed"):
            self.leads("docker2").kill9()
            self.status("docker2", 4)
            self.leads("docker1")
        if recording.title == "force-leave: failed server":
            self.status("docker2", 4)
        if recording.title == "operator raft: remove-peer by id":
            self.agents["docker2"].start()
            self.agents["docker2"].request("PUT", f"/v1/agent/join/{self.block.address(43)}")
            self.together("docker1", "docker2", "docker3")
            self.leads("docker1")
        if recording.title == "leave: leader server":
            self.together("docker1", "docker2", "docker3")
            self.leads("docker1")

    def ids(self, recording: Recording) -> Recording:
        """``-id`` of the recorded docker2 is that of ours."""
        if recording.name != "remove-peer by id":
            return recording
        node_id = self.agents["docker2"].request("GET", "/v1/agent/self").json()["Config"]["NodeID"]
        argv = [f"-id={node_id}" if word.startswith("-id=") else word for word in recording.argv]
        return Recording(**{name: getattr(recording, name) for name in Recording.__struct_fields__} | {"argv": argv})


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.close()


def test_recordings_of_three_servers(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(cluster.folder)
    for agent in cluster.agents.values():
        agent.start(wait=False)
    for agent in cluster.agents.values():
        agent.wait_until_serving()
    for recording in load():
        if not recording.setup.startswith((APART, TOGETHER, TWO)):
            continue
        cluster.prepare(recording)
        patience_s = 0 if NEEDS_NO_PATIENCE.match(recording.group) else PATIENCE_S
        if recording.exit == 1:
            patience_s = 0
        cluster.play(cluster.ids(recording), EXCEPTIONS, partial(masked, recording), patience_s)
    cluster.report("three servers and a client")
