"""Recordings of one server ``s1``, played in their order against the HTTP API over a store in memory."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from cli_files import write_files
from cli_recordings import UUID, Recording, difference, load
from cli_runner import run_line
from cli_server import RECORDED_ADDRESS, Direct, running_server

ONE_SERVER = "one server s1 of dc1 on 127.0.0.41, no ACLs"

PLAYED = ("kv put", "kv get", "kv delete", "kv export", "kv import", "http options", "lock", "watch", "event")

NOT_ALONE = re.compile(
    r"SIG(INT|TERM)|another process|slots taken|is killed|meanwhile|is destroyed|twice|added and removed"
)
"""Setups that need something to happen meanwhile: tests/unit/cli plays those situations."""

FOO_AGAIN = ("kv get: leading slash is stripped", "http options: -http-addr host:port")
"""Before these, somebody wrote bar to foo again."""

EXCEPTIONS = {
    "watch: service": "the store in memory registers the service consul without metadata",
}

UNKNOWN_SESSION = "11111111-2222-3333-4444-555555555555"


class Stage:
    """What the recordings refer to: sessions and indexes of the recorded server, and ours in their place."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.direct = Direct(address)
        self._sessions: dict[str, str] = {UNKNOWN_SESSION: UNKNOWN_SESSION}

    def here(self, text: str) -> str:
        """Recorded words with our address and sessions."""
        text = text.replace(RECORDED_ADDRESS, self.address)
        return UUID.sub(lambda found: self._session(found.group()), text)

    def end_sessions(self) -> None:
        for session in self._sessions.values():
            if session != UNKNOWN_SESSION:
                self.direct.end_session(session)
        self._sessions = {UNKNOWN_SESSION: UNKNOWN_SESSION}

    def _session(self, recorded: str) -> str:
        if recorded not in self._sessions:
            self._sessions[recorded] = self.direct.new_session()
        return self._sessions[recorded]

    def argv(self, recording: Recording) -> list[str]:
        argv = [self.here(word) for word in recording.argv]
        key = next((word for word in argv[2:] if not word.startswith("-")), "")
        if recording.name == "cas with the right index":
            return [re.sub(r"(?<=-modify-index=)\d+", str(self.direct.modify_index(key)), word) for word in argv]
        return argv

    def there(self, text: str) -> str:
        return text.replace(self.address, RECORDED_ADDRESS)

    def prepare(self, recording: Recording) -> None:
        """What happened on the recorded server between two recordings."""
        if recording.title in FOO_AGAIN:
            self.direct.put("foo", b"bar")
        if recording.title == "kv get: simple":
            self.direct.delete("bigok")
        if recording.title == "kv get: after the restore":
            self.direct.delete("app/")
            self.direct.put("app/a", b"1")
            self.direct.put("app/b/c", b"2")
        if recording.group in ("lock", "watch"):
            self.end_sessions()
        if recording.title == "watch: event":
            self.direct.fire("deploy", b"v1")
        if "app/a=1 app/b=2" in recording.setup:
            for key, value in (
                ("app/a", "1"),
                ("app/b", "2"),
                ("app/sub/c", "3"),
                ("app/sub/deep/d", "4"),
                ("apple", "5"),
            ):
                if key not in self.direct.all_keys():
                    self.direct.put(key, value.encode())
        if "00 ff fe 01" in recording.setup:
            self.direct.put("bin", b"\x00\xff\xfe\x01")
        if recording.group == "watch" and "w/a" not in self.direct.all_keys():
            self.direct.put("w/a", b"1")
            self.direct.put("w/b", b"2")


def test_recordings_of_one_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)
    counts: Counter[str] = Counter()
    wrong = []
    with running_server() as address:
        stage = Stage(address)
        for recording in load():
            if not recording.setup.startswith(ONE_SERVER) or recording.group not in PLAYED:
                continue
            if NOT_ALONE.search(recording.setup):
                counts["need company"] += 1
                continue
            stage.prepare(recording)
            environ = {name: stage.here(value) for name, value in recording.env.items()}
            code, stdout, stderr = run_line(stage.argv(recording), recording.stdin, environ)
            found = difference(recording, code, stage.there(stdout), stage.there(stderr))
            if found and recording.title in EXCEPTIONS:
                counts["excepted"] += 1
            elif found:
                wrong.append(f"{recording.title}: {recording.argv}: {found}")
            else:
                counts["hold"] += 1
        stage.direct.close()
    print(f"\ncommand line recordings with one server: {dict(counts)}, {len(wrong)} wrong")
    assert not wrong, "\n".join(wrong)
