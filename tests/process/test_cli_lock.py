"""``pyconsul lock`` excludes: many processes against real agents, killed without warning, and leaders that die.

The child takes an exclusive ``flock`` for as long as it runs and fails when another child has it: so two at once show,
whatever the cluster says.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyconsul.testing.processes import AgentProcess, Cluster, wait_for

OVERLAP_CODE = 99
OTHER_ENDS_S = 300.0


class Crowd:
    """Processes that want the same lock."""

    def __init__(self, folder: Path, agents: list[AgentProcess]) -> None:
        self.folder = folder
        self.agents = agents
        self.runs = folder / "runs"
        self.runs.touch()
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, seconds: float, *flags: str) -> subprocess.Popen[str]:
        agent = self.agents[len(self.processes) % len(self.agents)]
        guard = self.folder / "guard"
        child = f"echo $PPID >> {self.runs}; exec flock --no-fork -n -E {OVERLAP_CODE} {guard} sleep {seconds}"
        environ = {**os.environ, "CONSUL_HTTP_ADDR": f"{agent.address}:8500", "SHELL": "/bin/sh"}
        process = subprocess.Popen(
            [sys.executable, "-m", "pyconsul_cli", "lock", *flags, "crowd", child],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environ,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def ran(self) -> list[int]:
        """The processes whose children were started, in order."""
        return [int(line) for line in self.runs.read_text().split()]

    def holder(self, known: set[int]) -> subprocess.Popen[str]:
        """Waits until a process that is not known yet holds the lock."""

        def found() -> subprocess.Popen[str] | None:
            new = [pid for pid in self.ran() if pid not in known]
            return next((each for each in self.processes if new and each.pid == new[-1]), None)

        return wait_for("somebody else holds the lock", found, 120.0)

    def end(self) -> list[str]:
        """Waits for all; returns what they said on stderr. None has met another."""
        said = []
        for process in self.processes:
            _, errors = process.communicate(timeout=OTHER_ENDS_S)
            assert f"exit status {OVERLAP_CODE}" not in errors, "two children ran at once"
            said.append(errors)
        return said

    def close(self) -> None:
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


@pytest.fixture
def crowd_of(tmp_path: Path) -> Iterator[Callable[[list[AgentProcess]], Crowd]]:
    crowds: list[Crowd] = []

    def make(agents: list[AgentProcess]) -> Crowd:
        crowds.append(Crowd(tmp_path, agents))
        return crowds[-1]

    yield make
    for crowd in crowds:
        crowd.close()


def test_a_few_processes_take_turns(one_server: Cluster, crowd_of: Callable[[list[AgentProcess]], Crowd]) -> None:
    crowd = crowd_of(one_server.agents)
    for _ in range(6):
        crowd.start(0.1)
    said = crowd.end()
    assert [text for text in said if text] == []
    assert len(crowd.ran()) == 6


def test_a_child_does_not_outlive_its_holder(
    one_server: Cluster, crowd_of: Callable[[list[AgentProcess]], Crowd]
) -> None:
    crowd = crowd_of(one_server.agents)
    process = crowd.start(60)
    wait_for("the child runs", crowd.ran)
    process.kill()
    process.wait()
    free = ["flock", "-n", str(crowd.folder / "guard"), "true"]
    wait_for("nobody holds the guard", lambda: subprocess.run(free, check=False).returncode == 0)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_twenty_processes_under_kills_and_the_death_of_a_leader(
    three_servers: Cluster, crowd_of: Callable[[list[AgentProcess]], Crowd]
) -> None:
    leader = three_servers.leader()
    crowd = crowd_of([agent for agent in three_servers.agents if agent is not leader])
    for _ in range(20):
        crowd.start(0.5, "-monitor-retry=60")
    killed: set[int] = set()
    for _ in range(2):
        holder = crowd.holder(set(crowd.ran()))
        holder.kill()
        killed.add(holder.pid)
    waiting = [each for each in crowd.processes if each.poll() is None and each.pid not in crowd.ran()][:3]
    for process in waiting:
        process.kill()
    crowd.holder(set(crowd.ran()))
    leader.kill9()
    threading.Event().wait(1.0)
    for _ in range(6):
        crowd.start(0.5, "-monitor-retry=60")
    said = crowd.end()
    lost = [text for text in said if text]
    assert all("Lock acquisition failed" in text or "Lock release failed" in text for text in lost), lost
    ran = crowd.ran()
    assert len(ran) == len(set(ran)), "a process ran its child twice"
    last = [each for each in crowd.processes[20:] if each.pid in ran]
    assert last, f"nobody got the lock after the leader's death: {said}"
