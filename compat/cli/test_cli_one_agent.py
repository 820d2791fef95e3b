"""Recordings of one server ``s1`` that want a real agent: services, maintenance, reload, remote execution, its log."""

from __future__ import annotations

import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from cli_agents import Stage, signal_after, sorted_lines
from cli_files import write_files
from cli_recordings import TIMESTAMP, Recording, load

from pyconsul.testing.connections import connected_to
from pyconsul.testing.processes import HTTP_PORT, wait_for

S1 = "one server s1 of dc1 on 127.0.0.41, no ACLs"
GROUPS = ("services", "catalog", "maint", "exec", "reload", "monitor")
PATIENCE_S = 60.0
ANSWERED_S = 0.5
"""From the moment at which a command is connected until its request is surely under way, and until it has shown what
came."""

EXCEPTIONS: dict[str, str] = {}

NODE_ID = re.compile(r"\b[0-9a-f]{8}\b(?!-)")
STAMP = re.compile(r'"@timestamp":"[^"]*"')
SECONDS = re.compile(r"Completed in [0-9.]+ seconds")
REQUEST = re.compile(r"url=\S+ from=\S+ latency=\S+")


def masked(recording: Recording, text: str) -> str:
    text = SECONDS.sub("SECONDS", NODE_ID.sub("NODEID", text))
    if recording.group == "monitor":
        text = STAMP.sub('"@timestamp":"TIME"', TIMESTAMP.sub("TIME", text))
        if recording.name == "debug":
            found = [line for line in text.splitlines() if "Request finished: method=GET" in line]
            text = REQUEST.sub("REQUEST", found[0]) if found else text
        elif recording.name in ("default level", "json"):
            text = "".join(line for line in text.splitlines(keepends=True) if "aintenance" in line)
    if recording.argv == ["maint"]:
        text = "\n\n".join(sorted(text.split("\n\n")))
    if recording.group == "exec":
        text = sorted_lines(text)
    return text


class Server(Stage):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.config = folder / "s1conf.d"
        self.config.mkdir()
        (self.config / "a.json").write_text('{"disable_remote_exec":false}')
        self.s1 = self.agent("s1", 41, "-bootstrap", "-config-dir", "s1conf.d")

    def put(self, path: str, body: bytes = b"") -> None:
        answer = self.s1.request("PUT", path, body)
        assert answer.status == 200, f"{path}: {answer}"

    def prepare(self, recording: Recording) -> None:
        title, setup = recording.title, recording.setup
        if title == "services: register by flags":
            self.put("/v1/agent/service/register", b'{"Name":"static","Tags":["cfg"]}')
        if title == "catalog: services list":
            self.put("/v1/agent/service/register", b'{"Name":"web","ID":"web-2","Tags":["c","b","a"]}')
            self.put("/v1/agent/service/register", b'{"Name":"web","ID":"web-1"}')
        if title == "maint: status, node and service in maintenance":
            self.put("/v1/agent/maintenance?enable=true&reason=both")
        if title == "maint: status, service in maintenance":
            self.put("/v1/agent/maintenance?enable=false")
        if title == "maint: status with the default reason":
            self.put("/v1/agent/maintenance?enable=true")
        if title == "maint: disable service":
            self.put("/v1/agent/maintenance?enable=false")
        if "a file with service second was added" in setup:
            (self.config / "c.json").write_text('{"service":{"name":"second"}}')
        bad = self.config / "b.json"
        if "a file with an unknown key was added" in setup:
            bad.write_text('{"nosuch":1}')
        else:
            bad.unlink(missing_ok=True)

    def meanwhile(self, recording: Recording) -> Callable[[subprocess.Popen[bytes]], None] | None:
        """What happens while the command runs; None: nothing."""
        number = signal.SIGTERM if "SIGTERM" in recording.setup else signal.SIGINT
        if recording.name == "the agent dies":
            return self._kill
        if "maintenance is switched" in recording.setup:
            return partial(self._switch, number)
        if "SIGINT" in recording.setup and recording.exit == 0:
            return partial(self._look, number)
        return None

    def _watched(self, process: subprocess.Popen[bytes]) -> None:
        """Until the agent has a watcher: it lets lines of the level debug come."""
        wait_for("the command is connected", lambda: self.s1.address in connected_to(process.pid, HTTP_PORT))
        threading.Event().wait(ANSWERED_S)

    def _kill(self, process: subprocess.Popen[bytes]) -> None:
        self._watched(process)
        self.s1.kill9()

    def _switch(self, number: signal.Signals, process: subprocess.Popen[bytes]) -> None:
        self._watched(process)
        self.put("/v1/agent/maintenance?enable=true")
        self.put("/v1/agent/maintenance?enable=false")
        signal_after(ANSWERED_S, number)(process)

    def _look(self, number: signal.Signals, process: subprocess.Popen[bytes]) -> None:
        self._watched(process)
        assert self.s1.request("GET", "/v1/status/leader").status == 200
        signal_after(ANSWERED_S, number)(process)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)
    server = Server(tmp_path)
    server.s1.start()
    server.s1.wait_for_leader()
    wait_for("s1 is in the catalog", lambda: server.s1.catalog() >= {"s1"})
    yield server
    server.close()


@pytest.mark.slow
def test_recordings_of_a_real_server(server: Server) -> None:
    for recording in load():
        if not recording.setup.startswith(S1) or recording.group not in GROUPS:
            continue
        server.prepare(recording)
        mask = partial(masked, recording)
        meanwhile = server.meanwhile(recording)
        if meanwhile is not None:
            server.play_process(recording, EXCEPTIONS, mask, meanwhile)
            continue
        looks = recording.group == "catalog" or recording.argv == ["maint"]
        server.play(recording, EXCEPTIONS, mask, PATIENCE_S if looks else 0)
    server.s1.close()
    assert "Traceback" not in server.s1.log()
    server.report("one real server")
