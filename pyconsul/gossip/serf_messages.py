"""The messages of Serf, carried as memberlist user messages: one type byte, then one map."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from pyconsul.errors import DecodeError
from pyconsul.gossip.dialect import Cursor, pack, unpack_map, unpack_prefix
from pyconsul.gossip.fields import (
    BOOL,
    BYTE_STRINGS,
    BYTES,
    BYTES_NEVER_NIL,
    I64,
    TEXT,
    TEXT_MAP,
    TEXTS,
    U8,
    U16,
    U32,
    U64,
    Field,
    Mapped,
    load_list,
    load_map,
    load_text,
    shown,
)

LEAVE, JOIN, PUSH_PULL, USER_EVENT, QUERY = range(5)
QUERY_RESPONSE, CONFLICT_RESPONSE, KEY_REQUEST, KEY_RESPONSE, RELAY = range(5, 10)

# Flags of a query, and of its responses.
QUERY_ACK = 1
QUERY_NO_BROADCAST = 2
RESPONSE_ACK = 1

TAG_MAGIC = 0xFF
META_MAX = 512


class SerfMessage(Mapped, frozen=True):
    TYPE: ClassVar[int] = -1

    def encode(self) -> bytes:
        return bytes((self.TYPE,)) + self.body()


class LeaveIntent(SerfMessage, frozen=True):
    TYPE = LEAVE
    FIELDS = (Field("LTime", "ltime", U64), Field("Node", "node", TEXT), Field("Prune", "prune", BOOL))

    ltime: int
    node: str
    prune: bool = False


class JoinIntent(SerfMessage, frozen=True):
    TYPE = JOIN
    FIELDS = (Field("LTime", "ltime", U64), Field("Node", "node", TEXT))

    ltime: int
    node: str


class UserEvent(SerfMessage, frozen=True):
    """``coalesce``: receivers may hold back all but the newest of a name."""

    TYPE = USER_EVENT
    FIELDS = (
        Field("CC", "coalesce", BOOL),
        Field("LTime", "ltime", U64),
        Field("Name", "name", TEXT),
        Field("Payload", "payload", BYTES),
    )

    ltime: int
    name: str
    payload: bytes
    coalesce: bool = False


class Query(SerfMessage, frozen=True):
    """``filters`` are encoded, see filters.py; ``timeout`` is in nanoseconds; answers go to ``address``:``port``."""

    TYPE = QUERY
    FIELDS = (
        Field("Addr", "address", BYTES),
        Field("Filters", "filters", BYTE_STRINGS),
        Field("Flags", "flags", U32),
        Field("ID", "id", U32),
        Field("LTime", "ltime", U64),
        Field("Name", "name", TEXT),
        Field("Payload", "payload", BYTES),
        Field("Port", "port", U16),
        Field("RelayFactor", "relay_factor", U8),
        Field("SourceNode", "source_node", TEXT),
        Field("Timeout", "timeout", I64),
    )

    ltime: int
    id: int
    address: bytes
    port: int
    source_node: str
    filters: tuple[bytes, ...]
    flags: int
    relay_factor: int
    timeout: int
    name: str
    payload: bytes


class QueryResponse(SerfMessage, frozen=True):
    TYPE = QUERY_RESPONSE
    FIELDS = (
        Field("Flags", "flags", U32),
        Field("From", "sender", TEXT),
        Field("ID", "id", U32),
        Field("LTime", "ltime", U64),
        Field("Payload", "payload", BYTES),
    )

    ltime: int
    id: int
    sender: str
    flags: int
    payload: bytes = b""


class MemberState(Mapped, frozen=True):
    """A member as the answer to a name conflict shows it."""

    FIELDS = (
        Field("Addr", "address", BYTES),
        Field("DelegateCur", "delegate_cur", U8),
        Field("DelegateMax", "delegate_max", U8),
        Field("DelegateMin", "delegate_min", U8),
        Field("Name", "name", TEXT),
        Field("Port", "port", U16),
        Field("ProtocolCur", "protocol_cur", U8),
        Field("ProtocolMax", "protocol_max", U8),
        Field("ProtocolMin", "protocol_min", U8),
        Field("Status", "status", I64),
        Field("Tags", "tags", TEXT_MAP),
    )

    name: str
    address: bytes
    port: int
    tags: dict[str, str]
    status: int
    protocol_min: int
    protocol_max: int
    protocol_cur: int
    delegate_min: int
    delegate_max: int
    delegate_cur: int


class ConflictResponse(msgspec.Struct, frozen=True):
    """``member`` None: the node is not known here."""

    TYPE: ClassVar[int] = CONFLICT_RESPONSE

    member: MemberState | None

    def encode(self) -> bytes:
        return b"\x06" + (b"\xc0" if self.member is None else self.member.body())


class KeyRequest(SerfMessage, frozen=True):
    TYPE = KEY_REQUEST
    FIELDS = (Field("Key", "key", BYTES_NEVER_NIL),)

    key: bytes = b""


class KeyResponse(SerfMessage, frozen=True):
    """``keys`` and ``primary_key`` are base64, for key listings only."""

    TYPE = KEY_RESPONSE
    FIELDS = (
        Field("Keys", "keys", TEXTS),
        Field("Message", "message", TEXT),
        Field("PrimaryKey", "primary_key", TEXT),
        Field("Result", "result", BOOL),
    )

    result: bool
    message: str = ""
    keys: tuple[str, ...] = ()
    primary_key: str = ""


class RelayAddress(Mapped, frozen=True):
    FIELDS = (Field("IP", "address", BYTES), Field("Port", "port", U16), Field("Zone", "zone", TEXT))

    address: bytes
    port: int
    zone: str = ""


class Relay(msgspec.Struct, frozen=True):
    """A request to send ``message`` (a whole Serf message) to somebody else."""

    TYPE: ClassVar[int] = RELAY

    to: RelayAddress
    name: str
    message: bytes

    def encode(self) -> bytes:
        return b"\x09" + pack({"DestAddr": self.to.to_map(), "DestName": self.name}) + self.message


class EventSlot(msgspec.Struct, frozen=True):
    """The user events of one Lamport time: (name, payload) pairs."""

    ltime: int
    events: tuple[tuple[str, bytes], ...]


class SerfState(msgspec.Struct, frozen=True):
    """What Serf adds to a push/pull. ``events`` has a None for each empty slot that the sender listed."""

    TYPE: ClassVar[int] = PUSH_PULL

    ltime: int
    status_ltimes: dict[str, int]
    left_members: tuple[str, ...]
    event_ltime: int
    events: tuple[EventSlot | None, ...]
    query_ltime: int

    def encode(self) -> bytes:
        return b"\x02" + pack(
            {
                "EventLTime": self.event_ltime,
                "Events": [None if slot is None else _slot_map(slot) for slot in self.events],
                "LTime": self.ltime,
                "LeftMembers": list(self.left_members),
                "QueryLTime": self.query_ltime,
                "StatusLTimes": self.status_ltimes,
            }
        )


def _slot_map(slot: EventSlot) -> dict[str, Any]:
    events = [{"Name": name, "Payload": payload or None} for name, payload in slot.events]
    return {"Events": events, "LTime": slot.ltime}


def _load_slot(value: Any) -> EventSlot | None:
    if value is None:
        return None
    body = load_map(value)
    events: list[tuple[str, bytes]] = []
    for item in load_list(body.get(b"Events")):
        event = load_map(item)
        events.append((load_text(event.get(b"Name")), BYTES.load(event.get(b"Payload"))))
    return EventSlot(U64.load(body.get(b"LTime")), tuple(events))


def decode_state(data: bytes) -> SerfState:
    """The user state of a push/pull. Lists and maps may be long: read item by item. Raises DecodeError."""
    if not data or data[0] != PUSH_PULL:
        raise DecodeError("push/pull state is not of type 2")
    cursor = Cursor(data[1:])
    clocks = {b"LTime": 0, b"EventLTime": 0, b"QueryLTime": 0}
    status: dict[str, int] = {}
    left: list[str] = []
    slots: list[EventSlot | None] = []
    for _ in range(cursor.map_length()):
        key = cursor.value()
        if key in (b"StatusLTimes", b"LeftMembers", b"Events"):
            if cursor.is_nil():
                continue
            if key == b"StatusLTimes":
                for _ in range(cursor.map_length()):
                    name = load_text(cursor.value())
                    status[name] = U64.load(cursor.value())
            elif key == b"LeftMembers":
                left.extend(load_text(cursor.value()) for _ in range(cursor.list_length()))
            else:
                slots.extend(_load_slot(cursor.value()) for _ in range(cursor.list_length()))
        elif isinstance(key, bytes) and key in clocks:
            clocks[key] = U64.load(cursor.value())
        else:
            cursor.value()
    return SerfState(clocks[b"LTime"], status, tuple(left), clocks[b"EventLTime"], tuple(slots), clocks[b"QueryLTime"])


def encode_tags(tags: dict[str, str]) -> bytes:
    """The Meta of a member. Keys are sorted, so equal tags always have equal bytes."""
    return bytes((TAG_MAGIC,)) + pack(dict(sorted(tags.items())))


def decode_tags(meta: bytes) -> dict[str, str]:
    """For use, not for the wire. Meta without the magic byte is the value of tag ``role``. Raises DecodeError."""
    if not meta or meta[0] != TAG_MAGIC:
        return {"role": meta.decode("utf-8", "replace")}
    tags: dict[str, str] = TEXT_MAP.load(unpack_map(meta[1:]))
    return {shown(key): shown(value) for key, value in tags.items()}


AnySerfMessage = (
    LeaveIntent
    | JoinIntent
    | UserEvent
    | Query
    | QueryResponse
    | ConflictResponse
    | KeyRequest
    | KeyResponse
    | Relay
    | SerfState
)

_MAPPED: dict[int, type[SerfMessage]] = {
    kind.TYPE: kind for kind in (LeaveIntent, JoinIntent, UserEvent, Query, QueryResponse, KeyRequest, KeyResponse)
}


def decode_serf(data: bytes) -> AnySerfMessage:
    """Any Serf message. Raises DecodeError; an unknown type byte is one."""
    if not data:
        raise DecodeError("empty Serf message")
    kind = data[0]
    mapped = _MAPPED.get(kind)
    if mapped is not None:
        message: Any = mapped.from_body(data[1:])
        return message  # type: ignore[no-any-return]
    if kind == PUSH_PULL:
        return decode_state(data)
    if kind == CONFLICT_RESPONSE:
        value, _ = unpack_prefix(data[1:])
        return ConflictResponse(None if value is None else MemberState.from_map(load_map(value)))
    if kind == RELAY:
        value, rest = unpack_prefix(data[1:])
        body = load_map(value)
        to = RelayAddress.from_map(load_map(body.get(b"DestAddr")))
        return Relay(to, load_text(body.get(b"DestName")), rest)
    raise DecodeError(f"unknown Serf message type {kind}")
