"""The events an agent keeps: the last 256 that concern it. HTTP reference, "Events"."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable

from pyconsul.codec.pattern import Pattern
from pyconsul.codec.user_event import EVENT_PREFIX, UserEvent, decode_user_event
from pyconsul.errors import DecodeError

EVENTS_KEPT_MAX = 256
HIDDEN_EVENT = "_rexec"


class EventBuffer:
    """Kept events, oldest first, and the callbacks of who waits for the next one (one-shot)."""

    def __init__(self) -> None:
        self._events: deque[UserEvent] = deque(maxlen=EVENTS_KEPT_MAX)
        self._waiting: dict[object, Callable[[], None]] = {}

    def __len__(self) -> int:
        return len(self._events)

    def add(self, event: UserEvent) -> None:
        """An event arrived that concerns this agent."""
        self._events.append(event)
        waiting, self._waiting = self._waiting, {}
        for wake in waiting.values():
            wake()

    def receive(
        self, serf_name: str, payload: bytes, lamport_time: int, node: str, services: dict[str, list[str]]
    ) -> UserEvent | None:
        """Keeps a gossip user event if it is one of Consul's and concerns this agent (see ``concerns``).

        Returns what was kept; bytes that are no event are dropped.
        """
        if not serf_name.startswith(EVENT_PREFIX):
            return None
        try:
            event = decode_user_event(payload, lamport_time)
            events_index([event])  # the id must be a UUID
        except (DecodeError, ValueError):
            return None
        if event.name == HIDDEN_EVENT or not concerns(event, node, services):
            return None
        self.add(event)
        return event

    def named(self, name: str) -> list[UserEvent]:
        """Those of one name; "": all."""
        return [event for event in self._events if not name or event.name == name]

    def wait(self, who: object, wake: Callable[[], None]) -> None:
        self._waiting[who] = wake

    def forget(self, who: object) -> None:
        self._waiting.pop(who, None)


def events_index(events: list[UserEvent]) -> int:
    """The two halves of the last event's id combined by exclusive or; 1 for none."""
    if not events:
        return 1
    number = uuid.UUID(events[-1].id).int
    return (number >> 64) ^ (number & (1 << 64) - 1)


def concerns(event: UserEvent, node: str, services: dict[str, list[str]]) -> bool:
    """Whether an agent keeps the event. ``services``: tags by the name of each service of this agent.

    The expressions are a peer's: they are matched in linear time.
    """
    try:
        if event.node_filter and not Pattern(event.node_filter).search(node):
            return False
        if not event.service_filter:
            return True
        is_service, is_tag = Pattern(event.service_filter).search, Pattern(event.tag_filter).search
        return any(
            is_service(name) and (not event.tag_filter or any(map(is_tag, tags))) for name, tags in services.items()
        )
    except DecodeError:  # another implementation's expression that is none here: it matches nothing
        return False
