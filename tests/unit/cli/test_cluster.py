"""``pyconsul cluster up`` with stand-ins for agents: small HTTP servers that say what real ones would."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from canned_agent import Run

from pyconsul_cli.command import Context
from pyconsul_cli.commands import cluster

STAND_IN = """
import http.server, json, sys
address, port, members = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps("127.0.0.1:8300" if self.path.endswith("leader") else members).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
print("stand-in runs", flush=True)
http.server.HTTPServer((address, port), Handler).serve_forever()
"""


@pytest.fixture
def free_port(monkeypatch: pytest.MonkeyPatch) -> int:
    """One that is free on all addresses of the cluster; the only one that is used."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as one:
            port = int(one.getsockname()[1])
            try:
                socket.create_server(("127.0.0.2", port)).close()
            except OSError:
                continue
        monkeypatch.setattr(cluster, "PORTS", {"HTTP": port})
        return port


def stand_in(monkeypatch: pytest.MonkeyPatch, words: list[str]) -> list[subprocess.Popen[bytes]]:
    """Each node starts ``words`` with its address instead of an agent; the processes are returned as they come."""
    started: list[subprocess.Popen[bytes]] = []

    def start(node: cluster.Node, expect: int, first: cluster.Node, datacenter: str) -> None:
        with Path(node.log_path).open("wb") as log:
            argv = [word.replace("ADDRESS", node.address) for word in words]
            node.process = subprocess.Popen(argv, stdout=log, stderr=log, start_new_session=True)
        started.append(node.process)

    monkeypatch.setattr(cluster.Node, "start", start)
    return started


def members(count: int) -> str:
    tags = {"role": "consul", "dc": "dc1", "build": "1.16.1:x", "vsn": "2"}
    common = {"Port": 8301, "Status": 1, "Tags": tags}
    return json.dumps([{"Name": f"node{n}", "Addr": f"127.0.0.{n}", **common} for n in range(1, count + 1)])


def test_a_cluster_comes_up_and_a_signal_ends_it(
    run: Run, monkeypatch: pytest.MonkeyPatch, free_port: int, tmp_path: Path
) -> None:
    words = [sys.executable, "-c", STAND_IN, "ADDRESS", str(free_port), members(2)]
    started = stand_in(monkeypatch, words)
    told = cluster._say_hello

    def then_stop(context: Context, nodes: list[cluster.Node]) -> None:
        told(context, nodes)
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()

    monkeypatch.setattr(cluster, "_say_hello", then_stop)
    code, stdout, stderr = run("cluster", "up", "-n=2", f"-dir={tmp_path}")
    assert (code, stderr) == (0, "")
    assert "==> Starting 2 agents\n    node1: 127.0.0.1, data in " in stdout
    assert "node2  127.0.0.2:8301  alive   server  1.16.1  2         dc1  default    <all>\n" in stdout
    assert f"UI of node2: http://127.0.0.2:{free_port}/ui/" in stdout
    assert stdout.endswith("==> Stopping 2 agents\n")
    assert [process.poll() for process in started] == [-signal.SIGTERM] * 2


def test_an_agent_that_ends_at_the_start_shows_its_last_words(
    run: Run, monkeypatch: pytest.MonkeyPatch, free_port: int, tmp_path: Path
) -> None:
    started = stand_in(monkeypatch, ["/bin/sh", "-c", "test ADDRESS = 127.0.0.1 && exec sleep 30; echo why; exit 3"])
    code, stdout, stderr = run("cluster", "up", "-n=2", f"-dir={tmp_path}")
    assert code == 1
    assert "==> node2 has ended with exit code 3." in stderr and stderr.endswith("    why\n")
    assert stdout.endswith("==> Stopping 1 agent\n")
    assert all(process.poll() is not None for process in started)


def test_no_leader_in_time(run: Run, monkeypatch: pytest.MonkeyPatch, free_port: int, tmp_path: Path) -> None:
    stand_in(monkeypatch, ["/bin/sh", "-c", "echo waits; exec sleep 30"])
    code, _, stderr = run("cluster", "up", "-n=1", "-timeout=200ms", f"-dir={tmp_path}")
    assert code == 1
    assert stderr.startswith("==> Still no sign of a leader.") and stderr.endswith("    waits\n")


def test_a_port_in_use_is_named(run: Run, free_port: int, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.2", free_port)):
        code, stdout, stderr = run("cluster", "up", "-n=2", f"-dir={tmp_path}")
    assert (code, stdout) == (1, "")
    assert stderr == (
        f"Error starting node2: 127.0.0.2:{free_port} (HTTP) cannot be used: address already in use. "
        "Stop what listens there (another agent or cluster?) and try again.\n"
    )


@pytest.mark.parametrize("words", [["-n=0"], ["-n=101"], ["extra"]])
def test_bad_arguments(run: Run, words: list[str], tmp_path: Path) -> None:
    assert run("cluster", "up", f"-dir={tmp_path}", *words)[0] == 1
    assert not any(tmp_path.iterdir())


def test_a_directory_that_cannot_be_made(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, stderr = run("cluster", "up", f"-dir={tmp_path}/file/x")
    assert (code, stderr) == (1, f"Error creating {tmp_path}/file/x: not a directory\n")
