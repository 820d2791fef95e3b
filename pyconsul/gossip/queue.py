"""What to tell next: broadcasts wait here and travel on whatever is sent, each a limited number of times."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Callable


def retransmit_limit(multiplier: int, members: int) -> int:
    """How often one message is sent by one member: enough for an epidemic to reach all."""
    return multiplier * math.ceil(math.log10(members + 1))


class _Broadcast:
    __slots__ = ("message", "name", "number", "token", "transmits")

    def __init__(self, message: bytes, name: str | None, token: int | None, number: int) -> None:
        self.message = message
        self.name = name
        self.token = token
        self.number = number
        self.transmits = 0


_Place = tuple[int, int, int]
"""Where a broadcast stands: least often sent first; of those the longest; of those the newest."""


def _place(item: _Broadcast) -> _Place:
    return (item.transmits, -len(item.message), -item.number)


class BroadcastQueue:
    """``finished(token)`` is called when a message queued with a token was sent to its limit, replaced or pruned."""

    def __init__(self, multiplier: int, members: Callable[[], int], finished: Callable[[int], None]) -> None:
        self._multiplier = multiplier
        self._members = members
        self._finished = finished
        # A sorted list is the fastest for what waits at any time, hundreds at most: moving pointers costs little.
        self._places: list[_Place] = []
        self._by_number: dict[int, _Broadcast] = {}
        self._by_name: dict[str, _Broadcast] = {}
        self._numbers = 0

    def __len__(self) -> int:
        return len(self._places)

    def push(self, message: bytes, name: str | None = None, token: int | None = None) -> None:
        """A message with a name replaces the queued one of that name: the older claim is out of date."""
        self._numbers += 1
        item = _Broadcast(message, name, token, self._numbers)
        if name is not None:
            replaced = self._by_name.get(name)
            if replaced is not None:
                self._drop(replaced)
            self._by_name[name] = item
        self._by_number[item.number] = item
        insort(self._places, _place(item))

    def fetch(self, overhead: int, limit: int) -> list[bytes]:
        """Messages that fit into ``limit`` bytes, each costing its length and ``overhead``; counts them as sent."""
        places = self._places
        if not places:
            return []
        taken: list[_Broadcast] = []
        free = limit
        transmits = places[0][0]
        position = 0
        while places:
            # The longest that still fits among those sent this often stands right after the bound; nothing before it
            # fits, as there is ever less room.
            fits = free - overhead
            if fits <= 0:
                break
            position = bisect_left(places, (transmits, -fits, -self._numbers - 1), position)
            if position == len(places):
                break
            place = places[position]
            if place[0] != transmits:
                transmits = place[0]
                continue
            del places[position]
            item = self._by_number[-place[2]]
            taken.append(item)
            free -= overhead + len(item.message)
        limit_transmits = retransmit_limit(self._multiplier, self._members())
        for item in taken:
            item.transmits += 1
            if item.transmits >= limit_transmits:
                self._forget(item)
            else:
                insort(places, _place(item))
        return [item.message for item in taken]

    def prune(self, length_max: int) -> int:
        """Drops those sent most often until ``length_max`` are left; returns how many."""
        dropped = 0
        while len(self._places) > length_max:
            self._drop(self._by_number[-self._places[-1][2]])
            dropped += 1
        return dropped

    def _drop(self, item: _Broadcast) -> None:
        del self._places[bisect_left(self._places, _place(item))]
        self._forget(item)

    def _forget(self, item: _Broadcast) -> None:
        del self._by_number[item.number]
        if item.name is not None and self._by_name.get(item.name) is item:
            del self._by_name[item.name]
        if item.token is not None:
            self._finished(item.token)
