"""Recordings of gossip encryption: a server and a client with keys, played in their order against real agents."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from cli_agents import Stage
from cli_recordings import load

from pyconsul.testing.processes import sees, wait_for

SETUP = "server enc1 (127.0.0.47) and client enc2 (127.0.0.48) with gossip encryption"
KEY = "pUqJrVyVRj5jsiYEkM/tFQYfWyJIv4s3XkvDwy7Cu5s="
LONELY = "client plain1 without servers"


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.chdir(tmp_path)
    stage = Stage(tmp_path)
    server = stage.agent("enc1", 47, "-bootstrap", "-encrypt", KEY)
    client = stage.agent("enc2", 48, "-encrypt", KEY, "-retry-join", server.address, server=False)
    server.start()
    client.start()
    server.wait_for_leader()
    for agent in (server, client):
        wait_for(f"{agent.name} sees both", partial(sees, agent, {"enc1", "enc2"}))
    yield stage
    stage.close()


def masked(text: str) -> str:
    """The order of keys varies."""
    if "Gathering" not in text:
        return text
    blocks = [block.splitlines() for block in text.split("\n\n")]
    return "\n\n".join("\n".join([block[0], *sorted(block[1:])]) for block in blocks)


def test_recordings_of_gossip_encryption(stage: Stage) -> None:
    other = stage.agent("plain1", 49, server=False)
    for recording in load():
        if recording.setup.startswith(SETUP) or recording.setup == LONELY:
            if "127.0.0.49" in str(recording.env) and not other.running:
                other.start()
            stage.play(recording, {}, masked)
    stage.report("gossip encryption")


PLAIN = ("one server without gossip encryption", "one server with enable_debug")
MOMENT = re.compile(r"interval [0-9-]+ [0-9:.]+ \+0000 UTC \(\d\)\n")
NOT_SERVED = ("acl", "login", "logout", "other commands")
PLAIN_EXCEPTIONS = {
    "debug: with metrics": "the recorded agent could not express its metrics as JSON, ours can",
}


def play_plain(folder: Path, monkeypatch: pytest.MonkeyPatch, slow: bool) -> None:
    """``slow``: the one capture that takes its ten seconds, else all others."""
    monkeypatch.chdir(folder)
    stage = Stage(folder)
    try:
        server = stage.agent("noenc", 47, "-bootstrap")
        server.start()
        server.wait_for_leader()
        for recording in load():
            if recording.setup not in PLAIN or recording.group in NOT_SERVED:
                continue
            if (recording.title in PLAIN_EXCEPTIONS) is slow:
                stage.play(recording, PLAIN_EXCEPTIONS, partial(MOMENT.sub, "interval MOMENT\n"))
    finally:
        stage.close()
    stage.report("a server without encryption")


def test_recordings_of_a_server_without_encryption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play_plain(tmp_path, monkeypatch, slow=False)


@pytest.mark.slow
def test_a_capture_of_metrics_and_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play_plain(tmp_path, monkeypatch, slow=True)
    with tarfile.open("dbg2.tar.gz") as archive:
        names = {Path(name).name for name in archive.getnames()}
    assert {"metrics.json", "consul.log", "index.json"} <= names
