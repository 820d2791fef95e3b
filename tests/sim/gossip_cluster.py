"""Many gossip cores in one thread, under one seeded scheduler, on a network that delays, loses and cuts.

In the model: loss and delay of datagrams (each direction by itself), streams that fail when either way is cut and wait
for TCP to send again what was lost, crashes, pauses (a member handles nothing and its timers are late), partitions. Not
in the model: reordering within a stream, changed bytes (the codec's tests have those), clocks that run at different
speeds.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable

from pyconsul.clock import seeded_random
from pyconsul.errors import PeerError
from pyconsul.gossip.context import Datagram, GossipEvent, OpenStream
from pyconsul.gossip.core import GossipCore
from pyconsul.gossip.member import ALIVE, VERSIONS, Member, Node
from pyconsul.gossip.messages import STATE_ALIVE, STATE_DEAD, STATE_LEFT
from pyconsul.gossip.packet import Security
from pyconsul.gossip.serf import SerfConfig
from pyconsul.gossip.serf_messages import encode_tags
from pyconsul.gossip.stream_codec import StreamDecoder, encode_stream
from pyconsul.gossip.swim import SwimConfig
from pyconsul.gossip.timings import LAN, Timings

PORT = 8301
SYN_RETRY = 1.0
DATA_RETRY = 0.2
"""Seconds before Linux sends a lost segment again, the first time; doubled each time after."""


class Host:
    """A member and what it was told."""

    def __init__(self, name: str, address: bytes, core: GossipCore) -> None:
        self.name = name
        self.address = address
        self.core = core
        self.running = True
        self.paused = False
        self.events: list[tuple[float, GossipEvent]] = []
        self.wake_at = float("inf")
        self.backlog: list[Callable[[], None]] = []
        self.datagrams = 0

    def state_of(self, name: str) -> int:
        node = self.core.swim.nodes.get(name)
        return STATE_LEFT if node is None else node.state


class Cluster:
    """``loss``: share of datagrams, and of segments of streams, that vanish. All times in seconds.

    ``on_event`` hears what each member tells its application, beside ``Host.events``.
    """

    def __init__(
        self, size: int, seed: int, *, loss: float = 0.0, delay: float = 0.002, timings: Timings = LAN
    ) -> None:
        self.now = 0.0
        self.loss = loss
        self.delay = delay
        self.random = seeded_random(seed)
        self.timings = timings
        self.security = Security(nonce=bytes)
        self.hosts: dict[bytes, Host] = {}
        self.by_name: dict[str, Host] = {}
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._groups: dict[bytes, int] = {}
        self.on_event: Callable[[Host, GossipEvent], None] | None = None
        for number in range(size):
            self.add(number)

    def add(self, number: int) -> Host:
        address = bytes((10, number >> 16 & 255, number >> 8 & 255, number & 255))
        name = f"m{number}"
        swim = SwimConfig(
            name=name,
            address=address,
            port=PORT,
            timings=self.timings,
            security=self.security,
            compression=False,
        )
        serf = SerfConfig(tags={"n": str(number)}, timings=self.timings)
        core = GossipCore(swim, serf, seeded_random(self.random.getrandbits(32)))
        host = Host(name, address, core)
        self.hosts[address] = host
        self.by_name[name] = host
        core.start(self.now)
        self._carry_out(host)
        return host

    # --- what a test does --------------------------------------------------------------------------------------

    def form(self) -> None:
        """Everybody joins through the first member; then time for all to hear of all."""
        first, *others = self.hosts.values()
        for host in others:
            self.join(host, first)
            self.run(0.02)
        self.run_until(self.all_know_all, 60.0, "everybody knows everybody")

    def form_at_once(self) -> None:
        """As after ``form`` and long quiet: everybody has a record of everybody and nothing is left to tell.

        Joins cost the square of the members in messages and decoding; only tests of joining need them.
        """
        members: dict[str, Member] = {}
        metas: dict[str, bytes] = {}
        for host in self.hosts.values():
            tags = host.core.serf.config.tags
            members[host.name] = Member(host.name, host.address, PORT, tags, ALIVE, VERSIONS)
            metas[host.name] = encode_tags(tags)
        for host in self.hosts.values():
            swim = host.core.swim
            for other in self.hosts.values():
                if other is not host:
                    node = Node(other.name, other.address, PORT, self.now)
                    node.meta, node.versions = metas[other.name], VERSIONS
                    node.incarnation, node.state = other.core.swim.incarnation, STATE_ALIVE
                    swim.nodes[other.name] = node
                    swim.order.append(node)
            host.core.context.random.shuffle(swim.order)
            host.core.serf.members.update(members)
            swim.queue.prune(0)
            host.events.clear()

    def join(self, host: Host, through: Host) -> None:
        self._open(host, host.core.open_join(self.now, through.address, PORT, True), intent=True)

    def crash(self, name: str) -> None:
        self.by_name[name].running = False

    def pause(self, name: str, seconds: float) -> None:
        host = self.by_name[name]
        host.paused = True

        def resume() -> None:
            host.paused = False
            waiting, host.backlog = host.backlog, []
            for work in waiting:
                work()
            self._tick(host)

        self._at(self.now + seconds, resume)

    def partition(self, *groups: Iterable[str]) -> None:
        """Members of different groups do not hear each other; no groups: the partition ends."""
        self._groups = {self.by_name[name].address: index for index, group in enumerate(groups) for name in group}

    def alive_hosts(self) -> list[Host]:
        return [host for host in self.hosts.values() if host.running]

    def all_know_all(self) -> bool:
        hosts = self.alive_hosts()
        return all(host.state_of(other.name) == STATE_ALIVE for host in hosts for other in hosts)

    def dead_to(self, name: str) -> list[str]:
        """Who thinks that this member is dead or gone."""
        return [
            host.name
            for host in self.alive_hosts()
            if host.name != name and host.state_of(name) in (STATE_DEAD, STATE_LEFT)
        ]

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while self._heap and self._heap[0][0] <= until:
            when, _, work = heapq.heappop(self._heap)
            self.now = max(self.now, when)
            work()
        self.now = until

    def run_until(self, condition: Callable[[], bool], limit: float, what: str) -> float:
        """Returns how long it took; fails after ``limit`` seconds of simulated time."""
        start = self.now
        while not condition():
            assert self.now - start < limit, f"not within {limit} s: {what}"
            self.run(0.05)
        return self.now - start

    # --- the world ---------------------------------------------------------------------------------------------

    def _at(self, when: float, work: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (when, next(self._numbers), work))

    def _connected(self, a: bytes, b: bytes) -> bool:
        return self._groups.get(a) == self._groups.get(b)

    def _do(self, host: Host, work: Callable[[], None]) -> None:
        """Work of a host: later when it is paused, never when it crashed."""
        if host.paused:
            host.backlog.append(work)
        elif host.running:
            work()
            self._carry_out(host)

    def _tick(self, host: Host) -> None:
        self._do(host, lambda: host.core.tick(self.now))

    def _carry_out(self, host: Host) -> None:
        for effect in host.core.effects():
            if isinstance(effect, Datagram):
                self._send(host, effect)
            elif isinstance(effect, OpenStream):
                self._open(host, effect, intent=False)
            elif isinstance(effect, GossipEvent):
                host.events.append((self.now, effect))
                if self.on_event is not None:
                    self.on_event(host, effect)
        deadline = host.core.deadline()
        if deadline is not None and (deadline < host.wake_at or host.wake_at <= self.now):
            host.wake_at = deadline
            self._at(deadline, lambda: self._tick(host) if host.wake_at == deadline else None)

    def _latency(self) -> float:
        return self.delay * self.random.uniform(0.5, 1.5)

    def _segment(self, retry: float) -> float:
        """Seconds until a segment of a stream has arrived, sent again after ``retry`` and then ever more rarely."""
        seconds = self._latency()
        while self.loss > 0 and self.random.random() < self.loss:
            seconds += retry
            retry *= 2
        return seconds

    def _send(self, host: Host, effect: Datagram) -> None:
        host.datagrams += 1
        target = self.hosts.get(effect.address)
        if target is None or not self._connected(host.address, effect.address) or self.random.random() < self.loss:
            return
        source = (host.address, PORT)
        self._at(
            self.now + self._latency(),
            lambda: self._do(target, lambda: target.core.receive(self.now, effect.data, source)),
        )

    def _open(self, host: Host, effect: OpenStream, intent: bool) -> None:
        target = self.hosts.get(effect.address)

        def fail() -> None:
            self._do(host, lambda: host.core.stream_failed(self.now, effect.id))

        if target is None or not target.running or not self._connected(host.address, effect.address):
            self._at(self.now + self._latency(), fail)
            return
        message = StreamDecoder(self.security, True).feed(
            encode_stream(effect.message, self.security, initiator=True, compression=False)
        )
        assert message is not None

        def serve() -> None:
            answer = target.core.serve(self.now, message)
            if answer is None or self.now > effect.deadline:
                fail()
                return
            reply = StreamDecoder(self.security, False).feed(answer)
            assert reply is not None

            def receive() -> None:
                if self.now > effect.deadline:
                    host.core.stream_failed(self.now, effect.id)
                    return
                try:
                    host.core.stream_reply(self.now, effect.id, reply)
                except PeerError:
                    return
                if intent:
                    host.core.serf.join_intent()

            self._at(self.now + self._segment(DATA_RETRY), lambda: self._do(host, receive))

        connected = self._segment(SYN_RETRY) + self._segment(SYN_RETRY)
        self._at(self.now + connected + self._segment(DATA_RETRY), lambda: self._do(target, serve))
