"""The log against an obvious model: a dictionary, and a disk that is written strictly in order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pyconsul.errors import InvariantError
from pyconsul.raft.log import Log
from pyconsul.raft.messages import Configuration, Entry, SnapshotMeta


def entry(term: int, index: int) -> Entry:
    return Entry(term, index, 0, b"%d.%d" % (term, index))


def meta(index: int, term: int) -> SnapshotMeta:
    return SnapshotMeta(index, term, Configuration())


class LogAgainstModel(RuleBasedStateMachine):
    """``model``: what the log should hold. ``queue``: batches on their way to ``disk``, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.log = Log([], None, 0)
        self.model: dict[int, int] = {}
        self.gone = (0, 0)
        self.queue: list[list[Entry]] = []
        self.disk: dict[int, int] = {}
        self.applied: list[int] = []

    def last(self) -> int:
        return max(self.model, default=self.gone[0])

    def last_term(self) -> int:
        return self.model.get(self.last(), self.gone[1])

    @rule(count=st.integers(1, 4), newer=st.integers(0, 1))
    def append(self, count: int, newer: int) -> None:
        term = max(self.last_term() + newer, 1)
        entries = [entry(term, self.last() + 1 + number) for number in range(count)]
        self.log.append(entries)
        self.model.update({each.index: each.term for each in entries})

    @precondition(lambda self: self.last() > self.log.commit)
    @rule(data=st.data(), count=st.integers(1, 3), jump=st.integers(-1, 1))
    def overwrite(self, data: Any, count: int, jump: int) -> None:
        """Another leader's entries, possibly of a term that was here before."""
        index = data.draw(st.integers(self.log.commit + 1, self.last()))
        before = self.model.get(index - 1, self.gone[1])
        term = max(before, self.model[index] + jump, 1)
        entries = [entry(term, index + number) for number in range(count)]
        known = self.log.new_part(entries)
        expected = 0
        while expected < count and self.model.get(entries[expected].index) == term:
            expected += 1
        agree_at_end = self.model.get(entries[-1].index) == term
        if not agree_at_end:
            assert known <= expected or self.model.get(entries[known - 1].index) == term
        if known == count:
            return
        if entries[known].index <= self.log.last_index:
            self.log.cut(entries[known].index)
        self.log.append(entries[known:])
        self.model = {i: t for i, t in self.model.items() if i < entries[known].index}
        self.model.update({each.index: each.term for each in entries[known:]})

    @rule()
    def hand_out(self) -> None:
        entries = self.log.take_unstored()
        if entries:
            self.queue.append(entries)

    @precondition(lambda self: self.queue)
    @rule()
    def store(self) -> None:
        entries = self.queue.pop(0)
        self.disk = {i: t for i, t in self.disk.items() if i < entries[0].index}
        self.disk.update({each.index: each.term for each in entries})
        self.log.persisted(entries[-1].index, entries[-1].term)

    @rule(index=st.integers(1, 30), term=st.integers(1, 9))
    def report_of_something_else(self, index: int, term: int) -> None:
        if not any(batch[-1].index == index and batch[-1].term == term for batch in self.queue):
            before = self.log.stable
            assert not self.log.persisted(index, term)
            assert self.log.stable == before

    @rule(data=st.data())
    def commit(self, data: Any) -> None:
        self.log.commit = data.draw(st.integers(self.log.commit, self.last()))

    @rule(limit=st.integers(1, 3))
    def apply(self, limit: int) -> None:
        entries = self.log.take_committed(limit)
        assert len(entries) <= limit
        self.applied += [each.index for each in entries]
        if entries:
            self.log.set_applied(entries[-1].index)

    @precondition(lambda self: self.log.applied > self.gone[0] and self.log.stable >= self.log.applied)
    @rule(data=st.data())
    def compact(self, data: Any) -> None:
        index = data.draw(st.integers(self.gone[0] + 1, self.log.applied))
        self.log.snapshot = meta(self.log.applied, self.model[self.log.applied])
        self.gone = (index, self.model[index])
        self.log.compact(index)
        self.model = {i: t for i, t in self.model.items() if i > index}

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        log = self.log
        assert log.last_index == self.last()
        assert log.last_term == self.last_term()
        assert log.offset == self.gone[0]
        assert [each.term for each in log.entries] == [self.model[i] for i in sorted(self.model)]
        assert log.term(self.last() + 1) is None
        if self.gone[0]:
            assert log.term(self.gone[0] - 1) is None

    @invariant()
    def calls_durable_only_what_no_write_on_its_way_will_change(self) -> None:
        future = dict(self.disk)
        for index, term in self.model.items():
            if index <= self.log.stable:
                assert self.disk.get(index) == term
        for batch in self.queue:
            future = {i: t for i, t in future.items() if i < batch[0].index}
            for index, term in self.model.items():
                if index <= self.log.stable:
                    assert future.get(index) == term, "a queued write takes back what counts as durable"
            future.update({each.index: each.term for each in batch})

    @invariant()
    def hands_out_each_committed_entry_once_and_in_order(self) -> None:
        assert self.applied == list(range(1, self.log.applied + 1))

    @invariant()
    def finds_the_ends_of_terms(self) -> None:
        for index, term in self.model.items():
            same = [i for i, t in self.model.items() if t == term]
            assert self.log.first_of_term(index) == min(same)
            assert self.log.last_of_term(term) == max(same)


LogAgainstModel.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestLogAgainstModel = LogAgainstModel.TestCase


def test_entries_before_the_snapshot_are_left_out_on_restart() -> None:
    entries = [entry(1, index) for index in range(1, 8)]
    log = Log(entries, meta(4, 1), 0)
    assert (log.applied, log.commit, log.last_index) == (4, 4, 7)
    assert log.offset <= 4


def test_a_log_that_ends_before_the_snapshot_is_left_out() -> None:
    log = Log([entry(1, 1), entry(1, 2)], meta(9, 3), 2)
    assert (log.offset, log.last_index, log.last_term, log.commit) == (9, 9, 3, 9)


def test_a_log_that_contradicts_the_snapshot_is_left_out() -> None:
    log = Log([entry(2, index) for index in range(1, 12)], meta(9, 3), 2)
    assert (log.offset, log.last_index, log.last_term) == (9, 9, 3)


def test_a_stored_commit_index_beyond_the_log_is_not_believed() -> None:
    assert Log([entry(1, 1)], None, 5).commit == 1


def test_a_gap_is_refused() -> None:
    with pytest.raises(InvariantError, match="gap"):
        Log([entry(1, 1), entry(1, 3)], None, 0)
    with pytest.raises(InvariantError, match="missing"):
        Log([entry(1, 5)], meta(3, 1), 0)
    with pytest.raises(InvariantError, match="follow"):
        Log([], None, 0).append([entry(1, 2)])


def test_committed_entries_cannot_be_cut_and_unapplied_ones_not_dropped() -> None:
    log = Log([entry(1, 1), entry(1, 2), entry(1, 3)], None, 2)
    with pytest.raises(InvariantError, match="overwritten"):
        log.cut(2)
    with pytest.raises(InvariantError, match="not yet applied"):
        log.compact(1)
    log.take_committed(10)
    log.set_applied(2)
    with pytest.raises(InvariantError, match="no snapshot"):
        log.compact(1)
    with pytest.raises(InvariantError, match="more than was handed out"):
        log.set_applied(3)


def test_a_batch_keeps_to_the_limits_and_holds_at_least_one_entry() -> None:
    log = Log([Entry(1, index, 0, b"x" * 10) for index in range(1, 10)], None, 0)
    assert [each.index for each in log.batch(3, 4, 1000)] == [3, 4, 5, 6]
    assert [each.index for each in log.batch(3, 100, 25)] == [3, 4]
    assert [each.index for each in log.batch(3, 100, 1)] == [3]


def test_an_early_report_does_not_speak_for_an_entry_that_came_back() -> None:
    """Figure 3.7 of the dissertation, seen from the disk: (2, term 2), then (2, term 3), then (2, term 2) again."""
    log = Log([entry(1, 1)], None, 0)
    log.append([entry(2, 2)])
    log.take_unstored()
    log.cut(2)
    log.append([entry(3, 2)])
    log.take_unstored()
    log.cut(2)
    log.append([entry(2, 2)])
    log.take_unstored()
    log.persisted(2, 2)
    assert log.stable == 1
    log.persisted(2, 3)
    assert log.stable == 1
    log.persisted(2, 2)
    assert log.stable == 2
