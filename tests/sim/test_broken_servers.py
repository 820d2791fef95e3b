"""Deliberate bugs around the consensus core, each of which the simulator of whole servers must find.

What a run is judged by is only worth something if it notices; so every line that the driver gets right for a reason is
got wrong here once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sim_surroundings
from deliberate import cases, find
from sim_setting import HEARSAY
from world import SimFiles

from pyconsul.errors import DiskFullError, RpcError, StorageError
from pyconsul.fsm.apply import StateMachine
from pyconsul.fsm.snapshot import write_snapshot
from pyconsul.net.rpc import RpcFailure
from pyconsul.raft import on_read
from pyconsul.raft.core import Raft
from pyconsul.raft.messages import HardState, ReadState, Ready, SnapshotMeta
from pyconsul.server import consensus, disk_writer, forward, leader, lock_delays, raft_loop, session_timers
from pyconsul.server.consensus import Consensus
from pyconsul.server.disk_writer import Batch
from pyconsul.server.raft_loop import RaftLoop
from pyconsul.storage.raft_storage import RaftStorage

Patch = pytest.MonkeyPatch
BUGS: dict[str, Callable[[Patch], None]] = {}
SEEDS_MAX = 500


def bug(install: Callable[[Patch], None]) -> Callable[[Patch], None]:
    BUGS[install.__name__] = install
    return install


# The disk


@bug
def nothing_is_ever_synced(patch: Patch) -> None:
    patch.setattr(SimFiles, "sync", lambda self, handle: None)


@bug
def the_vote_is_not_stored(patch: Patch) -> None:
    save = RaftStorage.save

    def forgetful(self: RaftStorage, hard_state: HardState | None, entries: Any) -> None:
        save(self, hard_state and HardState(hard_state.term, "", hard_state.commit), entries)

    patch.setattr(RaftStorage, "save", forgetful)


@bug
def term_and_vote_wait_for_the_next_entries(patch: Patch) -> None:
    save = RaftStorage.save

    def lazy(self: RaftStorage, hard_state: HardState | None, entries: Any) -> None:
        if entries:
            save(self, hard_state, entries)

    patch.setattr(RaftStorage, "save", lazy)


@bug
def entries_count_as_stored_before_they_are(patch: Patch) -> None:
    save = sim_surroundings.SimDiskWriter.save

    def hasty(self: Any, batch: Batch) -> None:
        self._loop.call_soon(batch.done)
        save(self, Batch(batch.hard_state, batch.entries, lambda: None))

    patch.setattr(sim_surroundings.SimDiskWriter, "save", hasty)


@bug
def messages_do_not_wait_for_the_disk(patch: Patch) -> None:
    handle = RaftLoop._handle

    def hasty(self: RaftLoop, ready: Ready) -> None:
        ready.messages += ready.messages_after_sync
        ready.messages_after_sync = []
        handle(self, ready)

    patch.setattr(RaftLoop, "_handle", hasty)


@bug
def merged_batches_keep_the_oldest_hard_state(patch: Patch) -> None:
    merge = disk_writer.merge

    def old(batches: Any) -> Any:
        first = next((batch.hard_state for batch in batches if batch.hard_state is not None), None)
        return first, merge(batches)[1]

    patch.setattr(disk_writer, "merge", old)


@bug
def merged_batches_lose_all_but_the_last_entries(patch: Patch) -> None:
    merge = disk_writer.merge

    def short(batches: Any) -> Any:
        return merge(batches)[0], next((list(b.entries) for b in reversed(batches) if b.entries), [])

    patch.setattr(disk_writer, "merge", short)


@bug
def a_full_disk_is_ignored(patch: Patch) -> None:
    save = RaftStorage.save

    def careless(self: RaftStorage, hard_state: HardState | None, entries: Any) -> None:
        try:
            save(self, hard_state, entries)
        except DiskFullError:
            return

    patch.setattr(RaftStorage, "save", careless)


@bug
def a_failed_sync_is_ignored(patch: Patch) -> None:
    """The server goes on, and takes for durable what may not be."""
    save = RaftStorage.save

    def careless(self: RaftStorage, hard_state: HardState | None, entries: Any) -> None:
        try:
            save(self, hard_state, entries)
        except DiskFullError:
            raise
        except StorageError:
            self._guard.failed = None

    patch.setattr(RaftStorage, "save", careless)


# Time


@bug
def the_lease_is_not_checked_after_a_pause(patch: Patch) -> None:
    patch.setattr(raft_loop, "LATE_TICKS_MAX", 1e9)


@bug
def late_ticks_are_counted_once(patch: Patch) -> None:
    patch.setattr(Raft, "stood_still", lambda self, ticks: None)


@bug
def sessions_end_in_half_their_time(patch: Patch) -> None:
    patch.setattr(session_timers, "TTL_MULTIPLIER", 0.5)


@bug
def renewals_are_promised_too_easily(patch: Patch) -> None:
    """By a leader that may have been replaced, for sessions about to end, whose end may be sent on to the next one."""
    renew = leader.Leader.renew

    def late(self: leader.Leader, session_id: str) -> Any:
        self._ending.discard(session_id)
        return renew(self, session_id)

    def hasty(self: Consensus, argument: bytes, reply: Any) -> None:
        reply(None, forward.encode_result(self._leader.renew(argument.decode())))

    patch.setattr(leader.Leader, "renew", late)
    patch.setattr(Consensus, "_on_renew", hasty)
    patch.setattr(Consensus, "submit_here", Consensus.submit)


@bug
def lock_delays_are_not_kept(patch: Patch) -> None:
    patch.setattr(lock_delays.LockDelays, "start", lambda self, keys, lock_delay_ns, now_s: None)


# Reads


@bug
def default_reads_do_not_wait_for_what_is_committed(patch: Patch) -> None:
    def hasty(self: RaftLoop) -> bool:
        return self.leads_and_caught_up and self.core.has_lease()

    patch.setattr(RaftLoop, "lease_is_valid", property(hasty))


@bug
def default_reads_need_no_lease(patch: Patch) -> None:
    patch.setattr(RaftLoop, "lease_is_valid", property(lambda self: self.leads_and_caught_up))


@bug
def a_leader_answers_for_its_followers_without_a_lease(patch: Patch) -> None:
    def hasty(raft: Raft) -> None:
        reads = raft.reads
        leased, reads.leased = reads.leased, []
        for asker, context in leased:
            on_read.answer(raft, asker, context, raft.log.commit)

    patch.setattr(on_read, "answer_leased", hasty)


@bug
def a_follower_answers_before_it_has_applied(patch: Patch) -> None:
    handle = RaftLoop._handle

    def hasty(self: RaftLoop, ready: Ready) -> None:
        ready.read_states = [
            ReadState(state.context, state.index and min(state.index, max(1, self.core.applied_index)))
            for state in ready.read_states
        ]
        handle(self, ready)

    patch.setattr(RaftLoop, "_handle", hasty)


# Answers


@bug
def writes_succeed_when_leadership_is_lost(patch: Patch) -> None:
    def hopeful(self: RaftLoop, error: Any) -> None:
        pending, self._pending = self._pending, {}
        for proposal in pending.values():
            proposal.done(True)

    patch.setattr(RaftLoop, "_fail_pending", hopeful)


@bug
def waiting_writes_survive_leadership(patch: Patch) -> None:
    """... and are answered by whatever entry comes to stand at their index."""

    class Agreeable(int):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = int.__hash__

    def same(self: Any, name: str, value: Any) -> None:
        object.__setattr__(self, name, Agreeable(value) if name == "term" else value)

    patch.setattr(raft_loop._Proposal, "__setattr__", same, raising=False)
    patch.setattr(RaftLoop, "_fail_pending", lambda self, error: None)


@bug
def a_write_is_sent_again_when_its_answer_is_lost(patch: Patch) -> None:
    answered = consensus._Write._answered

    def again(self: Any, failure: RpcFailure | RpcError | None, result: bytes) -> None:
        if isinstance(failure, RpcError):
            self._hold()
        else:
            answered(self, failure, result)

    patch.setattr(consensus._Write, "_answered", again)


@bug
def refused_writes_are_kept_for_later(patch: Patch) -> None:
    """The client hears that nothing was done, and the leader does it all the same."""
    propose = RaftLoop.propose

    def both(self: RaftLoop, command: Any, data: bytes, done: Any) -> None:
        full, self.disk_full = self.disk_full, False
        propose(self, command, data, (lambda result: None) if full else done)
        if full:
            self.disk_full = True
            propose(self, command, data, done)

    patch.setattr(RaftLoop, "propose", both)


# Snapshots


@bug
def a_snapshot_claims_one_entry_more(patch: Patch) -> None:
    meta = Raft.snapshot_meta

    def boastful(self: Raft, index: int) -> SnapshotMeta:
        honest = meta(self, index)
        return SnapshotMeta(index + 1, honest.term, honest.configuration, honest.configuration_index)

    patch.setattr(Raft, "snapshot_meta", boastful)


@bug
def the_state_goes_on_while_a_snapshot_begins(patch: Patch) -> None:
    """The state is looked at when the first chunk is fetched, not when the snapshot gets its index."""

    def late(self: StateMachine) -> Iterator[bytes]:
        yield from write_snapshot(self.store.freeze())

    patch.setattr(StateMachine, "snapshot", late)


@bug
def snapshots_are_not_synced(patch: Patch) -> None:
    from pyconsul.storage.snapshots import SnapshotWriter

    patch.setattr(SnapshotWriter, "_sync", lambda self: None)
    # The read-back that verifies them sees the page cache, so it does not notice.


@bug
def an_installed_snapshot_leaves_the_state_as_it_was(patch: Patch) -> None:
    restored = RaftLoop.snapshot_restored
    patch.setattr(RaftLoop, "snapshot_restored", lambda self, machine: restored(self, self.machine))


# These need more than a few seeds.
SLOW = {
    "late_ticks_are_counted_once",
    "merged_batches_keep_the_oldest_hard_state",
    "merged_batches_lose_all_but_the_last_entries",
    "refused_writes_are_kept_for_later",
    "renewals_are_promised_too_easily",
    "the_lease_is_not_checked_after_a_pause",
    "waiting_writes_survive_leadership",
}


@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", cases(BUGS, SLOW))
def test_a_deliberate_bug_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    BUGS[name](monkeypatch)
    find(SEEDS_MAX, HEARSAY)
