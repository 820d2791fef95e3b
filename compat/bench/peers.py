"""Servers to measure: how each is started, where it answers, how its URLs look. All on 127.x addresses of this run."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

START_SECONDS_MAX = 40.0


class Server:
    """One process of a peer. ``address`` is the host part; all servers of a peer use the same ports."""

    def __init__(self, address: str, http_port: int, command: list[str], log: Path) -> None:
        self.address = address
        self.http_port = http_port
        self.command = command
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait()

    def rss_bytes(self, peak: bool = False) -> int:
        """Resident memory now, or its peak since ``forget_peak`` (Linux)."""
        assert self.process is not None
        name = "VmHWM:" if peak else "VmRSS:"
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
        raise RuntimeError(f"no {name}")

    def forget_peak(self) -> None:
        """Peaks count from now on (proc(5), clear_refs)."""
        assert self.process is not None
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def request(self, method: str, path: str, body: bytes | None = None, timeout: float = 10.0) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self.address, self.http_port, timeout=timeout)
        try:
            headers = {"Content-Type": "application/x-www-form-urlencoded"} if method == "PUT" else {}
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


class Peer:
    """A kind of server. ``modes``: query strings of its reads by our names (default, consistent)."""

    name = ""
    modes: ClassVar[dict[str, str]] = {}

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.servers: list[Server] = []
        self._block = f"127.{random.randint(64, 120)}.{random.randint(1, 250)}"

    def address(self, number: int) -> str:
        return f"{self._block}.{number + 1}"

    def commands(self, count: int) -> list[list[str]]:
        raise NotImplementedError

    def key_path(self, key: str) -> str:
        raise NotImplementedError

    def put_body(self, value: bytes) -> bytes:
        return value

    def is_leader(self, server: Server) -> bool:
        raise NotImplementedError

    @property
    def http_port(self) -> int:
        raise NotImplementedError

    @contextlib.contextmanager
    def running(self, count: int) -> Iterator[list[Server]]:
        """Fresh servers that have taken a write."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.servers = [
            Server(self.address(number), self.http_port, command, self.folder / f"{number}.log")
            for number, command in enumerate(self.commands(count))
        ]
        try:
            for server in self.servers:
                server.start()
            for server in self.servers:
                self.wait_for_write(server)
            yield self.servers
        finally:
            for server in self.servers:
                server.kill()

    def wait_for_write(self, server: Server, seconds_max: float = START_SECONDS_MAX) -> None:
        """Returns when a write through this server succeeded."""
        deadline = time.monotonic() + seconds_max
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, http.client.HTTPException):
                status, _ = server.request("PUT", self.key_path("ready"), self.put_body(b"x"), 5.0)
                if status in (200, 201):
                    return
            time.sleep(0.005)
        raise RuntimeError(f"{self.name} at {server.address} took no write; log: {server.log}")

    def leader_and_follower(self) -> tuple[Server, Server]:
        leader = next(server for server in self.servers if self.is_leader(server))
        return leader, next(server for server in self.servers if server is not leader)


class Pyconsul(Peer):
    """The agents of this checkout."""

    name = "pyconsul"
    modes: ClassVar[dict[str, str]] = {"default": "", "consistent": "?consistent"}

    def program(self) -> list[str]:
        return [sys.executable, "-m", "pyconsul_cli"]

    def commands(self, count: int) -> list[list[str]]:
        commands = []
        for number in range(count):
            address = self.address(number)
            commands.append(
                [
                    *self.program(), "agent", "-server", f"-bootstrap-expect={count}", f"-node=bench{number}",
                    f"-data-dir={self.folder / str(number)}", f"-bind={address}", f"-client={address}",
                    "-log-level=warn", "-hcl=limits { http_max_conns_per_client = 4000 }",
                    *([] if count == 1 else [f"-retry-join={self.address(0)}", f"-retry-join={self.address(1)}"]),
                ]
            )  # fmt: skip
        return commands

    def key_path(self, key: str) -> str:
        return f"/v1/kv/{key}"

    def is_leader(self, server: Server) -> bool:
        _, body = server.request("GET", "/v1/status/leader")
        return str(json.loads(body)).startswith(f"{server.address}:")

    @property
    def http_port(self) -> int:
        return 8500


class Consul(Pyconsul):
    """A Consul binary that somebody has (``--peer consul=PATH``)."""

    name = "consul"

    def __init__(self, folder: Path, path: str) -> None:
        super().__init__(folder)
        self._path = path

    def program(self) -> list[str]:
        return [self._path]


class Etcd(Peer):
    """Debian's etcd 3.4 by its v2 HTTP API; every read is a quorum read, as Consul's default ones are the leader's."""

    name = "etcd"
    modes: ClassVar[dict[str, str]] = {"default": "?quorum=true", "consistent": "?quorum=true"}

    def commands(self, count: int) -> list[list[str]]:
        cluster = ",".join(f"n{number}=http://{self.address(number)}:2380" for number in range(count))
        return [
            [
                "etcd", "--enable-v2=true", f"--name=n{number}", f"--data-dir={self.folder / str(number)}",
                f"--listen-peer-urls=http://{self.address(number)}:2380",
                f"--initial-advertise-peer-urls=http://{self.address(number)}:2380",
                f"--listen-client-urls=http://{self.address(number)}:2379",
                f"--advertise-client-urls=http://{self.address(number)}:2379",
                f"--initial-cluster={cluster}", "--log-level=error",
            ]
            for number in range(count)
        ]  # fmt: skip

    def key_path(self, key: str) -> str:
        return f"/v2/keys/{key}"

    def put_body(self, value: bytes) -> bytes:
        return b"value=" + value

    def is_leader(self, server: Server) -> bool:
        _, body = server.request("GET", "/v2/stats/self")
        return bool(json.loads(body)["state"] == "StateLeader")

    @property
    def http_port(self) -> int:
        return 2379


PeerMaker = Callable[[Path], Peer]


def peer_makers(extra: list[str]) -> dict[str, PeerMaker]:
    """All peers of a run. ``extra``: texts ``consul=PATH``. Raises SystemExit for others."""
    makers: dict[str, PeerMaker] = {"pyconsul": Pyconsul, "etcd": Etcd}
    for text in extra:
        name, _, path = text.partition("=")
        if name != "consul" or not os.access(path, os.X_OK):
            raise SystemExit(f"--peer {text}: give consul=PATH of an executable")
        makers["consul"] = lambda folder, path=path: Consul(folder, path)  # type: ignore[misc]
    return makers
