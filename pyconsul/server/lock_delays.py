"""Keys that cannot be acquired for a while, because a session that held them ended. Pure: time is a parameter.

Every server keeps them when it applies the end of a session; the one that leads asks before it proposes
(HTTP reference, "Lock-delay").
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from pyconsul.codec.duration import MINUTE, SECOND

LOCK_DELAY_MAX_NS = MINUTE


class LockDelays:
    """``_heap`` holds (end, key); an item counts only while ``_ends`` has the same end for the key."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, bytes]] = []
        self._ends: dict[bytes, float] = {}

    def __len__(self) -> int:
        return len(self._ends)

    def start(self, keys: Iterable[bytes], lock_delay_ns: int, now_s: float) -> None:
        """A session that held ``keys`` ended at ``now_s`` of a monotonic clock; 0 or less: no delay."""
        if lock_delay_ns <= 0:
            return
        end = now_s + min(lock_delay_ns, LOCK_DELAY_MAX_NS) / SECOND
        for key in keys:
            if self._ends.get(key, 0.0) < end:
                self._ends[key] = end
                heapq.heappush(self._heap, (end, key))
        self._forget(now_s)

    def delayed(self, key: bytes, now_s: float) -> bool:
        """Whether the key cannot be acquired now."""
        if not self._ends:
            return False
        self._forget(now_s)
        return key in self._ends

    def clear(self) -> None:
        self._heap.clear()
        self._ends.clear()

    def _forget(self, now_s: float) -> None:
        heap, ends = self._heap, self._ends
        while heap and heap[0][0] <= now_s:
            end, key = heapq.heappop(heap)
            if ends.get(key) == end:
                del ends[key]
