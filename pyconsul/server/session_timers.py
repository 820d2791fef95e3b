"""When sessions with a TTL end: deadlines that only the leader keeps. Pure: time is a parameter.

A session ends when twice its TTL has passed since its creation, its last renewal, or the moment at which this server
began to lead (HTTP reference, "Sessions", TTL).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from pyconsul.codec.duration import SECOND, parse_duration
from pyconsul.errors import DecodeError
from pyconsul.records.session import Session

TTL_MULTIPLIER = 2


def ttl_seconds(session: Session) -> float:
    """The session's TTL, 0 when it has none."""
    try:
        return max(0, parse_duration(session.ttl)) / SECOND if session.ttl else 0.0
    except DecodeError:  # checked before it was stored; what an older version stored must not stop the leader
        return 0.0


class SessionTimers:
    """``_heap`` holds (deadline, id); an item counts only while ``_deadlines`` has the same deadline for the id."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, str]] = []
        self._deadlines: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._deadlines)

    def start(self, session: Session, now_s: float) -> None:
        """A session was created or renewed, at ``now_s`` of a monotonic clock."""
        ttl_s = ttl_seconds(session)
        if ttl_s <= 0:
            return
        deadline = now_s + ttl_s * TTL_MULTIPLIER
        self._deadlines[session.id] = deadline
        heapq.heappush(self._heap, (deadline, session.id))
        if len(self._heap) > 64 and len(self._heap) > 4 * len(self._deadlines):
            self._rebuild()

    def restart(self, sessions: Iterable[Session], now_s: float) -> None:
        """This server leads now: every session gets its full time."""
        self.clear()
        for session in sessions:
            self.start(session, now_s)

    def stop(self, session_id: str) -> None:
        """It ended by other means."""
        self._deadlines.pop(session_id, None)

    def clear(self) -> None:
        """This server does not lead any more."""
        self._heap.clear()
        self._deadlines.clear()

    def remaining(self, now_s: float) -> dict[str, float]:
        """Seconds until each session ends unless it is renewed."""
        return {session_id: max(0.0, deadline - now_s) for session_id, deadline in self._deadlines.items()}

    def next_deadline(self) -> float | None:
        """When to call ``expired`` next; None: never."""
        self._drop_stale()
        return self._heap[0][0] if self._heap else None

    def expired(self, now_s: float) -> list[str]:
        """The sessions to destroy, in the order of their deadlines. Each is told once."""
        ended: list[str] = []
        while True:
            self._drop_stale()
            if not self._heap or self._heap[0][0] > now_s:
                return ended
            _, session_id = heapq.heappop(self._heap)
            del self._deadlines[session_id]
            ended.append(session_id)

    def _drop_stale(self) -> None:
        heap, deadlines = self._heap, self._deadlines
        while heap and deadlines.get(heap[0][1]) != heap[0][0]:
            heapq.heappop(heap)

    def _rebuild(self) -> None:
        """Renewals leave stale items behind; their number stays within a multiple of the sessions."""
        self._heap = [(deadline, session_id) for session_id, deadline in self._deadlines.items()]
        heapq.heapify(self._heap)
