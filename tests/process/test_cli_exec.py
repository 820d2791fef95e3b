"""``pyconsul exec`` on a server and a client that allow it, and on a server that does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pyconsul.testing.processes import Cluster, run_command, sees, wait_for

ALLOWED = ("-hcl", "disable_remote_exec = false")


@pytest.fixture
def willing(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(tmp_path, size=1, extra=ALLOWED) as cluster:
        cluster.start()
        client = cluster.add(cluster.new_agent(9))
        server = cluster.agents[0]
        client.arguments = ["-data-dir", str(client.data_dir), "-node", "client1", "-bind", client.address]
        client.arguments += ["-client", client.address, "-retry-join", server.address, *ALLOWED]
        client.start()
        wait_for("the server sees the client", lambda: sees(server, {"docker1", "client1"}))
        yield cluster
    cluster.assert_no_tracebacks()


def test_a_command_runs_on_servers_and_clients(willing: Cluster) -> None:
    found = run_command("exec", "-wait=2s", "echo from $((40 + 2)); exit 0", address=willing.agents[0].address)
    lines = found.stdout.splitlines()
    assert (found.returncode, found.stderr) == (0, "")
    for node in ("docker1", "client1"):
        assert f"    {node}: from 42" in lines
        assert f"==> {node}: finished with exit code 0" in lines
    assert lines[-1] == "2 / 2 node(s) completed / acknowledged"
    assert willing.agents[0].request("GET", "/v1/kv/_rexec?keys").status == 404, "the job is cleaned up"


def test_nothing_runs_where_it_is_not_allowed(shared_server: Cluster) -> None:
    marker = shared_server.folder / "ran"
    found = run_command("exec", "-wait=500ms", f"touch {marker}", address=shared_server.agents[0].address)
    assert (found.returncode, found.stdout) == (0, "0 / 0 node(s) completed / acknowledged\n")
    assert not marker.exists()
