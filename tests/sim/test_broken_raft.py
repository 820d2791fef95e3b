"""Deliberate bugs, each of which the simulator must find within a bounded number of seeds.

What this guards is the simulator: a judge that has never convicted anybody proves nothing. Rules whose breach needs a
rarer accident than a few hundred short seeds bring (patience with a working leader, for one) have unit tests instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import raft_cluster
from world import Violation

from pyconsul.raft import on_append, on_read, on_vote
from pyconsul.raft.core import Raft, Role
from pyconsul.raft.log import Log
from pyconsul.raft.messages import (
    AppendReply,
    AppendRequest,
    HardState,
    ReadState,
    SnapshotMeta,
    VoteReply,
    VoteRequest,
)

Patch = pytest.MonkeyPatch
BUGS: dict[str, Callable[[Patch], None]] = {}


def bug(plant: Callable[[Patch], None]) -> Callable[[Patch], None]:
    BUGS[plant.__name__] = plant
    return plant


@bug
def the_vote_is_not_stored(patch: Patch) -> None:
    take = Raft._take_hard_state

    def forgetful(self: Raft, with_entries: bool) -> HardState | None:
        state = take(self, with_entries)
        return state and HardState(state.term, "", state.commit)

    patch.setattr(Raft, "_take_hard_state", forgetful)


@bug
def the_term_is_not_stored(patch: Patch) -> None:
    patch.setattr(Raft, "_take_hard_state", lambda self, with_entries: None)


@bug
def a_vote_is_given_twice(patch: Patch) -> None:
    def generous(raft: Raft, message: VoteRequest) -> None:
        granted = raft.log.up_to_date(message.last_index, message.last_term)
        raft.messages_after_sync.append(VoteReply(raft.id, message.sender, raft.term, granted))

    patch.setitem(_handlers(), VoteRequest, generous)


@bug
def a_shorter_log_gets_votes(patch: Patch) -> None:
    patch.setattr(Log, "up_to_date", lambda self, last_index, last_term: True)


@bug
def logs_are_compared_by_length_alone(patch: Patch) -> None:
    patch.setattr(Log, "up_to_date", lambda self, last_index, last_term: last_index >= self.last_index)


@bug
def older_terms_are_committed_by_counting(patch: Patch) -> None:
    def hasty(raft: Raft) -> None:
        index = raft.majority_of(lambda peer: peer.match, raft.log.stable)
        if index > raft.log.commit:
            raft.log.commit = index
            raft.uncommitted.committed(index)

    patch.setattr(on_append, "advance_commit", hasty)


@bug
def the_leader_counts_itself_before_its_sync(patch: Patch) -> None:
    def hasty(raft: Raft) -> None:
        index = raft.majority_of(lambda peer: peer.match, raft.log.last_index)
        if index > raft.log.commit and index >= raft.noop_index:
            raft.log.commit = index
            raft.uncommitted.committed(index)

    patch.setattr(on_append, "advance_commit", hasty)


@bug
def a_follower_answers_before_its_sync(patch: Patch) -> None:
    handle = on_append.on_append_request

    def hasty(raft: Raft, message: AppendRequest) -> None:
        handle(raft, message)
        raft.messages += raft.messages_after_sync
        raft.messages_after_sync = []

    patch.setitem(_handlers(), AppendRequest, hasty)


@bug
def a_heartbeat_answer_speaks_of_unsynced_entries(patch: Patch) -> None:
    handle = on_append.on_append_request

    def hasty(raft: Raft, message: AppendRequest) -> None:
        handle(raft, message)
        reply = raft.messages[-1] if raft.messages else None
        if isinstance(reply, AppendReply) and reply.success and not message.entries:
            match = max(message.prev_index, raft.log.offset)
            raft.messages[-1] = AppendReply(raft.id, reply.to, reply.term, True, match, 0, 0, reply.read_round)

    patch.setitem(_handlers(), AppendRequest, hasty)


@bug
def the_lease_never_ends(patch: Patch) -> None:
    patch.setattr(Raft, "has_lease", lambda self: self.role is Role.LEADER and self.log.commit >= self.noop_index)


@bug
def the_lease_begins_with_the_answer(patch: Patch) -> None:
    confirm = on_read.Rounds.confirm
    count_round = on_read.count_round

    def late(raft: Raft) -> None:
        before = raft.rounds.confirmed
        count_round(raft)
        if raft.rounds.confirmed > before:
            raft.rounds.confirmed_tick = raft.ticks + 6

    patch.setattr(on_read.Rounds, "confirm", confirm)
    patch.setattr(on_read, "count_round", late)


@bug
def the_lease_forgets_a_standstill(patch: Patch) -> None:
    patch.setattr(Raft, "stood_still", lambda self, ticks: None)


@bug
def the_lease_begins_before_the_first_commit(patch: Patch) -> None:
    has_lease = Raft.has_lease

    def early(self: Raft) -> bool:
        noop, self.noop_index = self.noop_index, 0
        try:
            return has_lease(self)
        finally:
            self.noop_index = noop

    patch.setattr(Raft, "has_lease", early)


@bug
def a_read_is_not_confirmed(patch: Patch) -> None:
    def hasty(raft: Raft) -> None:
        for asker, context in raft.reads.waiting:
            on_read.answer(raft, asker, context, raft.log.commit)
        raft.reads.waiting = []

    patch.setattr(on_read, "share_round", hasty)


@bug
def a_read_does_not_wait_for_the_first_commit(patch: Patch) -> None:
    share = on_read.share_round

    def hasty(raft: Raft) -> None:
        noop, raft.noop_index = raft.noop_index, 0
        try:
            share(raft)
        finally:
            raft.noop_index = noop

    patch.setattr(on_read, "share_round", hasty)


@bug
def a_follower_answers_reads_by_itself(patch: Patch) -> None:
    def alone(raft: Raft, context: int) -> None:
        raft.read_states.append(ReadState(context, raft.log.commit))

    patch.setattr(on_read, "ask", alone)


@bug
def a_follower_commits_beyond_what_was_compared(patch: Patch) -> None:
    handle = on_append.on_append_request

    def eager(raft: Raft, message: AppendRequest) -> None:
        handle(raft, message)
        raft.log.commit = max(raft.log.commit, min(message.commit, raft.log.last_index))

    patch.setitem(_handlers(), AppendRequest, eager)


@bug
def the_entry_before_is_not_compared(patch: Patch) -> None:
    term = Log.term

    class Agreeable(int):
        def __eq__(self, other: object) -> bool:
            return True

        def __ne__(self, other: object) -> bool:
            return False

        __hash__ = int.__hash__

    def agree(self: Log, index: int) -> int | None:
        found = term(self, index)
        return None if found is None else Agreeable(found)

    handle = on_append.on_append_request

    def blind(raft: Raft, message: AppendRequest) -> None:
        patch.setattr(Log, "term", agree)
        try:
            handle(raft, message)
        finally:
            patch.setattr(Log, "term", term)

    patch.setitem(_handlers(), AppendRequest, blind)


@bug
def conflicting_entries_are_kept(patch: Patch) -> None:
    patch.setattr(
        Log, "new_part", lambda self, entries: max(0, min(len(entries), self.last_index - entries[0].index + 1))
    )


@bug
def a_majority_is_half(patch: Patch) -> None:
    def half(self: Raft, value: Callable[[Any], int], own: int) -> int:
        values = sorted(own if voter == self.id else value(self.peers[voter]) for voter in self.voters)
        return values[len(values) // 2] if values else 0

    patch.setattr(Raft, "majority_of", half)


@bug
def nonvoters_count(patch: Patch) -> None:
    from pyconsul.raft import on_config

    def everybody(raft: Raft) -> None:
        raft.voters = tuple(server.id for server in raft.configuration.servers)
        raft.is_voter = raft.id in raft.voters

    patch.setattr(on_config, "read_members", everybody)


@bug
def a_snapshot_claims_one_entry_more(patch: Patch) -> None:
    meta = Raft.snapshot_meta

    def boastful(self: Raft, index: int) -> SnapshotMeta:
        honest = meta(self, index)
        return SnapshotMeta(index + 1, honest.term, honest.configuration, honest.configuration_index)

    patch.setattr(Raft, "snapshot_meta", boastful)


@bug
def a_snapshot_forgets_the_configuration(patch: Patch) -> None:
    from pyconsul.raft.messages import Configuration

    meta = Raft.snapshot_meta

    def forgetful(self: Raft, index: int) -> SnapshotMeta:
        return SnapshotMeta(index, meta(self, index).term, Configuration(), 0)

    patch.setattr(Raft, "snapshot_meta", forgetful)


@bug
def an_installed_snapshot_keeps_the_old_log(patch: Patch) -> None:
    def careless(self: Log, meta: SnapshotMeta) -> bool:
        self.applied = self.applying = meta.index
        self.commit = max(self.commit, meta.index)
        self.snapshot = meta
        return True

    patch.setattr(Log, "install", careless)


@bug
def candidates_ask_before_their_own_vote_is_stored(patch: Patch) -> None:
    campaign = on_vote.campaign

    def hasty(raft: Raft, *, pre_vote: bool, transfer: bool = False) -> None:
        campaign(raft, pre_vote=pre_vote, transfer=transfer)
        requests = [message for message in raft.messages_after_sync if isinstance(message, VoteRequest)]
        raft.messages += requests
        raft.messages_after_sync = [m for m in raft.messages_after_sync if not isinstance(m, VoteRequest)]

    patch.setattr(on_vote, "campaign", hasty)


def _handlers() -> dict[type, Any]:
    from pyconsul.raft import core

    return core._HANDLERS


SEEDS_MAX = 300


# These need more than a few seeds.
SLOW = {"logs_are_compared_by_length_alone", "candidates_ask_before_their_own_vote_is_stored"}


def cases() -> list[Any]:
    return [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in BUGS]


@pytest.mark.parametrize("name", cases())
def test_a_deliberate_bug_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    BUGS[name](monkeypatch)
    for seed in range(SEEDS_MAX):
        try:
            raft_cluster.run_seed(seed)
        except Violation as found:
            print(f"found with seed {seed}: {found}")
            return
    pytest.fail(f"not found in {SEEDS_MAX} seeds")
