"""Network coordinates: from the round-trip times of probes, each member learns a place in space such that distances
between places tell round-trip times. Source: Vivaldi (Dabek et al. 2004) with the height, adjustment and gravity of
"Network Coordinates in the Wild" (Ledlie et al. 2007), and docs/design/gossip.md, "Coordinates".
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

import msgspec

from pyconsul.clock import Random
from pyconsul.errors import DecodeError
from pyconsul.gossip.dialect import pack, unpack_map
from pyconsul.gossip.fields import FLOAT, FLOATS

DIMENSIONS = 8
ERROR_MAX = 1.5
HEIGHT_MIN = 1.0e-5
ERROR_WEIGHT = 0.25
FORCE_WEIGHT = 0.25
ADJUSTMENT_WINDOW = 20
LATENCY_SAMPLES = 3
GRAVITY_RHO = 150.0
ZERO = 1.0e-6
ROUND_TRIP_MAX = 10.0
PAYLOAD_VERSION = 1


class Coordinate(msgspec.Struct, frozen=True):
    """All in seconds, ``error`` without unit (0 is certain)."""

    vector: tuple[float, ...] = (0.0,) * DIMENSIONS
    error: float = ERROR_MAX
    adjustment: float = 0.0
    height: float = HEIGHT_MIN

    @property
    def valid(self) -> bool:
        """Of our dimension, and all numbers finite."""
        return len(self.vector) == DIMENSIONS and all(
            map(math.isfinite, (*self.vector, self.error, self.adjustment, self.height))
        )

    def encode(self) -> bytes:
        """As acks carry it."""
        body = {"Adjustment": self.adjustment, "Error": self.error, "Height": self.height, "Vec": list(self.vector)}
        return bytes((PAYLOAD_VERSION,)) + pack(body)


def decode_coordinate(payload: bytes) -> Coordinate | None:
    """None for an empty payload or another version. Raises DecodeError when it is bad or not finite."""
    if not payload or payload[0] != PAYLOAD_VERSION:
        return None
    body = unpack_map(payload[1:])
    coordinate = Coordinate(
        FLOATS.load(body.get(b"Vec")),
        FLOAT.load(body.get(b"Error")),
        FLOAT.load(body.get(b"Adjustment")),
        FLOAT.load(body.get(b"Height")),
    )
    if not coordinate.valid:
        raise DecodeError("coordinate with numbers that are not finite, or of another dimension")
    return coordinate


def raw_distance(a: Coordinate, b: Coordinate) -> float:
    return math.dist(a.vector, b.vector) + a.height + b.height


def distance(a: Coordinate, b: Coordinate) -> float:
    """Estimated round-trip time in seconds."""
    total = raw_distance(a, b)
    adjusted = total + a.adjustment + b.adjustment
    return adjusted if adjusted > 0 else total


class CoordinateClient:
    """Our own coordinate. ``resets``: how often it became useless and was started afresh."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._samples: deque[float] = deque([0.0] * ADJUSTMENT_WINDOW, ADJUSTMENT_WINDOW)
        self._latencies: dict[str, deque[float]] = {}
        self.coordinate = Coordinate()
        self.resets = 0

    def forget(self, node: str) -> None:
        self._latencies.pop(node, None)

    def update(self, node: str, other: Coordinate, seconds: float) -> None:
        """One observation of a round trip to a node at ``other``. Raises DecodeError when it cannot be true."""
        if not other.valid:
            raise DecodeError("bad coordinate")
        if not (0 <= seconds <= ROUND_TRIP_MAX):
            raise DecodeError(f"round trip of {seconds} s is out of range")
        seconds = self._median(node, seconds)
        self._vivaldi(other, seconds)
        self._adjust(other, seconds)
        self._pull_to_origin()
        if not self.coordinate.valid:
            self.coordinate = Coordinate()
            self._samples = deque([0.0] * ADJUSTMENT_WINDOW, ADJUSTMENT_WINDOW)
            self.resets += 1

    def _median(self, node: str, seconds: float) -> float:
        samples = self._latencies.setdefault(node, deque(maxlen=LATENCY_SAMPLES))
        samples.append(seconds)
        return sorted(samples)[len(samples) // 2]

    def _vivaldi(self, other: Coordinate, seconds: float) -> None:
        mine = self.coordinate
        far = distance(mine, other)
        seconds = max(seconds, ZERO)
        wrong = abs(far - seconds) / seconds
        weight = mine.error / max(mine.error + other.error, ZERO)
        error = min(ERROR_MAX, ERROR_WEIGHT * weight * wrong + mine.error * (1 - ERROR_WEIGHT * weight))
        force = FORCE_WEIGHT * weight * (seconds - far)
        self.coordinate = self._pushed(msgspec.structs.replace(mine, error=error), force, other)

    def _pushed(self, mine: Coordinate, force: float, other: Coordinate) -> Coordinate:
        """``mine`` after a push away from ``other``; a negative force pulls."""
        unit, length = self._direction(mine.vector, other.vector)
        vector = tuple(value + part * force for value, part in zip(mine.vector, unit, strict=True))
        height = mine.height
        if length > ZERO:
            height = max(HEIGHT_MIN, (mine.height + other.height) * force / length + mine.height)
        return msgspec.structs.replace(mine, vector=vector, height=height)

    def _direction(self, to: Sequence[float], start: Sequence[float]) -> tuple[list[float], float]:
        """Unit vector and distance; a random direction when both are at the same place."""
        difference = [a - b for a, b in zip(to, start, strict=True)]
        length = math.hypot(*difference)
        if length > ZERO:
            return [value / length for value in difference], length
        difference = [self._random.random() - 0.5 for _ in difference]
        size = math.hypot(*difference)
        if size > ZERO:
            return [value / size for value in difference], 0.0
        return [1.0] + [0.0] * (DIMENSIONS - 1), 0.0

    def _adjust(self, other: Coordinate, seconds: float) -> None:
        self._samples.append(seconds - raw_distance(self.coordinate, other))
        adjustment = sum(self._samples) / (2.0 * ADJUSTMENT_WINDOW)
        self.coordinate = msgspec.structs.replace(self.coordinate, adjustment=adjustment)

    def _pull_to_origin(self) -> None:
        """Keeps the whole cluster from drifting away together."""
        origin = Coordinate()
        far = distance(origin, self.coordinate)
        force = -1.0 * (far / GRAVITY_RHO) ** 2
        self.coordinate = self._pushed(self.coordinate, force, origin)
