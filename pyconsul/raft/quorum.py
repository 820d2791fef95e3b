"""Majority arithmetic, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum


class Outcome(Enum):
    """What a ballot has come to so far."""

    PENDING = "pending"
    WON = "won"
    LOST = "lost"


def majority(voters: int) -> int:
    """The smallest number of voters that any other such number must overlap with."""
    return voters // 2 + 1


def reached(values: Iterable[int]) -> int:
    """The largest number that a majority of the values has reached; 0 when there are none.

    One value per voter: the log position it stores, the round it has answered, the tick it was last heard.
    """
    ordered = sorted(values)
    return ordered[(len(ordered) - 1) // 2] if ordered else 0


def outcome(voters: Iterable[str], votes: Mapping[str, bool]) -> Outcome:
    """Counts only what voters said. Without voters nothing can be won."""
    total = granted = refused = 0
    for voter in voters:
        total += 1
        vote = votes.get(voter)
        if vote is True:
            granted += 1
        elif vote is False:
            refused += 1
    needed = majority(total)
    if total and granted >= needed:
        return Outcome.WON
    if total - refused < needed:
        return Outcome.LOST
    return Outcome.PENDING
