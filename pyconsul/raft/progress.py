"""One follower (or non-voter) as the leader sees it: what it has, what is on its way, and how to go on."""

from __future__ import annotations

from collections import deque
from enum import Enum


class SendState(Enum):
    """PROBE: where the logs part is not known; one message, then wait for the answer.
    REPLICATE: it is known; a window of messages may be on the way.
    SNAPSHOT: the entries it needs are gone from the log; chunks of a snapshot go one at a time, and heartbeats.
    """

    PROBE = "probe"
    REPLICATE = "replicate"
    SNAPSHOT = "snapshot"


class Progress:
    """``match``: the last index known to be on its disk. ``next``: the first index to send; always above ``match``.

    ``waiting`` (PROBE): a probe, sent in round ``probe_round``, has no answer yet. ``inflight`` (REPLICATE): the last
    index of each append on its way. ``last_contact``: the leader's tick count when it last answered. ``acked_round``:
    the newest round it has answered; ``sent_round``, ``sent_commit``: the newest it was told. ``leave_at``: tick at
    which a server that is no longer in the configuration is forgotten at the latest (0: it is a member).
    ``snapshot_index``, ``snapshot_offset``, ``chunk_tick`` (SNAPSHOT): which one, where to go on, when last asked for.
    """

    __slots__ = (
        "acked_round", "chunk_tick", "id", "inflight", "last_contact", "leave_at", "match", "next", "probe_round",
        "sent_commit", "sent_round", "snapshot_index", "snapshot_offset", "state", "waiting",
    )  # fmt: skip

    def __init__(self, server_id: str, first: int, tick: int) -> None:
        self.id = server_id
        self.match = 0
        self.next = first
        self.state = SendState.PROBE
        self.waiting = False
        self.probe_round = 0
        self.inflight: deque[int] = deque()
        self.last_contact = tick
        self.acked_round = 0
        self.sent_round = 0
        self.sent_commit = 0
        self.leave_at = 0
        self.snapshot_index = 0
        self.snapshot_offset = 0
        self.chunk_tick = 0

    def __repr__(self) -> str:
        return f"Progress({self.id} {self.state.value} match={self.match} next={self.next})"

    def may_send(self, max_inflight: int) -> bool:
        """Whether entries may go out now."""
        if self.state is SendState.REPLICATE:
            return len(self.inflight) < max_inflight
        return self.state is SendState.PROBE and not self.waiting

    def sent(self, last_index: int, read_round: int) -> None:
        """Entries up to ``last_index`` went out."""
        if self.state is SendState.REPLICATE:
            self.inflight.append(last_index)
            self.next = last_index + 1
        else:
            self.waiting = True
            self.probe_round = read_round

    def matched(self, index: int, read_round: int) -> bool:
        """It has all entries up to ``index``. True when that is news."""
        news = index > self.match
        if news:
            self.match = index
            self.next = max(self.next, index + 1)
            while self.inflight and self.inflight[0] <= index:
                self.inflight.popleft()
        if self.state is SendState.PROBE:
            if index >= self.next - 1:
                self._enter(SendState.REPLICATE)
                self.next = self.match + 1
            elif read_round > self.probe_round:
                # It answers a later heartbeat and not the probe: the probe was lost.
                self.waiting = False
        return news

    def parted(self, hint: int, read_round: int) -> None:
        """It refused; ``hint`` is the first index worth trying. A late refusal only costs another probe."""
        if self.state is SendState.SNAPSHOT:
            return
        target = max(self.match + 1, min(hint, self.next - 1))
        if self.state is SendState.PROBE and target == self.next:
            # It refuses what it once confirmed, as a server with an emptied disk does: no more than a probe a round.
            self.waiting = True
            self.probe_round = read_round
            return
        self._enter(SendState.PROBE)
        self.next = target

    def unreachable(self) -> None:
        """What is on its way is probably lost."""
        if self.state is SendState.REPLICATE:
            self._enter(SendState.PROBE)
            self.next = self.match + 1

    def start_snapshot(self, index: int) -> None:
        self._enter(SendState.SNAPSHOT)
        self.snapshot_index = index
        self.snapshot_offset = 0

    def end_snapshot(self) -> None:
        self._enter(SendState.PROBE)
        self.next = self.match + 1

    def _enter(self, state: SendState) -> None:
        self.state = state
        self.waiting = False
        self.inflight.clear()
        # The commit index told before may have been of no use to it; tell it again.
        self.sent_commit = 0
