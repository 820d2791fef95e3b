"""What the parts of the core share: the time of the current call, randomness, timers, and the effects to carry out.

The core does nothing by itself. Its driver calls a door with the time, then takes ``effects`` and carries them out.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable

import msgspec

from pyconsul.clock import Random
from pyconsul.gossip.member import Member


class Datagram(msgspec.Struct, frozen=True):
    """Send ``data`` to the address, 4 or 16 bytes, from the gossip port."""

    address: bytes
    port: int
    data: bytes


class OpenStream(msgspec.Struct, frozen=True):
    """Connect, send ``message`` (encoded by ``encode_stream``, in a thread if it is long), read one message; then call
    ``stream_reply`` or ``stream_failed`` with ``id``. ``deadline``: monotonic seconds, for all of it."""

    id: int
    address: bytes
    port: int
    message: bytes
    deadline: float


class Log(msgspec.Struct, frozen=True):
    """``logger`` is ``memberlist`` or ``serf``; ``level`` as in ``logging``."""

    logger: str
    level: int
    text: str


class Record(msgspec.Struct, frozen=True):
    """Append lines to the member snapshot. ``sync``: they must survive the machine. ``rewrite``: replace the file."""

    lines: tuple[str, ...]
    sync: bool = False
    rewrite: bool = False


class BroadcastDone(msgspec.Struct, frozen=True):
    """The broadcast with this token was transmitted to its limit, or replaced by a newer one."""

    token: int


class GossipEvent(msgspec.Struct, frozen=True):
    """What the application is told.

    ``kind``: member-join, member-leave, member-failed, member-update, member-reap (with ``members``), user (with
    ``name``, ``payload``, ``ltime``, ``coalesce``) or query (with ``query_id`` to answer it, ``source``: who asks).
    """

    kind: str
    members: tuple[Member, ...] = ()
    name: str = ""
    payload: bytes = b""
    ltime: int = 0
    coalesce: bool = False
    query_id: int = 0
    source: str = ""


class QueryAnswer(msgspec.Struct, frozen=True):
    """An answer to a query of ours; ``ack``: only the confirmation of receipt."""

    query_id: int
    sender: str
    payload: bytes
    ack: bool


class QueryDone(msgspec.Struct, frozen=True):
    """No more answers to this query of ours are taken."""

    query_id: int


class KeyringChanged(msgspec.Struct, frozen=True):
    """The ring has these keys now, primary first: write them to the keyring file."""

    keys: tuple[bytes, ...]


class ShutDown(msgspec.Struct, frozen=True):
    """This member must stop: most members know another one by its name."""

    reason: str


Effect = (
    Datagram
    | OpenStream
    | Log
    | Record
    | BroadcastDone
    | GossipEvent
    | QueryAnswer
    | QueryDone
    | KeyringChanged
    | ShutDown
)


class Timer:
    """A pending call. Cancelled ones stay in the heap until their time."""

    __slots__ = ("callback", "when")

    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class Context:
    """``now`` is monotonic seconds and never goes back."""

    def __init__(self, random: Random) -> None:
        self.now = 0.0
        self.random = random
        self._effects: list[Effect] = []
        self._heap: list[tuple[float, int, Timer]] = []
        self._count = 0
        self._tokens = 0

    def enter(self, now: float) -> None:
        self.now = max(self.now, now)

    def emit(self, effect: Effect) -> None:
        self._effects.append(effect)

    def log(self, logger: str, level: int, text: str) -> None:
        self._effects.append(Log(logger, level, text))

    def info(self, logger: str, text: str) -> None:
        self.log(logger, logging.INFO, text)

    def warn(self, logger: str, text: str) -> None:
        self.log(logger, logging.WARNING, text)

    def effects(self) -> list[Effect]:
        """Takes what has to be carried out, in order."""
        effects, self._effects = self._effects, []
        return effects

    def token(self) -> int:
        """A number never given before, for streams and broadcasts."""
        self._tokens += 1
        return self._tokens

    def after(self, delay: float, callback: Callable[[], None]) -> Timer:
        timer = Timer(self.now + delay, callback)
        self._count += 1
        heapq.heappush(self._heap, (timer.when, self._count, timer))
        return timer

    def every(self, interval: float, callback: Callable[[], None]) -> None:
        """Calls again and again, first after a random fraction of the interval. 0 or less: never."""
        if interval <= 0:
            return

        def fire() -> None:
            self.after(interval, fire)
            callback()

        self.after(self.random.random() * interval, fire)

    def deadline(self) -> float | None:
        """When ``run_due`` has something to do next."""
        while self._heap and self._heap[0][2].callback is None:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def run_due(self) -> None:
        while self._heap and self._heap[0][0] <= self.now:
            timer = heapq.heappop(self._heap)[2]
            if timer.callback is not None:
                callback, timer.callback = timer.callback, None
                callback()
