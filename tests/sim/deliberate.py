"""Deliberate bugs by name, and the search for a seed that shows one."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest
import server_cluster
from world import Violation


def cases(names: Collection[str], slow: Collection[str]) -> list[Any]:
    """Parameters of a test, one for each bug; those in ``slow`` need more than a few seeds."""
    return [pytest.param(name, marks=[pytest.mark.slow] if name in slow else []) for name in names]


def find(seeds_max: int, gossip: str) -> None:
    """Runs seeds of whole servers until one fails; fails itself when none does."""
    for seed in range(seeds_max):
        try:
            server_cluster.run_seed(seed, gossip=gossip)
        except Violation as found:
            print(f"found with seed {seed}: {found}")
            return
    pytest.fail(f"not found in {seeds_max} seeds")
