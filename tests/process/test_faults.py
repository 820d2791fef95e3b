"""Bad input and faults, against real agents: what they answer, that they go on, and that no log shows a traceback."""

from __future__ import annotations

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from pyconsul.testing.processes import AgentProcess, Cluster, Response, request, run_command, wait_for

UNKNOWN_SESSION = "11111111-2222-3333-4444-555555555555"
LIMIT = 524288


def agent_of(cluster: Cluster) -> AgentProcess:
    return cluster.agents[0]


def talk(agent: AgentProcess, data: bytes, port: int = 8500, finish: bool = True) -> bytes:
    """Sends raw bytes and returns all that comes back until the agent closes the connection."""
    with socket.create_connection((agent.address, port), timeout=10) as wire:
        wire.sendall(data)
        if finish:
            wire.shutdown(socket.SHUT_WR)
        received = []
        while piece := wire.recv(65536):
            received.append(piece)
    return b"".join(received)


def text_of(answer: Response) -> tuple[int, str]:
    return answer.status, answer.body.decode()


class TestBadRequests:
    def test_value_of_the_largest_size_is_taken(self, shared_server: Cluster) -> None:
        agent = agent_of(shared_server)
        agent.kv_put("size", b"x" * LIMIT)
        assert agent.kv_get("size") == b"x" * LIMIT
        assert agent.request("DELETE", "/v1/kv/size").body == b"true"

    def test_value_that_is_too_large(self, shared_server: Cluster) -> None:
        agent = agent_of(shared_server)
        status, text = text_of(agent.request("PUT", "/v1/kv/size", b"x" * (LIMIT + 1)))
        assert status == 413
        assert text.startswith("Request body(524289 bytes) too large, max size: 524288 bytes.")
        assert agent.kv_get("size") is None

    @pytest.mark.parametrize(
        ("target", "status", "text"),
        [
            ("/v1/kv/a?cas=abc", 500, 'strconv.ParseUint: parsing "abc": invalid syntax'),
            ("/v1/kv/a?cas=", 500, 'strconv.ParseUint: parsing "": invalid syntax'),
            ("/v1/kv/a?cas=-1", 500, 'strconv.ParseUint: parsing "-1": invalid syntax'),
            ("/v1/kv/a?flags=x", 500, 'strconv.ParseUint: parsing "x": invalid syntax'),
            (
                "/v1/kv/a?flags=18446744073709551616",
                500,
                'strconv.ParseUint: parsing "18446744073709551616": value out of range',
            ),
            ("/v1/kv/a?index=x", 400, "Invalid index"),
            ("/v1/kv/a?wait=10", 400, "Invalid wait time"),
            ("/v1/kv/a?wait=abc", 400, "Invalid wait time"),
            ("/v1/kv/a?cas=0&acquire=x", 400, "Conflicting flags: acquire=x&cas=0"),
            ("/v1/kv/", 400, "Missing key name"),
            ("/v1/kv/a?stale&consistent", 400, "Cannot specify ?stale with ?consistent, conflicting semantics."),
        ],
    )
    def test_malformed_parameters_write_nothing(
        self, shared_server: Cluster, target: str, status: int, text: str
    ) -> None:
        agent = agent_of(shared_server)
        assert text_of(agent.request("PUT", target, b"value")) == (status, text)
        assert agent.kv_get("a") is None

    def test_unknown_session(self, shared_server: Cluster) -> None:
        agent = agent_of(shared_server)
        status, text = text_of(agent.request("PUT", f"/v1/kv/a?acquire={UNKNOWN_SESSION}", b"x"))
        assert (status, text) == (500, f'raft apply failed: invalid session "{UNKNOWN_SESSION}"')
        assert agent.request("PUT", f"/v1/session/renew/{UNKNOWN_SESSION}").status == 404
        assert agent.request("PUT", f"/v1/session/destroy/{UNKNOWN_SESSION}").body == b"true"
        assert agent.kv_get("a") is None

    @pytest.mark.parametrize("body", [b"{", b"[]", b'{"TTL": 5', b'{"LockDelay": "1"}', b"\xff\xfe"])
    def test_bad_json(self, shared_server: Cluster, body: bytes) -> None:
        status, text = text_of(agent_of(shared_server).request("PUT", "/v1/session/create", body))
        assert status == 400
        assert text.startswith("Request decode failed: ")

    def test_bad_time_to_live(self, shared_server: Cluster) -> None:
        agent = agent_of(shared_server)
        for ttl in ("5s", "25h", "abc"):
            answer = agent.request("PUT", "/v1/session/create", json.dumps({"TTL": ttl}).encode())
            assert answer.status in (400, 500), answer
            assert answer.body, answer

    @pytest.mark.parametrize(
        ("method", "path", "allow"),
        [
            ("POST", "/v1/kv/a", "OPTIONS,GET,PUT,DELETE"),
            ("GET", "/v1/session/create", "OPTIONS,PUT"),
            ("PUT", "/v1/status/leader", "OPTIONS,GET"),
            ("get", "/v1/status/leader", "OPTIONS,GET"),
        ],
    )
    def test_wrong_method(self, shared_server: Cluster, method: str, path: str, allow: str) -> None:
        answer = agent_of(shared_server).request(method, path)
        assert (answer.status, answer.headers["allow"]) == (405, allow)
        assert answer.body.decode() == f"method {method} not allowed"

    @pytest.mark.parametrize("path", ["/v1/nothing", "/v2/kv/a", "/v1/txn/", "/v1/status/leader/", "/favicon.ico"])
    def test_unknown_endpoint(self, shared_server: Cluster, path: str) -> None:
        answer = agent_of(shared_server).request("GET", path)
        assert (answer.status, answer.body) == (404, b"")
        assert not any(name.startswith("x-consul") for name in answer.headers)


class TestBrokenConnections:
    @pytest.mark.parametrize(
        "data",
        [
            b"GET /v1/kv/a",
            b"GET /v1/kv/a HTTP/1.1\r\nHost: x\r\nX-Half",
            b"PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n",
            b"PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        ],
    )
    def test_half_a_request_gets_no_success(self, shared_server: Cluster, data: bytes) -> None:
        answer = talk(agent_of(shared_server), data)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 400")
        assert agent_of(shared_server).kv_get("a") is None

    def test_put_that_is_cut_in_the_middle_writes_nothing(self, shared_server: Cluster) -> None:
        agent = agent_of(shared_server)
        head = f"PUT /v1/kv/cut HTTP/1.1\r\nHost: x\r\nContent-Length: {LIMIT}\r\n\r\n".encode()
        with socket.create_connection((agent.address, 8500), timeout=10) as wire:
            wire.sendall(head + b"x" * (LIMIT // 2))
            # An abrupt end: RST instead of FIN.
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        agent.kv_put("after-the-cut", b"1")
        assert agent.kv_get("cut") is None

    def test_garbage_instead_of_http(self, shared_server: Cluster) -> None:
        answer = talk(agent_of(shared_server), bytes(range(256)) * 20 + b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 400") or answer == b""

    def test_many_idle_connections_do_not_stop_others(self, shared_server: Cluster) -> None:
        agent = agent_of(shared_server)
        idle = [socket.create_connection((agent.address, 8500), timeout=10) for _ in range(150)]
        try:
            agent.kv_put("beside-idle", b"1")
        finally:
            for wire in idle:
                wire.close()


class TestForeignBytes:
    """Bytes that no peer sends, on the ports between servers."""

    def test_on_the_server_port(self, shared_server: Cluster) -> None:
        agent = agent_of(shared_server)
        before = len(agent.log().splitlines())
        for number in range(60):
            for first in (b"", b"\x00", b"\x01", b"P", b"GET / HTTP/1.1\r\n\r\n"):
                talk(agent, first + bytes((number * 7 + i * 13) % 256 for i in range(300)), port=8300)
        self.goes_on(agent, before)

    def test_on_the_gossip_stream(self, shared_server: Cluster) -> None:
        agent = agent_of(shared_server)
        before = len(agent.log().splitlines())
        for number in range(60):
            for first in (b"", b"\x06", b"\x09", b"\x0a"):
                talk(agent, first + bytes((number * 11 + i * 17) % 256 for i in range(300)), port=8301)
        self.goes_on(agent, before)

    def test_in_gossip_datagrams(self, shared_server: Cluster) -> None:
        agent = agent_of(shared_server)
        before = len(agent.log().splitlines())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
            for number in range(1000):
                length = number % 200
                wire.sendto(
                    bytes([number % 15]) + bytes((number * 3 + i * 29) % 256 for i in range(length)),
                    (agent.address, 8301),
                )
        self.goes_on(agent, before)

    @staticmethod
    def goes_on(agent: AgentProcess, lines_before: int) -> None:
        agent.kv_put("goes-on", b"1")
        assert agent.kv_get("goes-on", "consistent") == b"1"
        assert agent.members() == {agent.name: 1}
        lines = agent.log().splitlines()[lines_before:]
        assert len(lines) < 60, "\n".join(lines[:100])


class TestDisk:
    def test_torn_last_write_is_cut_off_with_one_line(self, one_server: Cluster) -> None:
        agent = agent_of(one_server)
        for number in range(20):
            agent.kv_put(f"k{number}", b"v" * 100)
        agent.kill9()
        segment = last_segment(agent)
        with segment.open("ab") as file:
            file.write(segment.read_bytes()[100:160])
        agent.start()
        agent.wait_for_leader()
        assert all(agent.kv_get(f"k{number}") == b"v" * 100 for number in range(20))
        assert agent.log().count("cut off an unfinished write") == 1

    def test_damage_in_the_middle_refuses_the_start(self, one_server: Cluster) -> None:
        agent = agent_of(one_server)
        for number in range(50):
            agent.kv_put(f"k{number}", b"v" * 1000)
        agent.kill9()
        segment = last_segment(agent)
        data = bytearray(segment.read_bytes())
        place = data.index(b"v" * 1000) + 500
        data[place] ^= 0xFF
        segment.write_bytes(data)
        before = len(agent.log())
        agent.start(wait=False)
        assert agent.wait_exit() == 1
        said = [line for line in agent.log()[before:].splitlines() if "damaged" in line]
        assert len(said) == 1, agent.log()[before:]
        assert str(segment) in said[0]
        assert "at byte " in said[0]
        named = int(said[0].partition("at byte ")[2].split(":")[0])
        assert named <= place < named + 2000
        assert segment.read_bytes() == bytes(data), "the evidence must stay as it is"
        data[place] ^= 0xFF
        segment.write_bytes(data)
        agent.start()
        agent.wait_for_leader()
        assert agent.kv_get("k49") == b"v" * 1000

    def test_data_directory_in_use(self, shared_server: Cluster) -> None:
        first = agent_of(shared_server)
        second = shared_server.add(shared_server.new_agent(5))
        second.arguments[second.arguments.index("-data-dir") + 1] = str(first.data_dir)
        second.start(wait=False)
        assert second.wait_exit() == 1
        assert_one_complaint(second, str(first.data_dir))
        first.kv_put("still-there", b"1")


def last_segment(agent: AgentProcess) -> Path:
    return sorted((agent.data_dir / "raft").glob("*.wal"))[-1]


def complaints(agent: AgentProcess) -> list[str]:
    """Lines that tell the operator why the agent ended."""
    return [line for line in agent.log().splitlines() if "[ERROR]" in line]


def assert_one_complaint(agent: AgentProcess, *texts: str) -> None:
    said = complaints(agent)
    assert len(said) == 1, agent.log()
    for text in texts:
        assert text in said[0], said[0]
    assert "Traceback" not in agent.log()


class TestStartRefused:
    def test_port_in_use(self, shared_server: Cluster) -> None:
        first = agent_of(shared_server)
        second = shared_server.add(shared_server.new_agent(2))
        place = second.arguments.index("-bind") + 1
        second.arguments[place] = first.address
        second.start(wait=False)
        assert second.wait_exit() == 1
        assert_one_complaint(second, f"{first.address}:8300", "bind: address already in use")

    def test_http_port_in_use(self, shared_server: Cluster) -> None:
        first = agent_of(shared_server)
        second = shared_server.add(shared_server.new_agent(3))
        second.arguments[second.arguments.index("-client") + 1] = first.address
        second.start(wait=False)
        assert second.wait_exit() == 1
        assert f"listen tcp {first.address}:8500: bind: address already in use" in second.log()

    def test_bind_address_of_another_host(self, shared_server: Cluster) -> None:
        agent = shared_server.add(shared_server.new_agent(4))
        agent.arguments[agent.arguments.index("-bind") + 1] = "192.0.2.1"
        agent.start(wait=False)
        assert agent.wait_exit() == 1
        assert_one_complaint(agent, "listen tcp 192.0.2.1:8300: bind: cannot assign requested address")

    @pytest.mark.parametrize(
        ("flags", "text"),
        [
            (["-no-such-flag"], "flag provided but not defined: -no-such-flag"),
            (["-server", "-bootstrap-expect", "two", "-data-dir", "x"], 'parsing "two": invalid syntax'),
            (["-server", "-bind", "127.0.0.1"], "data_dir cannot be empty"),
            (["-data-dir", "x", "-bind", "not-an-address"], "bind_addr cannot be empty"),
            (["-data-dir", "x", "-bind", "127.0.0.1", "-bootstrap"], "'bootstrap = true' requires 'server = true'"),
            (["-data-dir", "x", "-bind", "127.0.0.1", "-log-level", "loud"], "Invalid log level: loud."),
            (["-data-dir", "x", "-bind", "127.0.0.1", "-hcl", "nonsense = 1"], "nonsense"),
            (["-data-dir", "x", "-bind", "127.0.0.1", "-encrypt", "abc"], "encrypt has invalid key"),
            (["stray"], "Unexpected extra arguments: [stray]"),
        ],
    )
    def test_wrong_flags(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str], text: str) -> None:
        monkeypatch.chdir(tmp_path)
        done = run_command("agent", *flags, deadline_s=20)
        assert done.returncode == 1, done
        assert text in done.stderr, done
        assert "Traceback" not in done.stderr + done.stdout

    def test_join_where_nobody_listens(self, shared_server: Cluster) -> None:
        agent = agent_of(shared_server)
        nobody = shared_server.block.address(99)
        done = run_command("join", nobody, address=agent.address)
        assert done.returncode == 1
        assert f"Error joining address '{nobody}': Unexpected response code: 500 (1 error occurred:" in done.stderr
        assert f"* Failed to join {nobody}: dial tcp {nobody}:8301: connect: connection refused" in done.stderr
        assert "Failed to join any nodes." in done.stderr

    def test_start_with_a_join_that_fails(self, shared_server: Cluster) -> None:
        nobody = shared_server.block.address(99)
        agent = shared_server.add(shared_server.new_agent(6, ["-join", nobody]))
        agent.start(wait=False)
        assert agent.wait_exit() == 1
        assert f"Failed to join {nobody}" in agent.log()


class TestLife:
    def test_signals_end_a_server_with_exit_code_one(self, one_server: Cluster) -> None:
        agent = agent_of(one_server)
        assert agent.interrupt() == 1
        assert "Caught: signal=interrupt" in agent.log()
        agent.start()
        assert agent.terminate() == 1
        assert "Caught: signal=terminated" in agent.log()
        agent.start()
        agent.wait_for_leader()
        agent.kv_put("after-signals", b"1")

    @pytest.mark.slow
    def test_leave_ends_the_agent_with_exit_code_zero(self, tmp_path: Path) -> None:
        with Cluster(tmp_path, size=3, extra=["-hcl", 'performance { leave_drain_time = "100ms" }']) as cluster:
            cluster.start()
            leaving = cluster.followers()[0]
            done = run_command("leave", address=leaving.address)
            assert (done.returncode, done.stdout) == (0, "Graceful leave complete\n"), done
            assert leaving.wait_exit() == 0
            left = [agent for agent in cluster.agents if agent.running]
            for agent in left:
                wait_for(f"{agent.name} sees {leaving.name} left", partial(has_left, agent, leaving.name))
            wait_for(f"{leaving.name} has no vote", lambda: leaving.name not in left[0].voters())
            left[0].kv_put("after-leave", b"1")
            cluster.assert_no_tracebacks()

    def test_client_address_of_the_other_family(self, tmp_path: Path) -> None:
        try:
            with socket.socket(socket.AF_INET6) as probe:
                probe.bind(("::1", 0))
                port = probe.getsockname()[1]
        except OSError:
            pytest.skip("no IPv6 on this machine")
        with Cluster(tmp_path, size=1) as cluster:
            agent = cluster.agents[0]
            # Every other test has addresses of its own, ::1 is there once: so a port of our own, and no DNS.
            agent.arguments[agent.arguments.index("-client") + 1] = "::1"
            agent.arguments += ["-http-port", str(port), "-dns-port", "-1"]
            agent.start(wait=False)

            def leads() -> bool:
                found: str = request("::1", "GET", "/v1/status/leader", port=port).json()
                return found == f"{agent.address}:8300"

            wait_for("the agent answers on ::1 and leads", leads)
            done = request("::1", "PUT", "/v1/kv/six", b"6", port=port)
            assert done.body.strip() == b"true"


def has_left(agent: AgentProcess, name: str) -> bool:
    return agent.members()[name] == 3


class TestReplication:
    def test_server_that_was_away_too_long_gets_a_snapshot(self, tmp_path: Path) -> None:
        settings = 'raft_snapshot_threshold = 50 raft_snapshot_interval = "1s" raft_trailing_logs = 10'
        hcl = [flag for line in settings.replace(" raft", "\nraft").splitlines() for flag in ("-hcl", line)]
        with Cluster(tmp_path, size=3, extra=hcl) as cluster:
            cluster.start()
            leader = cluster.leader()
            away = cluster.followers()[0]
            away.kill9()
            for number in range(300):
                leader.kv_put(f"many/{number:03}", b"x" * 200)
            snapshots = leader.data_dir / "raft" / "snapshots"
            wait_for("the leader has made a snapshot", lambda: list(snapshots.glob("*.snap")))
            for number in range(300, 330):
                leader.kv_put(f"many/{number:03}", b"x" * 200)
            away.start()
            wait_for(f"{away.name} has everything", lambda: away.kv_get("many/329", "stale") == b"x" * 200)
            keys = away.request("GET", "/v1/kv/many/?keys&stale").json()
            assert keys == [f"many/{number:03}" for number in range(330)]
            received = [line for line in away.log().splitlines() if "snapshot" in line.lower()]
            assert received, "nothing in the log says that a snapshot came"
            wait_for(f"{away.name} writes", lambda: away.request("PUT", "/v1/kv/back", b"1").body.strip() == b"true")
            cluster.assert_no_tracebacks()

    def test_third_server_that_joins_later_is_added(self, tmp_path: Path) -> None:
        with Cluster(tmp_path, size=2) as cluster:
            cluster.start()
            cluster.agents[0].kv_put("early", b"1")
            late = cluster.new_agent(3)
            cluster.agents.append(late)
            late.start()
            assert late.request("PUT", f"/v1/agent/join/{cluster.agents[0].address}").status == 200
            cluster.wait_until_whole()
            assert late.kv_get("early", "stale") == b"1"
            cluster.leader().kill9()
            wait_for("the other two go on", lambda: late.request("PUT", "/v1/kv/late", b"2").body.strip() == b"true")
            cluster.assert_no_tracebacks()

    def test_no_leader_no_success(self, tmp_path: Path) -> None:
        """Without a majority: 500 after the hold time, never a 404 or an empty list; with it again, all goes on."""
        with Cluster(tmp_path, size=3, extra=["-hcl", 'performance { rpc_hold_timeout = "1s" }']) as three_servers:
            three_servers.start()
            self.without_a_majority(three_servers)
        three_servers.assert_no_tracebacks()

    @staticmethod
    def without_a_majority(three_servers: Cluster) -> None:
        left = three_servers.leader()
        left.kv_put("there", b"1")
        for agent in three_servers.followers():
            agent.kill9()
        wait_for(f"{left.name} knows that it leads no more", lambda: not left.leader_address())
        asked = [("GET", "there"), ("GET", "there?consistent"), ("GET", "missing?consistent"), ("PUT", "new")]
        with ThreadPoolExecutor(len(asked)) as pool:
            answers = list(pool.map(lambda each: text_of(left.request(each[0], f"/v1/kv/{each[1]}")), asked))
        assert answers == [(500, "No cluster leader")] * 4
        assert left.kv_get("there", "stale") == b"1"
        for agent in three_servers.agents:
            if not agent.running:
                agent.start()
        wait_for("writing works again", lambda: left.request("PUT", "/v1/kv/again", b"1").body.strip() == b"true")
        assert left.kv_get("there", "consistent") == b"1"

    def test_frozen_server_catches_up(self, three_servers: Cluster) -> None:
        leader, frozen = three_servers.leader(), three_servers.followers()[0]
        frozen.pause()
        leader.kv_put("while-frozen", b"1")
        frozen.resume()
        wait_for(f"{frozen.name} reads what it missed", lambda: frozen.kv_get("while-frozen", "consistent") == b"1")
