"""``pyconsul lock`` with real processes and signals, against the HTTP API over a store in memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyconsul.client.client import Client
from pyconsul.client.locks import ConflictError, Lock, Semaphore
from pyconsul.client.settings import Settings
from pyconsul.testing.local_thread import running_local_server

LOCAL_PATHS = os.pathsep.join(path for path in sys.path if path)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with running_local_server() as served:
        yield served


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(address: str) -> Iterator[Start]:
    """Starts ``pyconsul lock …`` as a process; all are ended with the test."""
    running: list[subprocess.Popen[str]] = []

    def launch(*words: str) -> subprocess.Popen[str]:
        environ = {**os.environ, "PYTHONPATH": LOCAL_PATHS, "CONSUL_HTTP_ADDR": address, "SHELL": "/bin/sh"}
        process = subprocess.Popen(
            [sys.executable, "-m", "pyconsul_cli", "lock", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environ,
            start_new_session=True,
        )
        running.append(process)
        return process

    yield launch
    for process in running:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def held(start: Start, key: str, *flags: str) -> subprocess.Popen[str]:
    """A process that holds the lock until it gets a line or a signal."""
    # The trap comes after the fork: a child that is not ``sleep`` yet would answer to it as well.
    process = start(
        *flags, key, "sleep 60 > /dev/null 2>&1 & trap 'echo got TERM; kill $!; exit 0' TERM; echo held; wait; wait"
    )
    assert process.stdout is not None
    line = ""
    while line != "held\n":
        line = process.stdout.readline()
        assert line, process.communicate()
    return process


def test_a_signal_ends_the_child_and_gives_the_lock_back(start: Start, address: str) -> None:
    first = held(start, "sig", "-verbose")
    first.send_signal(signal.SIGTERM)
    stdout, stderr = first.communicate(timeout=20)
    assert (first.returncode, stderr) == (0, "")
    lines = [line for line in stdout.splitlines() if not line.startswith("Terminating child pid ")]
    assert sorted(lines) == sorted(
        ["Shutdown triggered, killing child", "got TERM", "Child terminated", "Cleanup succeeded"]
    )
    with Client(Settings(address)) as client:
        assert client.request("GET", "/v1/kv/sig/.lock").status == 404


def test_held_by_another_and_timeout(start: Start) -> None:
    held(start, "busy")
    second = start("-timeout=300ms", "busy", "echo got it")
    assert second.communicate(timeout=20) == ("", "Shutdown triggered or timeout during lock acquisition\n")
    assert second.returncode == 1


def test_a_signal_while_waiting_ends_the_wait_and_the_session(start: Start, address: str) -> None:
    held(start, "wait")
    with Client(Settings(address)) as client:
        before = len(client.get("/v1/session/list").json())
        second = start("-verbose", "wait", "echo got it")
        assert second.stdout is not None
        index = client.get("/v1/session/list").index
        while len(client.get("/v1/session/list").json()) == before:
            index = client.get("/v1/session/list", [("index", str(index)), ("wait", "1s")]).index
        second.send_signal(signal.SIGINT)
        _, stderr = second.communicate(timeout=20)
        assert stderr == "Shutdown triggered or timeout during lock acquisition\n"
        assert second.returncode == 1
        assert len(client.get("/v1/session/list").json()) == before


def test_a_lost_session_ends_the_child(start: Start, address: str) -> None:
    first = held(start, "lost", "-verbose")
    with Client(Settings(address)) as client:
        pair = client.get("/v1/kv/lost/.lock").json_objects()[0]
        client.put(f"/v1/session/destroy/{pair['Session']}")
    stdout, _ = first.communicate(timeout=20)
    assert first.returncode == 0
    assert "Lock lost, killing child" in stdout and "got TERM" in stdout


def test_the_next_one_gets_it_when_it_is_free(start: Start) -> None:
    first = held(start, "next")
    second = start("next", "echo got it")
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=20)
    assert second.communicate(timeout=30) == ("got it\n", "")
    assert second.returncode == 0


def test_many_processes_never_overlap(start: Start, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    log = tmp_path / "log"
    script = f"mkdir {inside} || echo OVERLAP >> {log}; echo in >> {log}; rmdir {inside}"
    processes = [start("many", script) for _ in range(6)]
    for process in processes:
        assert process.communicate(timeout=60) == ("", "")
        assert process.returncode == 0
    assert log.read_text().split() == ["in"] * 6


def make(address: str) -> Callable[[], Client]:
    return lambda: Client(Settings(address))


def test_lock_and_semaphore_refuse_each_others_keys(address: str) -> None:
    semaphore = Semaphore(make(address), "both", "both/.lock", "s", 0, 2)
    assert semaphore.acquire(1)
    lock = Lock(make(address), "both/.lock", "l", 0)
    with pytest.raises(ConflictError, match="Existing key does not match lock use"):
        lock.acquire(1)
    lock.end_session()
    other = Semaphore(make(address), "both", "both/.lock", "s", 0, 3)
    with pytest.raises(ConflictError, match=r"semaphore limit conflict \(lock: 2, local: 3\)"):
        other.acquire(1)
    other.end_session()
    semaphore.release()
    semaphore.clean_up()


def test_a_semaphore_lets_as_many_in_as_it_says(address: str) -> None:
    holders = [Semaphore(make(address), "sem", "sem/.lock", "s", 0, 2) for _ in range(3)]
    assert [holder.acquire(0.2) for holder in holders] == [True, True, False]
    holders[0].release()
    third = Semaphore(make(address), "sem", "sem/.lock", "s", 0, 2)
    assert third.acquire(5)
    lost = threading.Event()
    third.watch(lost.set)
    with Client(Settings(address)) as client:
        client.put(f"/v1/session/destroy/{third.session}")
        client.put("/v1/kv/sem/other", (), b"x")
    assert lost.wait(10)
    for holder in (third, holders[1]):
        holder.end_session()
