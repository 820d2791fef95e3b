"""Replication: one test per rule, named after it. Sections are those of Ongaro's dissertation."""

from __future__ import annotations

from typing import Any

import pytest
from raft_wiring import Bench, entry, log_of, members

from pyconsul.errors import InvariantError, NotLeaderError, OverloadedError, PeerError
from pyconsul.raft.core import Role
from pyconsul.raft.messages import CONFIG, AppendReply, AppendRequest, Entry, HardState
from pyconsul.raft.progress import SendState


def followed(**settings: Any) -> Bench:
    """A leader with two followers that have everything."""
    return Bench(**settings).lead()


# ---- the leader


def test_3_5_entries_go_to_all_followers_after_those_they_have() -> None:
    bench = followed()
    assert bench.raft.propose([b"x", b"y"]) == 3
    bench.drain(sync=False)
    for message in bench.sent:
        assert isinstance(message, AppendRequest)
        assert (message.prev_index, message.prev_term, message.commit) == (2, 2, 2)
        assert message.entries == [entry(2, 3, b"x"), entry(2, 4, b"y")]
    assert [message.to for message in bench.sent] == ["b", "c"]


def test_3_5_a_majority_of_disks_commits() -> None:
    bench = followed()
    bench.raft.propose([b"x"])
    assert bench.drain().raft.commit_index == 2
    bench.ack("b")
    assert bench.raft.commit_index == 3
    assert bench.committed[-1] == entry(2, 3, b"x")


def test_10_2_1_the_leader_sends_before_its_own_sync_and_counts_itself_after_it() -> None:
    bench = followed()
    bench.raft.propose([b"x"])
    bench.drain(sync=False)
    assert len(bench.sent) == 2
    bench.raft.step(AppendReply("b", "a", 2, True, 3, 0, 0, 0))
    assert bench.raft.commit_index == 2
    bench.raft.persisted(3, 2)
    assert bench.raft.commit_index == 3


def test_10_2_1_the_others_commit_without_the_leaders_disk() -> None:
    bench = followed()
    bench.raft.propose([b"x"])
    bench.drain(sync=False)
    bench.raft.step(AppendReply("b", "a", 2, True, 3, 0, 0, 0))
    bench.raft.step(AppendReply("c", "a", 2, True, 3, 0, 0, 0))
    bench.drain(sync=False)
    assert (bench.raft.commit_index, bench.raft.persisted_index) == (3, 2)
    assert bench.committed[-1].index == 3


def test_a_single_voter_commits_when_its_own_disk_has_it() -> None:
    bench = Bench(entries=log_of(configuration=members("a")))
    bench.raft.campaign()
    bench.raft.propose([b"x"])
    bench.drain(sync=False)
    assert bench.raft.commit_index == 0
    bench.raft.persisted(3, 2)
    assert bench.raft.commit_index == 3


def test_3_6_2_entries_of_earlier_terms_are_not_committed_by_counting() -> None:
    """Figure 3.7: (2, term 2) on a majority is not safe before an entry of the leader's own term is."""
    bench = Bench(entries=log_of(2, 2)).lead(settle=False).drain()
    assert bench.raft.term == 3
    bench.ack("b", index=3)
    bench.ack("c", index=3)
    assert bench.raft.commit_index == 0
    bench.ack("b", index=4)
    assert bench.raft.commit_index == 4


def test_3_5_the_commit_index_reaches_followers_without_waiting_for_the_next_command() -> None:
    bench = followed()
    bench.raft.propose([b"x"])
    bench.ack("b").ack("c")
    told = bench.take(AppendRequest)[-2:]
    assert [(message.commit, message.entries) for message in told] == [(3, []), (3, [])]


def test_proposals_made_before_ready_share_a_message() -> None:
    bench = followed()
    for number in range(5):
        bench.raft.propose([b"%d" % number])
    messages = bench.take(AppendRequest)
    assert [len(message.entries) for message in messages] == [5, 5]


def test_10_2_2_a_window_of_messages_is_on_its_way_and_what_is_left_shares_the_next() -> None:
    bench = followed(max_inflight=2)
    for number in range(5):
        bench.raft.propose([b"%d" % number])
        bench.drain()
    first = [message for message in bench.take(AppendRequest) if message.to == "b"]
    assert [[each.index for each in message.entries] for message in first] == [[3], [4]]
    bench.ack("b", index=3)
    second = [message for message in bench.take(AppendRequest) if message.to == "b" and message.entries]
    assert [[each.index for each in message.entries] for message in second] == [[5, 6, 7]]


def test_messages_are_bounded_in_entries_and_bytes() -> None:
    bench = followed(max_entries_per_append=3, max_bytes_per_append=100)
    bench.raft.propose([b""] * 5)
    bench.raft.propose([b"x" * 60] * 3)
    sizes = [len(message.entries) for message in bench.take(AppendRequest) if message.to == "b"]
    assert sizes == [3, 3, 1, 1]


def test_3_5_a_new_leader_probes_with_one_message_until_it_knows_where_the_logs_part() -> None:
    bench = Bench(entries=log_of(1, 1)).lead(settle=False).drain()
    bench.raft.propose([b"x"])
    bench.drain()
    assert len([message for message in bench.take(AppendRequest) if message.to == "b"]) == 1
    bench.ack("b", index=4)
    assert bench.raft.progress()["b"].state is SendState.REPLICATE
    (message,) = [message for message in bench.take(AppendRequest) if message.to == "b" and message.entries]
    assert [each.index for each in message.entries] == [5]


def test_3_5_a_refusal_steps_back_by_whole_terms() -> None:
    """Leader 1 1 1 4 4 5 5, follower 1 1 1 1 2 2 3 3: one refusal per term of the follower's, not per entry."""
    bench = Bench(entries=log_of(1, 1, 4, 4, 5, 5)).lead(settle=False).forget()
    step = bench.raft.step
    probes = []
    # Refused at 7 (its term there is 3, from index 7 on): the leader has no term 3, so it tries before index 7.
    step(AppendReply("b", "a", 6, False, 0, 7, 3, 0))
    probes += [m for m in bench.take(AppendRequest) if m.to == "b" and m.entries]
    # Refused at 6 (term 2, from index 5 on): likewise, before index 5.
    step(AppendReply("b", "a", 6, False, 0, 5, 2, 0))
    probes += [m for m in bench.take(AppendRequest) if m.to == "b" and m.entries]
    # Refused at 4 (term 1, from index 1 on): the leader has term 1 up to index 3 and tries after that.
    step(AppendReply("b", "a", 6, False, 0, 1, 1, 0))
    probes += [m for m in bench.take(AppendRequest) if m.to == "b" and m.entries]
    assert [(message.prev_index, message.prev_term) for message in probes] == [(6, 5), (4, 4), (3, 1)]


def test_3_5_a_follower_that_is_merely_short_is_found_with_one_refusal() -> None:
    bench = Bench(entries=log_of(*[1] * 50)).lead(settle=False).forget()
    bench.raft.step(AppendReply("b", "a", 2, False, 0, 11, 0, 0))
    (probe,) = [message for message in bench.take(AppendRequest) if message.to == "b"]
    assert probe.prev_index == 10


def test_a_lost_probe_is_repeated_when_a_later_heartbeat_is_answered() -> None:
    bench = Bench().lead(settle=False).forget()
    bench.tick()
    heartbeat = next(message for message in bench.take(AppendRequest) if message.to == "b")
    assert heartbeat.entries == []
    bench.raft.step(AppendReply("b", "a", 2, True, 0, 0, 0, heartbeat.read_round))
    (probe,) = [message for message in bench.take(AppendRequest) if message.to == "b"]
    assert [each.index for each in probe.entries] == [2]


def test_a_lost_append_is_noticed_by_the_next_heartbeat() -> None:
    bench = followed()
    bench.raft.propose([b"x"])
    bench.forget()
    bench.tick()
    heartbeat = next(message for message in bench.take(AppendRequest) if message.to == "b")
    assert heartbeat.prev_index == 3
    bench.raft.step(AppendReply("b", "a", 2, False, 0, 3, 0, heartbeat.read_round))
    (again,) = [message for message in bench.take(AppendRequest) if message.to == "b"]
    assert [each.index for each in again.entries] == [3]


def test_a_late_refusal_does_no_harm() -> None:
    bench = followed()
    bench.raft.step(AppendReply("b", "a", 2, False, 0, 1, 0, 0))
    assert bench.raft.progress()["b"].next == 3
    assert bench.raft.progress()["b"].match == 2


def test_an_emptied_server_does_not_cause_a_storm() -> None:
    bench = followed()
    sent = 0
    for _ in range(10):
        bench.raft.step(AppendReply("b", "a", 2, False, 0, 1, 0, bench.raft.rounds.newest))
        sent += len([message for message in bench.take(AppendRequest) if message.to == "b"])
    assert sent <= 2


def test_an_unreachable_follower_is_probed() -> None:
    bench = followed()
    bench.raft.propose([b"x"])
    bench.forget()
    bench.raft.unreachable("b")
    bench.raft.unreachable("nobody")
    (probe,) = [message for message in bench.take(AppendRequest) if message.to == "b"]
    assert [each.index for each in probe.entries] == [3]


def test_heartbeats_go_out_every_so_many_ticks() -> None:
    bench = followed(heartbeat_ticks=3)
    counts = [len(bench.tick().take(AppendRequest)) for _ in range(9)]
    assert counts == [0, 0, 2, 0, 0, 2, 0, 0, 2]


def test_only_a_leader_takes_proposals() -> None:
    with pytest.raises(NotLeaderError):
        Bench().raft.propose([b"x"])


def test_proposals_beyond_the_limit_of_uncommitted_bytes_are_refused_until_some_are_committed() -> None:
    bench = followed(max_uncommitted_bytes=100)
    bench.raft.propose([b"x" * 60])
    with pytest.raises(OverloadedError):
        bench.raft.propose([b"x" * 41])
    assert bench.raft.last_index == 3
    bench.raft.propose([b"x" * 40])
    bench.ack("b", index=3)
    bench.raft.propose([b"x" * 60])
    bench.ack("b")
    bench.raft.propose([b"x" * 1000])
    with pytest.raises(OverloadedError):
        bench.raft.propose([b"x"])


def test_a_confirmation_of_what_was_never_sent_is_the_peers_fault() -> None:
    bench = followed()
    with pytest.raises(PeerError):
        bench.raft.step(AppendReply("b", "a", 2, True, 99))
    with pytest.raises(PeerError):
        bench.raft.step(AppendReply("b", "a", 2, True, 1, 0, 0, 99))


# ---- the follower


def test_3_5_a_follower_appends_after_a_matching_entry_and_answers_after_its_sync() -> None:
    bench = Bench()
    bench.raft.step(AppendRequest("b", "a", 1, 1, 1, 0, [entry(1, 2), entry(1, 3)], 7))
    ready = bench.raft.ready()
    assert ready is not None
    assert ready.entries == [entry(1, 2), entry(1, 3)]
    assert ready.messages == []
    assert ready.messages_after_sync == [AppendReply("a", "b", 1, True, 3, 0, 0, 7)]


@pytest.mark.parametrize(
    ("own", "prev", "conflict"),
    [
        ((1, 1), (9, 1), (4, 0)),  # too short: go on after the end
        ((1, 2, 2, 2), (5, 3), (3, 2)),  # another term: its first entry
        ((1, 2, 2, 2), (4, 1), (3, 2)),
    ],
)
def test_3_5_a_follower_refuses_when_the_entry_before_does_not_match(
    own: tuple[int, ...], prev: tuple[int, int], conflict: tuple[int, int]
) -> None:
    bench = Bench(entries=log_of(*own))
    reply = bench.append(5, prev, entry(5, prev[0] + 1))
    assert (reply.success, reply.conflict_index, reply.conflict_term) == (False, *conflict)
    assert bench.entries == []


def test_3_5_conflicting_entries_are_replaced_and_those_after_them_dropped() -> None:
    bench = Bench(entries=log_of(1, 2, 2, 2))
    reply = bench.append(3, (2, 1), entry(3, 3))
    assert reply.match == 3
    assert bench.raft.last_index == 3
    assert bench.entries == [entry(3, 3)]


def test_3_5_a_late_message_does_not_cut_off_what_came_after_it() -> None:
    bench = Bench()
    bench.append(1, (1, 1), entry(1, 2), entry(1, 3), entry(1, 4))
    reply = bench.append(1, (1, 1), entry(1, 2))
    assert reply.match == 2
    assert bench.raft.last_index == 4
    assert len(bench.entries) == 3


def test_3_5_a_follower_commits_only_as_far_as_it_was_compared() -> None:
    bench = Bench(entries=log_of(1, 1, 1))
    bench.append(2, (2, 1), commit=4)
    assert bench.raft.commit_index == 2
    bench.append(2, (4, 1), entry(2, 5), commit=4)
    assert bench.raft.commit_index == 4


def test_the_commit_index_never_goes_back() -> None:
    bench = Bench(entries=log_of(1, 1, 1))
    bench.append(2, (4, 1), commit=4)
    bench.append(2, (4, 1), commit=2)
    assert bench.raft.commit_index == 4


def test_a_heartbeat_is_answered_at_once_and_speaks_only_of_what_is_stored() -> None:
    bench = Bench()
    bench.raft.step(AppendRequest("b", "a", 1, 1, 1, 0, [entry(1, 2)], 1))
    bench.drain(sync=False)
    bench.sent_after_sync.clear()
    bench.raft.step(AppendRequest("b", "a", 1, 2, 1, 0, [], 2))
    bench.drain(sync=False)
    assert bench.sent == [AppendReply("a", "b", 1, True, 1, 0, 0, 2)]
    assert bench.sent_after_sync == []


def test_committed_entries_cannot_be_overwritten() -> None:
    bench = Bench(entries=log_of(1, 1))
    bench.append(1, (3, 1), commit=3)
    with pytest.raises(InvariantError, match="committed entry"):
        bench.append(2, (1, 1), entry(2, 2))


def test_two_leaders_in_a_term_stop_the_server() -> None:
    bench = Bench()
    bench.append(1, (1, 1))
    with pytest.raises(InvariantError, match="two leaders"):
        bench.append(1, (1, 1), sender="c")
    leader = followed()
    with pytest.raises(InvariantError, match="two leaders"):
        leader.append(2, (1, 1))


def test_entries_that_do_not_follow_each_other_are_the_peers_fault_and_change_nothing() -> None:
    bench = Bench()
    for entries in ([entry(1, 3)], [entry(1, 2), entry(1, 4)], [Entry(1, 2, CONFIG, b"\xff")]):
        with pytest.raises(PeerError):
            bench.raft.step(AppendRequest("b", "a", 1, 1, 1, 0, entries, 0))
    assert bench.raft.last_index == 1
    assert bench.raft.leader_id == ""


# ---- what the driver is told


def test_the_commit_index_is_stored_along_but_never_alone() -> None:
    bench = Bench()
    bench.append(1, (1, 1), entry(1, 2))
    bench.append(1, (2, 1), commit=2)
    assert bench.states == []
    bench.append(1, (2, 1), entry(1, 3), commit=2)
    assert bench.states == [HardState(1, "", 2)]


def test_each_thing_is_handed_out_once_while_a_save_is_under_way() -> None:
    bench = followed()
    raft = bench.raft
    raft.propose([b"x"])
    one = raft.ready()
    raft.propose([b"y"])
    two = raft.ready()
    assert one is not None
    assert two is not None
    assert [each.index for each in one.entries] == [3]
    assert [each.index for each in two.entries] == [4]
    assert raft.ready() is None


def test_a_report_on_an_entry_that_was_overwritten_is_ignored() -> None:
    bench = Bench()
    bench.raft.step(AppendRequest("b", "a", 1, 1, 1, 0, [entry(1, 2), entry(1, 3)], 0))
    bench.drain(sync=False)
    bench.raft.step(AppendRequest("c", "a", 2, 1, 1, 0, [entry(2, 2), entry(2, 3)], 0))
    bench.drain(sync=False)
    bench.raft.persisted(3, 1)
    assert bench.raft.persisted_index == 1
    bench.raft.persisted(3, 2)
    assert bench.raft.persisted_index == 3


def test_committed_entries_come_in_pieces_of_bounded_size() -> None:
    bench = Bench(entries=log_of(*[1] * 9), max_committed_entries=4)
    bench.append(1, (10, 1), commit=10)
    sizes = []
    bench2 = Bench(entries=log_of(*[1] * 9), max_committed_entries=4)
    bench2.raft.step(AppendRequest("b", "a", 1, 10, 1, 10, [], 0))
    while (ready := bench2.raft.ready()) is not None:
        sizes.append(len(ready.committed))
    assert sizes == [4, 4, 2]
    assert [each.index for each in bench.committed] == list(range(1, 11))


def test_what_was_committed_before_a_restart_is_applied_again() -> None:
    bench = Bench(entries=log_of(1, 1), state=HardState(1, "b", 2)).drain()
    assert [each.index for each in bench.committed] == [1, 2]
    assert (bench.raft.role, bench.raft.vote) == (Role.FOLLOWER, "b")


def test_answers_of_strangers_and_of_other_roles_are_ignored() -> None:
    bench = followed()
    bench.raft.step(AppendReply("x", "a", 2, True, 2))
    follower = Bench()
    follower.raft.step(AppendReply("b", "a", 1, True, 1))
    assert follower.drain().sent == []
    assert "x" not in bench.raft.progress()
