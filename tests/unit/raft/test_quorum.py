"""Majority arithmetic against the slowest way to say the same."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from pyconsul.raft.quorum import Outcome, majority, outcome, reached


@given(st.lists(st.integers(0, 12), min_size=1, max_size=7))
def test_reached_is_the_largest_value_that_some_majority_has(values: list[int]) -> None:
    majorities = list(combinations(values, majority(len(values))))
    assert reached(values) == max(min(group) for group in majorities)


def test_nobody_reaches_nothing() -> None:
    assert reached([]) == 0


@given(st.integers(1, 9))
def test_any_two_majorities_overlap_and_none_is_larger_than_needed(voters: int) -> None:
    assert 2 * majority(voters) > voters
    assert 2 * (majority(voters) - 1) <= voters


names = st.sampled_from("abcdefg")


@given(st.sets(names, max_size=7), st.dictionaries(names, st.booleans()))
def test_a_ballot_is_decided_when_the_missing_votes_cannot_change_it(voters: set[str], votes: dict[str, bool]) -> None:
    missing = [voter for voter in voters if voter not in votes]
    yes = sum(votes.get(voter, False) for voter in voters)
    ends = {yes + more > len(voters) / 2 for more in range(len(missing) + 1)} if voters else {False}
    expected = Outcome.PENDING if len(ends) == 2 else Outcome.WON if ends == {True} else Outcome.LOST
    assert outcome(voters, votes) is expected
