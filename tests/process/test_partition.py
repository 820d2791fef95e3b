"""Hosts that were cut off come back into one view: after half a minute, and when all were started again meanwhile."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import netns
import pytest

from pyconsul.testing.processes import PYCONSUL, AgentProcess, closing_agents, run_command, wait_for

NAMES = ("docker1", "docker2", "docker3")


class Host:
    """A server in its namespace; asked there over loopback."""

    def __init__(self, name: str, namespace: str, address: str, folder: Path, retry_join: bool = True) -> None:
        self.name, self.namespace, self.address = name, namespace, address
        self.prefix = netns.in_namespace(namespace)
        self.agent = AgentProcess(name, address, folder, [], self.prefix)
        self.agent.arguments = ["-server", "-bootstrap-expect", "3", "-data-dir", str(self.agent.data_dir)]
        self.agent.arguments += ["-node", name, "-bind", address, "-client", "127.0.0.1"]
        if retry_join:
            self.agent.arguments += ["-retry-join", netns.ADDRESSES[0]]

    def members(self) -> dict[str, tuple[str, str]]:
        """Status and tags by name; {} when the agent does not answer yet."""
        done = run_command("members", "-detailed", address="127.0.0.1", prefix=self.prefix, program=PYCONSUL)
        rows = [line.split() for line in done.stdout.splitlines()[1:]]
        return {row[0]: (row[2], row[3]) for row in rows}

    def alive(self) -> set[str]:
        return {name for name, (status, _) in self.members().items() if status == "alive"}

    def remembers_all(self) -> bool:
        """Whether its file of members names all as alive."""
        text = (self.agent.data_dir / "serf" / "local.snapshot").read_text()
        return all(f"alive: {name} " in text for name in NAMES)


@contextlib.contextmanager
def three_servers(folder: Path, retry_join: bool = True) -> Iterator[list[Host]]:
    """Not started yet. Skips the test where hosts cannot be made."""
    reason = netns.reason_against()
    if reason:
        pytest.skip(reason)
    with netns.three_hosts() as namespaces:
        hosts = [
            Host(name, namespace, address, folder, retry_join)
            for name, namespace, address in zip(NAMES, namespaces, netns.ADDRESSES, strict=True)
        ]
        with closing_agents([host.agent for host in hosts]):
            yield hosts


@pytest.mark.slow
def test_a_partition_of_half_a_minute_heals(tmp_path: Path) -> None:
    with three_servers(tmp_path) as hosts:
        for host in hosts:
            host.agent.start(wait=False)
        for host in hosts:
            wait_for(f"{host.name} sees all", lambda host=host: host.alive() == set(NAMES), 60)  # type: ignore[misc]
        before = hosts[0].members()
        cut = hosts[2]
        netns.run_ip("-n", cut.namespace, "link", "set", "ens33", "down")
        wait_for("it is given up", lambda: hosts[0].alive() == {"docker1", "docker2"}, 60)
        wait_for("it gives up the others", lambda: cut.alive() == {"docker3"}, 60)
        threading.Event().wait(20.0)  # with the wait above about 30 s apart, which is what is tested
        netns.run_ip("-n", cut.namespace, "link", "set", "ens33", "up")
        for host in hosts:
            wait_for(f"{host.name} sees all", lambda host=host: host.alive() == set(NAMES), 120)  # type: ignore[misc]
            assert host.members() == before
        put = run_command("kv", "put", "after", "1", address="127.0.0.1", prefix=cut.prefix)
        assert put.returncode == 0, put
        listed = run_command("operator", "raft", "list-peers", address="127.0.0.1", prefix=cut.prefix).stdout
        assert sum(name in listed for name in NAMES) == 3, json.dumps(listed)


@pytest.mark.slow
def test_hosts_that_all_lost_power_while_one_was_cut_off_find_each_other(tmp_path: Path) -> None:
    """Joined by hand once, as in the tutorial: nothing but what the agents wrote down tells them whom to look for."""
    with three_servers(tmp_path, retry_join=False) as hosts:
        for host in hosts:
            host.agent.start(wait=False)
        for host in hosts:
            wait_for(f"{host.name} answers", lambda host=host: host.alive() == {host.name}, 60)  # type: ignore[misc]
        for host in hosts[1:]:
            joined = run_command("join", netns.ADDRESSES[0], address="127.0.0.1", prefix=host.prefix)
            assert joined.returncode == 0, joined
        for host in hosts:
            wait_for(f"{host.name} sees all", lambda host=host: host.alive() == set(NAMES), 60)  # type: ignore[misc]
        for host in hosts:  # they write down whom they know within a second
            wait_for(f"{host.name} remembers all", host.remembers_all, 60)
        cut = hosts[2]
        netns.run_ip("-n", cut.namespace, "link", "set", "ens33", "down")
        for host in hosts:
            host.agent.kill9()
        for host in hosts:
            host.agent.start(wait=False)
        # Who starts before the other listens tries again every 30 s, one of those it knew at a time, by chance.
        for host in hosts[:2]:
            wait_for("they meet", lambda host=host: host.alive() == {"docker1", "docker2"}, 300)  # type: ignore[misc]
        wait_for("it is alone", lambda: cut.alive() == {"docker3"}, 60)
        netns.run_ip("-n", cut.namespace, "link", "set", "ens33", "up")
        for host in hosts:
            wait_for(f"{host.name} sees all", lambda host=host: host.alive() == set(NAMES), 300)  # type: ignore[misc]
        put = run_command("kv", "put", "after", "1", address="127.0.0.1", prefix=cut.prefix)
        assert put.returncode == 0, put
