"""Runs of whole agents as the recordings of the group ``agent`` describe them, and what of their output is compared.

Compared are the exit code, stderr's first line, the banner whole, and of the log the set of those messages that scripts
wait for (``COMPARED``), with their logger, level and pairs. How Raft, DNS, gRPC and the rest talk to themselves is not.
"""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from cli_agents import Stage
from cli_recordings import RECORDED_VERSION, TIMESTAMP, UUID, Recording

from pyconsul.testing.processes import HTTP_PORT, WaitedTooLong, request, wait_for
from pyconsul.version import CONSUL_API_VERSION

LOG_FOLLOWS = "==> Log data will now stream in as it occurs:\n\n"
COMPARED = re.compile(
    r"Error starting agent|Retry join failed|Consul agent running!|protocol=http|Caught|Grace|Timeout on graceful"
    r"|Requesting shutdown|shutdown complete|Waiting for endpoints|Endpoints down|Exit code|cluster leadership acquired"
    r"|New leader elected|LAN server|serf: EventMember|Handled event for server|starting leave|Waiting to drain"
    r"|initial configuration: index=1|Shutdown without a Leave|Join completed|joined: number|Synced node info"
    r"|BootstrapExpect|bootstrap = true|bootstrap_expect|discoverable via DNS|Enterprise configuration"
    r"|The 'ui' field|keyring doesn't include|\[ERROR\] agent: 1 error occurred"
)
TWICE = " agent.auto_config: "
"""The same warnings once more; ours come once."""
STOPPING = "Stopping server: "
EARLY = re.compile("cluster leadership acquired|New leader elected|Synced node info")
"""A server that is alone leads at once here, in Consul after seconds: whether before a signal is a matter of time."""
ALONE = "Shutdown without a Leave"
OUR_HINT = re.compile(r' hint="[^"]*"')
GO_VALUE = re.compile(r" &\{.*\}\}")
BANNER_HOST = re.compile(r"(?<=Node name: ')[^']*")
DEADLINE_S = 40.0
SOON_S = 0.4


def entries(log: str) -> list[str]:
    """The log's entries without their times; those of several lines stay whole."""
    found: list[str] = []
    for line in log.splitlines():
        if line.startswith("{"):
            fields = json.loads(line)
            found.append(f"[{fields['@level'].upper()}] {fields['@module']}: {fields['@message']}")
        elif TIMESTAMP.match(line):
            found.append(re.sub(r"\] +", "] ", TIMESTAMP.sub("", line, count=1).strip()))
        elif found:
            found[-1] += f"\n{line}"
    return found


def compared(log: str) -> set[str]:
    failed = "Error starting agent" in log
    return {
        OUR_HINT.sub("", GO_VALUE.sub("", UUID.sub("UUID", entry))).strip()
        for entry in entries(log)
        if COMPARED.search(entry) and TWICE not in entry and STOPPING not in entry and not (failed and ALONE in entry)
    }


class Run:
    """One agent as a child; its streams are files."""

    def __init__(self, stage: Stage, recording: Recording, data_dir: Path) -> None:
        self.stage, self.recording, self.data_dir = stage, recording, data_dir
        self.argv = [stage.here(word.replace("DATA_DIR", str(data_dir))) for word in recording.argv]
        self._out, self._err = stage.folder / "stdout", stage.folder / "stderr"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            command = [sys.executable, "-m", "pyconsul_cli", *self.argv]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)

    @property
    def stdout(self) -> str:
        return self.stage.there(self._out.read_text("utf-8", "replace")).replace(str(self.data_dir), "DATA_DIR")

    @property
    def client(self) -> str:
        """The first address with HTTP; empty when the command line gives none."""
        words = [word for argument in self.argv for word in argument.split("-client=")[1:]]
        words += [self.argv[at + 1] for at, word in enumerate(self.argv[:-1]) if word == "--client"]
        return words[0].split()[0] if words and not words[0].startswith("{{") else ""

    def wait_running(self) -> None:
        """Until it runs, as far as its log or its HTTP port tell."""

        def runs() -> bool:
            if self.process.poll() is not None or "Consul agent running!" in self.stdout:
                return True
            host = self.client
            return bool(host) and request(host, "GET", "/v1/agent/self", port=self._port()).status == 200

        if self._port() <= 0 or not self.client or "unix://" in str(self.argv):
            wait_for("the banner", lambda: LOG_FOLLOWS in self.stdout, DEADLINE_S)
            threading.Event().wait(1.5)
        else:
            wait_for("the agent runs", runs, DEADLINE_S)
            threading.Event().wait(SOON_S)

    def _port(self) -> int:
        for word in self.argv:
            if word.startswith("-http-port="):
                return int(word.partition("=")[2])
        return HTTP_PORT

    def wait_entries(self, wanted: Sequence[str]) -> None:
        """Until the log has entries with all of these texts; what is missing then is told by the comparison."""

        def there() -> bool:
            log = self.stdout
            return self.process.poll() is not None or all(text in log for text in wanted)

        with contextlib.suppress(WaitedTooLong):
            wait_for(f"{wanted} in the log", there, DEADLINE_S)

    def signal(self, number: signal.Signals) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)

    def end(self) -> str:
        """Waits for the end; what is not as recorded."""
        try:
            code = self.process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            return f"does not end; stdout {self.stdout!r}"
        finally:
            self.process.kill()
            self.process.wait()
        return difference(self.recording, code, self.stdout, self._err.read_text("utf-8", "replace"))


def difference(recording: Recording, code: int, stdout: str, stderr: str) -> str:
    if code != recording.exit:
        return f"exit code {code}, recorded {recording.exit}; stdout {stdout!r}; stderr {stderr!r}"
    if stderr.splitlines()[:1] != recording.stderr.splitlines()[:1]:
        return f"stderr {stderr!r}, recorded {recording.stderr!r}"
    named = any("node" in word for word in recording.argv) or "node_name" in recording.setup
    banners, logs = [], []
    for text in (recording.stdout.replace(RECORDED_VERSION, CONSUL_API_VERSION), stdout):
        banner, follows, log = text.partition(LOG_FOLLOWS)
        banner = UUID.sub("UUID", banner)
        banners.append((banner if named else BANNER_HOST.sub("HOST", banner)) if follows else "")
        logs.append(compared(log if follows else text))
    if banners[0] != banners[1]:
        return f"banner {banners[1]!r}, recorded {banners[0]!r}"
    more, less = logs[1] - logs[0], logs[0] - logs[1]
    more = {entry for entry in more if not EARLY.search(entry)}
    return f"log has {sorted(more)} more, lacks {sorted(less)}" if more or less else ""
