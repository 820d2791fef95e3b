"""Measures the gossip core in simulated clusters, beside what the formulas of its sources predict; prints a table.

    python tests/sim/gossip_tables.py 3 30 300 --seeds 3

SWIM (Das et al. 2002): a crash is first noticed after e/(e-1) probe periods. Lifeguard (Dadgar et al. 2018): with
enough confirmations a suspicion lasts as long as its lower bound. Serf: an event passed on to k members in each round
has reached all n after about 2 ln(n) / k rounds, where loss makes k smaller.
"""

from __future__ import annotations

import argparse
import math
import sys
from typing import NamedTuple

from gossip_cluster import Cluster

from pyconsul.gossip.suspicion import bounds
from pyconsul.gossip.timings import LAN

WATCHED_SECONDS = 20.0
LIMIT_SECONDS = 120.0


class Measured(NamedTuple):
    """Seconds until all know of a crash and of an event; members declared dead that lived; datagrams."""

    crash: float
    event: float
    false_dead: int
    datagrams_per_second: float


def crash_formula(size: int) -> float:
    """Seconds: until the victim is probed, until that probe has failed, and the suspicion."""
    _, shortest, _ = bounds(LAN, size)
    return (math.e / (math.e - 1) + 1) * LAN.probe_interval + shortest


def event_formula(size: int, loss: float) -> float:
    """Seconds: rounds are whole."""
    return math.ceil(2 * math.log(size) / (LAN.gossip_nodes * (1 - loss))) * LAN.gossip_interval


def formed(size: int, seed: int) -> Cluster:
    """A cluster whose members know each other. Looking whether they do is what costs most, so it is done rarely."""
    cluster = Cluster(size, seed)
    first, *others = cluster.hosts.values()
    for host in others:
        cluster.join(host, first)
        cluster.run(0.02)
    for _ in range(120):
        if cluster.all_know_all():
            return cluster
        cluster.run(1.0)
    raise AssertionError("the members do not find each other")


def measure(size: int, loss: float, seed: int) -> Measured:
    """One run."""
    cluster = formed(size, seed)
    cluster.run(5.0)
    cluster.loss = loss
    before = sum(host.datagrams for host in cluster.hosts.values())
    false_dead: set[str] = set()
    kinds = {host.name: len(host.events) for host in cluster.hosts.values()}
    cluster.run(WATCHED_SECONDS)
    for host in cluster.hosts.values():
        for _, event in host.events[kinds[host.name] :]:
            if event.kind == "member-failed":
                false_dead |= {member.name for member in event.members}
    sent = sum(host.datagrams for host in cluster.hosts.values()) - before

    first = cluster.by_name["m0"]
    first.core.context.enter(cluster.now)
    first.core.serf.fire_event("deploy", b"1", False)
    have: set[str] = set()

    def all_have_it() -> bool:
        for host in cluster.hosts.values():
            if host.name not in have and any(event.name == "deploy" for _, event in host.events[-3:]):
                have.add(host.name)
        return len(have) == size

    event_seconds = cluster.run_until(all_have_it, LIMIT_SECONDS, "the event reached all")
    cluster.crash("m1")
    crash_seconds = cluster.run_until(
        lambda: len(cluster.dead_to("m1")) == size - 1, LIMIT_SECONDS, "all know of the crash"
    )
    return Measured(crash_seconds, event_seconds, len(false_dead), sent / size / WATCHED_SECONDS)


def row(size: int, loss: float, runs: list[Measured]) -> str:
    """A line of the table in docs/design/gossip.md."""
    count = len(runs)
    crash = sum(run.crash for run in runs) / count
    event = sum(run.event for run in runs) / count
    sent = sum(run.datagrams_per_second for run in runs) / count
    dead = sum(run.false_dead for run in runs)
    return (
        f"| {size} | {loss:.0%} | {crash:.1f} s | {crash_formula(size):.1f} s | {event:.2f} s | "
        f"{event_formula(size, loss):.2f} s | {dead} | {sent:.1f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="+", type=int)
    parser.add_argument("--loss", nargs="+", type=float, default=[0.0, 0.05, 0.2])
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    for size in arguments.sizes:
        for loss in arguments.loss:
            runs = [measure(size, loss, seed) for seed in range(1, arguments.seeds + 1)]
            sys.stdout.write(row(size, loss, runs) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
