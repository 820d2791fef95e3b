"""Consul's user events inside of Serf's: the name ``consul:event:NAME`` and a MessagePack map."""

from __future__ import annotations

import msgspec

from pyconsul.errors import DecodeError

EVENT_PREFIX = "consul:event:"


class UserEvent(msgspec.Struct, frozen=True):
    """``node_filter``, ``service_filter``, ``tag_filter``: regular expressions, "" for none. ``lamport_time`` is
    Serf's and not part of the payload (0: being fired)."""

    id: str
    name: str
    payload: bytes = b""
    node_filter: str = ""
    service_filter: str = ""
    tag_filter: str = ""
    version: int = 1
    lamport_time: int = 0


class _Wire(msgspec.Struct, omit_defaults=True):
    ID: str
    n: str
    v: int
    p: bytes | None = None
    nf: str = ""
    sf: str = ""
    tf: str = ""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Wire)


def encode_user_event(event: UserEvent) -> bytes:
    """The payload of the Serf event."""
    return _encoder.encode(
        _Wire(
            event.id, event.name, event.version, event.payload or None,
            event.node_filter, event.service_filter, event.tag_filter,
        )
    )  # fmt: skip


def decode_user_event(data: bytes, lamport_time: int) -> UserEvent:
    """Raises DecodeError."""
    try:
        wire = _decoder.decode(data)
    except msgspec.MsgspecError as error:
        raise DecodeError(f"unreadable user event: {error}") from error
    return UserEvent(wire.ID, wire.n, wire.p or b"", wire.nf, wire.sf, wire.tf, wire.v, lamport_time)
