"""Seeds of whole simulated servers. SEEDS=n runs n of them (default 16; in the slow run, which CI does too, 500 more),
FIRST_SEED=n begins elsewhere."""

from __future__ import annotations

import os

import pytest
import server_cluster
import sim_cluster
from server_cluster import run_seed
from sim_cluster import Cluster
from sim_setting import FAULTS, HEARSAY
from world import Violation

SEEDS = int(os.environ.get("SEEDS", "16"))
FIRST = int(os.environ.get("FIRST_SEED", "0"))
BLOCK = 8

# Each of these showed a bug once (tests/TRACK_RECORD.md).
REMARKABLE = [24, 39, 64, 105, 159, 175]


@pytest.mark.timeout(0)
@pytest.mark.parametrize("first", range(FIRST, FIRST + SEEDS, BLOCK))
def test_promises_hold_under_faults(first: int) -> None:
    for seed in range(first, min(first + BLOCK, FIRST + SEEDS)):
        run_seed(seed)


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("first", range(1000, 1500, 50))
def test_promises_hold_in_many_more_runs(first: int) -> None:
    for seed in range(first, first + 50):
        run_seed(seed)


@pytest.mark.parametrize("seed", REMARKABLE)
def test_what_was_found_once_stays_away(seed: int) -> None:
    run_seed(seed, gossip=HEARSAY)


def test_the_same_seed_tells_the_same_story() -> None:
    stories = []
    for _ in range(2):
        cluster = Cluster(3, story=True)
        cluster.run()
        stories.append(cluster.story)
    assert stories[0] == stories[1]
    assert stories[0]


def test_without_faults_nothing_is_refused() -> None:
    cluster = run_seed(1, 6.0, frozenset(FAULTS))
    counts = cluster.judge.counts
    assert counts["writes"] > 5
    assert not [what for what in counts if "refused" in what or "unknown" in what or what.startswith("nemesis")]


def test_the_faults_and_operations_of_the_model_do_happen() -> None:
    totals: dict[str, int] = {}
    for seed in range(200, 216):
        for what, count in run_seed(seed).judge.counts.items():
            totals[what] = totals.get(what, 0) + count
    for what in (
        "lost message", "late message", "message cut off", "killed", "lost power", "refused by a full disk",
        "nemesis: pause", "nemesis: lag", "nemesis: split", "nemesis: one-way", "nemesis: pair", "membership change",
        "datagrams", "datagram cut off", "streams", "gossip: member-failed", "gossip: member-leave", "left and ended",
        "snapshots installed", "writes", "leader reads", "consistent reads", "locks taken", "sessions ended",
    ):  # fmt: skip
        assert totals.get(what, 0) > 2, f"{what}: {totals.get(what, 0)}"


def test_a_failure_names_the_command_that_repeats_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sim_cluster, "check_agreement", lambda cluster: _fail())
    with pytest.raises(Violation, match=r"replay with: python tests/sim/server_cluster.py 5 "):
        run_seed(5, 3.0, gossip=HEARSAY)
    assert "--without" in server_cluster.shrink(5, 3.0, HEARSAY)


def _fail() -> None:
    raise AssertionError("nobody agrees")
