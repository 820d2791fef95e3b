"""A server dies right before and right after each operation on its disk, with nothing else going wrong.

The process alone, or the machine with what was not synced. It must start again, and the cluster agree on all that was
acknowledged; the judge of the simulator looks on.
"""

from __future__ import annotations

import os

import pytest
from sim_cluster import Cluster
from sim_setting import FAULTS, HEARSAY, MEMBERS
from world import SimFiles, Violation

SEED = 10
SECONDS = 3.5
VICTIM = "s1"
FAST_EVERY = 151
SLOW_EVERY = int(os.environ.get("CRASH_EVERY", "4"))  # 1: every single operation, about ten minutes


def run(at: int, after: bool, power: bool, gossip: str = HEARSAY) -> tuple[Cluster, int]:
    """``at`` 0: nobody dies. With real gossip the file of known members is on the disk too. Returns the cluster and
    how many operations the victim's disk saw."""
    cluster = Cluster(SEED, SECONDS, frozenset(FAULTS), gossip=gossip)
    setting = cluster.setting
    setting.snapshot_threshold, setting.trailing, setting.segment_bytes = 20, 5, 1024
    setting.client_pause = 0.05
    setting.quiet_seconds = 7.0 if gossip == HEARSAY else setting.quiet_seconds
    setting.die_by_power = power
    victim = cluster.nodes[VICTIM]
    if at:
        victim.die_at_operation = (at, after)
    try:
        cluster.run()
    except AssertionError as error:
        raise Violation(f"died {'after' if after else 'before'} operation {at}, power={power}: {error}") from error
    return cluster, victim.files.operations


def check(operations: list[int], gossip: str = HEARSAY) -> None:
    for at in operations:
        for after in (False, True):
            for power in (False, True):
                cluster, _ = run(at, after, power, gossip)
                died = cluster.judge.counts.get("lost power" if power else "killed", 0)
                assert died == 1, f"operation {at} was never reached"


def test_the_victim_does_all_kinds_of_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[str] = set()
    step = SimFiles._step

    def noted(self: SimFiles, name: str, operation: object) -> object:
        seen.add(name)
        return step(self, name, operation)  # type: ignore[arg-type]

    monkeypatch.setattr(SimFiles, "_step", noted)
    run(0, False, False)
    assert seen >= {"create", "write", "sync", "rename", "remove", "sync_dir"}


def test_some_operations_are_the_last() -> None:
    _, count = run(0, False, False)
    assert count > 100
    check(list(range(1, count - 10, FAST_EVERY)))


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize(("gossip", "share"), [(HEARSAY, 1), (MEMBERS, 4)])
def test_many_operations_are_the_last(gossip: str, share: int) -> None:
    _, count = run(0, False, False, gossip)
    check(list(range(2, count - 10, share * SLOW_EVERY)), gossip)
