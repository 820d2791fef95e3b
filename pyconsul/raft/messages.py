"""What the consensus core exchanges: log entries, messages between servers, and the bundle of work for its driver.

Everything here is plain data. Messages are tagged msgpack arrays on the wire (net/ frames them); tags are never reused,
new fields come last and have defaults.
"""

from __future__ import annotations

from typing import Union

import msgspec

# Kinds of log entries.
NORMAL = 0  # data is a command of the application
NOOP = 1  # written by each new leader; commits what earlier terms left
CONFIG = 2  # data is an encoded Configuration


class Entry(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """One log entry. ``data`` is shared by log, disk and network; it is encoded once."""

    term: int
    index: int
    kind: int
    data: bytes


class Server(msgspec.Struct, array_like=True, frozen=True):
    """A member of the configuration. ``id`` is the node id, ``address`` is host:port of its RPC."""

    id: str
    address: str
    voter: bool


class Configuration(msgspec.Struct, array_like=True, frozen=True):
    servers: tuple[Server, ...] = ()


class HardState(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What must be on disk before a promise is kept: the term, the vote in it ("" none), the known commit index."""

    term: int = 0
    vote: str = ""
    commit: int = 0


class SnapshotMeta(msgspec.Struct, array_like=True, frozen=True):
    """What a snapshot covers: all entries up to ``index``, the last of them of ``term``, and the configuration then."""

    index: int
    term: int
    configuration: Configuration
    configuration_index: int = 0


class Message(msgspec.Struct, array_like=True, frozen=True, gc=False, kw_only=False):
    """Base of messages. ``sender`` and ``to`` are server ids."""

    sender: str
    to: str
    term: int


class PreVoteRequest(Message, frozen=True, gc=False, tag=1):
    last_index: int
    last_term: int


class PreVoteReply(Message, frozen=True, gc=False, tag=2):
    granted: bool


class VoteRequest(Message, frozen=True, gc=False, tag=3):
    last_index: int
    last_term: int
    transfer: bool = False  # leadership transfer: the lease of the present leader does not protect it


class VoteReply(Message, frozen=True, gc=False, tag=4):
    granted: bool


class AppendRequest(Message, frozen=True, gc=False, tag=5):
    """AppendEntries; a heartbeat is one without entries. ``read_round`` is echoed (read index, lease)."""

    prev_index: int
    prev_term: int
    commit: int
    entries: list[Entry]
    read_round: int = 0


class AppendReply(Message, frozen=True, gc=False, tag=6):
    """``match``: on success the last index known to be stored; on failure unused.

    ``conflict_index``/``conflict_term``: on failure where the leader should look next (Raft dissertation, section 3.5).
    """

    success: bool
    match: int
    conflict_index: int = 0
    conflict_term: int = 0
    read_round: int = 0


class SnapshotChunk(Message, frozen=True, gc=False, tag=7):
    """Part of a snapshot. ``data`` is filled in by the driver from disk; ``total`` is the snapshot's size in bytes."""

    meta: SnapshotMeta
    offset: int
    data: bytes
    total: int
    done: bool


class SnapshotReply(Message, frozen=True, gc=False, tag=8):
    """``next_offset``: where to go on (0 starts again); ``installed``: the whole is stored and restored."""

    index: int
    next_offset: int
    installed: bool


class ReadIndexRequest(Message, frozen=True, gc=False, tag=9):
    """A follower asks for a read index; ``context`` is echoed. ``lease``: the leader's lease is proof enough."""

    context: int
    lease: bool = False


class ReadIndexReply(Message, frozen=True, gc=False, tag=10):
    """``index`` 0: refused (no longer leader or not yet able)."""

    context: int
    index: int


class TimeoutNow(Message, frozen=True, gc=False, tag=11):
    """Leadership transfer: start an election at once."""


AnyMessage = Union[  # noqa: UP007
    PreVoteRequest,
    PreVoteReply,
    VoteRequest,
    VoteReply,
    AppendRequest,
    AppendReply,
    SnapshotChunk,
    SnapshotReply,
    ReadIndexRequest,
    ReadIndexReply,
    TimeoutNow,
]


class ReadState(msgspec.Struct, frozen=True):
    """The answer to ``read_index(context)``: reads may be served once ``index`` is applied. ``index`` 0: refused."""

    context: int
    index: int


class ChunkRequest(msgspec.Struct, frozen=True):
    """The driver is to read the newest snapshot from disk at ``offset`` and send it as a SnapshotChunk to ``to``.

    When the snapshot at hand is another than ``index`` the driver starts again with the one it has, at offset 0.
    """

    to: str
    term: int
    index: int
    offset: int


class Ready(msgspec.Struct):
    """Work for the driver, in this order.

    1. ``messages`` may go out at once (the leader's AppendRequests among them: it replicates while it syncs).
    2. ``hard_state`` (when not None) and ``entries`` are to be made durable, in one sync. Entries may overwrite a
       suffix of what is stored: the stored log is cut at ``entries[0].index`` first. After a snapshot was installed
       they may also begin beyond the end of what is stored, at the entry after the snapshot.
       ``snapshot_chunk`` (a follower's): store the data at its offset, 0 starting anew; when ``done``: verify, install,
       restore the state machine, then call ``snapshot_installed`` (or ``snapshot_failed``). No entries are handed out
       for applying in between.
    3. When that is on disk, and all that earlier Readies wanted on disk: ``messages_after_sync`` go out, and
       ``core.persisted(index, term)`` is called with the last of ``entries`` (if any). A Ready that has nothing to
       store sends its ``messages_after_sync`` when the ones before it are done. Several Readies may share one sync:
       then call ``persisted`` for each, in order.
    4. ``committed`` entries are applied in order, then ``core.applied(index)`` is called. They may be applied before
       step 3 is over: a majority has them.
    5. ``read_states`` answer earlier ``read_index`` calls; ``chunk_requests`` ask for snapshot data to be sent.
    ``soft`` tells of a change of role or leader (None: no change).
    """

    messages: list[AnyMessage]
    messages_after_sync: list[AnyMessage]
    hard_state: HardState | None
    entries: list[Entry]
    committed: list[Entry]
    read_states: list[ReadState]
    chunk_requests: list[ChunkRequest]
    snapshot_chunk: SnapshotChunk | None
    soft: SoftState | None


class SoftState(msgspec.Struct, frozen=True):
    """Role ("follower", "precandidate", "candidate", "leader") and leader id ("" unknown); not on disk."""

    role: str
    leader: str
