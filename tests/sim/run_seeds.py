# ruff: noqa: E402 (run as a script it has to find the checkers first)
"""Runs seeds of both simulators on all cores; what fails is shrunk and told with the command that replays it.

python tests/sim/run_seeds.py COUNT [--first N] [--processes N] [--only servers|cores]
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "check")]

import raft_cluster
import server_cluster
from raft_disk import Violation

Outcome = tuple[str, int, dict[str, int], str]


def run_core(seed: int) -> Outcome:
    try:
        cluster = raft_cluster.run_seed(seed)
    except Violation as error:
        return "cores", seed, {}, str(error)
    return "cores", seed, {**cluster.judge.faults, **cluster.judge.operations}, ""


def run_servers(seed: int) -> Outcome:
    try:
        cluster = server_cluster.run_seed(seed)
    except AssertionError as error:
        return "servers", seed, {}, f"{error}\nshrunk: {server_cluster.shrink(seed)}"
    return "servers", seed, cluster.judge.counts, ""


def run_job(job: tuple[str, int]) -> Outcome:
    return run_servers(job[1]) if job[0] == "servers" else run_core(job[1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--processes", type=int, default=None)
    parser.add_argument("--only", choices=["servers", "cores"])
    chosen = parser.parse_args()
    kinds = [chosen.only] if chosen.only else ["servers", "cores"]
    jobs = [(kind, seed) for seed in range(chosen.first, chosen.first + chosen.count) for kind in kinds]
    totals: dict[str, Counter[str]] = {kind: Counter() for kind in kinds}
    failures = 0
    with ProcessPoolExecutor(chosen.processes, get_context("spawn")) as pool:
        for number, future in enumerate(as_completed([pool.submit(run_job, job) for job in jobs]), 1):
            kind, seed, counts, failure = future.result()
            totals[kind].update(counts)
            if failure:
                failures += 1
                print(f"--- {kind}, seed {seed}: {failure}", flush=True)
            if number % 1000 == 0:
                print(f"{number} of {len(jobs)} runs, {failures} failed", flush=True)
    for kind, total in totals.items():
        print(f"{kind}: {chosen.count} seeds; " + ", ".join(f"{what}: {total[what]}" for what in sorted(total)))
    print(f"{failures} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
