"""User events: small messages to all members, each delivered once per member, ordered by a Lamport clock."""

from __future__ import annotations

from pyconsul.errors import CallerError
from pyconsul.gossip.context import Context, GossipEvent
from pyconsul.gossip.fields import shown
from pyconsul.gossip.lamport import LamportClock
from pyconsul.gossip.serf_messages import EventSlot, UserEvent
from pyconsul.gossip.snapshot import Recorder

BUFFER_SIZE = 512


class EventBuffer:
    """The events of the last 512 Lamport times, so that none is delivered twice."""

    def __init__(self, context: Context, recorder: Recorder | None, size_max: int) -> None:
        self._context = context
        self._recorder = recorder
        self._size_max = size_max
        self._slots: list[EventSlot | None] = [None] * BUFFER_SIZE
        self._minimum = 0
        self.clock = LamportClock()

    def restore(self, ltime: int) -> None:
        """What was delivered before a restart is not delivered again."""
        self.clock.witness(ltime)
        self._minimum = ltime + 1 if ltime else 0

    def ignore_before(self, ltime: int) -> None:
        self._minimum = max(self._minimum, ltime)

    def slots(self) -> tuple[EventSlot | None, ...]:
        """The filled ones."""
        return tuple(slot for slot in self._slots if slot is not None)

    def fire(self, name: str, payload: bytes, coalesce: bool) -> bytes:
        """Delivers an event of ours here and returns the message for the others. Raises CallerError if too large."""
        event = UserEvent(self.clock.time, name, payload, coalesce)
        message = event.encode()
        size = len(name.encode("utf-8", "surrogateescape")) + len(payload)
        if max(size, len(message)) > self._size_max:
            raise CallerError(f"user event exceeds sane limit of {self._size_max} bytes before encoding", 500)
        self.clock.increment()
        self.receive(event.ltime, name, payload, coalesce)
        return message

    def receive(self, ltime: int, name: str, payload: bytes, coalesce: bool) -> bool:
        """True when it was delivered, so that others should hear of it."""
        self.clock.witness(ltime)
        if ltime < self._minimum:
            return False
        if self.clock.time > BUFFER_SIZE and ltime < self.clock.time - BUFFER_SIZE:
            return False
        index = ltime % BUFFER_SIZE
        slot = self._slots[index]
        known = slot.events if slot is not None and slot.ltime == ltime else ()
        if (name, payload) in known:
            return False
        self._slots[index] = EventSlot(ltime, (*known, (name, payload)))
        if self._recorder is not None:
            self._recorder.event(ltime)
        self._context.emit(GossipEvent("user", name=shown(name), payload=payload, ltime=ltime, coalesce=coalesce))
        return True
