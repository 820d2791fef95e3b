"""Agents as child processes on addresses of their own, for tests that need the real thing.

    with Cluster(folder, size=3) as cluster:
        cluster.start()
        cluster.agents[0].kv_put("a", b"1")
        cluster.leader().kill9()

Each cluster takes a free block 127.A.B.0/24 of loopback, so every agent has Consul's default ports on an address of its
own and clusters of parallel test runs do not meet. Data and logs are in ``folder``; the ends of the logs are written to
stdout when the cluster is closed (pytest shows that for failed tests). All waiting has a deadline and says what for.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from pyconsul.clock import SystemClock, system_random

T = TypeVar("T")

CLOCK = SystemClock()

DEADLINE_S = 60.0
POLL_EVERY_S = 0.05
RESERVATION_PORT = 8299
HTTP_PORT = 8500
LOG_TAIL_LINES = 40
PYCONSUL = (sys.executable, "-m", "pyconsul_cli")


class WaitedTooLong(AssertionError):
    """A deadline passed; the text names what was waited for and what was there instead."""


def wait_for(what: str, probe: Callable[[], T | None], deadline_s: float = DEADLINE_S) -> T:
    """Calls ``probe`` until it returns something true, and returns that.

    A probe may raise OSError, http.client.HTTPException or AssertionError for "not yet". Raises WaitedTooLong.
    """
    deadline = CLOCK.monotonic() + deadline_s
    last: object = None
    while True:
        try:
            last = probe()
            if last:
                return last
        except (OSError, http.client.HTTPException, AssertionError) as error:
            last = error
        if CLOCK.monotonic() >= deadline:
            raise WaitedTooLong(f"{what}: not within {deadline_s:.0f} s; last seen: {last!r}")
        threading.Event().wait(POLL_EVERY_S)


class AddressBlock:
    """A block 127.A.B.1–254 that no other test run uses, held by a bound socket until ``release``."""

    def __init__(self) -> None:
        choose = system_random()
        for _ in range(1000):
            self.prefix = f"127.{choose.randint(2, 254)}.{choose.randint(1, 254)}"
            self._held = socket.socket()
            try:
                self._held.bind((self.address(1), RESERVATION_PORT))
                return
            except OSError:
                self._held.close()
        raise OSError("no free block of loopback addresses found")

    def address(self, number: int) -> str:
        return f"{self.prefix}.{number}"

    def release(self) -> None:
        self._held.close()


@dataclass(frozen=True)
class Response:
    """An HTTP answer; header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def request(
    address: str, method: str, path: str, body: bytes = b"", timeout_s: float = 15.0, port: int = HTTP_PORT
) -> Response:
    """One HTTP request on a connection of its own. Raises OSError or http.client.HTTPException."""
    connection = http.client.HTTPConnection(address, port, timeout=timeout_s)
    try:
        connection.request(method, path, body=body or None)
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return Response(answer.status, headers, answer.read())
    finally:
        connection.close()


class AgentProcess:
    """One ``pyconsul agent``; may be stopped and started again on its data any number of times.

    ``arguments`` stand behind the word ``agent``; ``prefix`` before the program (for instance ``ip netns exec NAME``).
    """

    def __init__(
        self,
        name: str,
        address: str,
        folder: Path,
        arguments: Sequence[str],
        prefix: Sequence[str] = (),
        program: Sequence[str] = PYCONSUL,
    ) -> None:
        self.name, self.address, self.folder = name, address, folder
        self.arguments = list(arguments)
        self.command = [*prefix, *program, "agent"]
        self.log_path = folder / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def data_dir(self) -> Path:
        return self.folder / f"{self.name}-data"

    @property
    def http_url(self) -> str:
        return f"http://{self.address}:{HTTP_PORT}"

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        assert self.process is not None, f"{self.name} was never started"
        return self.process.pid

    def log(self) -> str:
        """Everything that the agent has printed, over all its starts."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def start(self, wait: bool = True) -> None:
        """Starts the process; with ``wait`` returns when it answers HTTP requests."""
        assert not self.running, f"{self.name} is running"
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.command, *self.arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        if wait:
            self.wait_until_serving()

    def wait_until_serving(self) -> None:
        def serves() -> bool:
            if not self.running:
                raise RuntimeError(f"{self.name} ended with {self.exit_code()}:\n{self.log()[-3000:]}")
            return self.request("GET", "/v1/agent/self").status == 200

        wait_for(f"{self.name} answers HTTP requests", serves)

    def exit_code(self) -> int | None:
        return self.process.poll() if self.process is not None else None

    def wait_exit(self, deadline_s: float = DEADLINE_S) -> int:
        """The exit code, once the process has ended by itself or by a signal (then negative)."""
        assert self.process is not None, f"{self.name} was never started"
        try:
            return self.process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            raise WaitedTooLong(f"{self.name} ends: not within {deadline_s:.0f} s") from None

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def kill9(self) -> None:
        """The process is gone at once, without a chance to do anything."""
        self.signal(signal.SIGKILL)
        self.wait_exit()

    def terminate(self) -> int:
        """SIGTERM; returns the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait_exit()

    def interrupt(self) -> int:
        """SIGINT; returns the exit code."""
        self.signal(signal.SIGINT)
        return self.wait_exit()

    def pause(self) -> None:
        """The process stops running but keeps its connections."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.signal(signal.SIGCONT)

    def restart(self) -> None:
        """SIGTERM, then a new start on the same data."""
        self.terminate()
        self.start()

    def request(self, method: str, path: str, body: bytes = b"", timeout_s: float = 15.0) -> Response:
        return request(self.address, method, path, body, timeout_s)

    def kv_put(self, key: str, value: bytes) -> None:
        """Raises AssertionError with the answer unless it is ``true``."""
        answer = self.request("PUT", f"/v1/kv/{key}", value)
        assert (answer.status, answer.body.strip()) == (200, b"true"), f"PUT {key} at {self.name}: {answer}"

    def kv_get(self, key: str, consistency: str = "") -> bytes | None:
        """The value; None when there is no such key. Raises AssertionError for any other answer."""
        answer = self.request("GET", f"/v1/kv/{key}?raw" + (f"&{consistency}" if consistency else ""))
        if answer.status == 404:
            return None
        assert answer.status == 200, f"GET {key} at {self.name}: {answer}"
        return answer.body

    def leader_address(self) -> str:
        """host:port of the leader's RPC as this agent knows it, empty when it knows none."""
        answer = self.request("GET", "/v1/status/leader")
        return str(answer.json()) if answer.status == 200 else ""

    def wait_for_leader(self) -> str:
        return wait_for(f"{self.name} knows a leader", self.leader_address)

    def members(self) -> dict[str, int]:
        """Status number by name: 1 alive, 2 leaving, 3 left, 4 failed."""
        return {member["Name"]: member["Status"] for member in self.request("GET", "/v1/agent/members").json()}

    def voters(self) -> set[str]:
        """Names of the servers with a vote."""
        answer = self.request("GET", "/v1/operator/raft/configuration")
        assert answer.status == 200, f"raft configuration at {self.name}: {answer}"
        return {server["Node"] for server in answer.json()["Servers"] if server["Voter"]}

    def catalog(self) -> set[str]:
        """Names of the registered nodes."""
        answer = self.request("GET", "/v1/catalog/nodes")
        assert answer.status == 200, f"catalog at {self.name}: {answer}"
        return {node["Node"] for node in answer.json()}

    def close(self) -> None:
        """Ends the process, whatever state it is in."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                self.signal(signal.SIGKILL)
                self.signal(signal.SIGCONT)
            self.wait_exit()

    def show_log(self) -> None:
        lines = self.log().splitlines()
        sys.stdout.write(f"\n--- {self.name} {self.address}, {len(lines)} lines in {self.log_path}\n")
        sys.stdout.write("\n".join(lines[-LOG_TAIL_LINES:]) + "\n")


class Cluster:
    """Servers ``docker1``, ``docker2``, … on addresses .1, .2, … of one block. ``extra``: further flags for all."""

    def __init__(self, folder: Path, size: int = 3, extra: Sequence[str] = (), expect: int | None = None) -> None:
        self.folder = folder
        self.block = AddressBlock()
        self.extra = list(extra)
        self.expect = size if expect is None else expect
        self.agents = [self.new_agent(number) for number in range(1, size + 1)]
        self.clients: list[AgentProcess] = []
        """Made by ``new_client``."""
        self._more: list[AgentProcess] = []

    def new_agent(self, number: int, extra: Sequence[str] = ()) -> AgentProcess:
        """An agent that is not started and not in ``agents``; pass it to ``add`` to have it cleaned up."""
        name, address = f"docker{number}", self.block.address(number)
        agent = AgentProcess(name, address, self.folder, [])
        agent.arguments = ["-server", "-bootstrap-expect", str(self.expect), "-data-dir", str(agent.data_dir)]
        agent.arguments += ["-node", name, "-bind", address, "-client", address, *self.extra, *extra]
        return agent

    def new_client(self, number: int, extra: Sequence[str] = (), name: str = "") -> AgentProcess:
        """As ``new_agent``, but a client agent, which joins the first server; it is cleaned up."""
        name, address = name or f"client{number}", self.block.address(number)
        agent = AgentProcess(name, address, self.folder, [])
        agent.arguments = ["-data-dir", str(agent.data_dir), "-node", name, "-bind", address, "-client", address]
        agent.arguments += ["-retry-join", self.agents[0].address, *self.extra, *extra]
        self.clients.append(agent)
        return self.add(agent)

    def add(self, agent: AgentProcess) -> AgentProcess:
        self._more.append(agent)
        return agent

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        for agent in self.agents + self._more:
            agent.close()
            agent.show_log()
        self.block.release()

    def start(self) -> None:
        """Starts and joins all; returns when they have a leader, all vote and all are in the catalog."""
        for agent in self.agents:
            agent.start(wait=False)
        for agent in self.agents:
            agent.wait_until_serving()
        for agent in self.agents[1:]:
            answer = agent.request("PUT", f"/v1/agent/join/{self.agents[0].address}")
            assert answer.status == 200, f"{agent.name} joins {self.agents[0].address}: {answer}"
        self.wait_until_whole()

    def wait_until_whole(self) -> None:
        """Every running agent knows a leader, sees all running ones alive, voting and registered."""
        running = [agent for agent in self.agents + self._more if agent.running]
        names = {agent.name for agent in running}
        for agent in running:
            agent.wait_for_leader()
            wait_for(f"{agent.name} sees {sorted(names)} alive", partial(sees, agent, names))
        first = running[0]
        wait_for(f"{sorted(names)} vote", lambda: first.voters() >= names)
        wait_for(f"{sorted(names)} are in the catalog", lambda: first.catalog() >= names)

    def leader(self) -> AgentProcess:
        """The running agent that all running ones take for the leader."""

        def agreed() -> AgentProcess | None:
            running = [agent for agent in self.agents if agent.running]
            hosts = {agent.leader_address().rpartition(":")[0] for agent in running}
            return next((agent for agent in running if hosts == {agent.address}), None)

        return wait_for("all running agents name one running leader", agreed)

    def followers(self) -> list[AgentProcess]:
        leader = self.leader()
        return [agent for agent in self.agents if agent.running and agent is not leader]

    def assert_no_tracebacks(self) -> None:
        for agent in self.agents + self._more:
            assert "Traceback (most recent call last)" not in agent.log(), f"{agent.name}:\n{agent.log()[-5000:]}"


@contextlib.contextmanager
def closing_agents(agents: Sequence[AgentProcess]) -> Iterator[None]:
    """Ends them with the block, whatever state they are in; when it is left well, no log may hold a traceback."""
    try:
        yield
    finally:
        for agent in agents:
            agent.close()
            agent.show_log()
    for agent in agents:
        assert "Traceback (most recent call last)" not in agent.log()


@contextlib.contextmanager
def whole_cluster(folder: Path, size: int = 3, extra: Sequence[str] = ()) -> Iterator[Cluster]:
    """A cluster that is started and joined; when the block is left well, no log may hold a traceback."""
    with Cluster(folder, size, extra) as cluster:
        cluster.start()
        yield cluster
    cluster.assert_no_tracebacks()


def sees(agent: AgentProcess, names: set[str]) -> bool:
    """Whether ``agent`` takes all of these for alive."""
    return {name for name, status in agent.members().items() if status == 1} >= names


def run_command(
    *arguments: str,
    address: str = "",
    prefix: Sequence[str] = (),
    program: Sequence[str] = PYCONSUL,
    deadline_s: float = 60.0,
) -> subprocess.CompletedProcess[str]:
    """Runs ``pyconsul ARGUMENTS``, against the agent at ``address`` if given, and returns what it printed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CONSUL_")}
    if address:
        environment["CONSUL_HTTP_ADDR"] = f"{address}:{HTTP_PORT}"
    return subprocess.run(
        [*prefix, *program, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=deadline_s,
        check=False,
    )
