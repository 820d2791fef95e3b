"""Membership changes and leadership transfer (Ongaro's dissertation, chapter 4 and section 3.10)."""

from __future__ import annotations

import pytest
from raft_wiring import Bench, entry, log_of, members

from pyconsul.errors import (
    CallerError,
    ConfigError,
    DecodeError,
    InvariantError,
    NotLeaderError,
    OverloadedError,
    RetryError,
)
from pyconsul.raft.config import (
    AddNonVoter,
    AddVoter,
    Change,
    Configurations,
    DemoteVoter,
    RaftConfig,
    RemoveServer,
    changed,
    decode_configuration,
    encode_configuration,
)
from pyconsul.raft.core import Role
from pyconsul.raft.messages import (
    CONFIG,
    AppendReply,
    AppendRequest,
    Configuration,
    Entry,
    HardState,
    Server,
    TimeoutNow,
    VoteReply,
    VoteRequest,
)


@pytest.mark.parametrize(
    ("change", "after"),
    [
        (AddVoter("c", "c:1"), [("a", "a:8300", True), ("n", "n:8300", False), ("c", "c:1", True)]),
        (AddVoter("n", "n:1"), [("a", "a:8300", True), ("n", "n:1", True)]),
        (AddNonVoter("c", "c:1"), [("a", "a:8300", True), ("n", "n:8300", False), ("c", "c:1", False)]),
        (AddNonVoter("a", "a:1"), [("a", "a:1", True), ("n", "n:8300", False)]),
        (DemoteVoter("n"), [("a", "a:8300", True), ("n", "n:8300", False)]),
        (RemoveServer("n"), [("a", "a:8300", True)]),
        (RemoveServer("x"), [("a", "a:8300", True), ("n", "n:8300", False)]),
        (DemoteVoter("x"), [("a", "a:8300", True), ("n", "n:8300", False)]),
    ],
)
def test_a_change_concerns_one_server(change: Change, after: list[tuple[str, str, bool]]) -> None:
    configuration = changed(members("a", nonvoters=["n"]), change)
    assert [(each.id, each.address, each.voter) for each in configuration.servers] == after


@pytest.mark.parametrize("change", [RemoveServer("a"), DemoteVoter("a")])
def test_the_last_voter_stays(change: Change) -> None:
    with pytest.raises(CallerError, match="at least one voter"):
        changed(members("a", nonvoters=["n"]), change)


def test_configurations_survive_the_log_and_damage_is_told() -> None:
    configuration = members("a", "b", nonvoters=["n"])
    assert decode_configuration(encode_configuration(configuration)) == configuration
    with pytest.raises(DecodeError):
        decode_configuration(b"\xff")


def test_the_history_of_configurations() -> None:
    history = Configurations(0, Configuration())
    for index, ids in ((1, "a"), (5, "ab"), (9, "abc")):
        history.append(index, members(*ids))
    assert [history.at(index)[0] for index in (0, 1, 4, 5, 8, 9, 99)] == [0, 1, 1, 5, 5, 9, 9]
    assert not history.cut(10)
    assert history.cut(9)
    assert (history.index, history.latest) == (5, members("a", "b"))
    history.compact(6)
    assert history.at(6) == (5, members("a", "b"))
    with pytest.raises(InvariantError):
        history.at(4)


def test_4_1_a_configuration_is_in_force_when_appended() -> None:
    bench = Bench().lead()
    assert bench.raft.propose_configuration(AddVoter("d", "d:8300")) == 3
    assert (bench.raft.configuration_index, len(bench.raft.voters)) == (3, 4)
    assert "d" in bench.raft.progress()
    bench.ack("b")
    assert bench.raft.commit_index == 2  # 2 of 4
    bench.ack("c")
    assert bench.raft.commit_index == 3


def test_4_1_a_follower_follows_the_newest_configuration_and_goes_back_when_it_is_cut_off() -> None:
    bench = Bench()
    new = Entry(2, 2, CONFIG, encode_configuration(members("a", "b", "c", "d")))
    bench.append(2, (1, 1), new)
    assert bench.raft.configuration == members("a", "b", "c", "d")
    bench.append(3, (1, 1), entry(3, 2), sender="c")
    assert (bench.raft.configuration, bench.raft.configuration_index) == (members("a", "b", "c"), 1)


def test_4_1_one_change_at_a_time() -> None:
    bench = Bench().lead()
    bench.raft.propose_configuration(AddVoter("d", "d:8300"))
    with pytest.raises(RetryError, match="under way"):
        bench.raft.propose_configuration(AddVoter("e", "e:8300"))
    bench.ack("b").ack("c")
    bench.raft.propose_configuration(AddVoter("e", "e:8300"))


def test_4_1_no_change_before_an_entry_of_the_term_is_committed() -> None:
    bench = Bench().lead(settle=False)
    with pytest.raises(RetryError, match="term"):
        bench.raft.propose_configuration(AddVoter("d", "d:8300"))
    with pytest.raises(NotLeaderError):
        Bench().raft.propose_configuration(AddVoter("d", "d:8300"))


def test_4_2_1_a_nonvoter_gets_entries_and_does_not_count() -> None:
    bench = Bench(entries=log_of(configuration=members("a", "b", "c", nonvoters=["n"]))).lead()
    bench.ack("n").raft.propose([b"x"])
    assert "n" in [message.to for message in bench.take(AppendRequest)]
    bench.ack("n")
    assert bench.raft.commit_index == 2
    bench.ack("b")
    assert bench.raft.commit_index == 3


def test_4_2_1_a_new_server_is_found_out_with_a_probe_and_caught_up() -> None:
    bench = Bench().lead()
    bench.raft.propose_configuration(AddNonVoter("n", "n:8300"))
    bench.forget()
    bench.raft.step(AppendReply("n", "a", 2, False, 0, 1, 0, 0))
    (probe,) = [message for message in bench.take(AppendRequest) if message.to == "n"]
    assert [each.index for each in probe.entries] == [1, 2, 3]


def test_4_2_2_a_leader_that_removes_itself_leads_until_that_is_committed_without_counting_itself() -> None:
    bench = Bench().lead()
    bench.raft.propose_configuration(RemoveServer("a"))
    bench.ack("b")
    assert (bench.raft.role, bench.raft.commit_index) == (Role.LEADER, 2)
    bench.ack("c")
    assert (bench.raft.role, bench.raft.commit_index) == (Role.FOLLOWER, 3)
    told = bench.take(AppendRequest)
    assert [message.commit for message in told[-2:]] == [3, 3]
    assert len(bench.take(TimeoutNow)) == 1
    bench.tick(100)
    assert bench.raft.role is Role.FOLLOWER


def test_4_2_2_a_server_whose_removal_is_not_committed_may_stand() -> None:
    entries = [*log_of(), Entry(1, 2, CONFIG, encode_configuration(members("b", "c")))]
    bench = Bench(entries=entries)
    bench.raft.campaign()
    assert bench.raft.role is Role.PRECANDIDATE
    gone = Bench(entries=entries, state=HardState(1, "", 2))
    gone.raft.campaign()
    assert gone.raft.role is Role.FOLLOWER


def test_a_removed_server_is_told_of_its_removal_and_then_forgotten() -> None:
    bench = Bench().lead()
    bench.raft.propose_configuration(RemoveServer("c"))
    assert "c" in [message.to for message in bench.take(AppendRequest)]
    bench.ack("b")
    assert bench.raft.commit_index == 3
    bench.ack("c")
    bench.tick()
    assert "c" not in bench.raft.progress()
    bench = Bench().lead()
    bench.raft.propose_configuration(RemoveServer("c"))
    bench.ack("b")
    for _ in range(10):
        bench.tick().drain()
        bench.ack("b")
    assert "c" not in bench.raft.progress()


def test_a_smaller_majority_commits_what_it_has() -> None:
    bench = Bench(entries=log_of(configuration=members("a", "b"))).lead()
    bench.raft.propose([b"x"])
    bench.drain()
    assert bench.raft.commit_index == 2
    bench.raft.propose_configuration(RemoveServer("b"))
    assert bench.raft.commit_index == 3


def test_after_a_restart_the_log_tells_the_configuration() -> None:
    entries = [*log_of(), Entry(1, 2, CONFIG, encode_configuration(members("a", "b")))]
    bench = Bench(entries=entries)
    assert (bench.raft.configuration, bench.raft.configuration_index) == (members("a", "b"), 2)


# ---- bootstrap


def test_bootstrap_writes_the_same_first_entry_everywhere() -> None:
    logs = []
    for order in ("abc", "cba"):
        bench = Bench(entries=[], state=HardState())
        bench.raft.bootstrap(members(*order))
        logs.append(bench.drain().entries)
        assert bench.states == [HardState(1, "", 0)]
    assert logs[0] == logs[1]
    assert bench.raft.configuration == members("a", "b", "c")


def test_bootstrap_is_for_new_servers_and_sound_configurations() -> None:
    with pytest.raises(CallerError, match="new clusters"):
        Bench().raft.bootstrap(members("a"))
    with pytest.raises(CallerError, match="new clusters"):
        Bench(entries=[], state=HardState(term=3)).raft.bootstrap(members("a"))
    empty = Bench(entries=[], state=HardState()).raft
    with pytest.raises(CallerError, match="distinct"):
        empty.bootstrap(members("a", "a"))
    with pytest.raises(CallerError, match="distinct"):
        empty.bootstrap(Configuration((Server("", "x:1", True),)))
    with pytest.raises(CallerError, match="voter"):
        empty.bootstrap(members(nonvoters=["a"]))


# ---- leadership transfer


def test_3_10_a_target_that_has_all_is_told_to_stand_at_once() -> None:
    bench = Bench().lead()
    bench.raft.transfer_leadership("c")
    assert bench.take(TimeoutNow) == [TimeoutNow("a", "c", 2)]


def test_3_10_a_target_is_caught_up_first_while_proposals_are_refused() -> None:
    bench = Bench().lead()
    bench.raft.propose([b"x"])
    bench.raft.transfer_leadership("b")
    assert bench.take(TimeoutNow) == []
    with pytest.raises(OverloadedError):
        bench.raft.propose([b"y"])
    with pytest.raises(RetryError):
        bench.raft.propose_configuration(AddVoter("d", "d:8300"))
    bench.ack("b")
    assert bench.take(TimeoutNow) == [TimeoutNow("a", "b", 2)]


def test_3_10_without_a_name_the_voter_that_has_most_is_chosen() -> None:
    bench = Bench().lead()
    bench.raft.propose([b"x"])
    bench.ack("c")
    bench.raft.transfer_leadership(None)
    assert [message.to for message in bench.take(TimeoutNow)] == ["c"]


def test_3_10_a_transfer_is_given_up_after_an_election_timeout() -> None:
    bench = Bench().lead()
    bench.raft.propose([b"x"])
    bench.raft.transfer_leadership("b")
    for _ in range(10):
        bench.tick().drain()
        bench.ack("c")
    assert not bench.raft.transferring
    assert bench.raft.propose([b"y"]) == 4


def test_3_10_the_target_stands_at_once_and_says_why() -> None:
    bench = Bench()
    bench.append(1, (1, 1))
    bench.raft.step(TimeoutNow("b", "a", 1))
    assert (bench.raft.role, bench.raft.term) == (Role.CANDIDATE, 2)
    assert [message.transfer for message in bench.take(VoteRequest)] == [True, True]
    bench.raft.step(TimeoutNow("b", "a", 1))
    bench.raft.step(VoteReply("c", "a", 2, True))
    assert (bench.raft.role, bench.raft.term) == (Role.LEADER, 2)


def test_a_nonvoter_does_not_stand_when_told_to() -> None:
    bench = Bench(entries=log_of(configuration=members("b", "c", nonvoters=["a"])))
    bench.raft.step(TimeoutNow("b", "a", 1))
    assert bench.raft.role is Role.FOLLOWER


@pytest.mark.parametrize("to", ["a", "n", "x"])
def test_leadership_goes_to_another_voter(to: str) -> None:
    bench = Bench(entries=log_of(configuration=members("a", "b", nonvoters=["n"]))).lead()
    with pytest.raises(CallerError):
        bench.raft.transfer_leadership(to)
    with pytest.raises(NotLeaderError):
        Bench().raft.transfer_leadership("b")


def test_a_lone_server_has_nobody_to_hand_over_to() -> None:
    bench = Bench(entries=log_of(configuration=members("a"))).lead(votes=())
    with pytest.raises(CallerError, match="cannot find"):
        bench.raft.transfer_leadership(None)


def test_a_target_that_is_removed_ends_the_transfer() -> None:
    bench = Bench().lead()
    bench.raft.propose_configuration(DemoteVoter("b"))
    bench.raft.transfer_leadership("c")
    assert bench.raft.transferring


# ---- settings


@pytest.mark.parametrize(
    "settings",
    [
        {"id": ""},
        {"heartbeat_ticks": 0},
        {"max_inflight": 0},
        {"trailing_entries": -1},
        {"election_ticks": 4},
        {"heartbeat_ticks": 7},
    ],
)
def test_settings_that_do_not_fit_together_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        RaftConfig(**{"id": "a", **settings})  # type: ignore[arg-type]
