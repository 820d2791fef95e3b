# ruff: noqa: E402 (run as a script it has to find the checkers first)
"""Whole servers in one thread, from one seed: the real ConsensusServer with all its parts, and the real gossip.

Real: server/node, raft_loop, disk_writer, snapshots, consensus, leader, membership, gossip_loop; of process/agent what
has to do with members; raft; gossip; storage; fsm; state; net/udp and net/stream. Stand-ins: the event loop and threads
(world.py), sockets (sim_sockets.py), the connections of Raft and of requests between servers (sim_surroundings.py), the
disk (MemoryFiles). In one seed of four gossip is a stand-in too (sim_hearsay.py). The fault model is at the top of
sim_setting.py.

Run one seed and see its story:
    python tests/sim/server_cluster.py SEED [--without KIND,KIND] [--seconds N] [--gossip members|hearsay]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "check")]

from sim_cluster import Cluster
from sim_setting import FAULTS, HEARSAY, MEMBERS, SECONDS
from world import Violation


def command(seed: int, seconds: float, without: frozenset[str], gossip: str | None = None) -> str:
    kinds = f" --without {','.join(sorted(without))}" if without else ""
    kind = f" --gossip {gossip}" if gossip else ""
    return f"python tests/sim/server_cluster.py {seed}{kinds}{kind} --seconds {seconds:g}"


def run_seed(
    seed: int, seconds: float = SECONDS, without: frozenset[str] = frozenset(), gossip: str | None = None
) -> Cluster:
    """Raises Violation with the command that replays it."""
    cluster = Cluster(seed, seconds, without, gossip=gossip)
    try:
        cluster.run()
    except Exception as error:
        again = command(seed, seconds, without, gossip)
        raise Violation(f"{type(error).__name__}: {error}\nreplay with: {again}") from error
    return cluster


def shrink(seed: int, seconds: float = SECONDS, gossip: str | None = None) -> str:
    """The command of a run with fewer kinds of faults, and shorter, that still fails."""
    without: frozenset[str] = frozenset()

    def fails(seconds: float, without: frozenset[str]) -> bool:
        try:
            Cluster(seed, seconds, without, gossip=gossip).run()
        except Exception:
            return True
        return False

    for kind in FAULTS:
        if fails(seconds, without | {kind}):
            without |= {kind}
    while seconds > 4 and fails(seconds - 2, without):
        seconds -= 2
    return command(seed, seconds, without, gossip)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seed", type=int)
    parser.add_argument("--without", default="", help=f"comma-separated kinds of faults: {', '.join(FAULTS)}")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of simulated time with faults")
    parser.add_argument("--gossip", choices=[HEARSAY, MEMBERS], help="the real one, or none; else as the seed says")
    chosen = parser.parse_args()
    without = frozenset(filter(None, chosen.without.split(",")))
    cluster = Cluster(chosen.seed, chosen.seconds, without, story=True, gossip=chosen.gossip)
    try:
        cluster.run()
    finally:
        print("\n".join(cluster.story or []))
        print(", ".join(f"{what}: {count}" for what, count in sorted(cluster.judge.counts.items())))


if __name__ == "__main__":
    main()
