"""The messages of memberlist: what SWIM says to its peers. One type byte, then one map (not ``User``).

Wrappers (compound, compress, CRC, encryption, label) are in packet.py, whole streams in stream_codec.py.
"""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar

import msgspec

from pyconsul.errors import DecodeError
from pyconsul.gossip.fields import BOOL, BYTES, I64, TEXT, U16, U32, Field, Mapped

PING, INDIRECT_PING, ACK, SUSPECT, ALIVE, DEAD, PUSH_PULL = range(7)
COMPOUND, USER, COMPRESS, ENCRYPT, NACK, HAS_CRC, ERR = range(7, 14)
HAS_LABEL = 244

# States of a record in a push/pull.
STATE_ALIVE, STATE_SUSPECT, STATE_DEAD, STATE_LEFT = range(4)


class Message(Mapped, frozen=True):
    """Base of the messages that are one type byte and one map."""

    TYPE: ClassVar[int] = -1

    def encode(self) -> bytes:
        return bytes((self.TYPE,)) + self.body()


class Ping(Message, frozen=True):
    """``node``: whom it is for. The source fields say where the ack goes; old peers leave them out."""

    TYPE = PING
    FIELDS = (
        Field("Node", "node", TEXT),
        Field("SeqNo", "seq", U32),
        Field("SourceAddr", "source_address", BYTES, omit=True),
        Field("SourceNode", "source_node", TEXT, omit=True),
        Field("SourcePort", "source_port", U16, omit=True),
    )

    node: str
    seq: int
    source_address: bytes = b""
    source_node: str = ""
    source_port: int = 0


class IndirectPing(Message, frozen=True):
    """A request to ping ``target`` on our behalf; ``port`` 0 means the helper's own port."""

    TYPE = INDIRECT_PING
    FIELDS = (
        Field("Nack", "nack", BOOL),
        Field("Node", "node", TEXT),
        Field("Port", "port", U16),
        Field("SeqNo", "seq", U32),
        Field("SourceAddr", "source_address", BYTES, omit=True),
        Field("SourceNode", "source_node", TEXT, omit=True),
        Field("SourcePort", "source_port", U16, omit=True),
        Field("Target", "target", BYTES),
    )

    seq: int
    target: bytes
    port: int
    node: str
    nack: bool
    source_address: bytes = b""
    source_node: str = ""
    source_port: int = 0


class Ack(Message, frozen=True):
    """``payload``: the answering Serf node's coordinate, empty in relayed and TCP acks."""

    TYPE = ACK
    FIELDS = (Field("Payload", "payload", BYTES), Field("SeqNo", "seq", U32))

    seq: int
    payload: bytes = b""


class Nack(Message, frozen=True):
    TYPE = NACK
    FIELDS = (Field("SeqNo", "seq", U32),)

    seq: int


class Suspect(Message, frozen=True):
    TYPE = SUSPECT
    FIELDS = (Field("From", "sender", TEXT), Field("Incarnation", "incarnation", U32), Field("Node", "node", TEXT))

    incarnation: int
    node: str
    sender: str


class Dead(Message, frozen=True):
    """``node == sender`` means that the node left of its own will."""

    TYPE = DEAD
    FIELDS = (Field("From", "sender", TEXT), Field("Incarnation", "incarnation", U32), Field("Node", "node", TEXT))

    incarnation: int
    node: str
    sender: str


class Alive(Message, frozen=True):
    """``versions``: protocol min, max, current, then the delegate's three. ``port`` 0 means the receiver's own."""

    TYPE = ALIVE
    FIELDS = (
        Field("Addr", "address", BYTES),
        Field("Incarnation", "incarnation", U32),
        Field("Meta", "meta", BYTES),
        Field("Node", "node", TEXT),
        Field("Port", "port", U16),
        Field("Vsn", "versions", BYTES),
    )

    incarnation: int
    node: str
    address: bytes
    port: int
    meta: bytes = b""
    versions: bytes = b""


class Err(Message, frozen=True):
    TYPE = ERR
    FIELDS = (Field("Error", "text", TEXT),)

    text: str


class User(msgspec.Struct, frozen=True):
    """A message of the layer above (Serf), opaque here."""

    TYPE: ClassVar[int] = USER

    payload: bytes

    def encode(self) -> bytes:
        return b"\x08" + self.payload


class PushPullHeader(Mapped, frozen=True):
    FIELDS = (
        Field("Join", "join", BOOL),
        Field("Nodes", "nodes", I64),
        Field("UserStateLen", "user_state_length", I64),
    )

    nodes: int
    user_state_length: int
    join: bool


class UserHeader(Mapped, frozen=True):
    FIELDS = (Field("UserMsgLen", "length", I64),)

    length: int


class NodeState(Mapped, frozen=True):
    """One record of a push/pull; ``state`` is one of the STATE constants."""

    FIELDS = (
        Field("Addr", "address", BYTES),
        Field("Incarnation", "incarnation", U32),
        Field("Meta", "meta", BYTES),
        Field("Name", "name", TEXT),
        Field("Port", "port", U16),
        Field("State", "state", I64),
        Field("Vsn", "versions", BYTES),
    )

    name: str
    address: bytes
    port: int
    meta: bytes
    incarnation: int
    state: int
    versions: bytes


class PushPull(msgspec.Struct, frozen=True):
    """The whole state of a member, on streams only."""

    TYPE: ClassVar[int] = PUSH_PULL

    join: bool
    nodes: tuple[NodeState, ...]
    user_state: bytes = b""

    def encode(self) -> bytes:
        header = PushPullHeader(len(self.nodes), len(self.user_state), self.join)
        return b"".join((b"\x06", header.body(), *(node.body() for node in self.nodes), self.user_state))


SimpleMessage = Ping | IndirectPing | Ack | Nack | Suspect | Dead | Alive | Err
AnyMessage = SimpleMessage | User | PushPull

_BY_TYPE: dict[int, type[SimpleMessage]] = {
    kind.TYPE: kind for kind in (Ping, IndirectPing, Ack, Nack, Suspect, Dead, Alive, Err)
}


_CLAIMS = frozenset((SUSPECT, ALIVE, DEAD))
_CACHED_SIZE_MAX = 1024  # bytes of a message; the cache holds 2048 of them, mostly far smaller


def decode_simple(data: bytes) -> SimpleMessage | User:
    """A message that is not a wrapper. Raises DecodeError; an unknown type byte is one."""
    if not data:
        raise DecodeError("empty message")
    kind = data[0]
    if kind in _CLAIMS and len(data) <= _CACHED_SIZE_MAX:
        return _decode_claim(data)
    if kind == USER:
        return User(data[1:])
    found = _BY_TYPE.get(kind)
    if found is None:
        raise DecodeError(f"unknown message type {kind}")
    return found.from_body(data[1:])


@lru_cache(maxsize=2048)
def _decode_claim(data: bytes) -> SimpleMessage:
    """Each claim comes in many copies, as everybody passes it on; messages cannot change, so all share one."""
    return _BY_TYPE[data[0]].from_body(data[1:])
