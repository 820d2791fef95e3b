"""Time and randomness, injected. The only module that imports ``time`` and ``random``."""

from __future__ import annotations

import random as _random
import time as _time
import uuid
from collections.abc import Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")


class Clock(Protocol):
    """Seconds as floats. ``monotonic`` never jumps; ``wall`` is seconds since 1970 and may."""

    def monotonic(self) -> float: ...

    def wall(self) -> float: ...


class Random(Protocol):
    """The subset of ``random.Random`` that the cores need, so that a seeded one can stand in."""

    def random(self) -> float: ...

    def uniform(self, a: float, b: float) -> float: ...

    def randint(self, a: int, b: int) -> int: ...

    def randrange(self, stop: int, /) -> int: ...

    def choice(self, seq: Sequence[T]) -> T: ...

    def sample(self, population: Sequence[T], k: int) -> list[T]: ...

    def shuffle(self, x: list[T]) -> None: ...

    def getrandbits(self, k: int) -> int: ...


class SystemClock:
    """The machine's clocks."""

    # The functions themselves: they are asked with every request.
    monotonic = staticmethod(_time.monotonic)
    wall = staticmethod(_time.time)


def system_random() -> Random:
    """A randomly seeded generator. Not for secrets: those come from ``secrets``."""
    return _random.Random()


def seeded_random(seed: int) -> Random:
    """A generator that repeats itself, for tests and simulation."""
    return _random.Random(seed)


def random_uuid() -> str:
    """A version 4 UUID, 36 lower-case characters (as session, node and event ids are)."""
    return str(uuid.uuid4())
