"""Failure detection: one member at a time is pinged, then through others and by TCP, then suspected.

Source: SWIM section 3.1, Lifeguard's nacks, and docs/design/gossip.md, "Probing".
"""

from __future__ import annotations

from pyconsul.gossip.context import Context, OpenStream, Timer
from pyconsul.gossip.member import Node
from pyconsul.gossip.messages import Ack, Dead, IndirectPing, Nack, Ping, Suspect
from pyconsul.gossip.swim import LOGGER, Swim

PENDING_RELAYS_MAX = 1024


class _Probe:
    """The probe under way. ``direct``: no ack came yet and the first time-out did not pass."""

    __slots__ = (
        "deadline",
        "direct",
        "nacks_missing",
        "nacks_wanted",
        "ping",
        "seq",
        "start",
        "stream",
        "target",
        "tcp_ok",
    )

    def __init__(self, target: Node, ping: Ping, start: float, deadline: float) -> None:
        self.target = target
        self.ping = ping
        self.seq = ping.seq
        self.start = start
        self.deadline = deadline
        self.direct = True
        self.nacks_wanted = 0
        self.nacks_missing = 0
        self.stream: int | None = None
        self.tcp_ok = False


class _Relay:
    """A ping on somebody's behalf."""

    __slots__ = ("address", "port", "seq", "timer")

    def __init__(self, seq: int, address: bytes, port: int, timer: Timer) -> None:
        self.seq = seq
        self.address = address
        self.port = port
        self.timer = timer


class Prober:
    def __init__(self, swim: Swim) -> None:
        self._swim = swim
        self._context: Context = swim.context
        self._timings = swim.timings
        self._seq = 0
        self._index = 0
        self._probe: _Probe | None = None
        self._relays: dict[int, _Relay] = {}

    def _next_seq(self) -> int:
        self._seq = (self._seq + 1) & 0xFFFFFFFF
        return self._seq

    # --- our own probes ----------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Begins the next probe, unless one is still under way (an unhealthy member takes longer)."""
        if self._probe is not None:
            return
        target = self._next_target()
        if target is not None:
            self._begin(target)

    def _next_target(self) -> Node | None:
        swim = self._swim
        for _ in range(len(swim.order)):
            if self._index >= len(swim.order):
                swim.forget_gone()
                self._context.random.shuffle(swim.order)
                self._index = 0
                continue
            node = swim.order[self._index]
            self._index += 1
            if node.name != swim.me and not node.gone:
                return node
        return None

    def _begin(self, target: Node) -> None:
        swim, context = self._swim, self._context
        config = swim.config
        interval = swim.awareness.scale(self._timings.probe_interval)
        ping = Ping(target.name, self._next_seq(), config.address, config.name, config.port)
        probe = _Probe(target, ping, context.now, context.now + interval)
        self._probe = probe
        if target.suspect:
            # The suspicion goes along, so that a living target refutes it at once.
            accusation = Suspect(target.incarnation, target.name, swim.me).encode()
            swim.send(target.address, target.port, [ping.encode(), accusation], crc=target.protocol_max >= 5)
        else:
            swim.send_with_gossip(target.address, target.port, ping.encode())
        context.after(self._timings.probe_timeout, lambda: self._widen(probe))
        context.after(interval, lambda: self._finish(probe))

    def _widen(self, probe: _Probe) -> None:
        """No answer in time: asks others to ping the target, and tries TCP."""
        if self._probe is not probe:
            return
        probe.direct = False
        swim, target = self._swim, probe.target
        config = swim.config
        for helper in swim.some(self._timings.indirect_checks, lambda node: node.alive and node.name != target.name):
            nack = helper.protocol_max >= 4
            request = IndirectPing(
                probe.seq, target.address, target.port, target.name, nack, config.address, config.name, config.port
            )
            probe.nacks_wanted += nack
            swim.send_with_gossip(helper.address, helper.port, request.encode())
        probe.nacks_missing = probe.nacks_wanted
        if target.protocol_max >= 3:
            probe.stream = self._context.token()
            message = probe.ping.encode()
            self._context.emit(OpenStream(probe.stream, target.address, target.port, message, probe.deadline))

    def _finish(self, probe: _Probe) -> None:
        if self._probe is not probe:
            return
        self._probe = None
        swim, target = self._swim, probe.target
        if probe.tcp_ok:
            self._context.warn(
                LOGGER,
                f"memberlist: Was able to connect to {target.name} over TCP but UDP probes failed, "
                "network may be misconfigured",
            )
            swim.awareness.apply(-1)
            return
        swim.awareness.apply(probe.nacks_missing if probe.nacks_wanted else 1)
        if target.gone:
            return
        self._context.info(LOGGER, f"memberlist: Suspect {target.name} has failed, no acks received")
        swim.suspect(Suspect(target.incarnation, target.name, swim.me))

    def ack(self, ack: Ack) -> None:
        probe = self._probe
        if probe is not None and ack.seq == probe.seq:
            self._probe = None
            self._swim.awareness.apply(-1)
            if probe.direct:
                self._swim.delegate.ping_complete(probe.target, self._context.now - probe.start, ack.payload)
            return
        relay = self._relays.pop(ack.seq, None)
        if relay is not None:
            relay.timer.cancel()
            self._swim.send_with_gossip(relay.address, relay.port, Ack(relay.seq).encode())

    def nack(self, nack: Nack) -> None:
        probe = self._probe
        if probe is not None and nack.seq == probe.seq and probe.nacks_missing > 0:
            probe.nacks_missing -= 1

    def stream_reply(self, stream: int, ack: object) -> bool:
        """True when the stream was one of ours."""
        probe = self._probe
        if probe is None or probe.stream != stream:
            return False
        probe.tcp_ok = isinstance(ack, Ack) and ack.seq == probe.seq
        return True

    # --- probes of others --------------------------------------------------------------------------------------

    def ping(self, ping: Ping, source: tuple[bytes, int]) -> None:
        swim = self._swim
        if ping.node and ping.node != swim.me:
            self._context.warn(LOGGER, f"memberlist: Got ping for unexpected node '{ping.node}'")
            return
        address, port = source
        if ping.source_address and ping.source_port:
            address, port = ping.source_address, ping.source_port
        ack = Ack(ping.seq, swim.delegate.ack_payload()).encode()
        node = swim.nodes.get(ping.source_node)
        if node is not None and node.dead and (node.address, node.port) == (address, port):
            # It lives and did not hear what is said of it: told so, it refutes.
            accusation = Dead(node.incarnation, node.name, swim.me).encode()
            swim.send(address, port, [ack, accusation], crc=node.protocol_max >= 5)
            return
        swim.send_with_gossip(address, port, ack)

    def indirect_ping(self, request: IndirectPing, source: tuple[bytes, int]) -> None:
        swim = self._swim
        config = swim.config
        if len(self._relays) >= PENDING_RELAYS_MAX or len(request.target) not in (4, 16):
            return
        address, port = source
        if request.source_address and request.source_port:
            address, port = request.source_address, request.source_port
        seq = self._next_seq()

        def expire() -> None:
            self._relays.pop(seq, None)
            if request.nack:
                swim.send_with_gossip(address, port, Nack(request.seq).encode())

        timer = self._context.after(self._timings.probe_timeout, expire)
        self._relays[seq] = _Relay(request.seq, address, port, timer)
        ping = Ping(request.node, seq, config.address, config.name, config.port)
        swim.send_with_gossip(request.target, request.port or config.port, ping.encode())
