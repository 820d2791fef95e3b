"""Disks that are full, slow, read-only or broken, under real agents. What is promised: docs/design/storage.md."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pyconsul.testing.processes import AgentProcess, Cluster, wait_for

FAULTY = (sys.executable, str(Path(__file__).with_name("faulty_agent.py")))
SMALL_MIB = 24
SLOW_SECONDS = 3.5
FULL = b"no space left on device"


def mount(folder: Path, options: str) -> None:
    """A small file system of its own; skips the test where that is not permitted."""
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no tmpfs here: {done.stderr.strip()}")


def unmount(folder: Path) -> None:
    subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False)


@pytest.fixture
def on_small_disk(tmp_path: Path) -> Iterator[Cluster]:
    """One server, not started, with SMALL_MIB for its data."""
    with Cluster(tmp_path, size=1) as cluster:
        folder = cluster.agents[0].data_dir
        mount(folder, f"size={SMALL_MIB}m")
        try:
            yield cluster
        finally:
            cluster.agents[0].close()
            unmount(folder)
    cluster.assert_no_tracebacks()


@pytest.fixture
def faulty(tmp_path: Path) -> Iterator[Cluster]:
    """Three servers; ``faults(agent)`` is where orders for an agent's disk are put."""
    # Elections after 1.4 to 2.8 s: below SLOW_SECONDS, and above what a busy machine may stand still.
    with Cluster(tmp_path, size=3, extra=["-hcl", "performance { raft_multiplier = 2 }"]) as cluster:
        for agent in cluster.agents:
            agent.command = ["env", f"FAULTS={faults(agent)}", *FAULTY, "agent"]
            faults(agent).mkdir()
        cluster.start()
        yield cluster
    cluster.assert_no_tracebacks()


def faults(agent: AgentProcess) -> Path:
    return agent.folder / f"{agent.name}-faults"


def fill(folder: Path) -> Path:
    """Takes all room that is left; removing the file that is returned gives it back."""
    ballast = folder / "ballast"
    handle = os.open(ballast, os.O_WRONLY | os.O_CREAT)
    size = 1 << 20
    while size:
        try:
            os.write(handle, b"x" * size)
        except OSError:
            size //= 2
    os.close(handle)
    return ballast


def term(agent: AgentProcess) -> str:
    found: str = agent.request("GET", "/v1/agent/self").json()["Stats"]["raft"]["term"]
    return found


class TestFullDisk:
    def test_writes_are_refused_reads_go_on_and_all_recovers(self, on_small_disk: Cluster) -> None:
        cluster = on_small_disk
        cluster.start()
        agent = cluster.agents[0]
        agent.kv_put("before", b"1")
        ballast = fill(agent.data_dir)
        first = wait_for("a write meets the full disk", lambda: refused(agent, "unknown"))
        assert FULL in first
        refusal = agent.request("PUT", "/v1/kv/refused", b"x" * 1000)
        assert refusal.status == 503
        assert FULL in refusal.body
        for consistency in ("", "consistent", "stale"):
            assert agent.kv_get("before", consistency) == b"1"
            assert agent.kv_get("refused", consistency) is None
        assert "no space left on device" in agent.log()
        ballast.unlink()
        wait_for("writes are accepted again", lambda: agent.request("PUT", "/v1/kv/after", b"1").status == 200)
        assert "there is space on the device again" in agent.log()
        agent.kill9()
        agent.start()
        agent.wait_for_leader()
        assert agent.kv_get("before") == b"1"
        assert agent.kv_get("after") == b"1"
        assert agent.kv_get("refused") is None

    def test_start_on_a_full_disk_serves_reads(self, on_small_disk: Cluster) -> None:
        cluster = on_small_disk
        cluster.start()
        agent = cluster.agents[0]
        agent.kv_put("before", b"1")
        agent.kill9()
        ballast = fill(agent.data_dir)
        agent.start(wait=False)
        agent.wait_until_serving()
        assert agent.kv_get("before", "stale") == b"1"
        ballast.unlink()
        wait_for("writes are accepted again", lambda: agent.request("PUT", "/v1/kv/after", b"1").status == 200)

    def test_leader_with_a_full_disk_hands_over(self, tmp_path: Path) -> None:
        with Cluster(tmp_path, size=3) as cluster:
            for agent in cluster.agents:
                mount(agent.data_dir, f"size={SMALL_MIB}m")
            try:
                cluster.start()
                full = cluster.leader()
                fill(full.data_dir)
                other = cluster.followers()[0]
                # The log has room ahead, so the disk is not felt to be full at once.
                wait_for("another server leads", lambda: written(other) and cluster.leader() is not full, 60.0)
                wait_for("writing works again", lambda: written(other), 60.0)
                assert "a server whose disk has room" in full.log()
                for number in range(20):
                    other.kv_put(f"after/{number}", b"1")
                assert full.kv_get("after/19", "consistent") == b"1"
            finally:
                for agent in cluster.agents:
                    agent.close()
                    unmount(agent.data_dir)
            cluster.assert_no_tracebacks()


def refused(agent: AgentProcess, key: str) -> bytes | None:
    """The text when a write was refused, None when it was made."""
    answer = agent.request("PUT", f"/v1/kv/{key}", b"x" * 100_000)
    return None if answer.status == 200 else answer.body


def written(agent: AgentProcess) -> bool:
    return agent.request("PUT", "/v1/kv/again", b"x" * 100_000).status == 200


class TestBrokenDisk:
    @pytest.mark.parametrize("fault", ["sync", pytest.param("write", marks=pytest.mark.slow)])
    def test_process_ends_and_the_others_go_on(self, faulty: Cluster, fault: str) -> None:
        broken = faulty.leader()
        broken.kv_put("before", b"1")
        (faults(broken) / fault).touch()
        with ThreadPoolExecutor(1) as pool:
            fate = pool.submit(broken.request, "PUT", "/v1/kv/unknown", b"1")
            assert broken.wait_exit() == 1
            assert fate.exception() is not None or fate.result().status in (200, 500)
        last = [line for line in broken.log().splitlines() if "[ERROR]" in line]
        assert any("the disk failed" in line and "Input/output error" in line for line in last), last
        others = [agent for agent in faulty.agents if agent.running]
        wait_for("the others write", lambda: others[0].request("PUT", "/v1/kv/after", b"1").status == 200)
        (faults(broken) / fault).unlink()
        broken.start()
        wait_for(f"{broken.name} is back", lambda: broken.kv_get("after", "consistent") == b"1")
        assert broken.kv_get("before") == b"1"

    @pytest.mark.slow
    def test_slow_disk_costs_no_leadership(self, faulty: Cluster) -> None:
        leader, *others = [faulty.leader(), *faulty.followers()]
        before = term(leader)
        (faults(leader) / "slow").write_text(str(SLOW_SECONDS))
        until = time.monotonic() + 2 * SLOW_SECONDS
        count = 0
        while time.monotonic() < until:
            others[0].kv_put(f"slow/{count}", b"1")  # two quick disks are a majority
            assert leader.kv_get(f"slow/{count}") == b"1"
            count += 1
        (faults(leader) / "slow").unlink()
        assert faulty.leader() is leader
        assert [term(agent) for agent in faulty.agents] == [before] * 3

    @pytest.mark.slow
    def test_slow_follower_costs_no_leadership(self, faulty: Cluster) -> None:
        leader, slow = faulty.leader(), faulty.followers()[0]
        before = term(leader)
        (faults(slow) / "slow").write_text(str(SLOW_SECONDS))
        until = time.monotonic() + 2 * SLOW_SECONDS
        while time.monotonic() < until:
            leader.kv_put("quick", b"1")
            assert slow.kv_get("quick", "consistent") == b"1"
        (faults(slow) / "slow").unlink()
        assert [term(agent) for agent in faulty.agents] == [before] * 3


class TestReadOnlyDisk:
    def test_start_is_refused_in_one_line(self, one_server: Cluster) -> None:
        agent = one_server.agents[0]
        agent.kill9()
        data = agent.data_dir
        size = agent.log_path.stat().st_size
        bind = subprocess.run(["mount", "--bind", str(data), str(data)], capture_output=True, text=True, check=False)
        if bind.returncode:
            pytest.skip(f"no bind mounts here: {bind.stderr.strip()}")
        try:
            subprocess.run(["mount", "-o", "remount,bind,ro", str(data)], check=True)
            agent.start(wait=False)
            assert agent.wait_exit() == 1
        finally:
            unmount(data)
        said = [line for line in agent.log()[size:].splitlines() if "Read-only file system" in line]
        assert len(said) == 1, said
        assert str(data) in said[0]
        agent.start()
        agent.wait_for_leader()
