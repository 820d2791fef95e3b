"""Clusters of the real gossip core under loss, pauses, crashes and partitions; one seed per run, so failures repeat."""

from __future__ import annotations

import os

import pytest
from gossip_cluster import Cluster
from gossip_tables import Measured, crash_formula, datagrams_formula, event_formula, measure

from pyconsul.gossip.messages import STATE_DEAD, STATE_SUSPECT
from pyconsul.gossip.suspicion import bounds
from pyconsul.gossip.timings import LAN

pytestmark = pytest.mark.timeout(0)
"""Simulated time is what counts; how long it takes depends on the machine."""

SIZES = [3, 30, pytest.param(300, marks=pytest.mark.slow)]
JOINED_MAX = 100  # larger clusters are put together without joins, which take far longer than what is tested
DEAD_SECONDS_MAX = 3.0  # to hear of one's death and to tell all otherwise: two spreads of about a second, and chance


def formed(size: int, seed: int, loss: float = 0.0) -> Cluster:
    cluster = Cluster(size, seed, loss=0.0)
    if size > JOINED_MAX:
        cluster.form_at_once()
    else:
        cluster.form()
    cluster.loss = loss
    return cluster


@pytest.mark.parametrize("size", SIZES)
def test_a_crash_is_noticed_in_the_time_of_the_formula(size: int) -> None:
    cluster = formed(size, seed=size)
    cluster.crash("m1")
    _, shortest, longest = bounds(LAN, size)
    # The victim is next in somebody's round after about one interval, at worst at the end of the only other's round;
    # then one interval of probing, then the suspicion, then the news has to travel.
    rounds = 3 * size * LAN.probe_interval if size < 10 else 5 * LAN.probe_interval
    limit = rounds + LAN.probe_interval + (longest if size < 4 else 2 * shortest) + 5.0
    seconds = cluster.run_until(lambda: len(cluster.dead_to("m1")) == size - 1, limit, "all know of the crash")
    assert seconds > shortest


@pytest.mark.parametrize("size", SIZES)
def test_nobody_is_suspected_on_a_good_network(size: int) -> None:
    cluster = formed(size, seed=100 + size)
    for _ in range(60):
        cluster.run(0.5)
        assert cluster.all_know_all()


@pytest.mark.parametrize(("size", "loss"), [(3, 0.05), (30, 0.05), (3, 0.2), (30, 0.2)])
def test_loss_kills_nobody(size: int, loss: float) -> None:
    """A member may be suspected for a moment, even be declared dead; it refutes before long."""
    cluster = formed(size, seed=200 + size, loss=loss)
    longest_dead: dict[str, float] = {}
    since: dict[str, float] = {}
    for _ in range(240):
        cluster.run(0.5)
        for name in cluster.by_name:
            if cluster.dead_to(name):
                since.setdefault(name, cluster.now)
                longest_dead[name] = max(longest_dead.get(name, 0.0), cluster.now - since[name])
            else:
                since.pop(name, None)
    assert max(longest_dead.values(), default=0.0) <= 5.0


@pytest.mark.parametrize("size", SIZES)
def test_a_user_event_reaches_everybody_once(size: int) -> None:
    cluster = formed(size, seed=300 + size, loss=0.05)
    first = cluster.by_name["m0"]
    first.core.context.enter(cluster.now)
    first.core.serf.fire_event("deploy", b"1", False)

    def receivers() -> list[str]:
        return [host.name for host in cluster.alive_hosts() for _, event in host.events if event.name == "deploy"]

    cluster.run_until(lambda: len(set(receivers())) == size, 10.0, "the event reached all")
    cluster.run(5.0)
    assert len(receivers()) == size


@pytest.mark.parametrize("size", [3, 30])
def test_a_paused_member_is_suspected_and_lives(size: int) -> None:
    cluster = formed(size, seed=400 + size)
    suspected = False
    cluster.pause("m1", 3.0)
    for _ in range(300):
        cluster.run(0.1)
        states = {host.state_of("m1") for host in cluster.alive_hosts() if host.name != "m1"}
        suspected |= STATE_SUSPECT in states
        assert STATE_DEAD not in states
    assert suspected
    assert cluster.all_know_all()


@pytest.mark.parametrize("size", [3, 30])
def test_a_partition_heals_into_one_view_with_all_tags(size: int) -> None:
    cluster = formed(size, seed=500 + size)
    names = list(cluster.by_name)
    small, large = names[: size // 3], names[size // 3 :]
    cluster.partition(small, large)
    cluster.run(30.0)
    assert set(cluster.dead_to(small[0])) == set(large)
    cluster.partition()
    cluster.run_until(cluster.all_know_all, 120.0, "one view again")
    cluster.run(5.0)
    for host in cluster.alive_hosts():
        assert {m.name: m.tags for m in host.core.serf.members.values()} == {name: {"n": name[1:]} for name in names}
        assert {m.status_name for m in host.core.serf.members.values()} == {"alive"}


def keeps_to_formulas(run: Measured, size: int, loss: float, event_factor: float = 3) -> None:
    """With room for chance, as it is one run."""
    assert run.crash < 2 * crash_formula(size) + 5.0
    assert run.event < event_factor * event_formula(size, loss)
    assert run.datagrams_per_second < 2 * datagrams_formula(size, loss)
    assert run.longest_dead <= DEAD_SECONDS_MAX


@pytest.mark.parametrize(("size", "loss"), [(3, 0.05), (30, 0.05), pytest.param(300, 0.05, marks=pytest.mark.slow)])
def test_crashes_and_events_keep_to_the_formulas(size: int, loss: float) -> None:
    """One run of the table in docs/design/gossip.md."""
    run = measure(size, loss, seed=1, watched=20.0)
    assert run.false_dead == 0
    keeps_to_formulas(run, size, loss)


@pytest.mark.parametrize("size", [3, 30, pytest.param(300, marks=pytest.mark.slow)])
def test_at_20_percent_loss_nobody_that_lives_is_dead_for_longer_than_a_refutation_takes(size: int) -> None:
    keeps_to_formulas(measure(size, 0.2, seed=1, watched=60.0 if size < 100 else 30.0), size, 0.2)


ON_REQUEST = pytest.mark.skipif(
    "PYCONSUL_SIM_1000" not in os.environ,
    reason="more minutes than the slow run can afford: set PYCONSUL_SIM_1000",
)


@pytest.mark.slow
@pytest.mark.parametrize("loss", [0.05, pytest.param(0.0, marks=ON_REQUEST), pytest.param(0.2, marks=ON_REQUEST)])
def test_a_thousand_members_keep_to_the_formulas(loss: float) -> None:
    # With 20 % loss suspicions fill all datagrams, and events have to wait.
    keeps_to_formulas(measure(1000, loss, seed=1, watched=5.0), 1000, loss, event_factor=30 if loss == 0.2 else 3)


def test_a_leave_is_no_failure() -> None:
    cluster = formed(5, seed=600, loss=0.05)
    leaver = cluster.by_name["m3"]
    leaver.core.context.enter(cluster.now)
    leaver.core.serf.begin_leave()
    cluster.run(2.0)
    leaver.core.context.enter(cluster.now)
    leaver.core.swim.leave()
    cluster.run(3.0)
    cluster.crash("m3")
    cluster.run(20.0)
    for host in cluster.alive_hosts():
        assert host.core.serf.members["m3"].status_name == "left"
        assert [event.kind for _, event in host.events if event.members and event.members[0].name == "m3"] == [
            "member-join",
            "member-leave",
        ]


def test_a_restarted_member_at_incarnation_1_is_taken_back() -> None:
    cluster = formed(5, seed=700)
    cluster.by_name["m2"].core.context.enter(cluster.now)
    for value in range(5):
        cluster.by_name["m2"].core.serf.set_tags({"n": str(value)})
    cluster.run(2.0)
    cluster.crash("m2")
    cluster.run(10.0)
    again = cluster.add(2)
    cluster.join(again, cluster.by_name["m0"])
    cluster.run_until(cluster.all_know_all, 30.0, "taken back")
    assert again.core.swim.incarnation > 5


def test_the_same_seed_gives_the_same_run() -> None:
    def run() -> list[tuple[float, str]]:
        cluster = formed(10, seed=42, loss=0.2)
        cluster.crash("m4")
        cluster.run(30.0)
        return [(time, event.kind) for host in cluster.hosts.values() for time, event in host.events]

    assert run() == run()
