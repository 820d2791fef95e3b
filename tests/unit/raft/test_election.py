"""Elections: one test per rule, named after it. Sections are those of Ongaro's dissertation."""

from __future__ import annotations

import pytest
from raft_wiring import Bench, entry, log_of, members

from pyconsul.clock import seeded_random
from pyconsul.raft.config import RaftConfig
from pyconsul.raft.core import Raft, Role
from pyconsul.raft.messages import (
    NOOP,
    AppendReply,
    AppendRequest,
    HardState,
    PreVoteReply,
    PreVoteRequest,
    VoteReply,
    VoteRequest,
)


def test_3_3_a_later_term_makes_any_role_a_follower() -> None:
    for message in (VoteReply("b", "a", 9, False), AppendReply("b", "a", 9, False, 0)):
        bench = Bench().lead()
        bench.raft.step(message)
        assert bench.raft.role is Role.FOLLOWER
        assert bench.raft.term == 9
        assert bench.drain().states[-1] == HardState(9, "", bench.raft.commit_index)


def test_3_3_requests_of_an_earlier_term_are_refused_and_told_of_the_later() -> None:
    bench = Bench(state=HardState(term=5)).elapse()
    raft = bench.raft
    raft.step(AppendRequest("b", "a", 3, 0, 0, 0, [], 0))
    raft.step(VoteRequest("b", "a", 3, 9, 3))
    raft.step(PreVoteRequest("b", "a", 3, 9, 3))
    assert bench.take(AppendReply) == [AppendReply("a", "b", 5, False, 0)]
    assert bench.take(VoteReply) == [VoteReply("a", "b", 5, False)]
    assert bench.take(PreVoteReply) == [PreVoteReply("a", "b", 5, False)]
    assert raft.leader_id == ""


def test_3_4_a_follower_without_a_leader_stands_for_election_after_a_random_time() -> None:
    waits = set()
    for seed in range(60):
        raft = Raft(RaftConfig(id="a", pre_vote=False), seeded_random(seed), HardState(1), log_of())
        ticks = 0
        while raft.role is Role.FOLLOWER:
            raft.tick()
            ticks += 1
        waits.add(ticks)
    assert waits == set(range(10, 20))


def test_3_4_heartbeats_keep_a_follower_a_follower() -> None:
    bench = Bench()
    for _ in range(10):
        bench.tick(9)
        bench.append(1, (1, 1))
    assert bench.raft.role is Role.FOLLOWER
    assert bench.raft.leader_id == "b"


def test_3_4_a_candidate_votes_for_itself_in_a_new_term_and_asks_all_voters() -> None:
    bench = Bench(pre_vote=False, entries=log_of(1, 2))
    bench.raft.campaign()
    bench.drain()
    assert (bench.raft.role, bench.raft.term, bench.raft.vote) == (Role.CANDIDATE, 3, "a")
    assert bench.sent == []
    assert bench.sent_after_sync == [VoteRequest("a", "b", 3, 3, 2), VoteRequest("a", "c", 3, 3, 2)]
    assert bench.states == [HardState(3, "a", 0)]


@pytest.mark.parametrize(
    ("voters", "yes", "no", "role"),
    [
        ("abc", "", "", Role.CANDIDATE),
        ("abc", "b", "", Role.LEADER),
        ("abc", "", "b", Role.CANDIDATE),
        ("abc", "", "bc", Role.FOLLOWER),
        ("abcd", "b", "", Role.CANDIDATE),
        ("abcd", "bc", "", Role.LEADER),
        ("abcd", "b", "cd", Role.FOLLOWER),
        ("abcde", "bc", "de", Role.LEADER),
        ("a", "", "", Role.LEADER),
        ("abc", "xyz", "", Role.CANDIDATE),
    ],
)
def test_3_4_a_majority_of_voters_elects_and_a_majority_of_refusals_ends_it(
    voters: str, yes: str, no: str, role: Role
) -> None:
    bench = Bench(entries=log_of(configuration=members(*voters)), pre_vote=False)
    bench.raft.campaign()
    for voter in no:
        bench.raft.step(VoteReply(voter, "a", 2, False))
    for voter in yes:
        bench.raft.step(VoteReply(voter, "a", 2, True))
    assert bench.raft.role is role


def test_3_4_a_repeated_vote_counts_once() -> None:
    bench = Bench(entries=log_of(configuration=members(*"abcde")), pre_vote=False)
    bench.raft.campaign()
    for _ in range(3):
        bench.raft.step(VoteReply("b", "a", 2, True))
    assert bench.raft.role is Role.CANDIDATE


def test_3_4_a_candidate_gives_way_to_the_leader_of_its_term() -> None:
    bench = Bench(pre_vote=False)
    bench.raft.campaign()
    bench.append(2, (1, 1))
    assert (bench.raft.role, bench.raft.leader_id, bench.raft.term) == (Role.FOLLOWER, "b", 2)


def test_3_4_a_split_vote_is_tried_again_in_the_next_term() -> None:
    bench = Bench(pre_vote=False)
    bench.raft.campaign()
    bench.tick(20)
    assert (bench.raft.role, bench.raft.term) == (Role.CANDIDATE, 3)


def test_3_4_one_vote_a_term_first_come_first_served() -> None:
    bench = Bench().elapse()
    bench.raft.step(VoteRequest("b", "a", 2, 9, 1))
    bench.raft.step(VoteRequest("c", "a", 2, 9, 1))
    bench.raft.step(VoteRequest("b", "a", 2, 9, 1))
    assert [(reply.to, reply.granted) for reply in bench.take(VoteReply)] == [("b", True), ("c", False), ("b", True)]


def test_3_8_the_vote_is_on_disk_before_it_is_given_and_survives_a_restart() -> None:
    bench = Bench().elapse()
    bench.raft.step(VoteRequest("b", "a", 2, 9, 1))
    ready = bench.raft.ready()
    assert ready is not None
    assert ready.hard_state == HardState(2, "b", 0)
    assert ready.messages == []
    assert ready.messages_after_sync == [VoteReply("a", "b", 2, True)]
    again = Bench(state=ready.hard_state).elapse()
    again.raft.step(VoteRequest("c", "a", 2, 9, 1))
    assert again.take(VoteReply) == [VoteReply("a", "c", 2, False)]


@pytest.mark.parametrize(
    ("own", "last_index", "last_term", "granted"),
    [
        ((1,), 2, 1, True),
        ((1,), 9, 1, True),
        ((1,), 1, 2, True),
        ((1, 1), 2, 1, False),
        ((2,), 9, 1, False),
        ((3, 3, 3), 1, 4, True),
    ],
)
def test_3_6_1_votes_go_to_logs_at_least_as_complete(
    own: tuple[int, ...], last_index: int, last_term: int, granted: bool
) -> None:
    bench = Bench(entries=log_of(*own)).elapse()
    bench.raft.step(PreVoteRequest("b", "a", 9, last_index, last_term))
    bench.raft.step(VoteRequest("b", "a", 9, last_index, last_term))
    assert [reply.granted for reply in bench.take(PreVoteReply)] == [granted]
    assert [reply.granted for reply in bench.take(VoteReply)] == [granted]


def test_3_6_2_a_new_leader_appends_an_entry_of_its_term() -> None:
    bench = Bench().lead(settle=False).drain()
    assert [(each.term, each.index, each.kind) for each in bench.entries] == [(2, 2, NOOP)]
    assert [message.entries for message in bench.take(AppendRequest)] == [bench.entries, bench.entries]


def test_9_6_pre_vote_asks_without_a_new_term_and_stands_only_with_a_majority() -> None:
    bench = Bench(state=HardState(term=4, vote="c"))
    bench.raft.campaign()
    assert bench.take(PreVoteRequest) == [PreVoteRequest("a", "b", 5, 1, 1), PreVoteRequest("a", "c", 5, 1, 1)]
    assert (bench.raft.role, bench.raft.term, bench.raft.vote) == (Role.PRECANDIDATE, 4, "c")
    assert bench.states == []
    bench.raft.step(PreVoteReply("b", "a", 5, True))
    assert (bench.raft.role, bench.raft.term, bench.raft.vote) == (Role.CANDIDATE, 5, "a")


def test_9_6_a_pre_vote_binds_nobody() -> None:
    bench = Bench().elapse()
    bench.raft.step(PreVoteRequest("b", "a", 2, 9, 1))
    bench.raft.step(PreVoteRequest("c", "a", 2, 9, 1))
    assert bench.take(PreVoteReply) == [PreVoteReply("a", "b", 2, True), PreVoteReply("a", "c", 2, True)]
    assert (bench.raft.term, bench.states) == (1, [])


def test_9_6_a_grant_for_another_term_does_not_count() -> None:
    bench = Bench()
    bench.raft.campaign()
    bench.raft.step(PreVoteReply("b", "a", 7, True))
    assert (bench.raft.role, bench.raft.term) == (Role.PRECANDIDATE, 1)


def test_9_6_a_refusal_from_a_later_term_brings_that_term() -> None:
    bench = Bench()
    bench.raft.campaign()
    bench.raft.step(PreVoteReply("b", "a", 7, False))
    assert (bench.raft.role, bench.raft.term) == (Role.FOLLOWER, 7)


def test_4_2_3_a_server_that_hears_its_leader_ignores_candidates_and_their_terms() -> None:
    bench = Bench()
    bench.append(1, (1, 1))
    bench.tick(9)
    bench.forget()
    bench.raft.step(PreVoteRequest("c", "a", 8, 9, 9))
    bench.raft.step(VoteRequest("c", "a", 8, 9, 9))
    assert bench.drain().sent + bench.sent_after_sync == []
    assert (bench.raft.term, bench.raft.leader_id) == (1, "b")
    bench.tick()
    bench.raft.step(PreVoteRequest("c", "a", 8, 9, 9))
    assert [reply.granted for reply in bench.take(PreVoteReply)] == [True]


def test_4_2_3_a_leader_with_its_majority_ignores_candidates() -> None:
    bench = Bench().lead()
    bench.raft.step(VoteRequest("c", "a", 8, 9, 9))
    assert (bench.raft.role, bench.raft.term) == (Role.LEADER, 2)


def test_6_4_1_a_restarted_server_votes_for_nobody_for_an_election_timeout() -> None:
    """It may have answered the leader's heartbeat, and so be part of its lease, right before it was restarted."""
    bench = Bench()
    bench.tick(9)
    bench.raft.step(VoteRequest("b", "a", 2, 9, 9))
    assert bench.take(VoteReply) == []
    bench.tick()
    bench.raft.step(VoteRequest("b", "a", 2, 9, 9))
    assert [reply.granted for reply in bench.take(VoteReply)] == [True]


def test_3_10_a_vote_asked_for_by_the_leader_itself_is_given_at_once() -> None:
    bench = Bench()
    bench.append(1, (1, 1))
    bench.forget()
    bench.raft.step(VoteRequest("c", "a", 2, 9, 1, True))
    assert bench.take(VoteReply) == [VoteReply("a", "c", 2, True)]


def test_6_2_a_leader_without_answers_steps_down_within_an_election_timeout() -> None:
    bench = Bench().lead()
    bench.tick(9)
    assert bench.raft.role is Role.LEADER
    bench.tick()
    assert (bench.raft.role, bench.raft.term, bench.raft.leader_id) == (Role.FOLLOWER, 2, "")


def test_6_2_answers_of_a_majority_keep_a_leader() -> None:
    bench = Bench().lead()
    for _ in range(10):
        bench.tick(9)
        bench.ack("c")
    assert bench.raft.role is Role.LEADER


def test_6_2_answers_of_nonvoters_do_not_keep_a_leader() -> None:
    bench = Bench(entries=log_of(configuration=members("a", "b", "c", nonvoters=["n", "m"]))).lead()
    for _ in range(3):
        bench.tick(5)
        if bench.raft.role is Role.LEADER:
            bench.ack("n").ack("m")
    assert bench.raft.role is Role.FOLLOWER


def test_nonvoters_and_strangers_do_not_stand() -> None:
    for bench in (
        Bench(entries=log_of(configuration=members("b", "c", nonvoters=["a"]))),
        Bench(entries=log_of(configuration=members("b", "c"))),
        Bench(entries=[]),
    ):
        bench.tick(100)
        bench.raft.campaign()
        assert bench.raft.role is Role.FOLLOWER
        assert bench.drain().sent == []


def test_4_2_2_a_server_votes_even_when_its_own_log_does_not_name_it() -> None:
    bench = Bench(entries=log_of(configuration=members("b", "c"))).elapse()
    bench.raft.step(VoteRequest("b", "a", 2, 9, 9))
    assert [reply.granted for reply in bench.take(VoteReply)] == [True]


def test_a_lone_voters_entries_wait_for_its_vote_to_be_stored() -> None:
    """It wins by its own vote; were it to crash before that is on disk, it could win the same term once more."""
    bench = Bench(entries=log_of(configuration=members("a", nonvoters=["n"])))
    bench.raft.campaign()
    bench.drain(sync=False)
    assert bench.raft.role is Role.LEADER
    assert bench.sent == []
    bench.raft.persisted(2, 2)
    assert [message.to for message in bench.take(AppendRequest)] != []
    assert bench.raft.commit_index == 2


def test_soft_state_tells_of_role_and_leader_once() -> None:
    bench = Bench()
    bench.raft.step(AppendRequest("b", "a", 1, 1, 1, 0, [entry(1, 2)], 0))
    ready = bench.raft.ready()
    assert ready is not None
    assert ready.soft is not None
    assert (ready.soft.role, ready.soft.leader) == ("follower", "b")
    bench.raft.step(AppendRequest("b", "a", 1, 2, 1, 0, [entry(1, 3)], 0))
    ready = bench.raft.ready()
    assert ready is not None
    assert ready.soft is None
    assert bench.raft.ready() is None
