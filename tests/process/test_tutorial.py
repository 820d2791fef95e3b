"""The tutorial of Docker's cluster store, word for word with ``pyconsul``, on loopback and in network namespaces."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import netns
import pytest

from pyconsul.testing.processes import PYCONSUL, AddressBlock, AgentProcess, closing_agents, run_command, wait_for

NODES = ("docker1", "docker2", "docker3")
FLAGS = "3304740253564472344"
HEADER = ["Node", "Address", "Status", "Type", "Build", "Protocol", "DC", "Partition", "Segment"]


def console_script() -> Sequence[str]:
    """The installed command ``pyconsul`` beside this Python; else the module that it calls."""
    script = Path(sys.executable).with_name("pyconsul")
    return (str(script),) if script.exists() else PYCONSUL


@dataclass
class Host:
    """A host of the tutorial: where its commands run, and its server."""

    name: str
    address: str
    prefix: Sequence[str]
    http_address: str
    agent: AgentProcess

    def pyconsul(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run_command(*arguments, address=self.http_address, prefix=self.prefix, program=console_script())

    def succeed(self, *arguments: str) -> str:
        done = self.pyconsul(*arguments)
        assert done.returncode == 0, f"{self.name}: pyconsul {' '.join(arguments)}: {done}"
        return done.stdout

    def read(self, key: str) -> str | None:
        done = self.pyconsul("kv", "get", key)
        return done.stdout.removesuffix("\n") if done.returncode == 0 else None

    def leader(self) -> str:
        """Name of the leader, "" while there is none."""
        done = self.pyconsul("operator", "raft", "list-peers")
        rows = [line.split() for line in done.stdout.splitlines()[1:]]
        return next((row[0] for row in rows if "leader" in row), "")


def tutorial_agent(name: str, address: str, client: str, folder: Path, prefix: Sequence[str]) -> AgentProcess:
    agent = AgentProcess(name, address, folder, [], prefix, console_script())
    command = (
        f"-server -bootstrap-expect 2 -data-dir {agent.data_dir} -node={name} -bind={address} -ui -client {client}"
    )
    agent.arguments = command.split()
    return agent


@pytest.fixture
def loopback_hosts(tmp_path: Path) -> Iterator[list[Host]]:
    block = AddressBlock()
    hosts = []
    for number, name in enumerate(NODES, 1):
        address = block.address(number)
        hosts.append(Host(name, address, (), address, tutorial_agent(name, address, address, tmp_path, ())))
    try:
        with closing_agents([host.agent for host in hosts]):
            yield hosts
    finally:
        block.release()


@pytest.fixture
def namespace_hosts(tmp_path: Path) -> Iterator[list[Host]]:
    reason = netns.reason_against()
    if reason:
        pytest.skip(reason)
    with netns.three_hosts() as names:
        hosts = []
        for name, host, address in zip(NODES, names, netns.ADDRESSES, strict=True):
            prefix = netns.in_namespace(host)
            hosts.append(Host(name, address, prefix, "", tutorial_agent(name, address, "0.0.0.0", tmp_path, prefix)))
        with closing_agents([host.agent for host in hosts]):
            yield hosts


def start(host: Host) -> None:
    host.agent.start(wait=False)
    wait_for(f"{host.name} answers", lambda: host.pyconsul("info").returncode == 0)


def members_table(host: Host) -> list[list[str]]:
    """The table's cells; the columns must be aligned under their headings."""
    lines = host.succeed("members").splitlines()
    starts = [lines[0].index(name) for name in lines[0].split()]
    for line in lines[1:]:
        for column in starts[1:]:
            assert line[column - 2 : column] == "  ", "not aligned:\n" + "\n".join(lines)
            assert line[column] != " ", "not aligned:\n" + "\n".join(lines)
    return [line.split() for line in lines]


def all_alive(host: Host) -> list[list[str]] | None:
    table = members_table(host)
    return table if [row[2] for row in table[1:]] == ["alive"] * 3 else None


def register_as_dockerd_does(host: Host) -> None:
    """What an engine leaves in the store: its folder and its own key, written through the server of its host."""
    host.succeed("kv", "put", f"-flags={FLAGS}", "docker/nodes")
    host.succeed("kv", "put", f"-flags={FLAGS}", f"docker/nodes/{host.address}:2375", f"{host.address}:2375")


def play_tutorial(hosts: list[Host]) -> None:
    for host in hosts:
        start(host)
    for host in hosts[1:]:
        said = host.succeed("join", hosts[0].address)
        assert said == "Successfully joined cluster by contacting 1 nodes.\n"

    for host in hosts:
        table = wait_for(f"{host.name} shows three alive servers", lambda host=host: all_alive(host))  # type: ignore[misc]
        assert table[0] == HEADER
        for row, other in zip(table[1:], hosts, strict=True):
            assert row == [
                other.name,
                f"{other.address}:8301",
                "alive",
                "server",
                "1.16.1",
                "2",
                "dc1",
                "default",
                "<all>",
            ]

    for host in hosts:
        wait_for(f"{host.name} sees a leader", host.leader)
        wait_for(f"{host.name} accepts a write", lambda host=host: host.pyconsul("kv", "put", "ready").returncode == 0)  # type: ignore[misc]
    for host in hosts:
        register_as_dockerd_does(host)
        for other in hosts:
            assert other.read(f"docker/nodes/{host.address}:2375") == f"{host.address}:2375"

    peers = hosts[0].succeed("operator", "raft", "list-peers")
    wait_for("all three vote", lambda: hosts[0].succeed("operator", "raft", "list-peers").count("true") == 3)
    assert all(f"{host.address}:8300" in peers for host in hosts)


def survive_the_leader(hosts: list[Host]) -> None:
    name = hosts[0].leader()
    leader = next(host for host in hosts if host.name == name)
    left = [host for host in hosts if host is not leader]
    leader.agent.kill9()
    for number, host in enumerate(left):
        written = wait_for(
            f"{host.name} accepts a write without {name}",
            lambda host=host, number=number: host.pyconsul("kv", "put", f"after/{number}", "x").returncode == 0,  # type: ignore[misc]
        )
        assert written
    for host in left:
        assert [host.read(f"after/{number}") for number in range(len(left))] == ["x", "x"]
        wait_for(
            f"{host.name} shows {name} failed",
            lambda host=host: members_table(host)[1 + NODES.index(name)][2] == "failed",  # type: ignore[misc]
        )
        assert host.read(f"docker/nodes/{leader.address}:2375") == f"{leader.address}:2375"


def survive_a_restart_of_all(hosts: list[Host]) -> None:
    before = sorted(f"docker/nodes/{host.address}:2375:{host.address}:2375" for host in hosts)
    for host in hosts:
        if host.agent.running:
            host.agent.terminate()
    for host in hosts:
        start(host)
    for host in hosts:
        wait_for(f"{host.name} has a leader again", host.leader)
        wait_for(f"{host.name} shows three alive servers again", lambda host=host: all_alive(host))  # type: ignore[misc]
        found = host.succeed("kv", "get", "-recurse", "docker/nodes/").splitlines()
        assert found == before
        assert host.read("after/0") == "x"
        assert f"Flags            {FLAGS}" in host.succeed("kv", "get", "-detailed", "docker/nodes")


def test_tutorial_on_loopback(loopback_hosts: list[Host]) -> None:
    play_tutorial(loopback_hosts)
    survive_the_leader(loopback_hosts)
    survive_a_restart_of_all(loopback_hosts)


@pytest.mark.slow
def test_tutorial_in_namespaces(namespace_hosts: list[Host]) -> None:
    play_tutorial(namespace_hosts)
    survive_the_leader(namespace_hosts)
    survive_a_restart_of_all(namespace_hosts)


def test_namespaces_are_cleaned_up() -> None:
    reason = netns.reason_against()
    if reason:
        pytest.skip(reason)
    with pytest.raises(ZeroDivisionError), netns.three_hosts() as hosts:
        reached = subprocess.run(
            [*netns.in_namespace(hosts[0]), "ip", "neigh", "show"], capture_output=True, check=False, timeout=10
        )
        assert reached.returncode == 0
        raise ZeroDivisionError
    assert not any(name in netns.run_ip("netns", "list") for name in hosts)
