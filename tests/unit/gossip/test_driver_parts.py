"""The parts of the driver that need no socket: bounded log, member snapshot writer, addresses, Consul's rules."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

import pytest

from pyconsul.clock import SystemClock
from pyconsul.errors import ConfigError, PeerError
from pyconsul.gossip.context import Record
from pyconsul.gossip.member import LEFT, NONE, Member
from pyconsul.server.bounded_log import BoundedLog, printable
from pyconsul.server.gossip_config import address_filter, lan_merge_check, wan_merge_check
from pyconsul.server.gossip_records import RecordWriter
from pyconsul.server.gossip_resolve import resolve, split_host_port
from pyconsul.storage.files import Files
from pyconsul.storage.member_snapshot import MemberSnapshotFile


class FixedClock(SystemClock):
    def __init__(self) -> None:
        self.time = 5.0

    def monotonic(self) -> float:
        return self.time


def test_a_bounded_log_says_how_much_it_kept_back() -> None:
    clock = FixedClock()
    lines: list[str] = []
    log = BoundedLog(clock, lines.append, interval=10.0)
    for _ in range(4):
        log("bad")
    clock.time += 11
    log("worse")
    log("worst")
    assert lines == ["bad", "worse (3 more were not logged)"]


def test_log_lines_hold_no_control_characters() -> None:
    assert printable("a\nb\x1b[1m\udcff é") == "a\\nb\\x1b[1m\\udcff é"


async def test_records_are_written_in_order_and_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "snapshot"
    file, _ = MemberSnapshotFile.open(path)
    errors: list[str] = []
    writer = RecordWriter(file, 60.0, errors.append)
    writer.add(Record(("one",)))
    writer.add(Record(("two",)))
    await writer.flush()
    assert path.read_text() == "one\ntwo\n"
    writer.add(Record(("lost in the rewrite",)))
    writer.add(Record(("all",), rewrite=True))
    writer.add(Record(("leave",), sync=True))
    await writer.close()
    assert path.read_text() == "all\nleave\n"
    assert errors == []


async def test_records_are_written_soon_by_themselves(tmp_path: Path) -> None:
    path = tmp_path / "snapshot"
    file, _ = MemberSnapshotFile.open(path)
    writer = RecordWriter(file, 0.0, print)
    writer.add(Record(("one",)))
    async with asyncio.timeout(5.0):
        while path.read_text() != "one\n":
            await asyncio.sleep(0)
    await writer.close()


class FullDisk(Files):
    full = False

    def write(self, handle: int, data: bytes | memoryview, offset: int) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(handle, data, offset)


async def test_a_full_disk_is_told_and_later_lines_are_written_again(tmp_path: Path) -> None:
    path = tmp_path / "snapshot"
    disk = FullDisk()
    file, _ = MemberSnapshotFile.open(path, disk)
    errors: list[str] = []
    writer = RecordWriter(file, 60.0, errors.append)
    disk.full = True
    writer.add(Record(("one",)))
    await writer.flush()
    assert errors == [f"cannot write {path}: No space left on device"]
    disk.full = False
    writer.add(Record(("two",)))
    await writer.close()
    assert path.read_text() == "two\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.1", ("10.0.0.1", 8301)),
        ("10.0.0.1:99", ("10.0.0.1", 99)),
        ("name/10.0.0.1:99", ("10.0.0.1", 99)),
        ("[::1]:99", ("::1", 99)),
        ("[::1]", ("::1", 8301)),
        ("::1", ("::1", 8301)),
        ("host:1", ("host", 1)),
    ],
)
def test_addresses_to_join(text: str, expected: tuple[str, int]) -> None:
    assert split_host_port(text, 8301) == expected


@pytest.mark.parametrize("text", ["", ":99", "[::1", "[::1]x", "h:0", "h:99999", "h:x"])
def test_bad_addresses_to_join(text: str) -> None:
    with pytest.raises(PeerError):
        split_host_port(text, 8301)


async def test_localhost_is_resolved() -> None:
    found = await resolve("localhost:5", 8301)
    assert {item.packed for item in found} & {b"\x7f\0\0\1", bytes(15) + b"\1"}
    assert {item.port for item in found} == {5}


def test_networks_of_members() -> None:
    allowed = address_filter(["10.0.0.0/8", "fd00::/8"])
    assert allowed is not None
    assert allowed(b"\x0a\1\2\3") and allowed(bytes(10) + b"\xff\xff\x0a\1\2\3")
    assert not allowed(b"\x0b\1\2\3") and not allowed(b"xyz")
    assert address_filter([]) is None
    with pytest.raises(ConfigError, match=r"invalid cidr: 10\.0\.0\.0/99"):
        address_filter(["10.0.0.0/99"])


def member(name: str, status: int = NONE, **tags: str) -> Member:
    return Member(name, b"\x0a\0\0\1", 8301, {"role": "node", "dc": "dc1", "build": "1.10.7:"} | tags, status)


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([member("a", id="1"), member("b", id="2")], None),
        ([member("me", id="mine")], None),
        ([member("a", id="mine")], "Member 'a' has conflicting node ID 'mine' with this agent's ID"),
        ([member("a", id="mine", status=LEFT, dc="dc9")], None),
        ([member("a", id="1"), member("b", id="1")], "Member 'b' has conflicting node ID '1' with member 'a'"),
        ([member("a", id="1", build="0.8.4"), member("b", id="1")], None),
        ([member("a", dc="dc2")], "Member 'a' part of wrong datacenter 'dc2'"),
        ([member("a", role="plain", dc="dc2")], None),
        ([member("a", segment="x")], "Member 'a' part of wrong segment 'x' (expected '')"),
    ],
)
def test_who_may_be_in_the_lan_pool(members: list[Member], reason: str | None) -> None:
    assert lan_merge_check("me", "mine", "dc1")(members) == reason


def test_only_servers_may_be_in_the_wan_pool() -> None:
    assert wan_merge_check()([member("a.dc2", role="consul", dc="dc2")]) is None
    assert wan_merge_check()([member("a")]) == "Member 'a' is not a server"
