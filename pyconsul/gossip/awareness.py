"""Our own health: a member that misses answers doubts itself and probes more slowly (Lifeguard)."""

from __future__ import annotations


class Awareness:
    """``score``: 0 is healthy, up to ``multiplier_max`` - 1."""

    def __init__(self, multiplier_max: int) -> None:
        self._limit = max(0, multiplier_max - 1)
        self.score = 0

    def apply(self, delta: int) -> None:
        self.score = min(max(0, self.score + delta), self._limit)

    def scale(self, seconds: float) -> float:
        return seconds * (self.score + 1)
