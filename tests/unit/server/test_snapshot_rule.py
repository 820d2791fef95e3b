"""When a snapshot is due: often enough for a short log, seldom enough for a large state."""

from __future__ import annotations

import pytest

from pyconsul.server.snapshots import is_due


@pytest.mark.parametrize(
    ("since", "keys", "rested", "due"),
    [
        (99, 0, True, False),
        (100, 0, True, True),
        (100, 0, False, False),
        (399, 0, False, False),
        (400, 0, False, True),
        (100, 606, True, False),
        (101, 606, True, True),
        (1_999, 12_000, True, False),
        (2_000, 12_000, True, True),
        (3_999, 12_000, False, False),
        (4_000, 12_000, False, True),
        (400, 1_200, False, True),
    ],
)
def test_a_snapshot_is_due_by_entries_and_keys(since: int, keys: int, rested: bool, due: bool) -> None:
    assert is_due(since, keys, 100, rested) is due


def test_the_cost_of_snapshots_per_write_is_bounded_for_every_size_of_the_state() -> None:
    for keys in (0, 10**3, 10**5, 10**7):
        since = next(n for n in range(0, 10**8, 100) if is_due(n, keys, 16384, False))
        assert keys / since <= 4
