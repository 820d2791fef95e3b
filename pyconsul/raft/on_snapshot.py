"""Snapshots for followers whose next entries are gone from the log (Raft dissertation, chapter 5).

The core never sees the bytes of a leader's snapshot: it asks the driver to send a chunk, and goes on when the answer
tells how far the follower is. One chunk is on its way at a time; heartbeats go on beside it. The answer, not the
leader's memory, decides where to continue, so a transfer survives lost chunks, and a change of the snapshot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyconsul.errors import PeerError
from pyconsul.invariant import invariant
from pyconsul.raft import on_append, on_config
from pyconsul.raft.config import Configurations, configurations_in
from pyconsul.raft.messages import ChunkRequest, SnapshotChunk, SnapshotMeta, SnapshotReply
from pyconsul.raft.progress import Progress, SendState

if TYPE_CHECKING:
    from pyconsul.raft.core import Raft


class Incoming:
    """A snapshot being received. ``next_offset``: bytes taken so far. ``complete``: all of it was handed to the driver,
    which installs it. Only the same file goes on where it was left: sender, meta and size tell."""

    __slots__ = ("complete", "meta", "next_offset", "sender", "total")

    def __init__(self, chunk: SnapshotChunk) -> None:
        self.sender = chunk.sender
        self.meta = chunk.meta
        self.total = chunk.total
        self.next_offset = 0
        self.complete = False

    def continues(self, chunk: SnapshotChunk) -> bool:
        return self.sender == chunk.sender and self.meta == chunk.meta and self.total == chunk.total


# ---- the leader's side


def start(raft: Raft, peer: Progress) -> None:
    snapshot = raft.log.snapshot
    invariant(snapshot is not None, "entries were dropped without a snapshot", offset=raft.log.offset)
    assert snapshot is not None
    peer.start_snapshot(snapshot.index)
    _ask_for_chunk(raft, peer)


def _ask_for_chunk(raft: Raft, peer: Progress) -> None:
    peer.chunk_tick = raft.ticks
    raft.chunk_requests.append(ChunkRequest(peer.id, raft.term, peer.snapshot_index, peer.snapshot_offset))


def tick_chunks(raft: Raft) -> None:
    """A chunk, or its answer, was lost: once more from the last offset that was confirmed."""
    for peer in raft.peers.values():
        if peer.state is SendState.SNAPSHOT and raft.ticks - peer.chunk_tick >= raft.config.chunk_timeout_ticks:
            newest = raft.log.snapshot
            if peer.snapshot_offset == 0 and newest is not None:
                peer.snapshot_index = newest.index
            _ask_for_chunk(raft, peer)


def on_snapshot_reply(raft: Raft, message: SnapshotReply) -> None:
    peer = raft.peers.get(message.sender)
    if peer is None:
        return
    peer.last_contact = raft.ticks
    if message.installed:
        if message.index > raft.log.commit:
            raise PeerError(f"{message.sender} installed a snapshot that cannot exist: {message}")
        news = peer.matched(message.index, 0)
        if peer.state is SendState.SNAPSHOT and peer.match >= peer.snapshot_index:
            peer.end_snapshot()
        if news:
            on_append.advance_commit(raft)
            on_config.target_advanced(raft, peer)
        return
    if peer.state is not SendState.SNAPSHOT or message.index < peer.snapshot_index:
        return
    if message.index > peer.snapshot_index:
        peer.snapshot_index = message.index
        peer.snapshot_offset = 0
    elif message.next_offset == peer.snapshot_offset:
        return  # repeats an answer that was acted upon
    forward = message.next_offset > peer.snapshot_offset
    peer.snapshot_offset = message.next_offset
    if forward or message.next_offset == 0:
        _ask_for_chunk(raft, peer)
    # Backwards: a late answer, or a follower that lost a part. The next answer, or the timeout, tells which.


# ---- the follower's side


def on_snapshot_chunk(raft: Raft, message: SnapshotChunk) -> None:
    end = message.offset + len(message.data)
    if message.offset < 0 or end > message.total or message.done != (end == message.total):
        raise PeerError(f"{message.sender} sent a chunk outside of its snapshot: {message.offset} of {message.total}")
    raft.heard_from_leader(message.sender)
    meta = message.meta
    if meta.index <= raft.log.commit:
        raft.messages_after_sync.append(SnapshotReply(raft.id, message.sender, raft.term, meta.index, 0, True))
        return
    incoming = raft.incoming
    if incoming is not None and incoming.complete:
        return  # being installed; the answer follows
    if incoming is None or not incoming.continues(message):
        if incoming is not None and incoming.sender == message.sender and meta.index < incoming.meta.index:
            return  # late: a newer one is under way
        incoming = raft.incoming = Incoming(message)
    if raft.snapshot_chunk is not None:
        return  # the driver has not fetched the last one yet; the leader will repeat this one
    if message.offset == incoming.next_offset:
        raft.snapshot_chunk = message
        incoming.next_offset = end
        incoming.complete = message.done
    if not incoming.complete:
        _tell_offset(raft, incoming)


def _tell_offset(raft: Raft, incoming: Incoming) -> None:
    reply = SnapshotReply(raft.id, incoming.sender, raft.term, incoming.meta.index, incoming.next_offset, False)
    raft.messages_after_sync.append(reply)


def installed(raft: Raft, meta: SnapshotMeta) -> bool:
    """See Raft.snapshot_installed."""
    incoming = raft.incoming
    invariant(
        incoming is not None and incoming.complete and incoming.meta == meta,
        "a snapshot was installed that was not received", meta=meta,
    )  # fmt: skip
    raft.incoming = None
    kept = raft.log.install(meta)
    raft.configurations = Configurations(meta.configuration_index, meta.configuration)
    for index, configuration in configurations_in(raft.log.entries):
        raft.configurations.append(index, configuration)
    on_config.members_changed(raft)
    if raft.leader_id and raft.leader_id != raft.id:
        raft.messages_after_sync.append(SnapshotReply(raft.id, raft.leader_id, raft.term, meta.index, 0, True))
    return kept


def failed(raft: Raft, meta: SnapshotMeta) -> None:
    """See Raft.snapshot_failed."""
    incoming = raft.incoming
    if incoming is not None and incoming.meta == meta:
        raft.incoming = None
        incoming.next_offset = 0
        if raft.leader_id == incoming.sender:
            _tell_offset(raft, incoming)
