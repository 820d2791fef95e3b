"""One core under test, its effects sorted by kind, and peers that only exist as messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from pyconsul.clock import seeded_random
from pyconsul.gossip.context import Datagram, Effect, GossipEvent, OpenStream, Record
from pyconsul.gossip.core import GossipCore
from pyconsul.gossip.member import VERSIONS, Member, Node
from pyconsul.gossip.messages import Alive, SimpleMessage, User
from pyconsul.gossip.packet import Security, decode_packet, encode_packet
from pyconsul.gossip.serf import SerfConfig
from pyconsul.gossip.serf_messages import AnySerfMessage, decode_serf, encode_tags
from pyconsul.gossip.swim import SwimConfig
from pyconsul.gossip.timings import LAN, Timings

T = TypeVar("T")


def address_of(number: int) -> bytes:
    return bytes((10, 0, 0, number))


class Bench:
    """``now`` is the time that the core is told. Peers ``p1``, ``p2``… have the addresses 10.0.0.1, 10.0.0.2…"""

    def __init__(self, timings: Timings = LAN, **options: Any) -> None:
        self.security = Security(nonce=bytes)
        serf_options = {key: options.pop(key) for key in ("merge_check", "resolve_conflicts") if key in options}
        swim_options = {key: options.pop(key) for key in ("allowed",) if key in options}
        self.core = GossipCore(
            SwimConfig(
                name="me", address=address_of(200), port=8301, timings=timings, security=self.security, **swim_options
            ),
            SerfConfig(tags={"role": "node"}, timings=timings, **serf_options),
            seeded_random(7),
            **options,
        )
        self.now = 100.0
        self.events: list[GossipEvent] = []
        self.streams: list[OpenStream] = []
        self.records: list[str] = []
        self.other: list[Effect] = []
        self._sent: list[tuple[bytes, SimpleMessage | User]] = []
        self.core.start(self.now)
        self.take()

    def take(self) -> None:
        for effect in self.core.effects():
            if isinstance(effect, Datagram):
                for message in decode_packet(effect.data, self.security).messages:
                    self._sent.append((effect.address, message))
            elif isinstance(effect, GossipEvent):
                self.events.append(effect)
            elif isinstance(effect, OpenStream):
                self.streams.append(effect)
            elif isinstance(effect, Record):
                self.records.extend(effect.lines)
            else:
                self.other.append(effect)

    def advance(self, seconds: float) -> None:
        """Lets time pass, timer by timer."""
        until = self.now + seconds
        while (deadline := self.core.deadline()) is not None and deadline <= until:
            self.now = max(self.now, deadline)
            self.core.tick(self.now)
            self.take()
        self.now = until
        self.core.tick(self.now)
        self.take()

    def hear(self, *messages: SimpleMessage | User, source: int = 1) -> None:
        data = encode_packet([message.encode() for message in messages], self.security, crc=True, compression=True)
        self.core.receive(self.now, data, (address_of(source), 8301))
        self.take()

    def hear_serf(self, message: AnySerfMessage, source: int = 1) -> None:
        self.hear(User(message.encode()), source=source)

    def meet(self, *numbers: int, incarnation: int = 1) -> None:
        for number in numbers:
            meta = encode_tags({"n": str(number)})
            self.hear(Alive(incarnation, f"p{number}", address_of(number), 8301, meta, VERSIONS))

    def sent(self, kind: type[T]) -> list[tuple[bytes, T]]:
        """What was sent of this kind, with its destination, since the last call of ``forget``."""
        self.take()
        return [(address, message) for address, message in self._sent if isinstance(message, kind)]

    def sent_serf(self, kind: type[T]) -> list[T]:
        decoded = [decode_serf(message.payload) for _, message in self.sent(User)]
        return [message for message in decoded if isinstance(message, kind)]

    def forget(self) -> None:
        self.take()
        self._sent.clear()
        self.events.clear()
        self.streams.clear()
        self.records.clear()
        self.other.clear()

    def node(self, name: str) -> Node:
        return self.core.swim.nodes[name]

    def member(self, name: str) -> Member:
        return self.core.serf.members[name]

    def kinds(self) -> Sequence[str]:
        return [event.kind for event in self.events]
