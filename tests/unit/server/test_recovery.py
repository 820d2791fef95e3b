"""The way back from a lost majority: peers.json."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from pyconsul.errors import ConfigError
from pyconsul.fsm import commands
from pyconsul.fsm.commands import KVSet
from pyconsul.raft.config import encode_configuration
from pyconsul.raft.messages import CONFIG, NOOP, NORMAL, Configuration, Entry, HardState, Server, SnapshotMeta
from pyconsul.server.recovery import open_storage
from pyconsul.server.snapshots import restore_newest
from pyconsul.storage.raft_storage import RaftStorage

LOGGER = logging.getLogger("test")
OLD = Configuration(tuple(Server(id_, f"10.0.0.{number}:8300", True) for number, id_ in enumerate("abc", 1)))
NEW = Configuration((Server("a", "10.0.0.9:8300", True),))
PEERS = '[{"id": "a", "address": "10.0.0.9:8300"}]'


def opener(path: Path) -> Callable[[], RaftStorage]:
    return lambda: RaftStorage.open(path)


def entries() -> list[Entry]:
    kept = [commands.encode(KVSet(b"key", b"%d" % number)) for number in range(3)]
    return [
        Entry(1, 1, CONFIG, encode_configuration(OLD)),
        Entry(2, 2, NOOP, b""),
        *(Entry(2, 3 + number, NORMAL, data) for number, data in enumerate(kept)),
    ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A log of five entries, of which three were known to be committed."""
    folder = tmp_path / "raft"
    storage = open_storage(opener(folder), LOGGER)
    storage.save(HardState(2, "a", 3), entries())
    storage.close()
    return folder


def recovered(path: Path) -> tuple[SnapshotMeta | None, bytes | None]:
    """What a start finds: the newest snapshot, and the value of the key in it."""
    storage = open_storage(opener(path), LOGGER)
    try:
        assert storage.recovered.entries == []
        assert storage.recovered.hard_state.term == 2
        assert storage.recovered.hard_state.vote == "a"
        entry = restore_newest(storage, LOGGER).store.kv.get(b"key")
        return storage.recovered.snapshot, None if entry is None else entry.value
    finally:
        storage.close()


def test_without_the_file_nothing_changes(path: Path) -> None:
    storage = open_storage(opener(path), LOGGER)
    assert storage.recovered.snapshot is None
    assert storage.recovered.entries == entries()
    storage.close()
    assert "peers.json" in (path / "peers.info").read_text()


def test_the_named_servers_are_the_configuration_and_the_whole_log_counts(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (path / "peers.json").write_text(PEERS)
    with caplog.at_level(logging.INFO):
        meta, value = recovered(path)
    assert meta == SnapshotMeta(5, 2, NEW, 5)
    assert value == b"2"
    assert not (path / "peers.json").exists()
    assert any("recovering Raft configuration" in record.message for record in caplog.records)
    assert recovered(path) == (meta, value)


def test_a_second_recovery_at_the_same_index_replaces_the_first(path: Path) -> None:
    addresses = [f"10.0.0.{number}:8300" for number in range(10, 20)]
    for address in addresses:  # several: names of files of one rank are in random order
        (path / "peers.json").write_text(f'[{{"id": "a", "address": "{address}", "non_voter": false}}]')
        meta, value = recovered(path)
        assert meta == SnapshotMeta(5, 2, Configuration((Server("a", address, True),)), 5)
        assert value == b"2"


def test_a_crash_before_the_file_is_gone_leads_to_the_same(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path / "peers.json").write_text(PEERS)

    def killed(self: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pyconsul.storage.peers_file.PeersFile.remove", killed)
        opened: list[RaftStorage] = []

        def open_() -> RaftStorage:
            opened.append(RaftStorage.open(path))
            return opened[-1]

        with pytest.raises(KeyboardInterrupt):
            open_storage(open_, LOGGER)
        opened[-1].close()
    assert recovered(path) == (SnapshotMeta(5, 2, NEW, 5), b"2")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "Input data was truncated"),
        ("{}", "Expected `array`"),
        ('["10.0.0.9:8300"]', "Expected `object`"),
        ('[{"id": "a"}]', "missing required field `address`"),
        ('[{"id": "a", "address": "x", "voter": true}]', "unknown field `voter`"),
        ('[{"id": "a", "address": "x", "non_voter": true}]', "at least one voter"),
        ('[{"id": "a", "address": "x"}, {"id": "a", "address": "y"}]', "distinct id"),
        ("[]", "at least one voter"),
    ],
)
def test_what_cannot_be_used_stops_the_start_and_changes_nothing(path: Path, text: str, why: str) -> None:
    (path / "peers.json").write_text(text)
    with pytest.raises(ConfigError) as refused:
        open_storage(opener(path), LOGGER)
    assert why in str(refused.value)
    assert str(path / "peers.json") in str(refused.value)
    (path / "peers.json").unlink()
    storage = open_storage(opener(path), LOGGER)
    assert storage.recovered.entries == entries()
    storage.close()


def test_a_server_without_a_log_has_nothing_to_recover(tmp_path: Path) -> None:
    folder = tmp_path / "raft"
    folder.mkdir()
    (folder / "peers.json").write_text(PEERS)
    with pytest.raises(ConfigError, match="nothing to recover"):
        open_storage(opener(folder), LOGGER)
