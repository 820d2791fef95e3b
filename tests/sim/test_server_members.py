"""Single happenings among members, end to end: gossip, the catalog, Raft."""

from __future__ import annotations

from functools import partial

import pytest
from sim_agreement import check_agreement
from sim_cluster import Cluster
from sim_node import Node
from sim_setting import FAULTS, MEMBERS
from sim_surroundings import surroundings
from world import IO

from pyconsul.gossip.member import ALIVE, FAILED, LEFT
from pyconsul.records.catalog import CRITICAL, SERF_CHECK_ID

SEED = 2
FIVE_SERVERS_SEED = 0
NOTICED_SECONDS = 30.0
"""Suspicion lasts 4 to 24 s at the periods of a LAN, and 2 s pass at most until two others have probed a server."""


class Calm(Cluster):
    """Without faults, and for as long as a test wants; at the periods of a LAN."""

    def __init__(self, seed: int = SEED) -> None:
        super().__init__(seed, 1000.0, frozenset(FAULTS), gossip=MEMBERS)
        assert self.setting.timings.probe_interval == 1.0

    def statuses(self, name: str) -> set[int]:
        """What the others say of this member."""
        agents = [each.agent for each in self.nodes.values() if each.name != name and each.agent is not None]
        return {member.status for agent in agents for member in agent.lan.members() if member.name == name}

    def seen_by(self, name: str) -> dict[str, int]:
        """The members that this one knows, and what it says of each."""
        agent = self.nodes[name].agent
        return {} if agent is None else {member.name: member.status for member in agent.lan.members()}

    def wait(self, seconds: float) -> None:
        self.world.run(self.world.now + seconds)

    def begin(self) -> None:
        for each in self.nodes.values():
            self.world.push(0.0, IO, each.start)
        self.wait(10.0)
        check_agreement(self)


def catalog_status(cluster: Cluster, name: str) -> str | None:
    leader = cluster.leader()
    assert leader is not None
    check = leader.raft.machine.store.catalog.check(name, SERF_CHECK_ID)
    return None if check is None else check.status


def follower(cluster: Cluster) -> Node:
    return next(each for each in cluster.nodes.values() if each is not cluster.leader())


def test_a_dead_server_is_noticed_by_all_and_by_the_catalog_and_taken_back() -> None:
    cluster = Calm()
    with surroundings(cluster):
        cluster.begin()
        victim = follower(cluster)
        victim.wanted = False
        victim.die(True)
        cluster.wait(3.0)
        assert cluster.statuses(victim.name) == {ALIVE}, "it may still be slow"
        for _ in range(int(NOTICED_SECONDS)):
            cluster.wait(1.0)
            if cluster.statuses(victim.name) <= {FAILED, LEFT}:
                break
        # Autopilot tells everybody that a failed server will not come back; until then it has failed.
        assert cluster.statuses(victim.name) <= {FAILED, LEFT}
        assert catalog_status(cluster, victim.name) in (CRITICAL, None)
        victim.start()
        cluster.wait(30.0)
        check_agreement(cluster)


def test_a_server_that_leaves_is_no_member_of_anything_until_it_is_back() -> None:
    cluster = Calm()
    with surroundings(cluster):
        cluster.begin()
        victim = follower(cluster)
        victim.wanted = False
        cluster.gossip.leave(victim)
        cluster.wait(12.0)
        leader = cluster.leader()
        assert leader is not None
        assert not victim.running
        assert cluster.statuses(victim.name) == {LEFT}
        assert catalog_status(cluster, victim.name) is None
        assert victim.name not in {server.id for server in leader.raft.core.configuration.servers}
        victim.start()
        cluster.wait(30.0)
        check_agreement(cluster)


def test_who_is_wrongly_told_to_leave_stays() -> None:
    cluster = Calm()
    with surroundings(cluster):
        cluster.begin()
        target = follower(cluster)
        cluster.world.push(0.0, IO, partial(cluster.gossip.drop, cluster.leader(), target, True))  # type: ignore[arg-type]
        cluster.wait(20.0)
        check_agreement(cluster)


@pytest.mark.parametrize("failed", [False, True], ids=["at once", "after they were missed"])
@pytest.mark.parametrize("power", [False, True], ids=["processes", "machines"])
def test_islands_of_servers_that_started_while_they_were_cut_off_find_each_other(failed: bool, power: bool) -> None:
    """Each finds somebody to join on its own side, which ends its joining: what it knew before has to be enough."""
    cluster = Calm(FIVE_SERVERS_SEED)
    assert len(cluster.nodes) == 5
    assert cluster.setting.joins_all
    left, right = {"s1", "s2", "s4"}, {"s3", "s5"}
    with surroundings(cluster):
        cluster.begin()
        cluster.network.blocked = {(a, b) for a in cluster.nodes for b in cluster.nodes if (a in left) != (b in left)}
        if failed:
            cluster.wait(2 * NOTICED_SECONDS)  # one after the other
            for side, others in ((left, right), (right, left)):
                assert all(cluster.seen_by(name)[other] != ALIVE for name in side for other in others)
        for each in cluster.nodes.values():
            each.die(False)
            if power:
                each.files.crash()
        cluster.wait(90.0)  # each address of the other side costs 10 s
        for side in (left, right):
            for name in side:
                assert cluster.seen_by(name) == dict.fromkeys(side, ALIVE)
        cluster.network.blocked = set()
        cluster.wait(120.0)
        check_agreement(cluster)
