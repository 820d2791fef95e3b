"""Lamport's logical clock (1978): orders what members say without trusting their wall clocks."""

from __future__ import annotations


class LamportClock:
    """``time`` is what the next message of ours carries. Times start at 1; 0 never counts."""

    def __init__(self) -> None:
        self.time = 1

    def increment(self) -> None:
        self.time += 1

    def witness(self, seen: int) -> None:
        """A peer used this time: ours is later from now on."""
        if seen >= self.time:
            self.time = seen + 1
