"""Every recording of Consul's command line that needs no agent, and which of them hold.

Each is played with an address where nothing listens. One whose answer then is "connection refused" while the recording
shows something else needs an agent and is only counted here.
"""

from __future__ import annotations

import re
import socket
from collections import Counter
from pathlib import Path

import pytest
from cli_exceptions import GROUPS_NOT_PLAYED, reason
from cli_files import write_described, write_files
from cli_recordings import Recording, difference, load
from cli_runner import run_line

REFUSED = re.compile(r'(Get|Put|Post|Delete) "[^"]*": dial tcp [^ ]*: connect: connection refused')
DEAD_HOST = "127.0.0.59"


def needs_agent(recording: Recording, stderr: str) -> bool:
    if recording.setup.startswith("server tls1") or recording.name == "the agent dies":
        return True
    return REFUSED.search(stderr) is not None and REFUSED.search(recording.stderr) is None


def nothing_listens(host: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) != 0


def at_dead_address(text: str) -> str:
    """The address with the host of the recordings where nothing listens."""
    return re.sub(r"127\.0\.0\.\d+(?=:\d)", DEAD_HOST, text)


def play(recording: Recording) -> tuple[int, str, str]:
    """As recorded, but for the agent's address."""
    environ = dict(recording.env)
    argv = list(recording.argv)
    if "CONSUL_HTTP_ADDR" in environ and not REFUSED.search(recording.stderr) and recording.group != "http options":
        environ["CONSUL_HTTP_ADDR"] = at_dead_address(environ["CONSUL_HTTP_ADDR"])
    return run_line(argv, recording.stdin, environ)


def test_recordings_that_need_no_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not nothing_listens(DEAD_HOST, 8500) or not nothing_listens("127.0.0.1", 8500):
        pytest.skip("something listens on 127.0.0.1:8500 or 127.0.0.59:8500, where the recordings want nothing")
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)
    counts: Counter[str] = Counter()
    wrong = []
    for recording in load():
        if recording.group in GROUPS_NOT_PLAYED:
            counts["not played"] += 1
            continue
        write_described(tmp_path, recording)
        code, stdout, stderr = play(recording)
        if needs_agent(recording, stderr):
            counts["need an agent"] += 1
            continue
        found = difference(recording, code, stdout, stderr)
        why = reason(recording)
        if not found:
            counts["hold"] += 1
        elif why:
            counts["excepted"] += 1
        else:
            wrong.append(f"{recording.title}: {recording.argv}: {found}")
    print(f"\ncommand line recordings: {dict(counts)}, {len(wrong)} wrong")
    assert not wrong, "\n".join(wrong)
