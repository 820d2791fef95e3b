"""Gossip pools on real sockets of this host: they find, lose and leave each other; rubbish does no harm."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from pyconsul.clock import SystemClock, seeded_random
from pyconsul.errors import CallerError, ConfigError
from pyconsul.gossip.context import GossipEvent
from pyconsul.gossip.keyring import Keyring, format_key
from pyconsul.gossip.queries import QueryOptions
from pyconsul.gossip.timings import Timings
from pyconsul.server.gossip_config import GossipConfig, lan_merge_check, reconnect_timeout_by_tag
from pyconsul.server.gossip_loop import GossipPool

FAST = Timings(
    probe_interval=0.2,
    probe_timeout=0.1,
    gossip_interval=0.02,
    push_pull_interval=1.0,
    suspicion_mult=3,
    leave_propagate_delay=0.1,
    snapshot_interval=0.05,
    stream_timeout=2.0,
)
KEY = bytes(range(32))


class Pools:
    """Starts pools and stops them in the end."""

    def __init__(self) -> None:
        self.all: list[GossipPool] = []
        self.events: dict[str, list[GossipEvent]] = {}

    async def start(self, number: int, name: str = "", **options: Any) -> GossipPool:
        name = name or f"n{number}"
        events = self.events[name] = []
        options = {"tags": {"role": "node", "n": str(number)}, "timings": FAST, "bind_port": 0, **options}
        config = GossipConfig(name=name, bind_address=f"127.0.0.{number}", **options)
        pool = GossipPool(config, SystemClock(), seeded_random(number), events.append, logging.getLogger("test"))
        self.all.append(pool)
        await pool.start()
        return pool

    def received(self, name: str, kind: str) -> list[GossipEvent]:
        return [event for event in self.events[name] if event.kind == kind]


@pytest.fixture
async def pools() -> AsyncIterator[Pools]:
    made = Pools()
    yield made
    for pool in made.all:
        await pool.stop()


def where(pool: GossipPool) -> str:
    return f"{pool.local_address}:{pool.local_port}"


async def eventually(condition: Callable[[], bool], what: str, seconds: float = 15.0) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not condition():
        assert loop.time() < deadline, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.02)


def view(pool: GossipPool) -> dict[str, str]:
    return {member.name: member.status_name for member in pool.members()}


ALL_ALIVE = {"n1": "alive", "n2": "alive", "n3": "alive"}


async def trio(pools: Pools, **options: Any) -> list[GossipPool]:
    trio = [await pools.start(number, **options) for number in (1, 2, 3)]
    for pool in trio[1:]:
        assert await pool.join([where(trio[0])]) == (1, [])
    for pool in trio:
        await eventually(lambda pool=pool: view(pool) == ALL_ALIVE, "everybody sees everybody")  # type: ignore[misc]
    return trio


@pytest.mark.parametrize("encrypted", [False, pytest.param(True, marks=pytest.mark.slow)])
async def test_three_members(pools: Pools, encrypted: bool) -> None:
    options = {"keyring": Keyring([KEY])} if encrypted else {}
    one, two, three = await trio(pools, **options)
    assert {member.name: member.tags["n"] for member in one.members()} == {"n1": "1", "n2": "2", "n3": "3"}
    assert one.stats()["members"] == "3"
    assert one.stats()["encrypted"] == str(encrypted).lower()

    three.fire_event("deploy", b"v1", False)
    for name in ("n1", "n2", "n3"):
        await eventually(lambda name=name: bool(pools.received(name, "user")), f"{name} hears it")  # type: ignore[misc]
    two.set_tags({"role": "node", "n": "two"})
    await eventually(lambda: bool(pools.received("n1", "member-update")), "one sees the new tags")
    assert pools.received("n1", "member-update")[0].members[0].tags == {"role": "node", "n": "two"}

    await three.leave()
    await three.stop()
    await eventually(lambda: view(one) == view(two) == ALL_ALIVE | {"n3": "left"}, "three left")
    await two.stop()
    await eventually(lambda: view(one)["n2"] == "failed", "two failed")
    assert [event.members[0].name for event in pools.received("n1", "member-failed")] == ["n2"]
    assert await one.force_leave("n2", prune=False)
    assert view(one)["n2"] == "left"
    assert not await one.force_leave("stranger", prune=False)
    assert one.counters()["bad_packets"] == 0


async def test_queries_and_answers(pools: Pools) -> None:
    one, two, _ = await trio(pools)

    async def answer() -> None:
        await eventually(lambda: bool(pools.received("n2", "query")), "the query arrives")
        two.respond(pools.received("n2", "query")[0].query_id, b"0.5")

    answering = asyncio.create_task(answer())
    result = await one.query("load", b"", QueryOptions(want_acks=True, timeout=10.0), enough=1)
    await answering
    assert result.responses == {"n2": b"0.5"}
    with pytest.raises(CallerError, match="exceeds limit"):
        await one.query("load", bytes(2000))


async def test_keys_are_rotated(pools: Pools) -> None:
    saved: dict[str, list[bytes]] = {}
    members = []
    for number in (1, 2):
        keep = lambda keys, number=number: saved.update({f"n{number}": list(keys)})  # noqa: E731
        members.append(await pools.start(number, keyring=Keyring([KEY]), save_keyring=keep))
    one, two = members
    await one.join([where(two)])
    new = bytes(16)
    assert (await one.keyring("install", new)).error == ""
    assert (await one.keyring("use", new)).error == ""
    listed = await two.keyring("list")
    assert listed.keys == {format_key(new): 2, format_key(KEY): 2}
    assert listed.primary_keys == {format_key(new): 2}
    refused = await one.keyring("remove", new)
    assert refused.error == "2/2 nodes reported failure"
    assert set(refused.messages.values()) == {"Removing the primary key is not allowed"}
    assert (await one.keyring("remove", KEY)).error == ""
    await eventually(lambda: saved == {"n1": [new], "n2": [new]}, "both saved their ring")


async def test_joins_that_fail_say_why(pools: Pools) -> None:
    one = await pools.start(1)
    with socket.socket() as unused:
        unused.bind(("127.0.0.9", 0))
        port = unused.getsockname()[1]
        count, errors = await one.join([f"127.0.0.9:{port}", "127.0.0.9:99999", where(one)])
    assert count == 1, "joining oneself works"
    assert errors == [
        f"Failed to join 127.0.0.9: dial tcp 127.0.0.9:{port}: connect: connection refused",
        "Failed to resolve 127.0.0.9:99999: address 127.0.0.9:99999: invalid port",
    ]


async def test_another_key_is_refused_and_not_shown(pools: Pools, caplog: pytest.LogCaptureFixture) -> None:
    one = await pools.start(1, keyring=Keyring([KEY]))
    other = await pools.start(2, keyring=Keyring([bytes(32)]))
    plain = await pools.start(3)
    assert await other.join([where(one)]) == (
        0,
        ["Failed to join 127.0.0.1: No installed keys could decrypt the message"],
    )
    assert (await plain.join([where(one)]))[1] == [
        "Failed to join 127.0.0.1: Remote state is encrypted and encryption is not configured"
    ]
    assert (await one.join([where(plain)]))[1] == [
        "Failed to join 127.0.0.3: Encryption is configured but remote state is not encrypted"
    ]
    assert view(one) == {"n1": "alive"}
    assert one.counters()["bad_streams"] == 2
    assert format_key(KEY) not in caplog.text and KEY.hex() not in caplog.text


async def test_another_datacenter_is_refused(pools: Pools) -> None:
    def options(datacenter: str, node_id: str) -> dict[str, Any]:
        tags = {"role": "node", "dc": datacenter, "id": node_id, "build": "1.16.1:x"}
        return {"tags": tags, "merge_check": lan_merge_check("n1", node_id, datacenter)}

    one = await pools.start(1, **options("dc1", "a"))
    two = await pools.start(2, **options("dc2", "b"))
    same = await pools.start(3, **options("dc1", "a"))
    assert await two.join([where(one)]) == (0, ["Failed to join 127.0.0.1: Member 'n1' part of wrong datacenter 'dc1'"])
    assert view(one) == {"n1": "alive"} and view(two) == {"n2": "alive"}
    count, errors = await same.join([where(one)])
    assert (count, errors) == (1, []), "the newcomer carries the same check under the other's name"
    assert "n3" not in view(one)


async def test_rubbish_is_counted_and_logged_at_a_bounded_rate(pools: Pools, caplog: pytest.LogCaptureFixture) -> None:
    one = await pools.start(1)
    random = seeded_random(5)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(300):
            size = random.randrange(1400) + 1
            sender.sendto(bytes((99,)) + os.urandom(size), ("127.0.0.1", one.local_port))
            await asyncio.sleep(0)  # the receiver's turn: the socket's buffer is not large everywhere
    await eventually(lambda: one.counters()["bad_packets"] == 300, "all counted")
    for data in (os.urandom(100), b"\x06\x83", b"\x63", b"\x0a\xff\xff\xff\xff", b""):
        reader, writer = await asyncio.open_connection("127.0.0.1", one.local_port)
        writer.write(data)
        writer.write_eof()
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    await eventually(lambda: one.counters()["bad_streams"] == 4, "all but the empty one are counted")
    assert sum("memberlist" in record.name for record in caplog.records) <= 2
    two = await pools.start(2)
    assert await two.join([where(one)]) == (1, [])


async def test_a_stream_that_never_ends_is_closed(pools: Pools) -> None:
    one = await pools.start(1, timings=Timings(stream_timeout=0.2))
    reader, writer = await asyncio.open_connection("127.0.0.1", one.local_port)
    writer.write(b"\x06\x83\xa4Join")
    assert await asyncio.wait_for(reader.read(), 5.0) == b""
    writer.close()
    await writer.wait_closed()


async def test_a_restarted_member_rejoins_by_itself(pools: Pools, tmp_path: Path) -> None:
    path = tmp_path / "serf" / "local.snapshot"
    one = await pools.start(1)
    two = await pools.start(2, snapshot_path=path)
    await two.join([where(one)])
    two.fire_event("before", b"", False)
    port = two.local_port
    await two.stop()
    await eventually(lambda: view(one).get("n2") == "failed", "noticed")
    again = await pools.start(2, snapshot_path=path, bind_port=port)
    assert await again.rejoin()
    await eventually(lambda: view(one) == view(again) == {"n1": "alive", "n2": "alive"}, "together again")
    assert not pools.received("n2", "user"), "events from before are not delivered again"

    await again.leave()
    await again.stop()
    left = await pools.start(2, snapshot_path=path, bind_port=port)
    assert not await left.rejoin(), "who left stays away"
    await left.stop()


async def test_a_port_in_use_is_an_error_with_the_address(pools: Pools) -> None:
    one = await pools.start(1)
    with pytest.raises(ConfigError, match=rf"listen udp 127\.0\.0\.1:{one.local_port}: bind: address already in use"):
        await pools.start(1, name="other", bind_port=one.local_port)
    with pytest.raises(ConfigError, match=r"192\.0\.2\.1"):
        await GossipPool(
            GossipConfig(name="x", bind_address="192.0.2.1"),
            SystemClock(),
            seeded_random(1),
            print,
            logging.getLogger("t"),
        ).start()


async def test_an_application_that_fails_does_not_stop_gossip(pools: Pools, caplog: pytest.LogCaptureFixture) -> None:
    one = await pools.start(1)

    def fail(event: GossipEvent) -> None:
        raise RuntimeError("application fault")

    one._on_event = fail
    two = await pools.start(2)
    assert await two.join([where(one)]) == (1, [])
    await eventually(lambda: view(one) == {"n1": "alive", "n2": "alive"}, "joined")
    assert "application fault" in caplog.text


def test_how_long_a_member_is_remembered_may_be_a_tag() -> None:
    from pyconsul.gossip.member import Member

    def member(text: str) -> Member:
        return Member("n", b"", 1, {"rc_tm": text})

    assert reconnect_timeout_by_tag(member("8h"), 5.0) == 8 * 3600
    assert [reconnect_timeout_by_tag(member(text), 5.0) for text in ("0", "", "nonsense", "-1s")] == [5.0] * 4
