"""Recordings of ``agent`` that get as far as the banner: signals, exit codes, logs, and what the data directory has."""

from __future__ import annotations

import re
import signal
import stat
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_agent_runs import Run
from cli_agents import Stage
from cli_recordings import Recording, load

from pyconsul.testing.processes import PYCONSUL

INTERFACES = "wants interfaces of its own; tests/unit/agent plays the banner"
NAME = "agent: {}".format
EXCEPTIONS = {
    NAME("HTTP address in use only"): "agents serve no DNS yet, so the HTTP port is told as the first that is taken",
    NAME("retry-join unknown provider"): "cloud discovery is not served, which is told before the banner",
    NAME("leave that takes too long"): "a server that is alone leads at once, so that its leave is in time",
    NAME("raft.db is damaged"): "the log has another format; the error names file, place and what to do",
    NAME("data directory in use by another server"): "refused at once with the reason; Consul waits without end",
    NAME("server, second signal during the leave"): "a server that is alone leaves its pools at once, in Consul in 6 s",
    NAME("same node name and another id joining"): "ours leaves before it ends, as its exit code says",
}
NOT_PLAYED = {
    NAME("one private IPv4 address is chosen"): INTERFACES,
    NAME("only loopback is up: 127.0.0.1 is chosen"): INTERFACES,
    NAME("bind template GetInterfaceIP"): INTERFACES,
    NAME("bind template GetPrivateIP"): INTERFACES,
    NAME("advertise template"): INTERFACES,
    NAME("client template with a fixed part"): INTERFACES,
    NAME("advertise differs from bind"): "binds 0.0.0.0, where other tests listen; tests/unit/agent plays the banner",
}
FILES = {
    "cd1/10-a.hcl": 'datacenter = "from-10-a"\nnode_name = "n10a"\n',
    "cd1/20-b.json": '{"datacenter": "from-20-b"}',
    "cd1/30-c.txt": "not configuration",
    "cd1/sub/40-d.hcl": "broken {",
    "cd2/01-z.hcl": 'datacenter = "from-cd2"\n',
    "one.hcl": 'datacenter = "from-one"\n',
}
SIGNAL = re.compile(r"SIG(?:INT|TERM|KILL)")
SAME_DATA = re.compile("data directory of a server that (was stopped|left) before|SIGHUP once|SIGPIPE|SIGKILL after 5")
OTHER_KEY = '["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]'


def runs() -> list[Recording]:
    return [each for each in load() if each.group == "agent" and not each.stderr.strip()]


class Agents(Stage):
    """Plays one recording after the other; ``data`` is the data directory that the last one had."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.data = folder / "none"
        self._number = 0
        for name, text in FILES.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        for name in ("logs", "tls"):
            (folder / name).mkdir()

    def fresh(self) -> Path:
        self._number += 1
        return self.folder / f"data{self._number}"

    def play_run(self, recording: Recording) -> None:
        if not SAME_DATA.search(recording.setup):
            self.data = self.fresh()
        setup = recording.setup
        if "DATA_DIR/raft/raft.db holds text" in setup:
            self._damage(self.data)
        if "keyring holds another key" in setup:
            (self.data / "serf").mkdir(parents=True)
            for name in ("local.keyring", "remote.keyring"):
                (self.data / "serf" / name).write_text(OTHER_KEY)
        if "certificates of" in setup:
            for line in (["tls", "ca", "create"], ["tls", "cert", "create", "-server"]):
                subprocess.run([*PYCONSUL, *line], cwd="tls", check=True, capture_output=True)
        other = self._other(setup)
        if "same data directory" in setup:
            self.data = self.agents["n1"].data_dir
        run = Run(self, recording, self.data)
        try:
            numbers = SIGNAL.findall(setup)
            if numbers:
                self._until_signal(run)
                run.signal(signal.Signals[numbers[0]])
            if "again 2 s later" in setup:
                run.wait_entries(["starting leave"])
                run.signal(signal.SIGINT)
        finally:
            found = run.end()
            if other is not None:
                self._end_other()
        self.judge(recording, EXCEPTIONS, found)
        self._look_at_files(recording)

    def _look_at_files(self, recording: Recording) -> None:
        """What the agent has left, where the recording's notes tell."""
        files = {str(path.relative_to(self.data)) for path in self.data.rglob("*") if path.is_file()}
        mode = stat.S_IMODE
        if recording.name == "single server, INFO log, SIGINT":
            assert files >= {"node-id", "raft/peers.info", "serf/local.snapshot", "serf/remote.snapshot"}
            node_id = self.data / "node-id"
            assert len(node_id.read_bytes()) == 36 and mode(node_id.stat().st_mode) == 0o600
        elif recording.name == "client agent without servers, SIGINT":
            assert files == {"node-id", "serf/local.snapshot"}
        elif recording.name == "dev mode with data-dir":
            assert files == {"node-id"}
        elif recording.name == "node-id given":
            assert "node-id" not in files
        elif recording.name == "log-file in a directory":
            (log,) = Path("logs").glob("consul-*.log")
            assert mode(log.stat().st_mode) == 0o640 and "Shutdown without a Leave" in log.read_text()
        elif recording.name == "log-file with a name and rotation by size":
            assert 1 <= len(list(Path("logs").glob("my-*.txt"))) <= 3
        elif recording.name == "pid-file":
            assert not Path("c.pid").exists()

    def _until_signal(self, run: Run) -> None:
        recording = run.recording
        run.wait_running()
        if run.process.poll() is not None:
            return
        marks = ("Synced node info", "New leader elected", "joined: number", "Join cluster completed")
        before = recording.stdout.partition("Caught")[0]
        run.wait_entries([mark for mark in marks if mark in before])
        if "pid-file=c.pid" in str(recording.argv):
            assert Path("c.pid").read_text() == str(run.process.pid)
        if "SIGHUP" in recording.setup:
            run.signal(signal.SIGHUP)
            run.wait_entries(["signal=hangup"])
        if "SIGPIPE" in recording.setup:
            run.signal(signal.SIGPIPE)
            threading.Event().wait(0.2)

    def _other(self, setup: str) -> object:
        """The server that is there already, on the address .52; None when the recording knows none."""
        if not re.search(r"another server|server.* runs on 127\.0\.0\.52", setup):
            return None
        server = self.agent("n1", 52, "-bootstrap")
        server.start()
        server.wait_for_leader()
        return server

    def _end_other(self) -> None:
        self.agents.pop("n1").close()

    def _damage(self, data: Path) -> None:
        (data / "raft").mkdir(parents=True)
        (data / "raft" / "0000000001-00000000000000000001-0123456789abcdef0123456789abcdef.wal").write_text("no log")


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Agents]:
    monkeypatch.chdir(tmp_path)
    stage = Agents(tmp_path)
    yield stage
    stage.close()


def played(quick: bool) -> list[Recording]:
    """``quick``: those that a mistake in the configuration ends at the start."""
    return [
        each
        for each in runs()
        if each.title not in NOT_PLAYED
        and quick == ("Error starting agent" in each.stdout and "Cluster Addr: 127.0.0.50" in each.stdout)
    ]


def test_agents_that_end_at_the_start(stage: Agents) -> None:
    for recording in played(quick=True):
        stage.play_run(recording)
    stage.report("agents that a mistake ends at the start")


@pytest.mark.slow
def test_agents_that_run(stage: Agents) -> None:
    for recording in played(quick=False):
        stage.play_run(recording)
    stage.report("agents that run")
