"""Queries: a question to all or some members, answered directly to the one who asks.

Members answer queries about reachability, name conflicts and keys by themselves; all others go to the application.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from pyconsul.errors import CallerError, DecodeError
from pyconsul.gossip.context import GossipEvent, KeyringChanged, QueryAnswer, QueryDone
from pyconsul.gossip.filters import matches
from pyconsul.gossip.keyring import format_key
from pyconsul.gossip.lamport import LamportClock
from pyconsul.gossip.member import ALIVE
from pyconsul.gossip.queue import retransmit_limit
from pyconsul.gossip.serf_messages import (
    QUERY_ACK,
    QUERY_NO_BROADCAST,
    RESPONSE_ACK,
    ConflictResponse,
    KeyRequest,
    KeyResponse,
    MemberState,
    Query,
    QueryResponse,
    Relay,
    RelayAddress,
    decode_serf,
)

if TYPE_CHECKING:
    from pyconsul.gossip.serf import Serf

BUFFER_SIZE = 512
IDS_PER_TIME_MAX = 64
OPEN_MAX = 1024
INTERNAL = "_serf_"
TIMEOUT_MULT = 16
RELAY_PROTOCOL_MIN = 5
NANOSECONDS = 1_000_000_000


class QueryOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a query asks, and how. ``filters``: gossip/filters.py, none: all members. ``relay_factor``: over how many
    other members answers are sent as well. ``timeout``: seconds, 0: the default."""

    filters: tuple[bytes, ...] = ()
    want_acks: bool = False
    relay_factor: int = 0
    timeout: float = 0.0


TO_ALL = QueryOptions()


class _Own(msgspec.Struct):
    """A query of ours. ``conflict``: called with the numbers of matching and of all answers at the end."""

    ltime: int
    id: int
    acked: set[str]
    answered: set[str]
    conflict: Callable[[int, int], None] | None
    matching: int = 0


class Queries:
    def __init__(self, serf: Serf) -> None:
        self._serf = serf
        self._context = serf.context
        self.clock = LamportClock()
        self._minimum = 0
        self._seen: list[tuple[int, set[int]] | None] = [None] * BUFFER_SIZE
        self._own: dict[int, _Own] = {}
        self._open: dict[int, tuple[Query, float]] = {}
        self._handles = 0

    def restore(self, ltime: int) -> None:
        self.clock.witness(ltime)
        self._minimum = ltime + 1 if ltime else 0

    # --- asking ------------------------------------------------------------------------------------------------

    def default_timeout(self) -> float:
        """Seconds: long enough for the question to reach everybody and the answers to come back."""
        alive = sum(member.status == ALIVE for member in self._serf.members.values())
        timings = self._serf.config.timings
        return timings.gossip_interval * TIMEOUT_MULT * retransmit_limit(1, max(1, alive))

    def ask(
        self,
        name: str,
        payload: bytes,
        options: QueryOptions = TO_ALL,
        conflict: Callable[[int, int], None] | None = None,
    ) -> int:
        """Sends a query, which this member answers too; returns its id.

        Raises CallerError when it is too large or too many are open.
        """
        swim = self._serf.swim
        timeout = options.timeout or self.default_timeout()
        query = Query(
            self.clock.time,
            self._context.random.getrandbits(32),
            swim.config.address,
            swim.config.port,
            swim.me,
            options.filters,
            QUERY_ACK if options.want_acks else 0,
            options.relay_factor,
            int(timeout * NANOSECONDS),
            name,
            payload,
        )
        message = query.encode()
        limit = self._serf.config.timings.query_size_max
        if len(message) > limit:
            raise CallerError(f"query exceeds limit of {limit} bytes", 500)
        if len(self._own) >= OPEN_MAX:
            raise CallerError("too many queries at once", 500)
        self._own[query.id] = _Own(query.ltime, query.id, set(), set(), conflict)
        self._context.after(timeout, lambda: self._close(query.id))
        self.receive(query)
        self._serf.query_queue.push(message)
        return query.id

    def _close(self, query_id: int) -> None:
        own = self._own.pop(query_id, None)
        if own is None:
            return
        if own.conflict is not None:
            own.conflict(own.matching, len(own.answered))
        self._context.emit(QueryDone(query_id))

    def answer(self, response: QueryResponse) -> None:
        """An answer to a query of ours; anything else is ignored. The first of each member counts."""
        own = self._own.get(response.id)
        if own is None or own.ltime != response.ltime:
            return
        ack = bool(response.flags & RESPONSE_ACK)
        seen = own.acked if ack else own.answered
        if response.sender in seen or len(seen) > 2 * len(self._serf.members) + 16:
            return
        seen.add(response.sender)
        if own.conflict is not None and not ack:
            own.matching += self._is_about_us(response.payload)
            return
        self._context.emit(QueryAnswer(response.id, response.sender, response.payload, ack))

    def resolve_conflict(self, decided: Callable[[int, int], None]) -> None:
        """Asks everybody whom they know by our name; ``decided(matching, answers)`` is called in the end."""
        self.ask("_serf_conflict", self._serf.me.encode("utf-8", "surrogateescape"), conflict=decided)

    def _is_about_us(self, payload: bytes) -> bool:
        config = self._serf.swim.config
        message = decode_serf(payload)
        if not isinstance(message, ConflictResponse) or message.member is None:
            return False
        return message.member.address == config.address and message.member.port == config.port

    # --- being asked -------------------------------------------------------------------------------------------

    def receive(self, query: Query) -> bool:
        """True when others should hear of it, even if it is not meant for us."""
        self.clock.witness(query.ltime)
        if query.ltime < self._minimum or (
            self.clock.time > BUFFER_SIZE and query.ltime < self.clock.time - BUFFER_SIZE
        ):
            return False
        index = query.ltime % BUFFER_SIZE
        slot = self._seen[index]
        if slot is None or slot[0] != query.ltime:
            slot = self._seen[index] = (query.ltime, set())
        if query.id in slot[1] or len(slot[1]) >= IDS_PER_TIME_MAX:
            return False
        slot[1].add(query.id)
        if self._serf.recorder is not None:
            self._serf.recorder.query(query.ltime)
        try:
            if matches(query.filters, self._serf.me, self._serf.config.tags):
                if query.flags & QUERY_ACK:
                    self._respond(query, RESPONSE_ACK, b"")
                self._deliver(query)
        except (DecodeError, CallerError) as error:
            # Others may understand what we do not: the query travels on.
            self._context.warn("serf", f"serf: Failed to process query {query.name!r}: {error}")
        return not query.flags & QUERY_NO_BROADCAST

    def _deliver(self, query: Query) -> None:
        if query.name.startswith(INTERNAL):
            payload = self._internal(query)
            if payload is not None:
                self._respond(query, 0, payload)
            return
        handle = 0
        if len(self._open) < OPEN_MAX:
            self._handles += 1
            handle = self._handles
            seconds = min(max(query.timeout / NANOSECONDS, 0.0), 3600.0)
            self._open[handle] = (query, self._context.now + seconds)
            self._context.after(seconds, lambda: self._expire(handle))
        self._context.emit(
            GossipEvent(
                "query",
                name=query.name,
                payload=query.payload,
                ltime=query.ltime,
                query_id=handle,
                source=query.source_node,
            )
        )

    def _expire(self, handle: int) -> None:
        self._open.pop(handle, None)

    def respond(self, handle: int, payload: bytes) -> None:
        """Answers a query that was delivered. Raises CallerError when it is too late, answered, or too large."""
        found = self._open.get(handle)
        if found is None or found[1] < self._context.now:
            raise CallerError("response already sent, or past its deadline", 500)
        self._respond(found[0], 0, payload)
        del self._open[handle]

    def _respond(self, query: Query, flags: int, payload: bytes) -> None:
        serf = self._serf
        message = QueryResponse(query.ltime, query.id, serf.me, flags, payload).encode()
        limit = serf.config.timings.query_size_max
        if len(message) > limit:
            raise CallerError(f"response exceeds limit of {limit} bytes", 500)
        serf.swim.send_user(query.address, query.port, message)
        factor = query.relay_factor
        if factor and len(serf.members) >= factor + 1:
            relay = Relay(RelayAddress(query.address, query.port), query.source_node, message).encode()
            for node in serf.swim.some(factor, lambda node: node.alive and node.protocol_max >= RELAY_PROTOCOL_MIN):
                serf.swim.send_user(node.address, node.port, relay)

    def _internal(self, query: Query) -> bytes | None:
        """The answer of Serf itself; None: none is due."""
        if query.name == "_serf_conflict":
            return self._conflict(query.payload.decode("utf-8", "surrogateescape"))
        operation = query.name.removeprefix(INTERNAL)
        if operation == "list-keys":
            return self._list_keys(query)
        if operation in ("install-key", "use-key", "remove-key"):
            return self._change_keys(operation, query.payload)
        return None

    def _conflict(self, name: str) -> bytes | None:
        if name == self._serf.me:
            return None
        member = self._serf.members.get(name)
        if member is None:
            return ConflictResponse(None).encode()
        state = MemberState(
            member.name,
            member.address,
            member.port,
            member.tags,
            member.status,
            member.protocol_min,
            member.protocol_max,
            member.protocol_cur,
            member.delegate_min,
            member.delegate_max,
            member.delegate_cur,
        )
        return ConflictResponse(state).encode()

    def _change_keys(self, operation: str, payload: bytes) -> bytes:
        ring = self._serf.swim.config.security.ring
        if ring is None:
            return KeyResponse(False, "No keyring to modify (encryption not enabled)").encode()
        request = decode_serf(payload)
        if not isinstance(request, KeyRequest):
            raise DecodeError("key query without a key request")
        try:
            if operation == "install-key":
                ring.install(request.key)
            elif operation == "use-key":
                ring.use(request.key)
            else:
                ring.remove(request.key)
        except CallerError as error:
            return KeyResponse(False, str(error)).encode()
        self._context.emit(KeyringChanged(tuple(ring.keys)))
        return KeyResponse(True).encode()

    def _list_keys(self, query: Query) -> bytes:
        ring = self._serf.swim.config.security.ring
        if ring is None or not ring.keys:
            return KeyResponse(False, "Keyring is empty (encryption not enabled)").encode()
        keys = [format_key(key) for key in ring.keys]
        total = len(keys)
        while True:
            shown = f"truncated key list response, showing first {len(keys)} of {total} keys"
            text = "" if len(keys) == total else shown
            payload = KeyResponse(True, text, tuple(keys), format_key(ring.primary)).encode()
            whole = QueryResponse(query.ltime, query.id, self._serf.me, 0, payload).encode()
            if len(whole) <= self._serf.config.timings.query_size_max or not keys:
                return payload
            keys.pop()
