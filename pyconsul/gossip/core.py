"""One gossip member without IO: SWIM, Serf and the codec behind a few doors.

A driver calls a door with the time, then carries out ``effects()`` in order, and calls ``tick`` at ``deadline()``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

import msgspec

from pyconsul.clock import Random
from pyconsul.errors import DecodeError, PeerError
from pyconsul.gossip.context import Context, Effect, OpenStream
from pyconsul.gossip.messages import (
    Ack,
    Alive,
    Dead,
    Err,
    IndirectPing,
    Nack,
    Ping,
    PushPull,
    SimpleMessage,
    Suspect,
    User,
)
from pyconsul.gossip.packet import decode_packet
from pyconsul.gossip.probe import Prober
from pyconsul.gossip.serf import Serf, SerfConfig
from pyconsul.gossip.snapshot import Recorder, replay
from pyconsul.gossip.stream_codec import StreamMessage
from pyconsul.gossip.swim import LOGGER, Swim, SwimConfig, push_pull_interval


class Counters(msgspec.Struct):
    """What was refused, and what went through."""

    packets: int = 0
    bad_packets: int = 0
    bad_streams: int = 0


class GossipCore:
    """``snapshot_lines``: what was recorded before a restart; None: nothing is recorded.

    ``restored_nodes`` are the members to try first after a restart: name to ``ip:port``, without ourselves;
    ``restored_any``: whether anybody, ourselves included, was remembered.
    """

    def __init__(
        self,
        swim: SwimConfig,
        serf: SerfConfig,
        random: Random,
        snapshot_lines: Iterable[str] | None = None,
        rejoin_after_leave: bool = False,
    ) -> None:
        self.context = Context(random)
        self.counters = Counters()
        lines = list(snapshot_lines or ())
        restored = replay(lines, rejoin_after_leave)
        self.restored_nodes = {name: address for name, address in restored.nodes.items() if name != swim.name}
        self.restored_any = bool(restored.nodes)
        recorder = (
            Recorder(self.context, restored, sum(len(line) + 1 for line in lines))
            if snapshot_lines is not None
            else None
        )
        self.serf = Serf(serf, self.context, recorder, restored)
        self.swim = Swim(swim, self.context, self.serf)
        self.serf.attach(self.swim)
        self.prober = Prober(self.swim)
        self._push_pulls: dict[int, tuple[bool, bool]] = {}

    # --- doors -------------------------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        """Announces ourselves and starts the timers. Raises ConfigError when the tags are too large."""
        context, timings = self.context, self.swim.timings
        context.enter(now)
        self.serf.set_tags(self.serf.config.tags)
        context.every(timings.probe_interval, self.prober.tick)
        context.every(timings.gossip_interval, self.swim.gossip)
        context.every(timings.reap_interval, self.serf.reap)
        context.every(timings.reconnect_interval, self._reconnect)
        context.after(timings.reconnect_timeout, self.serf.give_up_unmet)
        context.every(timings.queue_check_interval, self.serf.check_queues)
        if self.serf.recorder is not None:
            context.every(timings.snapshot_interval, self.serf.poll_clock)
        if timings.push_pull_interval > 0:
            context.after(context.random.random() * timings.push_pull_interval, self._push_pull_tick)

    def tick(self, now: float) -> None:
        self.context.enter(now)
        self.context.run_due()

    def deadline(self) -> float | None:
        return self.context.deadline()

    def effects(self) -> list[Effect]:
        return self.context.effects()

    def receive(self, now: float, data: bytes, source: tuple[bytes, int]) -> None:
        """A datagram. Raises DecodeError when it, or a part of it, is bad; the good parts are handled nevertheless."""
        self.context.enter(now)
        self.counters.packets += 1
        packet = decode_packet(data, self.swim.config.security)
        error = packet.errors[0] if packet.errors else None
        for message in packet.messages:
            try:
                self._handle(message, source)
            except DecodeError as found:
                error = error or found
        if error is not None:
            raise error

    def _handle(self, message: SimpleMessage | User, source: tuple[bytes, int]) -> None:
        swim = self.swim
        if isinstance(message, Ping):
            self.prober.ping(message, source)
        elif isinstance(message, Ack):
            self.prober.ack(message)
        elif isinstance(message, IndirectPing):
            self.prober.indirect_ping(message, source)
        elif isinstance(message, Nack):
            self.prober.nack(message)
        elif isinstance(message, Alive):
            allowed = swim.config.allowed
            if allowed is None or allowed(source[0]):
                swim.alive(message)
        elif isinstance(message, Suspect):
            swim.suspect(message)
        elif isinstance(message, Dead):
            swim.dead(message, source)
        elif isinstance(message, User):
            self.serf.user_message(message.payload)
        else:
            raise DecodeError("error message in a datagram")

    # --- streams that we open ----------------------------------------------------------------------------------

    def open_join(self, now: float, address: bytes, port: int, ignore_old_events: bool) -> OpenStream:
        """A state exchange that joins, for the driver to carry out."""
        self.context.enter(now)
        return self._open_push_pull(address, port, True, ignore_old_events)

    def _open_push_pull(self, address: bytes, port: int, join: bool, ignore_old_events: bool = False) -> OpenStream:
        stream = self.context.token()
        self._push_pulls[stream] = (join, ignore_old_events)
        message = self.swim.state(join).encode()
        deadline = self.context.now + self.swim.timings.stream_timeout
        return OpenStream(stream, address, port, message, deadline)

    def stream_reply(self, now: float, stream: int, message: StreamMessage) -> None:
        """What the other side answered. Raises PeerError when it refused, or when we refuse what it says."""
        self.context.enter(now)
        pending = self._push_pulls.pop(stream, None)
        if pending is None:
            self.prober.stream_reply(stream, message)
            return
        if isinstance(message, Err):
            raise PeerError(f"remote error: {message.text}")
        if not isinstance(message, PushPull):
            raise PeerError(f"unexpected answer to a push/pull: {type(message).__name__}")
        join, ignore_old_events = pending
        self.swim.merge(message, join, ignore_old_events)

    def stream_failed(self, now: float, stream: int) -> None:
        self.context.enter(now)
        self._push_pulls.pop(stream, None)

    # --- streams that others open ------------------------------------------------------------------------------

    def serve(self, now: float, message: StreamMessage) -> bytes | None:
        """The message to answer with (for ``encode_stream``), None: close without an answer. Raises DecodeError."""
        self.context.enter(now)
        if isinstance(message, Ping):
            if message.node and message.node != self.swim.me:
                self.context.warn(LOGGER, f"memberlist: Got ping for unexpected node {message.node}")
                return None
            return Ack(message.seq).encode()
        if isinstance(message, User):
            self.serf.user_message(message.payload)
            return None
        if isinstance(message, PushPull):
            answer = self.swim.state(message.join).encode()
            try:
                self.swim.merge(message, message.join, False)
            except PeerError as error:
                # A refusal is not part of the protocol: the other side decides by itself.
                self.context.log(LOGGER, logging.ERROR, f"memberlist: Failed push/pull merge: {error}")
            return answer
        raise DecodeError(f"unexpected {type(message).__name__} as first message of a stream")

    # --- timers ------------------------------------------------------------------------------------------------

    def _push_pull_tick(self) -> None:
        context, swim = self.context, self.swim
        interval = push_pull_interval(swim.timings.push_pull_interval, len(swim.order))
        context.after(interval, self._push_pull_tick)
        for node in swim.some(1, lambda node: node.alive):
            context.emit(self._open_push_pull(node.address, node.port, False))

    def _reconnect(self) -> None:
        target = self.serf.reconnect_target()
        if target is not None:
            self.context.emit(self._open_push_pull(target.address, target.port, True))
