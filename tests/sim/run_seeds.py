# ruff: noqa: E402 (run as a script it has to find the checkers first)
"""Runs seeds of the simulators, one process per core; what fails is shrunk and told with the command that replays it.

python tests/sim/run_seeds.py COUNT [--first N] [--processes N] [--only servers|cores] [--seconds N] [--gossip KIND]

``servers``: whole servers, of which one seed in four has no real gossip; ``cores``: the consensus core alone. What was
run so far is printed every minute, and when the run is cut short (Ctrl-C, SIGTERM).
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "check")]

import raft_cluster
import server_cluster
from sim_setting import HEARSAY, MEMBERS, SECONDS
from world import Violation

Job = tuple[str, int]
Outcome = tuple[str, int, float, dict[str, int], str]
"""What kind, which seed, seconds of processor time, how often what happened, how it failed."""
REPORT_SECONDS = 60.0


def run_job(job: Job, seconds: float, gossip: str | None) -> Outcome:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent tells what was run
    kind, seed = job
    begun = time.process_time()
    counts: dict[str, int] = {}
    failure = ""
    if kind == "cores":
        try:
            judge = raft_cluster.run_seed(seed).judge
            counts = {**judge.faults, **judge.operations}
        except Violation as error:
            failure = str(error)
    else:
        try:
            cluster = server_cluster.run_seed(seed, seconds, gossip=gossip)
            kind = f"servers, {'no real gossip' if cluster.setting.gossip == HEARSAY else 'real gossip'}"
            counts = cluster.judge.counts
        except AssertionError as error:
            failure = f"{error}\nshrunk: {server_cluster.shrink(seed, seconds, gossip)}"
    return kind, seed, time.process_time() - begun, counts, failure


class Report:
    """What was run, not what was wanted."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.failed = 0
        self._seeds: Counter[str] = Counter()
        self._seconds: Counter[str] = Counter()
        self._counts: dict[str, Counter[str]] = {}
        self._begun = self._told = time.monotonic()

    def add(self, outcome: Outcome) -> None:
        kind, seed, seconds, counts, failure = outcome
        self._seeds[kind] += 1
        self._seconds[kind] += round(1e6 * seconds)
        self._counts.setdefault(kind, Counter()).update(counts)
        if failure:
            self.failed += 1
            print(f"--- {kind}, seed {seed}: {failure}", flush=True)
        if time.monotonic() - self._told > REPORT_SECONDS:
            self._told = time.monotonic()
            print(self.line(), flush=True)

    def line(self) -> str:
        run = sum(self._seeds.values())
        return f"{run} of {self.wanted} runs in {time.monotonic() - self._begun:.0f} s, {self.failed} failed"

    def tell(self) -> None:
        for kind, counts in sorted(self._counts.items()):
            each = self._seconds[kind] / 1e6 / self._seeds[kind]
            print(f"{kind}: {self._seeds[kind]} seeds of {each:.2f} s each; ", end="")
            print(", ".join(f"{what}: {counts[what]}" for what in sorted(counts)))
        print(self.line(), flush=True)


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM is as Ctrl-C."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--only", choices=["servers", "cores"])
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of simulated time with faults, of servers")
    parser.add_argument("--gossip", choices=[HEARSAY, MEMBERS], help="of servers; else as the seed says")
    chosen = parser.parse_args()
    kinds = [chosen.only] if chosen.only else ["servers", "cores"]
    seeds = range(chosen.first, chosen.first + chosen.count)
    report = Report(len(kinds) * len(seeds))
    run = partial(run_job, seconds=chosen.seconds, gossip=chosen.gossip)
    whole = False
    with interruptible(), get_context("spawn").Pool(chosen.processes) as pool:
        try:
            for outcome in pool.imap_unordered(run, ((kind, seed) for seed in seeds for kind in kinds), 4):
                report.add(outcome)
            whole = True
        except KeyboardInterrupt:
            print("cut short")
    report.tell()
    return 0 if whole and not report.failed else 1


if __name__ == "__main__":
    sys.exit(main())
