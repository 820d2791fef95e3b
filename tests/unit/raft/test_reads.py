"""Reads without the log: the lease and read indexes (Ongaro's dissertation, section 6.4)."""

from __future__ import annotations

from raft_wiring import Bench, log_of, members

from pyconsul.clock import seeded_random
from pyconsul.raft.core import Role
from pyconsul.raft.messages import AppendReply, AppendRequest, ReadIndexReply, ReadIndexRequest, ReadState, TimeoutNow
from pyconsul.raft.on_read import FollowerReads


def test_6_4_a_read_index_is_the_commit_index_confirmed_by_a_later_round() -> None:
    bench = Bench().lead()
    bench.raft.read_index(7)
    rounds = {message.read_round for message in bench.take(AppendRequest)}
    assert len(rounds) == 1
    bench.ack("b", read_round=bench.raft.rounds.newest - 1)
    assert bench.reads == []
    bench.ack("b")
    assert bench.reads == [ReadState(7, 2)]


def test_6_4_many_reads_share_one_round_and_the_next_ones_gather() -> None:
    bench = Bench().lead()
    for context in (1, 2, 3):
        bench.raft.read_index(context)
    assert len(bench.take(AppendRequest)) == 2
    bench.raft.read_index(4)
    assert bench.take(AppendRequest) == []
    bench.ack("b")
    assert [state.context for state in bench.reads] == [1, 2, 3]
    assert {message.read_round for message in bench.take(AppendRequest)} == {bench.raft.rounds.newest}
    bench.ack("c")
    assert [state.context for state in bench.reads] == [1, 2, 3, 4]


def test_6_4_a_refusal_of_entries_confirms_a_round_as_well() -> None:
    bench = Bench().lead()
    bench.raft.read_index(1)
    bench.drain()
    bench.raft.step(AppendReply("b", "a", 2, False, 0, 2, 0, bench.raft.rounds.newest))
    assert bench.drain().reads == [ReadState(1, 2)]


def test_6_4_a_lost_confirmation_is_made_up_for_by_the_next_heartbeat() -> None:
    bench = Bench().lead()
    bench.raft.read_index(1)
    bench.drain()
    bench.tick().forget()
    bench.ack("b")
    assert bench.reads == [ReadState(1, 2)]


def test_6_4_reads_wait_until_an_entry_of_the_term_is_committed() -> None:
    bench = Bench(entries=log_of(1, 1)).lead(settle=False)
    bench.raft.read_index(1)
    bench.ack("b", index=3)
    assert bench.reads == []
    bench.ack("b")
    bench.ack("b")
    assert bench.reads == [ReadState(1, 4)]


def test_a_single_voter_answers_at_once() -> None:
    bench = Bench(entries=log_of(configuration=members("a", nonvoters=["n"])))
    bench.raft.campaign()
    bench.drain()
    bench.raft.read_index(1)
    assert bench.drain().reads == [ReadState(1, 2)]
    assert bench.raft.has_lease()


def test_nonvoters_confirm_nothing() -> None:
    bench = Bench(entries=log_of(configuration=members("a", "b", nonvoters=["n", "m"]))).lead()
    bench.raft.read_index(1)
    bench.ack("n").ack("m")
    assert bench.reads == []
    bench.ack("b")
    assert bench.reads == [ReadState(1, 2)]


def test_reads_waiting_at_a_leader_that_steps_down_are_refused() -> None:
    bench = Bench().lead()
    bench.raft.read_index(1)
    bench.drain()
    bench.raft.read_index(2)
    bench.raft.step(ReadIndexRequest("b", "a", 2, 55))
    bench.raft.step(AppendReply("c", "a", 9, False, 0))
    assert bench.drain().reads == [ReadState(1, 0), ReadState(2, 0)]
    assert bench.take(ReadIndexReply) == [ReadIndexReply("a", "b", 9, 55, 0)]


def test_6_4_a_follower_asks_the_leader_one_question_for_many_reads() -> None:
    bench = Bench()
    bench.append(1, (1, 1))
    bench.raft.read_index(1)
    bench.raft.read_index(2)
    (question,) = bench.take(ReadIndexRequest)
    assert (question.to, question.term) == ("b", 1)
    bench.raft.read_index(3)
    (other,) = bench.take(ReadIndexRequest)
    assert other.context != question.context
    bench.raft.step(ReadIndexReply("b", "a", 1, question.context, 8))
    bench.raft.step(ReadIndexReply("b", "a", 1, question.context, 9))
    assert bench.drain().reads == [ReadState(1, 8), ReadState(2, 8)]
    bench.raft.step(ReadIndexReply("b", "a", 1, other.context, 9))
    assert bench.drain().reads[-1] == ReadState(3, 9)


def test_6_4_the_leader_answers_a_followers_question_after_a_round() -> None:
    bench = Bench().lead()
    bench.raft.step(ReadIndexRequest("b", "a", 2, 55))
    assert bench.take(ReadIndexReply) == []
    bench.ack("c")
    assert bench.take(ReadIndexReply) == [ReadIndexReply("a", "b", 2, 55, 2)]


def test_questions_end_with_the_leader_they_were_put_to() -> None:
    for change in ("term", "timeout"):
        bench = Bench()
        bench.append(1, (1, 1))
        bench.raft.read_index(1)
        bench.drain()
        bench.raft.read_index(2)
        if change == "term":
            bench.append(2, (1, 1), sender="c")
        else:
            bench.tick(25)
        assert sorted(state.context for state in bench.drain().reads) == [1, 2]
        assert {state.index for state in bench.reads} == {0}


def test_a_question_without_an_answer_is_given_up_after_an_election_timeout() -> None:
    bench = Bench()
    bench.append(1, (1, 1))
    bench.raft.read_index(1)
    bench.drain()
    for _ in range(2):
        bench.tick(5)
        bench.append(1, (1, 1))
    assert bench.reads == [ReadState(1, 0)]
    assert bench.raft.leader_id == "b"


def test_servers_without_a_leader_refuse_and_so_does_who_is_asked_by_mistake() -> None:
    bench = Bench()
    bench.raft.read_index(1)
    assert bench.drain().reads == [ReadState(1, 0)]
    bench.raft.step(ReadIndexRequest("b", "a", 1, 55))
    assert bench.take(ReadIndexReply) == [ReadIndexReply("a", "b", 1, 55, 0)]
    newer = Bench().lead()
    newer.raft.step(ReadIndexRequest("b", "a", 1, 56))
    assert newer.take(ReadIndexReply) == [ReadIndexReply("a", "b", 2, 56, 0)]


def test_waiting_reads_are_bounded() -> None:
    bench = Bench(max_pending_reads=2).lead()
    for context in (1, 2, 3):
        bench.raft.read_index(context)
    bench.raft.step(ReadIndexRequest("b", "a", 2, 55))
    assert bench.drain().reads == [ReadState(3, 0)]
    assert bench.take(ReadIndexReply) == [ReadIndexReply("a", "b", 2, 55, 0)]
    follower = Bench(max_pending_reads=2)
    follower.append(1, (1, 1))
    for context in (1, 2, 3):
        follower.raft.read_index(context)
    assert follower.drain().reads == [ReadState(3, 0)]


def test_an_answer_to_a_question_from_before_a_restart_answers_nothing() -> None:
    """Its index may be older than the new read; the numbers of two runs are therefore random numbers apart."""
    random = seeded_random(1)
    first, second = FollowerReads(random), FollowerReads(random)
    assert abs(first.number - second.number) > 1 << 20
    bench = Bench()
    bench.append(1, (1, 1))
    bench.raft.read_index(1)
    bench.drain()
    bench.raft.step(ReadIndexReply("b", "a", 1, second.number + 1, 8))
    assert bench.drain().reads == []


# ---- the lease


def test_6_4_1_the_lease_counts_from_the_beginning_of_the_confirmed_round() -> None:
    bench = Bench().lead()
    bench.tick().drain()
    newest = bench.raft.rounds.newest
    bench.tick(5)
    bench.ack("b", read_round=newest)
    assert bench.raft.has_lease()  # 5 ticks old
    bench.tick()
    assert bench.raft.has_lease()
    bench.tick()
    assert not bench.raft.has_lease()  # 7 = 10 - 1 for rounding - 2 of margin
    assert bench.raft.role is Role.LEADER


def test_6_4_1_no_lease_before_an_entry_of_the_term_is_committed() -> None:
    bench = Bench(entries=log_of(1, 1)).lead(settle=False).drain()
    bench.ack("b", index=3)
    assert not bench.raft.has_lease()
    bench.ack("b")
    assert bench.raft.has_lease()


def test_any_answer_renews_the_lease_not_only_one_to_a_heartbeat() -> None:
    bench = Bench(heartbeat_ticks=6).lead()
    for _ in range(5):
        bench.tick(6)
        bench.raft.propose([b"x"])
        bench.ack("b")
        assert bench.raft.has_lease()


def test_a_pause_ends_the_lease_and_blames_nobody() -> None:
    bench = Bench().lead()
    bench.tick().drain()
    bench.ack("b")
    assert bench.raft.has_lease()
    bench.raft.stood_still(50)
    assert not bench.raft.has_lease()
    bench.tick()
    assert bench.raft.role is Role.LEADER
    bench.ack("b")
    assert bench.raft.has_lease()


def test_after_an_attempted_transfer_there_is_no_lease_in_the_term() -> None:
    """The target stands without waiting for anybody's election timeout, and the request may arrive late."""
    bench = Bench().lead()
    bench.raft.transfer_leadership("b")
    assert [message.to for message in bench.take(TimeoutNow)] == ["b"]
    for _ in range(20):
        bench.tick().drain()
        bench.ack("b").ack("c")
        assert not bench.raft.has_lease()
    assert bench.raft.role is Role.LEADER
    assert not bench.raft.transferring


def test_followers_and_leaders_without_check_quorum_have_no_lease() -> None:
    assert not Bench().raft.has_lease()
    assert not Bench(check_quorum=False).lead().raft.has_lease()


def test_6_4_1_the_lease_answers_without_a_round_when_the_driver_vouches_for_it() -> None:
    bench = Bench().lead()
    bench.raft.read_index(7, lease=True)
    bench.raft.step(ReadIndexRequest("b", "a", 2, 55, True))
    bench.raft.answer_leased_reads()
    assert bench.drain().reads == [ReadState(7, 2)]
    assert bench.take(ReadIndexReply) == [ReadIndexReply("a", "b", 2, 55, 2)]
    assert bench.take(AppendRequest) == []


def test_6_4_1_reads_by_a_lease_that_nobody_vouches_for_wait_for_a_round() -> None:
    bench = Bench().lead()
    bench.raft.read_index(7, lease=True)
    assert bench.drain().reads == []
    bench.raft.answer_leased_reads()
    assert bench.drain().reads == []
    bench.ack("b")
    assert bench.reads == [ReadState(7, 2)]


def test_6_4_1_reads_by_a_lease_that_is_over_wait_for_a_round() -> None:
    bench = Bench().lead()
    bench.tick(bench.raft.config.lease_ticks)
    assert not bench.raft.has_lease()
    bench.raft.read_index(7, lease=True)
    bench.raft.answer_leased_reads()
    assert bench.drain().reads == []
    bench.ack("b")
    assert bench.reads == [ReadState(7, 2)]


def test_a_follower_asks_for_reads_by_the_lease_apart_from_others() -> None:
    bench = Bench()
    bench.append(1, (1, 1))
    bench.raft.read_index(1)
    bench.raft.read_index(2, lease=True)
    bench.raft.read_index(3, lease=True)
    confirmed, leased = bench.take(ReadIndexRequest)
    assert (confirmed.lease, leased.lease) == (False, True)
    bench.raft.step(ReadIndexReply("b", "a", 1, leased.context, 8))
    assert bench.drain().reads == [ReadState(2, 8), ReadState(3, 8)]


def test_reads_by_the_lease_end_with_the_leader_and_are_bounded() -> None:
    bench = Bench(max_pending_reads=2).lead()
    for context in (1, 2, 3):
        bench.raft.read_index(context, lease=True)
    bench.raft.step(AppendRequest("b", "a", 3, 2, 2, 0, [], 1))
    assert sorted(state.context for state in bench.drain().reads) == [1, 2, 3]
    assert {state.index for state in bench.reads} == {0}
    follower = Bench(max_pending_reads=2)
    follower.append(1, (1, 1))
    for context in (1, 2, 3):
        follower.raft.read_index(context, lease=True)
    assert follower.drain().reads == [ReadState(3, 0)]
    follower.append(2, (1, 1), sender="c")
    assert sorted(state.context for state in follower.drain().reads) == [1, 2, 3]
