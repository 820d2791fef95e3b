"""Measures the gossip core in simulated clusters, beside what the formulas of its sources predict; prints a table.

    python tests/sim/gossip_tables.py 3 30 300 --seeds 3
    python tests/sim/gossip_tables.py 1000 --seeds 1 --watched 15

SWIM (Das et al. 2002): a crash is first noticed after e/(e-1) probe periods; a probe of a living member fails when the
direct way and all indirect ones do. Lifeguard (Dadgar et al. 2018): with enough confirmations a suspicion lasts as long
as its lower bound. Serf: an event passed on to k members in each round has reached all n after about 2 ln(n) / k
rounds, where loss makes k smaller.
"""

from __future__ import annotations

import argparse
import gc
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from gossip_cluster import DATA_RETRY, Cluster, Host

from pyconsul.gossip.context import GossipEvent
from pyconsul.gossip.queue import retransmit_limit
from pyconsul.gossip.suspicion import bounds
from pyconsul.gossip.timings import LAN

WATCHED_SECONDS = 60.0
LIMIT_SECONDS = 120.0


class Measured(NamedTuple):
    """Seconds until all know of a crash and of an event; members declared dead that lived, and for how many seconds
    anybody held one of them dead at most; datagrams per member and second."""

    crash: float
    event: float
    false_dead: int
    longest_dead: float
    datagrams_per_second: float


# --- what the sources predict --------------------------------------------------------------------------------------


def crash_formula(size: int) -> float:
    """Seconds: until the victim is probed, until that probe has failed, and the suspicion."""
    _, shortest, _ = bounds(LAN, size)
    return (math.e / (math.e - 1) + 1) * LAN.probe_interval + shortest


def event_formula(size: int, loss: float) -> float:
    """Seconds: rounds are whole."""
    return math.ceil(2 * math.log(size) / (LAN.gossip_nodes * (1 - loss))) * LAN.gossip_interval


def failed_probe_formula(size: int, loss: float) -> float:
    """Share of the probes of a living member that fail: two ways, four through each helper (SWIM 3.1), then TCP."""
    arrives = 1 - loss
    helpers = min(LAN.indirect_checks, size - 2)
    direct_fails = 1 - arrives**2
    # Until the probe ends there is time for some segments to be sent again, but not for a handshake.
    again = int((LAN.probe_interval - LAN.probe_timeout) / DATA_RETRY) // 2
    tcp_fails = 1 - arrives**2 * arrives**2 * sum((count + 1) * loss**count for count in range(again + 1))
    return direct_fails * float((1 - arrives**4) ** helpers) * tcp_fails


def false_dead_formula(size: int, loss: float, seconds: float) -> float:
    """Living members declared dead, at most: either the suspect misses all copies of the suspicion, or another member
    all copies of its refutation, which the next refutation may still bring in time.

    Each member sends a claim up to the retransmit limit, to anybody: that many copies go to each on average.
    """
    suspicions = size * seconds / LAN.probe_interval * failed_probe_formula(size, loss)
    return suspicions * size * math.exp(-retransmit_limit(LAN.retransmit_mult, size) * (1 - loss))


def datagrams_formula(size: int, loss: float) -> float:
    """Per member and second: probes with what loss adds to them, and rounds of gossip while a claim is told."""
    arrives = 1 - loss
    helpers = min(LAN.indirect_checks, size - 2)
    probe = 1 + arrives + (1 - arrives**2) * helpers * (1 + 2 * arrives + arrives**2)
    told = min(LAN.gossip_nodes, size - 1)
    claims = size / LAN.probe_interval * failed_probe_formula(size, loss)
    told_for = retransmit_limit(LAN.retransmit_mult, size) / told * LAN.gossip_interval
    busy = 1 - math.exp(-claims * told_for)
    return probe / LAN.probe_interval + busy * told / LAN.gossip_interval


# --- what happens --------------------------------------------------------------------------------------------------


class Watch:
    """Gathers what members tell their applications, so that nobody has to look through all records."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.victim = ""
        self.heard: set[str] = set()
        self.know: set[str] = set()
        self.false_dead: set[str] = set()
        self.longest_dead = 0.0
        self._holders: dict[str, set[str]] = {}
        self._since: dict[str, float] = {}
        cluster.on_event = self._take

    def _take(self, host: Host, event: GossipEvent) -> None:
        if event.kind == "user":
            self.heard.add(host.name)
        for member in event.members:
            if member.name == self.victim:
                if event.kind == "member-failed":
                    self.know.add(host.name)
                continue
            holders = self._holders.setdefault(member.name, set())
            if event.kind == "member-failed":
                self.false_dead.add(member.name)
                self._since.setdefault(member.name, self._cluster.now)
                holders.add(host.name)
            elif event.kind == "member-join":
                holders.discard(host.name)
                if not holders:
                    self._end(member.name)

    def _end(self, name: str) -> None:
        since = self._since.pop(name, None)
        if since is not None:
            self.longest_dead = max(self.longest_dead, self._cluster.now - since)

    def finish(self) -> None:
        """Counts what still lasts."""
        for name in list(self._since):
            self._end(name)


@contextmanager
def collector_spared() -> Iterator[None]:
    """A cluster of n has n * n records that live as long as it does: the garbage collector need not visit them."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def measure(size: int, loss: float, seed: int, watched: float = WATCHED_SECONDS) -> Measured:
    """One run: an event is fired, then ``watched`` seconds of watching, then a crash. Loss from the beginning."""
    cluster = Cluster(size, seed, loss=loss)
    cluster.form_at_once()
    with collector_spared():
        watch = Watch(cluster)
        cluster.run(5.0)
        first = cluster.by_name["m0"]
        first.core.context.enter(cluster.now)
        first.core.serf.fire_event("deploy", b"1", False)
        event_seconds = cluster.run_until(lambda: len(watch.heard) == size, LIMIT_SECONDS, "the event reached all")
        before = sum(host.datagrams for host in cluster.hosts.values())
        cluster.run(watched)
        sent = sum(host.datagrams for host in cluster.hosts.values()) - before
        watch.victim = "m1"
        cluster.crash("m1")
        crash_seconds = cluster.run_until(lambda: len(watch.know) == size - 1, LIMIT_SECONDS, "all know of the crash")
        watch.finish()
    return Measured(crash_seconds, event_seconds, len(watch.false_dead), watch.longest_dead, sent / size / watched)


def row(size: int, loss: float, runs: list[Measured], watched: float) -> str:
    """A line of the table in docs/design/gossip.md; false deaths per run, everything else the mean."""
    count = len(runs)
    crash = sum(run.crash for run in runs) / count
    event = sum(run.event for run in runs) / count
    sent = sum(run.datagrams_per_second for run in runs) / count
    dead = sum(run.false_dead for run in runs) / count
    longest = max(run.longest_dead for run in runs)
    return (
        f"| {size} | {loss:.0%} | {crash:.1f} s | {crash_formula(size):.1f} s | {event:.2f} s | "
        f"{event_formula(size, loss):.2f} s | {dead:.2g} | {false_dead_formula(size, loss, watched):.2g} | "
        f"{longest:.1f} s | {sent:.1f} | {datagrams_formula(size, loss):.1f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="+", type=int)
    parser.add_argument("--loss", nargs="+", type=float, default=[0.0, 0.05, 0.2])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--watched", type=float, default=WATCHED_SECONDS)
    arguments = parser.parse_args()
    for size in arguments.sizes:
        for loss in arguments.loss:
            runs = [measure(size, loss, seed, arguments.watched) for seed in range(1, arguments.seeds + 1)]
            sys.stdout.write(row(size, loss, runs, arguments.watched) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
