"""Replication: what the leader sends, what a follower makes of it, and what counts as committed
(Raft dissertation, sections 3.5, 3.6.2, 10.2)."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from pyconsul.errors import OverloadedError, PeerError
from pyconsul.raft import on_config, on_read, on_snapshot
from pyconsul.raft.config import configurations_in
from pyconsul.raft.messages import AppendReply, AppendRequest, Entry
from pyconsul.raft.progress import Progress, SendState

if TYPE_CHECKING:
    from pyconsul.raft.core import Raft


class Uncommitted:
    """Bytes this leader has taken on and not yet committed, per proposal."""

    __slots__ = ("_proposals", "size")

    def __init__(self) -> None:
        self.size = 0
        self._proposals: deque[tuple[int, int]] = deque()

    def add(self, last_index: int, size: int, limit: int) -> None:
        """Raises OverloadedError. A proposal larger than the limit passes when nothing else is waiting."""
        if self.size and self.size + size > limit:
            raise OverloadedError(f"{self.size} bytes wait to be committed")
        self.size += size
        self._proposals.append((last_index, size))

    def committed(self, index: int) -> None:
        proposals = self._proposals
        while proposals and proposals[0][0] <= index:
            self.size -= proposals.popleft()[1]


# ---- the leader's side


def flush(raft: Raft) -> None:
    """Puts out what each follower is due: entries, or at least the newest commit index and round."""
    on_read.share_round(raft)
    if raft.hold_until > raft.log.stable:
        return
    batches: dict[int, list[Entry]] = {}
    for peer in raft.peers.values():
        _send(raft, peer, batches)
    if raft.leaving:
        on_config.leave_office(raft)


def _send(raft: Raft, peer: Progress, batches: dict[int, list[Entry]]) -> None:
    log = raft.log
    if peer.next <= log.offset and peer.state is not SendState.SNAPSHOT:
        on_snapshot.start(raft, peer)
    while peer.next <= log.last_index and peer.may_send(raft.config.max_inflight):
        entries = batches.get(peer.next)
        if entries is None:
            entries = log.batch(peer.next, raft.config.max_entries_per_append, raft.config.max_bytes_per_append)
            batches[peer.next] = entries
        _put(raft, peer, peer.next - 1, entries)
        peer.sent(entries[-1].index, raft.rounds.newest)
    if peer.sent_round < raft.rounds.newest or peer.sent_commit < log.commit:
        if peer.state is SendState.REPLICATE:
            _put(raft, peer, peer.next - 1, [])
        elif peer.may_send(1):
            # Everything was sent to it once; an empty probe finds out whether it arrived.
            _put(raft, peer, peer.next - 1, [])
            peer.sent(peer.next - 1, raft.rounds.newest)
        else:
            # Contact only: an index at which the logs are known to agree cannot be refused.
            _put(raft, peer, peer.match if peer.match >= log.offset else 0, [])


def _put(raft: Raft, peer: Progress, prev_index: int, entries: list[Entry]) -> None:
    log = raft.log
    prev_term = log.known_term(prev_index) if prev_index else 0
    peer.sent_round = raft.rounds.newest
    peer.sent_commit = log.commit
    raft.messages.append(
        AppendRequest(raft.id, peer.id, raft.term, prev_index, prev_term, log.commit, entries, raft.rounds.newest)
    )


def on_append_reply(raft: Raft, message: AppendReply) -> None:
    peer = raft.peers.get(message.sender)
    if peer is None:
        return
    log = raft.log
    if message.match > log.last_index or message.read_round > raft.rounds.newest:
        raise PeerError(f"{message.sender} confirms what it was never sent: {message}")
    peer.last_contact = raft.ticks
    if message.read_round:
        on_read.on_round_answer(raft, peer, message.read_round)
    if not message.success:
        hint = message.conflict_index
        if message.conflict_term:
            # Where this log has entries of the follower's term, the two may agree up to the last of them.
            hint = max(hint, log.last_of_term(message.conflict_term) + 1)
        peer.parted(hint, message.read_round)
        return
    news = peer.matched(message.match, message.read_round)
    if peer.state is SendState.SNAPSHOT and peer.match >= log.offset:
        peer.end_snapshot()
    if news:
        advance_commit(raft)
        on_config.target_advanced(raft, peer)


def advance_commit(raft: Raft) -> None:
    """Commits what a majority of voters has on disk, this server's disk included, once an entry of this term is among
    it: by counting alone, entries of earlier terms are not safe (section 3.6.2)."""
    index = raft.majority_of(lambda peer: peer.match, raft.log.stable)
    if index > raft.log.commit and index >= raft.noop_index:
        raft.log.commit = index
        raft.uncommitted.committed(index)
        on_config.committed(raft)


# ---- the follower's side


def on_append_request(raft: Raft, message: AppendRequest) -> None:
    entries = message.entries
    prev_index = message.prev_index
    last = prev_index + len(entries)
    if entries and (entries[0].index != prev_index + 1 or entries[-1].index != last):
        raise PeerError(f"{message.sender} sent entries that do not follow each other after {prev_index}")
    configurations = configurations_in(entries)
    raft.heard_from_leader(message.sender)
    log = raft.log
    if prev_index < log.offset:
        # The beginning is in a snapshot here, so it is committed and the leader has the same.
        entries = entries[log.offset - prev_index :]
        prev_index = log.offset
        last = max(last, prev_index)
    elif log.term(prev_index) != message.prev_term:
        _refuse(raft, message)
        return
    if entries:
        known = log.new_part(entries)
        if known < len(entries):
            fresh = entries[known:] if known else entries
            if fresh[0].index <= log.last_index:
                log.cut(fresh[0].index)
                if raft.configurations.cut(fresh[0].index):
                    on_config.members_changed(raft)
            log.append(fresh)
            for index, configuration in configurations:
                if index >= fresh[0].index:
                    raft.configurations.append(index, configuration)
                    on_config.members_changed(raft)
    commit = min(message.commit, last)
    if commit > log.commit:
        log.commit = commit
    if message.entries:
        reply = AppendReply(raft.id, message.sender, raft.term, True, last, 0, 0, message.read_round)
        raft.messages_after_sync.append(reply)
    else:
        # Goes out at once, so that a slow disk does not look like a lost server; so it only speaks of what is stored.
        reply = AppendReply(raft.id, message.sender, raft.term, True, min(last, log.stable), 0, 0, message.read_round)
        raft.messages.append(reply)


def _refuse(raft: Raft, message: AppendRequest) -> None:
    """Tells the leader where to look next: past the end, or at the first entry of the term that differs, which skips a
    whole term per message (section 3.5, end). A refusal promises nothing and goes out at once."""
    log = raft.log
    term = log.term(message.prev_index)
    if term is None:
        index, term = log.last_index + 1, 0
    else:
        index = max(log.first_of_term(message.prev_index), log.commit + 1)
    raft.messages.append(AppendReply(raft.id, message.sender, raft.term, False, 0, index, term, message.read_round))
