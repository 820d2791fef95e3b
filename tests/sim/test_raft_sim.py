"""Seeds of the simulated cluster. SEEDS=n runs n of them (default 50), FIRST_SEED=n begins elsewhere."""

from __future__ import annotations

import os

import pytest
import raft_cluster

SEEDS = int(os.environ.get("SEEDS", "50"))
FIRST = int(os.environ.get("FIRST_SEED", "0"))
BLOCK = 25


@pytest.mark.timeout(0)
@pytest.mark.parametrize("first", range(FIRST, FIRST + SEEDS, BLOCK))
def test_promises_hold_under_faults(first: int) -> None:
    for seed in range(first, min(first + BLOCK, FIRST + SEEDS)):
        raft_cluster.run_seed(seed)


def test_the_same_seed_tells_the_same_story() -> None:
    stories = []
    for _ in range(2):
        cluster = raft_cluster.Cluster(7, story=True)
        cluster.run()
        stories.append(cluster.story)
    assert stories[0] == stories[1]
    assert stories[0]


def test_the_faults_and_operations_of_the_model_do_happen() -> None:
    faults: dict[str, int] = {}
    operations: dict[str, int] = {}
    for seed in range(25):
        cluster = raft_cluster.run_seed(seed)
        for book, total in ((cluster.judge.faults, faults), (cluster.judge.operations, operations)):
            for what, count in book.items():
                total[what] = total.get(what, 0) + count
    for fault in ("lost message", "late message", "duplicated message", "crash", "pause", "partition", "one-way"):
        assert faults.get(fault, 0) > 5, fault
    for operation in ("applied", "read", "lease checked", "membership change", "transfer", "snapshot installed"):
        assert operations.get(operation, 0) > 5, operation


@pytest.mark.parametrize("seed", [2674, 2846, 130413, 133680])
def test_what_a_lone_voter_forgot_in_a_crash_was_never_said(seed: int) -> None:
    """It leads again in a term that its disk did not know: neither its vote nor its entries were seen by anybody."""
    raft_cluster.run_seed(seed)
