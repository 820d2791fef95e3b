"""SWIM membership: what is believed of whom, and how claims about it are merged. Probing is in probe.py.

Every member keeps a record per name. Claims (alive, suspect, dead) carry the subject's incarnation: only the subject
raises it, so it can refute what is said of it, and older claims never win over newer ones. Source: "SWIM" (Das, Gupta,
Motivala 2002) and docs/design/gossip.md, "Claims".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from pyconsul.errors import PeerError
from pyconsul.gossip.awareness import Awareness
from pyconsul.gossip.context import BroadcastDone, Context, Datagram, Timer
from pyconsul.gossip.member import VERSIONS, Node, address_text, endpoint_text
from pyconsul.gossip.messages import (
    STATE_ALIVE,
    STATE_DEAD,
    STATE_LEFT,
    STATE_SUSPECT,
    Alive,
    Dead,
    NodeState,
    PushPull,
    Suspect,
    User,
)
from pyconsul.gossip.packet import (
    COMPOUND_ENTRY,
    COMPOUND_HEADER,
    COMPOUND_PARTS_MAX,
    PACKET_BUDGET,
    Security,
    encode_packet,
)
from pyconsul.gossip.queue import BroadcastQueue
from pyconsul.gossip.suspicion import Suspicion, bounds
from pyconsul.gossip.timings import Timings

LOGGER = "memberlist"


class SwimConfig(msgspec.Struct, kw_only=True):
    """``address``: what we advertise, 4 or 16 bytes. ``allowed(address)``: whether members may have such an address;
    None: any. ``compression``: of what we send, what comes may always be compressed."""

    name: str
    address: bytes
    port: int
    timings: Timings
    security: Security
    compression: bool = True
    allowed: Callable[[bytes], bool] | None = None


class Delegate(Protocol):
    """The layer above: Serf. It is called within a door of the core and may call back."""

    def node_joined(self, node: Node) -> None: ...

    def node_left(self, node: Node) -> None: ...

    def node_updated(self, node: Node) -> None: ...

    def name_conflict(self, node: Node, address: bytes, port: int) -> None: ...

    def refuse_alive(self, node: NodeState) -> str | None:
        """A reason to ignore this claim that a node is alive."""

    def refuse_merge(self, nodes: Sequence[NodeState]) -> str | None:
        """A reason not to join with the cluster that has these nodes."""

    def user_message(self, payload: bytes) -> None: ...

    def local_state(self, join: bool) -> bytes: ...

    def merge_state(self, state: bytes, ignore_old_events: bool) -> None: ...

    def broadcasts(self, overhead: int, limit: int) -> list[bytes]: ...

    def ack_payload(self) -> bytes: ...

    def ping_complete(self, node: Node, seconds: float, payload: bytes) -> None: ...


def push_pull_interval(interval: float, members: int) -> float:
    """Large clusters exchange their state less often, as each exchange is larger."""
    if members <= 32:
        return interval
    return interval * (math.ceil(math.log2(members) - math.log2(32)) + 1)


class Swim:
    """The records, ours among them. ``order``: the same records in the order of probing."""

    def __init__(self, config: SwimConfig, context: Context, delegate: Delegate) -> None:
        self.config = config
        self.timings = config.timings
        self.context = context
        self.delegate = delegate
        self.nodes: dict[str, Node] = {}
        self.order: list[Node] = []
        self.incarnation = 0
        self.leaving = False
        self.awareness = Awareness(config.timings.awareness_max_multiplier)
        self.queue = BroadcastQueue(
            config.timings.retransmit_mult,
            lambda: len(self.order),
            lambda token: context.emit(BroadcastDone(token)),
        )
        self._suspicions: dict[str, tuple[Suspicion, Timer]] = {}
        self._meta = b""

    # --- ourselves ---------------------------------------------------------------------------------------------

    @property
    def me(self) -> str:
        return self.config.name

    def announce(self, meta: bytes) -> None:
        """Tells everybody that we are here, with this Meta. At the start, and whenever Meta changes."""
        self._meta = meta
        self.incarnation += 1
        config = self.config
        self.alive(Alive(self.incarnation, config.name, config.address, config.port, meta, VERSIONS), own=True)

    def leave(self) -> int | None:
        """Tells that we leave; returns the token of the broadcast, None when there is nobody to tell."""
        self.leaving = True
        me = self.nodes.get(self.me)
        if me is None or me.gone:
            return None
        token = self.context.token() if self.others_alive() else None
        self._dead(Dead(me.incarnation, self.me, self.me), token)
        return token

    def others_alive(self) -> bool:
        return any(not node.gone and node.name != self.me for node in self.order)

    def _refute(self, node: Node, accused: int) -> None:
        self.incarnation = max(self.incarnation + 1, accused + 1)
        node.incarnation = self.incarnation
        self.awareness.apply(1)
        self.queue.push(_alive_claim(node).encode(), node.name)

    # --- claims ------------------------------------------------------------------------------------------------

    def alive(self, claim: Alive, own: bool = False) -> None:
        is_me = claim.node == self.me
        if is_me and self.leaving:
            return
        versions = claim.versions
        if len(versions) >= 3 and (versions[0] == 0 or versions[1] == 0 or versions[0] > versions[1]):
            self.context.warn(LOGGER, f"memberlist: ignoring alive message for '{claim.node}': bad protocol versions")
            return
        port = claim.port or self.config.port
        node = self.nodes.get(claim.node)
        known = node is not None and (node.address, node.port) == (claim.address, port)
        if known and node is not None and not is_me and claim.incarnation <= node.incarnation:
            return  # the common case, one of many copies: not worth reading the tags
        if not own:
            candidate = NodeState(
                claim.node, claim.address, port, claim.meta, claim.incarnation, STATE_ALIVE, claim.versions
            )
            reason = self.delegate.refuse_alive(candidate) if len(versions) >= 6 else "no delegate versions"
            if reason is not None:
                self.context.warn(LOGGER, f"memberlist: ignoring alive message for '{claim.node}': {reason}")
                return
        takeover = False
        if node is None:
            if not own and not self._address_allowed(claim):
                return
            node = Node(claim.node, claim.address, port, self.context.now)
            self._insert(node)
        elif node.address != claim.address or node.port != port:
            if not self._address_allowed(claim):
                return
            takeover = self._may_take_over(node)
            if not takeover:
                self._report_conflict(node, claim.address, port)
                return
        if not is_me and not takeover and claim.incarnation <= node.incarnation:
            return
        if is_me and claim.incarnation < node.incarnation:
            return
        self._cancel_suspicion(node.name)
        if is_me and not own:
            same = claim.incarnation == node.incarnation and claim.meta == node.meta and claim.versions == node.versions
            if not same:
                shown = endpoint_text(claim.address, port)
                self.context.warn(LOGGER, f"memberlist: Refuting an alive message for '{node.name}' ({shown})")
                self._refute(node, claim.incarnation)
            return
        self._accept_alive(node, claim, port)

    def _accept_alive(self, node: Node, claim: Alive, port: int) -> None:
        self.queue.push(claim.encode(), node.name)
        was_gone = node.gone
        meta_changed = node.meta != claim.meta
        node.incarnation = claim.incarnation
        node.meta = claim.meta
        node.address = claim.address
        node.port = port
        node.versions = claim.versions
        if node.state != STATE_ALIVE:
            node.state = STATE_ALIVE
            node.state_change = self.context.now
        if was_gone:
            self.delegate.node_joined(node)
        elif meta_changed:
            self.delegate.node_updated(node)

    def _address_allowed(self, claim: Alive) -> bool:
        allowed = self.config.allowed
        if allowed is None or allowed(claim.address):
            return True
        self.context.warn(
            LOGGER, f"memberlist: Rejected node {claim.node} ({address_text(claim.address)}): address is not allowed"
        )
        return False

    def _may_take_over(self, node: Node) -> bool:
        """A name whose owner left, or is dead for long enough, may be claimed from another address."""
        if node.state == STATE_LEFT:
            return True
        reclaim = self.timings.dead_node_reclaim_time
        return node.state == STATE_DEAD and reclaim > 0 and self.context.now - node.state_change > reclaim

    def _report_conflict(self, node: Node, address: bytes, port: int) -> None:
        mine = endpoint_text(node.address, node.port)
        theirs = endpoint_text(address, port)
        self.context.log(
            LOGGER,
            40,
            f"memberlist: Conflicting address for {node.name}. Mine: {mine} Theirs: {theirs} Old state: {node.state}",
        )
        self.delegate.name_conflict(node, address, port)

    def suspect(self, claim: Suspect) -> None:
        node = self.nodes.get(claim.node)
        if node is None or claim.incarnation < node.incarnation:
            return
        running = self._suspicions.get(node.name)
        if running is not None:
            if running[0].confirm(claim.sender):
                self._watch_suspicion(node, running[0])
                self.queue.push(claim.encode(), node.name)
            return
        if node.state != STATE_ALIVE:
            return
        if node.name == self.me:
            self.context.warn(LOGGER, f"memberlist: Refuting a suspect message (from: {claim.sender})")
            self._refute(node, claim.incarnation)
            return
        self.queue.push(claim.encode(), node.name)
        node.incarnation = claim.incarnation
        node.state = STATE_SUSPECT
        node.state_change = self.context.now
        wanted, shortest, longest = bounds(self.timings, len(self.order))
        self._watch_suspicion(node, Suspicion(claim.sender, wanted, shortest, longest, self.context.now))

    def _watch_suspicion(self, node: Node, suspicion: Suspicion) -> None:
        self._cancel_suspicion(node.name)
        since = node.state_change

        def fire() -> None:
            del self._suspicions[node.name]
            if node.state != STATE_SUSPECT or node.state_change != since:
                return
            self.context.info(
                LOGGER,
                f"memberlist: Marking {node.name} as failed, suspect timeout reached "
                f"({suspicion.confirmations} peer confirmations)",
            )
            self.dead(Dead(node.incarnation, node.name, self.me))

        timer = self.context.after(max(0.0, suspicion.deadline - self.context.now), fire)
        self._suspicions[node.name] = (suspicion, timer)

    def _cancel_suspicion(self, name: str) -> None:
        running = self._suspicions.pop(name, None)
        if running is not None:
            running[1].cancel()

    def dead(self, claim: Dead, source: tuple[bytes, int] | None = None) -> None:
        """``source``: where the datagram with the claim came from."""
        node = self.nodes.get(claim.node)
        if node is not None and not node.gone and claim.incarnation < node.incarnation and not self.leaving:
            self._correct(node, claim, source)
            return
        self._dead(claim, None)

    def _correct(self, node: Node, claim: Dead, source: tuple[bytes, int] | None) -> None:
        """Tells an accuser the refutation that it missed.

        Nobody passes its claim on, so the accused will hardly hear of it, and without this it would be dead to the
        accuser until the next exchange of states. Only who hears it from the accuser itself answers: that bounds the
        answers by the retransmit limit.
        """
        accuser = self.nodes.get(claim.sender)
        if accuser is not None and source == (accuser.address, accuser.port):
            self.send(accuser.address, accuser.port, [_alive_claim(node).encode()], crc=accuser.protocol_max >= 5)

    def _dead(self, claim: Dead, token: int | None) -> None:
        node = self.nodes.get(claim.node)
        if node is None or claim.incarnation < node.incarnation:
            return
        self._cancel_suspicion(node.name)
        if node.gone:
            return
        if node.name == self.me and not self.leaving:
            self.context.warn(LOGGER, f"memberlist: Refuting a dead message (from: {claim.sender})")
            self._refute(node, claim.incarnation)
            return
        self.queue.push(claim.encode(), node.name, token)
        node.incarnation = claim.incarnation
        node.state = STATE_LEFT if claim.node == claim.sender else STATE_DEAD
        node.state_change = self.context.now
        self.delegate.node_left(node)

    # --- the list ----------------------------------------------------------------------------------------------

    def _insert(self, node: Node) -> None:
        """At a random place, so that members probe a newcomer at different times."""
        self.nodes[node.name] = node
        self.order.append(node)
        place = self.context.random.randrange(len(self.order))
        self.order[place], self.order[-1] = self.order[-1], self.order[place]

    def forget_gone(self) -> None:
        """Drops records of members that are dead or left for long; Serf still knows them."""
        limit = self.context.now - self.timings.gossip_to_the_dead_time
        kept = [node for node in self.order if node.name == self.me or not node.gone or node.state_change > limit]
        if len(kept) != len(self.order):
            self.order = kept
            self.nodes = {node.name: node for node in kept}

    def some(self, count: int, wanted: Callable[[Node], bool]) -> list[Node]:
        """Up to ``count`` random records that are ``wanted``, never ourselves."""
        found: list[Node] = []
        size = len(self.order)
        if size <= 64:
            candidates = [node for node in self.order if node.name != self.me and wanted(node)]
            return candidates if len(candidates) <= count else self.context.random.sample(candidates, count)
        for _ in range(3 * size):
            if len(found) >= count:
                break
            node = self.order[self.context.random.randrange(size)]
            if node.name != self.me and node not in found and wanted(node):
                found.append(node)
        return found

    # --- sending -----------------------------------------------------------------------------------------------

    def send(self, address: bytes, port: int, messages: Sequence[bytes], crc: bool = False) -> None:
        """One datagram with exactly these messages."""
        config = self.config
        data = encode_packet(messages, config.security, crc, config.compression)
        self.context.emit(Datagram(address, port, data))

    def send_with_gossip(self, address: bytes, port: int, message: bytes) -> None:
        """One datagram with the message, filled up with what is to be told."""
        self.send(address, port, [message, *self.fetch(len(message) + COMPOUND_ENTRY, 1)])

    def send_user(self, address: bytes, port: int, payload: bytes) -> None:
        """A message of the layer above, alone in its datagram."""
        self.send(address, port, [User(payload).encode()])

    def fetch(self, used: int = 0, parts_used: int = 0) -> list[bytes]:
        """Broadcasts for one datagram of which ``used`` bytes and ``parts_used`` parts are taken: ours, then Serf's."""
        limit = PACKET_BUDGET - COMPOUND_HEADER - used - self.config.security.overhead
        messages = self.queue.fetch(COMPOUND_ENTRY, limit)
        limit -= sum(len(message) + COMPOUND_ENTRY for message in messages)
        messages += self.delegate.broadcasts(COMPOUND_ENTRY, limit)
        return messages[: COMPOUND_PARTS_MAX - parts_used]

    def gossip(self) -> None:
        """Tells a few random members what is queued. Some dead ones too: perhaps they are not."""
        limit = self.context.now - self.timings.gossip_to_the_dead_time

        def wanted(node: Node) -> bool:
            return not node.gone or (node.state == STATE_DEAD and node.state_change > limit)

        for node in self.some(self.timings.gossip_nodes, wanted):
            messages = self.fetch()
            if not messages:
                return
            self.send(node.address, node.port, messages, crc=node.protocol_max >= 5)

    # --- whole states ------------------------------------------------------------------------------------------

    def state(self, join: bool) -> PushPull:
        nodes = tuple(node.to_state() for node in self.order)
        return PushPull(join, nodes, self.delegate.local_state(join))

    def merge(self, remote: PushPull, join: bool, ignore_old_events: bool) -> None:
        """Takes over what another member knows. ``join``: one of the two joins the other.

        Raises PeerError when versions do not fit or the merge is vetoed: then nothing was taken over.
        """
        self._check_versions(remote.nodes)
        if join:
            reason = self.delegate.refuse_merge(remote.nodes)
            if reason is not None:
                raise PeerError(reason)
        for node in remote.nodes:
            if node.state == STATE_ALIVE:
                self.alive(Alive(node.incarnation, node.name, node.address, node.port, node.meta, node.versions))
            elif node.state == STATE_LEFT:
                self.dead(Dead(node.incarnation, node.name, node.name))
            else:
                # Another's word that somebody is dead is only a suspicion: we do not know how it came to it.
                self.suspect(Suspect(node.incarnation, node.name, self.me))
        if remote.user_state:
            self.delegate.merge_state(remote.user_state, ignore_old_events)

    def _check_versions(self, remote: Sequence[NodeState]) -> None:
        # There are many members and few different versions, so these are looked at and not each member.
        everybody: list[NodeState | Node] = [*remote, *self.order]
        versions = {node.versions for node in everybody}
        alive = {node.versions for node in everybody if node.state == STATE_ALIVE}
        for low, high, current, kind in ((0, 1, 2, "protocol"), (3, 4, 5, "delegate protocol")):
            least = max((_version(numbers, low) for numbers in alive), default=0)
            most = min((_version(numbers, high) for numbers in alive), default=255)
            bad = {numbers for numbers in versions if not least <= _version(numbers, current) <= most}
            for node in everybody if bad else ():
                if node.versions in bad:
                    version = _version(node.versions, current)
                    raise PeerError(f"Node '{node.name}' {kind} version ({version}) is incompatible: [{least}, {most}]")


def _alive_claim(node: Node) -> Alive:
    return Alive(node.incarnation, node.name, node.address, node.port, node.meta, node.versions)


def _version(versions: bytes, index: int) -> int:
    return versions[index] if index < len(versions) else 0
