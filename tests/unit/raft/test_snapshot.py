"""Compaction and snapshots in chunks (Ongaro's dissertation, chapter 5)."""

from __future__ import annotations

import pytest
from raft_wiring import Bench, entry, log_of, members

from pyconsul.errors import InvariantError, PeerError
from pyconsul.raft.core import Role
from pyconsul.raft.messages import (
    AppendReply,
    AppendRequest,
    ChunkRequest,
    HardState,
    SnapshotChunk,
    SnapshotMeta,
    SnapshotReply,
)
from pyconsul.raft.progress import SendState

META = SnapshotMeta(9, 3, members("a", "b", "c"), 1)


def compacted() -> Bench:
    """A leader whose log begins after index 8, with follower c that has nothing."""
    bench = Bench(entries=log_of(*[1] * 9), trailing_entries=2).lead(settle=False).drain()
    bench.ack("b")
    raft = bench.raft
    assert raft.commit_index == 11
    raft.compact(raft.snapshot_saved(raft.snapshot_meta(10)))
    bench.forget()
    raft.step(AppendReply("c", "a", 2, False, 0, 1, 0, 0))
    return bench.drain()


def chunk(offset: int, data: bytes, total: int = 6, meta: SnapshotMeta = META, sender: str = "b") -> SnapshotChunk:
    return SnapshotChunk(sender, "a", 3, meta, offset, data, total, offset + len(data) == total)


# ---- compaction


def test_5_1_the_log_is_dropped_up_to_a_snapshot_but_for_trailing_entries() -> None:
    bench = compacted()
    assert bench.raft.first_index == 9
    assert bench.raft.snapshot_meta(10) == SnapshotMeta(10, 1, members("a", "b", "c"), 1)
    assert bench.raft.last_index == 11


def test_5_1_nothing_is_dropped_that_no_snapshot_covers() -> None:
    bench = Bench(entries=log_of(1, 1), state=HardState(1, "", 3)).drain()
    with pytest.raises(InvariantError):
        bench.raft.compact(2)
    with pytest.raises(InvariantError):
        bench.raft.snapshot_meta(4)
    bench.raft.compact(0)


def test_5_1_a_restart_goes_on_from_snapshot_and_log() -> None:
    entries = [entry(3, index) for index in range(6, 12)]
    bench = Bench(entries=entries, state=HardState(3, "", 10), snapshot=META).drain()
    assert [each.index for each in bench.committed] == [10]
    assert (bench.raft.last_index, bench.raft.configuration) == (11, members("a", "b", "c"))


# ---- the leader


def test_5_3_a_follower_whose_entries_are_gone_gets_the_snapshot_from_its_beginning() -> None:
    bench = compacted()
    assert bench.chunk_requests == [ChunkRequest("c", 2, 10, 0)]
    assert bench.raft.progress()["c"].state is SendState.SNAPSHOT


def test_5_3_one_chunk_at_a_time_and_each_answer_tells_where_to_go_on() -> None:
    bench = compacted()
    bench.raft.step(SnapshotReply("c", "a", 2, 10, 100, False))
    bench.raft.step(SnapshotReply("c", "a", 2, 10, 100, False))
    bench.drain()
    assert [request.offset for request in bench.chunk_requests] == [0, 100]


def test_a_lost_chunk_is_asked_for_again_from_the_last_answer() -> None:
    bench = compacted()
    bench.raft.step(SnapshotReply("c", "a", 2, 10, 100, False))
    for _ in range(10):
        bench.tick().drain()
        bench.ack("b")
    assert [request.offset for request in bench.chunk_requests] == [0, 100, 100]


def test_heartbeats_go_on_beside_a_snapshot() -> None:
    bench = compacted().forget()
    bench.tick()
    (beat,) = [message for message in bench.take(AppendRequest) if message.to == "c"]
    assert (beat.prev_index, beat.entries) == (0, [])
    bench.raft.step(AppendReply("c", "a", 2, True, 0, 0, 0, beat.read_round))
    assert bench.raft.progress()["c"].acked_round == beat.read_round


def test_a_follower_that_lost_its_part_starts_again() -> None:
    bench = compacted()
    bench.raft.step(SnapshotReply("c", "a", 2, 10, 100, False))
    bench.raft.step(SnapshotReply("c", "a", 2, 10, 0, False))
    bench.drain()
    assert [request.offset for request in bench.chunk_requests] == [0, 100, 0]


def test_a_newer_snapshot_takes_over_and_answers_about_the_older_are_ignored() -> None:
    bench = compacted()
    bench.raft.step(SnapshotReply("c", "a", 2, 11, 50, False))
    bench.raft.step(SnapshotReply("c", "a", 2, 10, 400, False))
    bench.drain()
    assert bench.chunk_requests[1:] == [ChunkRequest("c", 2, 11, 50)]


def test_5_3_after_the_snapshot_entries_follow() -> None:
    bench = compacted().forget()
    bench.raft.step(SnapshotReply("c", "a", 2, 10, 0, True))
    (message,) = [message for message in bench.take(AppendRequest) if message.to == "c"]
    assert (message.prev_index, [each.index for each in message.entries]) == (10, [11])
    assert bench.raft.progress()["c"].match == 10


def test_an_installed_snapshot_that_cannot_exist_is_the_peers_fault() -> None:
    with pytest.raises(PeerError):
        compacted().raft.step(SnapshotReply("c", "a", 2, 99, 0, True))


def test_a_follower_that_turns_out_to_have_enough_leaves_the_snapshot() -> None:
    bench = compacted()
    bench.ack("c", index=9)
    assert bench.raft.progress()["c"].state is not SendState.SNAPSHOT


# ---- the follower


def test_5_3_chunks_are_taken_in_order_and_answered_after_the_sync() -> None:
    bench = Bench()
    bench.raft.step(chunk(0, b"abc"))
    ready = bench.raft.ready()
    assert ready is not None
    assert ready.snapshot_chunk == chunk(0, b"abc")
    assert ready.messages_after_sync == [SnapshotReply("a", "b", 3, 9, 3, False)]
    assert bench.raft.leader_id == "b"


def test_5_3_the_last_chunk_is_answered_when_the_snapshot_is_installed() -> None:
    bench = Bench(entries=log_of(1, 1), state=HardState(1, "", 2)).drain()
    bench.raft.step(chunk(0, b"abc"))
    bench.forget()
    bench.raft.step(chunk(3, b"def"))
    assert bench.take(SnapshotReply) == []
    assert bench.raft.snapshot_installed(META) is False
    assert bench.take(SnapshotReply) == [SnapshotReply("a", "b", 3, 9, 0, True)]
    raft = bench.raft
    assert (raft.commit_index, raft.applied_index, raft.last_index, raft.last_term) == (9, 9, 9, 3)
    assert bench.append(3, (9, 3), entry(3, 10), commit=10).match == 10
    assert [each.index for each in bench.committed] == [1, 2, 10]


def test_5_3_a_log_that_continues_from_the_snapshot_is_kept() -> None:
    bench = Bench(entries=log_of(1, 1, 1, 1, 1, 1, 1, 3, 3, 3), state=HardState(3, "", 2)).drain()
    bench.raft.step(chunk(0, b"abcdef"))
    bench.drain()
    assert bench.raft.snapshot_installed(META) is True
    assert (bench.raft.last_index, bench.raft.applied_index) == (11, 9)


def test_nothing_is_applied_between_the_last_chunk_and_the_installation() -> None:
    bench = Bench(entries=log_of(*[1] * 5))
    bench.raft.step(chunk(0, b"abcdef"))
    bench.raft.step(AppendRequest("b", "a", 3, 6, 1, 6, [], 0))
    assert bench.drain().committed == []
    bench.raft.snapshot_failed(META)
    assert [each.index for each in bench.drain().committed] == [1, 2, 3, 4, 5, 6]


def test_chunks_out_of_order_are_answered_with_the_place_to_go_on() -> None:
    bench = Bench()
    bench.raft.step(chunk(3, b"de"))
    assert bench.take(SnapshotReply) == [SnapshotReply("a", "b", 3, 9, 0, False)]
    bench.raft.step(chunk(0, b"abc"))
    bench.forget()
    bench.raft.step(chunk(0, b"abc"))
    assert bench.take(SnapshotReply) == [SnapshotReply("a", "b", 3, 9, 3, False)]
    assert len(bench.chunks) == 1


def test_another_snapshot_or_another_leader_starts_from_the_beginning() -> None:
    newer = SnapshotMeta(12, 3, members("a", "b", "c"), 1)
    bench = Bench()
    bench.raft.step(chunk(0, b"abc"))
    bench.forget()
    bench.raft.step(chunk(0, b"xyz", meta=newer))
    assert bench.take(SnapshotReply) == [SnapshotReply("a", "b", 3, 12, 3, False)]
    bench.raft.step(chunk(3, b"de"))
    assert bench.take(SnapshotReply) == []  # of the older one, late
    bench.raft.step(SnapshotChunk("c", "a", 4, newer, 3, b"de", 6, False))
    assert bench.take(SnapshotReply) == [SnapshotReply("a", "c", 4, 12, 0, False)]


def test_a_damaged_snapshot_is_fetched_again() -> None:
    bench = Bench()
    bench.raft.step(chunk(0, b"abcdef"))
    bench.forget()
    bench.raft.step(chunk(0, b"abcdef"))
    assert bench.take(SnapshotReply) == []
    bench.raft.snapshot_failed(META)
    assert bench.take(SnapshotReply) == [SnapshotReply("a", "b", 3, 9, 0, False)]
    bench.raft.step(chunk(0, b"abcdef"))
    bench.drain()
    bench.raft.snapshot_installed(META)
    assert bench.raft.applied_index == 9


def test_a_snapshot_of_what_is_here_already_is_not_needed() -> None:
    bench = Bench(entries=log_of(*[1] * 9), state=HardState(1, "", 10)).drain()
    bench.raft.step(chunk(0, b"abc"))
    assert bench.take(SnapshotReply) == [SnapshotReply("a", "b", 3, 9, 0, True)]
    assert bench.chunks == []


def test_a_chunk_that_comes_before_the_last_was_fetched_is_left_to_be_repeated() -> None:
    bench = Bench()
    bench.raft.step(chunk(0, b"abc"))
    bench.raft.step(chunk(3, b"def"))
    bench.drain()
    assert [each.offset for each in bench.chunks] == [0]


def test_chunks_outside_of_the_snapshot_are_the_peers_fault() -> None:
    raft = Bench().raft
    for bad in (
        chunk(-1, b"abc"),
        chunk(4, b"abc"),
        SnapshotChunk("b", "a", 3, META, 0, b"abc", 6, True),
        SnapshotChunk("b", "a", 3, META, 3, b"def", 6, False),
    ):
        with pytest.raises(PeerError):
            raft.step(bad)


def test_an_installation_nobody_asked_for_stops_the_server() -> None:
    with pytest.raises(InvariantError):
        Bench().raft.snapshot_installed(META)


def test_the_configuration_of_a_snapshot_is_in_force() -> None:
    meta = SnapshotMeta(9, 3, members("a", "d"), 7)
    bench = Bench()
    bench.raft.step(chunk(0, b"abcdef", meta=meta))
    bench.drain()
    bench.raft.snapshot_installed(meta)
    assert (bench.raft.configuration, bench.raft.configuration_index) == (members("a", "d"), 7)
    assert bench.raft.role is Role.FOLLOWER
