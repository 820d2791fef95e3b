"""What autopilot thinks of the servers, and what it does about that."""

from __future__ import annotations

import msgspec
import pytest

from pyconsul.codec.duration import SECOND
from pyconsul.records.autopilot import AutopilotServer
from pyconsul.server.autopilot import (
    DEFAULTS,
    FAILED,
    LEFT,
    NONE,
    Autopilot,
    Policy,
    Sample,
    policy_of,
    removable,
    status_name,
)

POLICY = Policy()
WALL = 1_700_000_000 * SECOND

LEADER = Sample("a", "node-a", "127.0.0.1:8300", "alive", "1.16.1", True, True, False, 0, 3, 1000, {})


def follower(id_: str = "b", **changes: object) -> Sample:
    sample = msgspec.structs.replace(LEADER, id=id_, name=f"node-{id_}", leader=False)
    return msgspec.structs.replace(sample, **changes)


def newcomer(id_: str = "b", **changes: object) -> Sample:
    return follower(id_, **{"voter": False, **changes})


def look(autopilot: Autopilot, seconds: float, *others: Sample, policy: Policy = POLICY) -> list[str]:
    """Judges and returns whom it would promote."""
    now_ns = int(seconds * SECOND)
    autopilot.update(now_ns, WALL + now_ns, [LEADER, *others], policy)
    return autopilot.promotions(now_ns, policy)


class TestHealth:
    def test_three_healthy_servers_tolerate_one_failure(self) -> None:
        state = Autopilot(0).update(0, WALL, [LEADER, follower("b"), follower("c")], POLICY)
        assert (state.healthy, state.failure_tolerance) == (True, 1)
        assert [server.id for server in state.servers] == ["a", "b", "c"]

    @pytest.mark.parametrize(
        "change",
        [
            {"node_status": FAILED},
            {"node_status": LEFT},
            {"node_status": NONE},
            {"last_contact_ns": SECOND // 5 + 1},
            {"last_term": 2},
            {"last_index": 749},
        ],
    )
    def test_one_thing_wrong_is_enough(self, change: dict[str, object]) -> None:
        state = Autopilot(0).update(0, WALL, [LEADER, follower("b", **change), follower("c")], POLICY)
        assert (state.healthy, state.failure_tolerance) == (False, 0)
        assert [server.healthy for server in state.servers] == [True, False, True]

    def test_just_within_the_limits_is_healthy(self) -> None:
        edge = follower("b", last_contact_ns=SECOND // 5, last_index=750)
        assert Autopilot(0).update(0, WALL, [LEADER, edge], POLICY).healthy

    def test_non_voters_do_not_count_for_the_tolerance(self) -> None:
        state = Autopilot(0).update(0, WALL, [LEADER, follower("b"), newcomer(id="c")], POLICY)
        assert state.failure_tolerance == 0

    def test_stable_since_is_the_last_change(self) -> None:
        autopilot = Autopilot(0)
        for second, status, since in (
            (0, "alive", 0),
            (2, "alive", 0),
            (4, FAILED, 4),
            (6, FAILED, 4),
            (8, "alive", 8),
        ):
            now_ns = second * SECOND
            state = autopilot.update(now_ns, WALL + now_ns, [LEADER, follower(node_status=status)], POLICY)
            assert state.servers[1].stable_since_ns == WALL + since * SECOND

    def test_words_for_gossip_statuses(self) -> None:
        assert [status_name(number) for number in range(5)] == [NONE, "alive", LEFT, LEFT, FAILED]


class TestPromotion:
    def test_the_first_servers_need_not_wait(self) -> None:
        assert look(Autopilot(0), 1.0, newcomer()) == ["b"]

    def test_later_ones_wait_until_they_were_healthy_for_the_stabilization_time(self) -> None:
        autopilot = Autopilot(0)
        assert look(autopilot, 60.0, newcomer()) == []
        assert look(autopilot, 69.9, newcomer()) == []
        assert look(autopilot, 70.0, newcomer()) == ["b"]

    def test_any_sickness_starts_the_wait_anew(self) -> None:
        autopilot = Autopilot(0)
        assert look(autopilot, 60.0, newcomer()) == []
        assert look(autopilot, 65.0, newcomer(node_status=FAILED)) == []
        assert look(autopilot, 70.0, newcomer()) == []
        assert look(autopilot, 80.0, newcomer()) == ["b"]

    def test_the_stabilization_time_is_that_of_the_configuration(self) -> None:
        policy = policy_of({"ServerStabilizationTime": "90s"})
        autopilot = Autopilot(0)
        assert look(autopilot, 100.0, newcomer(), policy=policy) == []
        assert look(autopilot, 189.0, newcomer(), policy=policy) == []
        assert look(autopilot, 190.0, newcomer(), policy=policy) == ["b"]

    def test_voters_and_read_replicas_are_left_alone(self) -> None:
        assert look(Autopilot(0), 1.0, follower("b"), newcomer(id="c", read_replica=True)) == []

    def test_a_server_that_was_away_begins_anew(self) -> None:
        autopilot = Autopilot(0)
        look(autopilot, 60.0, newcomer())
        look(autopilot, 65.0)
        assert look(autopilot, 70.0, newcomer()) == []
        assert look(autopilot, 80.0, newcomer()) == ["b"]


class TestRemoval:
    def removals(self, autopilot: Autopilot, *others: Sample, **flags: bool) -> list[str]:
        autopilot.update(0, WALL, [LEADER, *others], POLICY)
        chosen = autopilot.removals(
            POLICY, flags.get("unknown_are_gone", False), flags.get("at_once", False)
        )  # fmt: skip
        return [server.id for server in chosen]

    def test_a_failed_server_goes_when_it_is_failed_twice_in_a_row(self) -> None:
        autopilot = Autopilot(0)
        dead, alive = follower("b", node_status=FAILED), follower("c")
        assert self.removals(autopilot, dead, alive) == []
        assert self.removals(autopilot, follower("b"), alive) == []
        assert self.removals(autopilot, dead, alive) == []
        assert self.removals(autopilot, dead, alive) == ["b"]

    def test_a_replacement_makes_it_go_at_once(self) -> None:
        dead = follower("b", node_status=FAILED)
        assert self.removals(Autopilot(0), dead, follower("c"), follower("d"), at_once=True) == ["b"]

    def test_servers_that_left_are_not_its_business(self) -> None:
        assert self.removals(Autopilot(0), follower("b", node_status=LEFT), follower("c"), at_once=True) == []

    def test_unknown_servers_go_only_when_gossip_had_time_to_find_them(self) -> None:
        stranger = follower("b", node_status=NONE)
        assert self.removals(Autopilot(0), stranger, follower("c"), at_once=True) == []
        assert self.removals(Autopilot(0), stranger, follower("c"), at_once=True, unknown_are_gone=True) == ["b"]

    def test_nothing_is_removed_when_the_configuration_says_so(self) -> None:
        autopilot = Autopilot(0)
        autopilot.update(0, WALL, [LEADER, follower("b", node_status=FAILED), follower("c")], POLICY)
        assert autopilot.removals(policy_of({"CleanupDeadServers": False}), False, True) == []

    @pytest.mark.parametrize(
        ("dead", "voters", "min_quorum", "expected"),
        [
            ("b", 3, 0, "b"),
            ("bc", 3, 0, "b"),
            ("b", 2, 0, ""),
            ("bcd", 5, 0, "bc"),
            ("bc", 5, 4, "b"),
            ("b", 3, 3, ""),
            ("", 3, 0, ""),
        ],
    )
    def test_a_majority_and_the_minimum_stay(self, dead: str, voters: int, min_quorum: int, expected: str) -> None:
        servers = [server(id_) for id_ in dead]
        assert "".join(each.id for each in removable(servers, voters, min_quorum)) == expected

    def test_the_dead_without_a_vote_may_all_go(self) -> None:
        servers = [server("b", voter=False), server("c"), server("d", voter=False), server("e")]
        assert [each.id for each in removable(servers, 3, 0)] == ["b", "c", "d"]


def server(id_: str, voter: bool = True) -> AutopilotServer:
    return AutopilotServer(id_, id_, "", FAILED, "", False, voter, False, 0, 0, 0, False, 0, None)


class TestPolicy:
    def test_the_defaults_are_those_of_a_new_cluster(self) -> None:
        assert policy_of(DEFAULTS) == policy_of(None) == Policy()

    def test_everything_is_read(self) -> None:
        config: dict[str, bool | int | str] = {
            "CleanupDeadServers": False,
            "LastContactThreshold": "1s",
            "MaxTrailingLogs": 7,
            "MinQuorum": 3,
            "ServerStabilizationTime": "1m",
        }
        assert policy_of(config) == Policy(False, SECOND, 7, 3, 60 * SECOND)

    def test_a_duration_that_cannot_be_read_is_the_default(self) -> None:
        assert policy_of({"LastContactThreshold": "soon"}).last_contact_threshold_ns == SECOND // 5
