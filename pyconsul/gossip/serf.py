"""Serf on top of SWIM: intents that tell leaving from failing, tags, and the events the application hears.

Source: docs/design/gossip.md, "Serf". User events are in user_events.py, queries in queries.py.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import msgspec

from pyconsul.errors import ConfigError, DecodeError
from pyconsul.gossip.context import BroadcastDone, Context, GossipEvent, ShutDown
from pyconsul.gossip.coordinate import Coordinate, CoordinateClient, decode_coordinate
from pyconsul.gossip.fields import shown
from pyconsul.gossip.lamport import LamportClock
from pyconsul.gossip.member import ALIVE, FAILED, LEAVING, LEFT, NONE, Member, Node, endpoint_text
from pyconsul.gossip.messages import STATE_LEFT, NodeState
from pyconsul.gossip.queries import Queries
from pyconsul.gossip.queue import BroadcastQueue
from pyconsul.gossip.reconnect import Reconnect, Target
from pyconsul.gossip.serf_messages import (
    META_MAX,
    JoinIntent,
    LeaveIntent,
    Query,
    QueryResponse,
    Relay,
    SerfState,
    UserEvent,
    decode_serf,
    decode_state,
    decode_tags,
    encode_tags,
)
from pyconsul.gossip.snapshot import Recorder, Restored
from pyconsul.gossip.swim import Swim
from pyconsul.gossip.timings import Timings
from pyconsul.gossip.user_events import EventBuffer

LOGGER = "serf"
INTENTS_MAX = 16384
CACHED_COORDINATES_MAX = 65536

MergeCheck = Callable[[Sequence[Member]], str | None]
"""A reason to refuse these members (their status is LEFT or NONE), or None."""


class SerfConfig(msgspec.Struct, kw_only=True):
    """``reconnect_timeout_of(member, default)``: how long, in seconds, the member is remembered after it went."""

    tags: dict[str, str]
    timings: Timings
    merge_check: MergeCheck | None = None
    reconnect_timeout_of: Callable[[Member, float], float] | None = None
    resolve_conflicts: bool = False


class _Intent(msgspec.Struct):
    """The newest intent about a node that is not known yet. ``time``: monotonic seconds when it came."""

    leaving: bool
    ltime: int
    time: float


class Serf:
    """The members and their states; the Delegate of Swim."""

    def __init__(self, config: SerfConfig, context: Context, recorder: Recorder | None, restored: Restored) -> None:
        self.config = config
        self.context = context
        self.members: dict[str, Member] = {}
        self.clock = LamportClock()
        self.leaving = False
        self.recorder = recorder
        self.coordinates: dict[str, Coordinate] = {}
        self._coordinate_client = CoordinateClient(context.random)
        self._intents: dict[str, _Intent] = {}
        self._own_meta = b""
        self.swim: Swim
        self.intent_queue: BroadcastQueue
        self.query_queue: BroadcastQueue
        self.event_queue: BroadcastQueue
        self.events: EventBuffer
        self.queries: Queries
        self._restored = restored
        self._reconnect: Reconnect

    def attach(self, swim: Swim) -> None:
        """Completes the pair: neither can be made first with the other in hand."""
        self.swim = swim
        multiplier = self.config.timings.retransmit_mult

        def queue() -> BroadcastQueue:
            return BroadcastQueue(
                multiplier, lambda: len(self.members), lambda token: self.context.emit(BroadcastDone(token))
            )

        self.intent_queue, self.query_queue, self.event_queue = queue(), queue(), queue()
        self.events = EventBuffer(self.context, self.recorder, self.config.timings.event_size_max)
        self.queries = Queries(self)
        self._reconnect = Reconnect(self._restored)
        self.clock.witness(self._restored.clock)
        self.events.restore(self._restored.event_clock)
        self.queries.restore(self._restored.query_clock)

    @property
    def me(self) -> str:
        return self.swim.me

    # --- our own acts ------------------------------------------------------------------------------------------

    def set_tags(self, tags: dict[str, str]) -> None:
        """Raises ConfigError when they take more than 512 bytes."""
        meta = encode_tags(tags)
        if len(meta) > META_MAX:
            raise ConfigError(f"Encoded length of tags exceeds limit of {META_MAX} bytes")
        self.config.tags = dict(tags)
        if meta != self._own_meta:
            self._own_meta = meta
            self.swim.announce(meta)

    def join_intent(self) -> None:
        """Tells that we are here to stay: after a join, and when somebody says that we leave."""
        intent = JoinIntent(self.clock.time, self.me)
        self.clock.witness(intent.ltime)
        self._join_intent(intent)
        self.intent_queue.push(intent.encode())

    def begin_leave(self) -> int | None:
        """First half of leaving; the other is ``Swim.leave``. Returns the token of the broadcast, if there is one."""
        self.leaving = True
        if self.recorder is not None:
            self.recorder.leave()
        return self._send_leave_intent(self.me, prune=False)

    def force_leave(self, name: str, prune: bool) -> int | None:
        return self._send_leave_intent(name, prune)

    def _send_leave_intent(self, name: str, prune: bool) -> int | None:
        intent = LeaveIntent(self.clock.time, name, prune)
        self.clock.increment()
        others = any(member.status == ALIVE and member.name != self.me for member in self.members.values())
        self._leave_intent(intent)
        if not others:
            return None
        token = self.context.token()
        self.intent_queue.push(intent.encode(), token=token)
        return token

    def fire_event(self, name: str, payload: bytes, coalesce: bool) -> None:
        """Raises CallerError when it is too large."""
        self.event_queue.push(self.events.fire(name, payload, coalesce))

    # --- what peers say ----------------------------------------------------------------------------------------

    def user_message(self, payload: bytes) -> None:
        """Raises DecodeError."""
        message = decode_serf(payload)
        if isinstance(message, LeaveIntent):
            self._rebroadcast(self.intent_queue, self._leave_intent(message), payload)
        elif isinstance(message, JoinIntent):
            self._rebroadcast(self.intent_queue, self._join_intent(message, own_word=True), payload)
        elif isinstance(message, UserEvent):
            fresh = self.events.receive(message.ltime, message.name, message.payload, message.coalesce)
            self._rebroadcast(self.event_queue, fresh, payload)
        elif isinstance(message, Query):
            self._rebroadcast(self.query_queue, self.queries.receive(message), payload)
        elif isinstance(message, QueryResponse):
            self.queries.answer(message)
        elif isinstance(message, Relay):
            self.swim.send_user(message.to.address, message.to.port, message.message)
        else:
            raise DecodeError(f"Serf message of type {message.TYPE} outside its place")

    def _rebroadcast(self, queue: BroadcastQueue, fresh: bool, payload: bytes) -> None:
        if fresh:
            queue.push(payload)

    def _leave_intent(self, intent: LeaveIntent) -> bool:
        """True when others should hear of it."""
        self.clock.witness(intent.ltime)
        member = self.members.get(intent.node)
        if member is None:
            fresh = self._remember(intent.node, True, intent.ltime)
            if fresh and self._reconnect.settle(intent.node):
                self._record_gone(intent.node)
            return fresh
        if member.name == self.me and not self.leaving and intent.ltime >= member.status_ltime:
            # At the same time too: who told it did not hear then that we stay, and others believe whom they hear first.
            self.context.log(LOGGER, logging.DEBUG, "serf: Refuting an older leave intent")
            self.join_intent()
            return False
        if intent.ltime <= member.status_ltime:
            return False
        status = {ALIVE: LEAVING, FAILED: LEFT}.get(member.status, member.status)
        changed = self._change(member, status=status, status_ltime=intent.ltime)
        if member.status == FAILED:
            self._record_gone(member.name)
            self.context.info(LOGGER, f"serf: EventMemberLeave (forced): {member.name} {member.address_text}")
            self._tell("member-leave", changed)
        if intent.prune:
            self._prune(changed)
        return True

    def _join_intent(self, intent: JoinIntent, own_word: bool = False) -> bool:
        """``own_word``: it is the member's message, not what another believes of it."""
        self.clock.witness(intent.ltime)
        member = self.members.get(intent.node)
        if member is None:
            fresh = self._remember(intent.node, False, intent.ltime, own_word)
            node = self.swim.nodes.get(intent.node)
            if fresh and node is not None and node.alive:
                self.node_joined(node)  # it was pruned, which it contradicts too late
            return fresh
        # Who is told to leave and says at the same Lamport time that it stays was not heard by the other.
        tie = own_word and member.status == LEAVING and intent.ltime == member.status_ltime
        if intent.ltime <= member.status_ltime and not tie:
            return False
        status = ALIVE if member.status == LEAVING else member.status
        self._change(member, status=status, status_ltime=intent.ltime)
        return True

    def _remember(self, name: str, leaving: bool, ltime: int, own_word: bool = False) -> bool:
        known = self._intents.get(name)
        if known is not None and ltime <= known.ltime and not (own_word and known.leaving and ltime == known.ltime):
            return False
        if known is None and len(self._intents) >= INTENTS_MAX:
            return False
        self._intents[name] = _Intent(leaving, ltime, self.context.now)
        return True

    def _prune(self, member: Member) -> None:
        """Forgets the member; one that is only leaving may still refute, so it gets the time for that."""
        if member.status != LEAVING:
            self._erase(member)
            return
        timings = self.config.timings

        def check() -> None:
            current = self.members.get(member.name)
            if current is not None and current.status in (LEAVING, LEFT, FAILED):
                self._erase(current)

        self.context.after(timings.broadcast_timeout + timings.leave_propagate_delay, check)

    def _erase(self, member: Member) -> None:
        del self.members[member.name]
        self._record_gone(member.name)
        self.coordinates.pop(member.name, None)
        self._coordinate_client.forget(member.name)
        self.context.info(LOGGER, f"serf: EventMemberReap: {member.name}")
        self._tell("member-reap", member)

    def _record_gone(self, name: str) -> None:
        if self.recorder is not None:
            self.recorder.gone(name)

    def _change(self, member: Member, **fields: object) -> Member:
        changed = msgspec.structs.replace(member, **fields)
        self.members[member.name] = changed
        return changed

    def _tell(self, kind: str, member: Member) -> None:
        self.context.emit(GossipEvent(kind, (member,)))

    # --- what SWIM says ----------------------------------------------------------------------------------------

    def _from_node(self, node: Node | NodeState, status: int) -> Member:
        """Raises DecodeError when its tags are bad."""
        return Member(node.name, node.address, node.port, decode_tags(node.meta), status, node.versions)

    def node_joined(self, node: Node) -> None:
        known = self.members.get(node.name)
        status, ltime = ALIVE, known.status_ltime if known is not None else 0
        intent = self._intents.pop(node.name, None)
        if known is None and intent is not None:
            ltime = intent.ltime
            if intent.leaving:
                status = LEAVING
        member = msgspec.structs.replace(self._from_node(node, status), status_ltime=ltime)
        self.members[node.name] = member
        self._reconnect.settle(node.name)
        if self.recorder is not None:
            self.recorder.alive(node.name, endpoint_text(node.address, node.port))
        self.context.info(LOGGER, f"serf: EventMemberJoin: {node.name} {member.address_text}")
        self._tell("member-join", member)

    def node_left(self, node: Node) -> None:
        member = self.members.get(node.name)
        if member is None or member.status not in (ALIVE, LEAVING):
            return
        status = LEFT if member.status == LEAVING else FAILED
        changed = self._change(member, status=status, leave_time=self.context.now)
        if status == LEFT:
            self._record_gone(node.name)
        elif self.recorder is not None:
            self.recorder.failed(node.name, endpoint_text(node.address, node.port))
        kind = "Leave" if status == LEFT else "Failed"
        self.context.info(LOGGER, f"serf: EventMember{kind}: {node.name} {member.address_text}")
        self._tell("member-leave" if status == LEFT else "member-failed", changed)

    def node_updated(self, node: Node) -> None:
        member = self.members.get(node.name)
        if member is None:
            return
        tags = decode_tags(node.meta)
        changed = self._change(member, tags=tags, address=node.address, port=node.port, versions=node.versions)
        self.context.info(LOGGER, f"serf: EventMemberUpdate: {node.name}")
        self._tell("member-update", changed)

    def name_conflict(self, node: Node, address: bytes, port: int) -> None:
        if node.name != self.me:
            self.context.warn(
                LOGGER,
                f"serf: Name conflict for '{node.name}' both {endpoint_text(node.address, node.port)} "
                f"and {endpoint_text(address, port)} are claiming",
            )
            return
        resolve = self.config.resolve_conflicts
        self.context.log(
            LOGGER,
            logging.ERROR,
            f"serf: Node name conflicts with another node at {endpoint_text(address, port)}. "
            f"Names must be unique! (Resolution enabled: {str(resolve).lower()})",
        )
        if resolve:
            self.queries.resolve_conflict(self._conflict_decided)

    def _conflict_decided(self, matching: int, responses: int) -> None:
        if matching >= responses // 2 + 1:
            self.context.info(LOGGER, f"serf: majority in name conflict resolution [{matching} / {responses}]")
            return
        text = f"serf: minority in name conflict resolution, quiting [{matching} / {responses}]"
        self.context.warn(LOGGER, text)
        self.context.emit(ShutDown(text))

    def refuse_alive(self, node: NodeState) -> str | None:
        if shown(node.name) != node.name or not node.name:
            return "the name is empty or not UTF-8"
        return self._refuse([node])

    def refuse_merge(self, nodes: Sequence[NodeState]) -> str | None:
        return self._refuse(nodes)

    def _refuse(self, nodes: Sequence[NodeState]) -> str | None:
        members: list[Member] = []
        for node in nodes:
            if len(node.address) not in (4, 16):
                return f"IP byte length is invalid: {len(node.address)} bytes is not either 4 or 16"
            if len(node.meta) > META_MAX:
                return f"Encoded length of tags exceeds limit of {META_MAX} bytes"
            try:
                members.append(self._from_node(node, LEFT if node.state == STATE_LEFT else NONE))
            except DecodeError as error:
                return f"Failed to decode tags: {error}"
        check = self.config.merge_check
        return None if check is None else check(members)

    def broadcasts(self, overhead: int, limit: int) -> list[bytes]:
        """Messages with their ``user`` type byte in front: intents first, then queries, then events."""
        messages: list[bytes] = []
        for queue in (self.intent_queue, self.query_queue, self.event_queue):
            for message in queue.fetch(overhead + 1, limit):
                messages.append(b"\x08" + message)
                limit -= overhead + 1 + len(message)
        return messages

    # --- whole states ------------------------------------------------------------------------------------------

    def local_state(self, join: bool) -> bytes:
        left = tuple(member.name for member in self.members.values() if member.status == LEFT)
        status = {member.name: member.status_ltime for member in self.members.values()}
        state = SerfState(
            self.clock.time, status, left, self.events.clock.time, self.events.slots(), self.queries.clock.time
        )
        return state.encode()

    def merge_state(self, state: bytes, ignore_old_events: bool) -> None:
        """Raises DecodeError. ``ignore_old_events``: what happened before our join is not delivered."""
        remote = decode_state(state)
        for clock, time in (
            (self.clock, remote.ltime),
            (self.events.clock, remote.event_ltime),
            (self.queries.clock, remote.query_ltime),
        ):
            if time > 0:
                clock.witness(time - 1)
        left = set(remote.left_members)
        for name in remote.left_members:
            # At the time of the intent that made it leave: its refutation is hardly later, and must remain so.
            self._leave_intent(LeaveIntent(remote.status_ltimes.get(name, 0), name))
        for name, ltime in remote.status_ltimes.items():
            if name in left:
                continue
            if self._join_intent(JoinIntent(ltime, name)) and name == self.me and not self.leaving:
                # Somebody said that we leave, or an earlier life of ours did, and we never heard of it: who believes it
                # takes us for leaving until we say something newer.
                self.join_intent()
        if ignore_old_events:
            self.events.ignore_before(remote.event_ltime)
        for slot in remote.events:
            if slot is not None:
                for name, payload in slot.events:
                    self.events.receive(slot.ltime, name, payload, False)

    # --- coordinates -------------------------------------------------------------------------------------------

    @property
    def coordinate(self) -> Coordinate:
        return self._coordinate_client.coordinate

    @property
    def coordinate_resets(self) -> int:
        return self._coordinate_client.resets

    def ack_payload(self) -> bytes:
        return self.coordinate.encode()

    def ping_complete(self, node: Node, seconds: float, payload: bytes) -> None:
        try:
            other = decode_coordinate(payload)
            if other is None:
                return
            self._coordinate_client.update(node.name, other, seconds)
        except DecodeError as error:
            self.context.log(LOGGER, logging.DEBUG, f"serf: Rejected coordinate from {node.name}: {error}")
            return
        if node.name in self.members and len(self.coordinates) < CACHED_COORDINATES_MAX:
            self.coordinates[node.name] = other
        self.coordinates[self.me] = self.coordinate

    # --- timers ------------------------------------------------------------------------------------------------

    def reap(self) -> None:
        """Forgets members that are gone for long, and intents about nodes that never came. Who is said to leave and
        does not is told once more, as only its answer ends that."""
        now = self.context.now
        timings = self.config.timings
        override = self.config.reconnect_timeout_of
        for member in list(self.members.values()):
            if member.status == LEAVING:
                self.intent_queue.push(LeaveIntent(member.status_ltime, member.name).encode())
            if member.status not in (FAILED, LEFT):
                continue
            limit = timings.reconnect_timeout if member.status == FAILED else timings.tombstone_timeout
            if override is not None:
                limit = override(member, limit)
            if now - member.leave_time > limit:
                self._erase(member)
        oldest = now - timings.recent_intent_timeout
        for name in [name for name, intent in self._intents.items() if intent.time < oldest]:
            del self._intents[name]

    def reconnect_target(self) -> Target | None:
        """Who should be tried again now."""
        target = self._reconnect.target(self.members.values(), self.context.random)
        if target is not None:
            self.context.info(
                LOGGER, f"serf: attempting reconnect to {target.name} {endpoint_text(target.address, target.port)}"
            )
        return target

    def give_up_unmet(self) -> None:
        """Those known before the restart have had the time that failed members have."""
        for name in self._reconnect.give_up():
            self._record_gone(name)

    def check_queues(self) -> None:
        limit = max(self.config.timings.queue_length_max, 2 * len(self.members))
        for kind, queue in (("Intent", self.intent_queue), ("Event", self.event_queue), ("Query", self.query_queue)):
            dropped = queue.prune(limit)
            if dropped:
                self.context.warn(LOGGER, f"serf: {kind} queue depth over {limit}, dropped {dropped} messages")

    def poll_clock(self) -> None:
        if self.recorder is not None:
            self.recorder.clock(self.clock.time)
