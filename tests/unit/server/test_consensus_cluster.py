"""Three servers in one process, with real sockets and disks and a stand-in for gossip."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

from pyconsul.clock import SystemClock, random_uuid, system_random
from pyconsul.errors import LeadershipLostError, NoLeaderError, OverloadedError, PyconsulError
from pyconsul.fsm.commands import KVCas, KVSet
from pyconsul.gossip.member import ALIVE, VERSIONS, Member
from pyconsul.raft.messages import VoteRequest
from pyconsul.server import snapshots
from pyconsul.server.backend import ReadMode
from pyconsul.server.config import ServerConfig
from pyconsul.server.membership import Membership
from pyconsul.server.node import ConsensusServer
from pyconsul.server.server_tags import server_tags

LOGGER = logging.getLogger("test")
LOOPBACK = bytes([127, 0, 0, 1])
SERF_PORT = 8301


class Gossip:
    """A pool in which all are told of each other: everybody who was announced is alive."""

    running = True

    def __init__(self) -> None:
        self.known: dict[str, Member] = {}

    def members(self) -> list[Member]:
        return list(self.known.values())

    def announce(self, name: str, tags: dict[str, str]) -> None:
        self.known[name] = Member(name, LOOPBACK, SERF_PORT, tags, ALIVE, VERSIONS)

    def fire_event(self, name: str, payload: bytes, coalesce: bool) -> None:
        """Nobody listens to events here."""

    async def force_leave(self, name: str, prune: bool) -> bool:
        """Nobody fails here, so that nobody has to be declared gone."""
        return name in self.known


class Cluster:
    def __init__(self, root: Path, count: int, expect: int, **settings: object) -> None:
        self.gossip = Gossip()
        self.servers: list[ConsensusServer | None] = [None] * count
        self.fatal: list[Exception] = []
        self._configs = [
            ServerConfig(
                node_name=f"n{number}", node_id=random_uuid(), datacenter="dc1", data_dir=root / f"n{number}",
                bind_address="127.0.0.1", advertise_address="127.0.0.1", rpc_port=0, bootstrap_expect=expect,
                hold_seconds=3.0, **settings,  # type: ignore[arg-type]
            )
            for number in range(count)
        ]  # fmt: skip

    def hold(self, seconds: float) -> None:
        """How long servers that are started from now on wait for a leader."""
        self._configs = [msgspec.structs.replace(each, hold_seconds=seconds) for each in self._configs]

    async def start(self, number: int) -> ConsensusServer:
        config = self._configs[number]
        server = ConsensusServer(config, SystemClock(), system_random(), LOGGER, self.fatal.append)
        server.membership = Membership(self.gossip)
        await server.open()
        await server.start()
        self.servers[number] = server
        tags = server_tags(config.node_id, "dc1", server.rpc_port, False, config.bootstrap_expect, None)
        self.gossip.announce(config.node_name, tags)
        for each in self.running:
            each.members_changed(joined_server=True)
        return server

    async def stop(self, number: int) -> None:
        server = self.servers[number]
        assert server is not None
        self.servers[number] = None
        await server.stop()

    @property
    def running(self) -> list[ConsensusServer]:
        return [server for server in self.servers if server is not None]

    async def leader(self) -> ConsensusServer:
        found: list[ConsensusServer] = []

        def look() -> bool:
            found[:] = [server for server in self.running if server.raft.leads_and_caught_up]
            return len(found) == 1

        await until(look, "one leader")
        return found[0]

    async def voters(self, count: int) -> None:
        leader = await self.leader()
        await until(lambda: len(leader.raft.core.voters) == count, f"{count} voters")


async def until(condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"waited {seconds} s for {what}"
        await asyncio.sleep(0.01)


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    cluster = Cluster(tmp_path, 3, 2, snapshot_threshold=200, snapshot_interval_seconds=0.0, trailing_logs=10)
    yield cluster
    for server in cluster.running:
        await server.stop()
    assert cluster.fatal == []


async def value(server: ConsensusServer, key: bytes, mode: ReadMode = ReadMode.DEFAULT) -> bytes | None:
    await server.consensus.read(mode)
    entry = server.consensus.store.kv.get(key)
    return None if entry is None else entry.value


async def test_a_server_that_was_asked_for_its_vote_is_not_bootstrapped(cluster: Cluster) -> None:
    """The servers that have bootstrapped may reach it with their election before it comes to bootstrap itself."""
    server = await cluster.start(0)
    raft = server.raft
    raft.receive([msgspec.msgpack.encode(VoteRequest("other", raft.core.id, 3, 1, 1, True))])
    await until(lambda: raft.core.term == 3, "the vote")
    await cluster.start(1)
    assert (server.expect, server.raft.core.last_index) == (0, 0)


async def test_two_expected_servers_elect_and_the_third_becomes_a_voter(cluster: Cluster) -> None:
    cluster.hold(0.5)
    await cluster.start(0)
    cluster.hold(3.0)
    with pytest.raises(NoLeaderError, match="No cluster leader"):
        await cluster.servers[0].consensus.read(ReadMode.CONSISTENT)  # type: ignore[union-attr]
    for number in (1, 2):
        await cluster.start(number)
    await cluster.voters(3)
    for number, server in enumerate(cluster.running):
        assert await server.consensus.write(KVSet(b"k%d" % number, b"v")) is True
    for server in cluster.running:
        for mode in (ReadMode.DEFAULT, ReadMode.CONSISTENT):
            assert [await value(server, b"k%d" % number, mode) for number in range(3)] == [b"v"] * 3
    leader = await cluster.leader()
    await until(lambda: len(leader.consensus.store.catalog.nodes()) == 3, "three nodes in the catalog")
    peers, _ = await cluster.running[0].consensus.raft_configuration(stale=False)
    assert sorted(peer.node for peer in peers) == ["n0", "n1", "n2"]
    assert all(peer.voter for peer in peers)
    assert sum(peer.leader for peer in peers) == 1


async def test_a_lost_leader_is_replaced_and_comes_back_by_a_snapshot(cluster: Cluster) -> None:
    for number in range(3):
        await cluster.start(number)
    await cluster.voters(3)
    old = await cluster.leader()
    number, known = cluster.servers.index(old), old.raft.core.last_index
    await cluster.stop(number)
    left = cluster.running
    assert await left[0].consensus.write(KVSet(b"while", b"away")) is True
    for count in range(500):
        await left[count % 2].consensus.write(KVSet(b"key%d" % (count % 50), b"%d" % count))
    leader = await cluster.leader()
    await until(lambda: leader.raft.core.first_index > known + 1, "a log without what it lacks")
    back = await cluster.start(number)
    assert await value(back, b"while") == b"away"
    assert await value(back, b"key49") == b"499"
    await until(lambda: back.snapshots.last_index > 0, "an installed snapshot")
    assert await back.consensus.write(KVCas(b"while", b"again", 0, 0)) is False


async def test_everything_is_there_after_all_stopped(cluster: Cluster) -> None:
    for number in range(3):
        await cluster.start(number)
    await cluster.voters(3)
    await asyncio.gather(*(cluster.running[n % 3].consensus.write(KVSet(b"%d" % n, b"x" * n)) for n in range(300)))
    for number in range(3):
        await cluster.stop(number)
    for number in range(3):
        await cluster.start(number)
    for server in cluster.running:
        assert [await value(server, b"%d" % n) for n in range(300)] == [b"x" * n for n in range(300)]


async def test_without_a_majority_writes_fail_and_stale_reads_go_on(cluster: Cluster) -> None:
    cluster.hold(1.0)
    for number in range(3):
        await cluster.start(number)
    await cluster.voters(3)
    assert await cluster.running[0].consensus.write(KVSet(b"kept", b"v")) is True
    follower = next(server for server in cluster.running if not server.consensus.is_leader)
    assert await value(follower, b"kept") == b"v"
    for number, server in enumerate(list(cluster.servers)):
        if server is not follower:
            await cluster.stop(number)
    with pytest.raises(PyconsulError):
        await follower.consensus.write(KVSet(b"lost", b"v"))
    await until(lambda: not follower.raft.core.leader_id, "the loss to be noticed")
    with pytest.raises(NoLeaderError):
        await follower.consensus.read(ReadMode.DEFAULT)
    meta = await follower.consensus.read(ReadMode.STALE)
    assert not meta.known_leader
    assert meta.last_contact_ms > 0
    assert await value(follower, b"kept", ReadMode.STALE) == b"v"


async def test_a_transfer_of_a_snapshot_ends_although_newer_ones_are_made(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        await cluster.start(number)
    await cluster.voters(3)
    follower = next(server for server in cluster.running if not server.consensus.is_leader)
    away, known = cluster.servers.index(follower), follower.raft.core.last_index
    await cluster.stop(away)
    leader = await cluster.leader()
    for count in range(400):
        await leader.consensus.write(KVSet(b"key%d" % count, b"x" * 1000))
    await until(lambda: leader.raft.core.first_index > known + 1, "a log without what it lacks")
    monkeypatch.setattr(snapshots, "CHUNK_BYTES", 1000)  # hundreds of chunks
    back = await cluster.start(away)
    made = leader.snapshots.last_index
    written = 0
    deadline = asyncio.get_running_loop().time() + 60.0
    while back.snapshots.last_index == 0:
        assert asyncio.get_running_loop().time() < deadline, "waited 60 s for the transfer of a snapshot"
        # Many at once: a snapshot is made every 200 writes, and the transfer takes some hundred turns of the loop.
        burst = (leader.consensus.write(KVSet(b"busy", b"%d" % (written + each))) for each in range(50))
        await asyncio.gather(*burst)
        written += 50
    assert leader.snapshots.last_index > made, "no snapshot was made meanwhile, nothing was tested"
    await until(
        lambda: back.raft.core.applied_index == leader.raft.core.last_index, "the server that was away to catch up"
    )


async def test_reads_are_confirmed_one_by_one_after_a_transfer_that_failed(cluster: Cluster) -> None:
    for number in range(3):
        await cluster.start(number)
    await cluster.voters(3)
    leader = await cluster.leader()
    await leader.consensus.write(KVSet(b"a", b"1"))
    leader.raft.core.lease_given_up = True  # the target did not take over; its election might still come
    assert leader.consensus.read_now(ReadMode.DEFAULT) is None
    assert await value(leader, b"a") == b"1"


async def test_a_write_during_a_transfer_of_leadership_waits_for_the_next_leader(cluster: Cluster) -> None:
    for number in range(3):
        await cluster.start(number)
    await cluster.voters(3)
    leader = await cluster.leader()
    transfer = asyncio.ensure_future(leader.operators.transfer_leadership(""))
    await until(lambda: leader.raft.core.transferring or transfer.done(), "the transfer to begin")
    written = await asyncio.gather(*(server.consensus.write(KVSet(b"a", b"1")) for server in cluster.running))
    assert written == [True] * 3
    await transfer
    assert await cluster.leader() is not leader


async def test_accepted_writes_on_a_full_disk_are_answered_and_new_ones_refused(cluster: Cluster) -> None:
    for number in range(3):
        await cluster.start(number)
    await cluster.voters(3)
    leader = await cluster.leader()
    for server in cluster.running:
        if server is not leader:
            await cluster.stop(cluster.servers.index(server))
    leader.raft.core.config = msgspec.structs.replace(leader.raft.core.config, check_quorum=False)
    accepted = asyncio.ensure_future(leader.consensus.write(KVSet(b"a", b"1")))
    await until(lambda: leader.raft.core.last_index > leader.raft.core.commit_index, "the write to be in the log")
    leader.raft.set_disk_full(True)
    with pytest.raises(OverloadedError, match="no space left on device: writes are refused"):
        await leader.consensus.write(KVSet(b"b", b"1"))
    with pytest.raises(LeadershipLostError, match="may still be carried out"):
        await accepted
    leader.raft.set_disk_full(False)


async def test_more_writes_than_the_queue_takes_are_refused(cluster: Cluster) -> None:
    await cluster.start(0)
    await cluster.start(1)
    leader = await cluster.leader()
    leader.raft.proposals_max = 10
    results = await asyncio.gather(
        *(leader.consensus.write(KVSet(b"%d" % number, b"")) for number in range(30)), return_exceptions=True
    )
    refused = [result for result in results if isinstance(result, OverloadedError)]
    assert 20 <= len(refused) < 30, "the leader's own writes may be among the ten"
    assert results.count(True) + len(refused) == 30
    assert str(refused[0]) == "more than 10 writes are waiting"
    assert await leader.consensus.write(KVSet(b"later", b"")) is True
