"""Captured traffic of real agents decodes to what the vector file says, and encodes again to the same bytes."""

from __future__ import annotations

import base64
import ipaddress
import json
import pathlib
import zlib
from typing import Any

import msgpack
import pytest

from pyconsul.errors import DecodeError
from pyconsul.gossip import messages as m
from pyconsul.gossip import packet as p
from pyconsul.gossip import serf_messages as s
from pyconsul.gossip.dialect import unpack_map
from pyconsul.gossip.keyring import Keyring
from pyconsul.gossip.stream_codec import StreamDecoder, encode_stream, encode_user_stream

FILE = pathlib.Path(__file__).parents[2] / "data" / "gossip-vectors.json"
VECTORS: list[dict[str, Any]] = json.loads(FILE.read_text())
NAMES = {
    m.PING: "ping", m.INDIRECT_PING: "indirectPing", m.ACK: "ackResp", m.SUSPECT: "suspect", m.ALIVE: "alive",
    m.DEAD: "dead", m.PUSH_PULL: "pushPull", m.COMPOUND: "compound", m.USER: "user", m.COMPRESS: "compress",
    m.NACK: "nackResp", m.ERR: "err",
}  # fmt: skip
SERF_NAMES = ["leave", "join", "pushPull", "userEvent", "query", "queryResponse", "conflictResponse"]
SERF_NAMES += ["keyRequest", "keyResponse", "relay"]
UDP = [vector for vector in VECTORS if vector["transport"] == "udp"]
TCP = [vector for vector in VECTORS if vector["transport"] == "tcp"]


def by_name(vector: dict[str, Any]) -> str:
    return str(vector["name"])


def security_of(vector: dict[str, Any]) -> p.Security:
    layers = vector["decoded"]["layers"]
    label = vector.get("label", "").encode()
    nonce = b""
    version = 1
    for layer in layers:
        if layer["layer"] == "label":
            label = layer["label"].encode()
        if layer["layer"] == "encrypt":
            nonce = bytes.fromhex(layer["nonce"])
            version = layer["version"]
    ring = Keyring([base64.b64decode(vector["key"])]) if "key" in vector else None
    return p.Security(nonce=lambda count: nonce[:count], ring=ring, label=label, version=version)


# --- the vector file's view of our messages -----------------------------------------------------------------------


def address(value: bytes) -> str:
    return str(ipaddress.IPv4Address(value)) if len(value) == 4 else "hex:" + value.hex()


def blob(value: bytes) -> Any:
    if not value:
        return None
    shown: dict[str, Any] = {"hex": value.hex()}
    if value.isascii() and value.decode().isprintable():
        shown["text"] = value.decode()
    return shown


def describe_fields(message: m.SimpleMessage | s.SerfMessage | s.MemberState | m.NodeState) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for wire, name, kind, omit in message.FIELDS:
        value = getattr(message, name)
        if omit and value == kind.zero:
            continue
        if wire in ("Addr", "Target", "SourceAddr", "IP"):
            value = address(value)
        elif wire == "Vsn":
            value = list(value)
        elif wire == "Meta":
            value = {"hex": value.hex(), "tags": s.decode_tags(value)} if value else None
        elif wire in ("Payload", "Key"):
            value = blob(value) if wire == "Payload" else blob(value) or {"hex": ""}
        elif wire == "Keys":
            value = list(value) or None
        elif wire == "Filters":
            value = [describe_filter(item) for item in value] or None
        shown[wire] = value
    return shown


def describe_filter(data: bytes) -> dict[str, Any]:
    if data[0] == 0:
        return {"type": "node", "names": [name.decode() for name in msgpack.unpackb(data[1:], raw=True)]}
    body = unpack_map(data[1:])
    return {"type": "tag", "Tag": body[b"Tag"].decode(), "Expr": body[b"Expr"].decode()}


def describe_coordinate(data: bytes) -> dict[str, Any]:
    body = {key.decode(): value for key, value in unpack_map(data[1:]).items()}
    return dict(body)


def describe_serf(data: bytes) -> dict[str, Any]:
    message = s.decode_serf(data)
    shown: dict[str, Any] = {"type": SERF_NAMES[data[0]], "id": data[0]}
    assert message.encode() == data, "encodes to the same bytes"
    if isinstance(message, s.SerfState):
        slots = {
            str(index): {
                "LTime": slot.ltime,
                "Events": [{"Name": name, "Payload": blob(payload)} for name, payload in slot.events],
            }
            for index, slot in enumerate(message.events)
            if slot is not None
        }
        shown["fields"] = {
            "EventLTime": message.event_ltime, "LTime": message.ltime, "QueryLTime": message.query_ltime,
            "LeftMembers": list(message.left_members), "StatusLTimes": message.status_ltimes,
            "Events": {"slots": len(message.events), "set": slots},
        }  # fmt: skip
    elif isinstance(message, s.ConflictResponse):
        shown["fields"] = None if message.member is None else describe_fields(message.member)
    elif isinstance(message, s.Relay):
        to = {"IP": address(message.to.address), "Port": message.to.port, "Zone": message.to.zone}
        shown["fields"] = {"DestAddr": to, "DestName": message.name}
        shown["message"] = describe_serf(message.message)
    else:
        fields = describe_fields(message)
        payload = fields.get("Payload")
        if isinstance(message, s.UserEvent) and payload is not None and message.name.startswith("consul:event:"):
            payload["consul_event"] = {
                key: value.decode() if isinstance(value, bytes) else value
                for key, value in msgpack.unpackb(message.payload, raw=False).items()
            }
            payload.pop("text", None)
        internal = isinstance(message, s.QueryResponse) or "-key" in getattr(message, "name", "")
        if internal and payload is not None and message.payload[0] in (6, 7, 8):  # type: ignore[union-attr]
            payload["serf"] = describe_serf(message.payload)  # type: ignore[union-attr]
        shown["fields"] = fields
    return shown


def describe(data: bytes, opaque: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {"type": NAMES[data[0]], "id": data[0]}
    if data[0] == m.COMPRESS:
        plain = p.unfold(data[1:], p.Budget(10**6))
        assert p.add_compression(plain) == data, "compresses to the same bytes"
        return shown | {"algo": 0, "size": len(plain), "message": describe(plain, opaque)}
    if data[0] == m.COMPOUND:
        parts = p.split_compound(data[1:])
        assert p.make_compound(parts) == data
        return shown | {"parts": [describe(part, opaque) for part in parts]}
    message = m.decode_simple(data)
    assert message.encode() == data, "encodes to the same bytes"
    if isinstance(message, m.User):
        return shown | ({"payload": blob(message.payload)} if opaque else {"serf": describe_serf(message.payload)})
    fields = describe_fields(message)
    if isinstance(message, m.Ack) and message.payload:
        fields["Payload"]["coordinate"] = describe_coordinate(message.payload)
    return shown | {"fields": fields}


def describe_stream(data: bytes, opaque: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {"type": NAMES[data[0]], "id": data[0]}
    if data[0] == m.COMPRESS:
        plain = p.unfold(data[1:], p.Budget(10**7))
        assert p.add_compression(plain) == data, "compresses to the same bytes"
        return shown | {"algo": 0, "size": len(plain), "message": describe_stream(plain, opaque)}
    if data[0] not in (m.PUSH_PULL, m.USER):
        return describe(data, opaque)
    message = StreamDecoder(p.Security(nonce=bytes), initiator=False).feed(data)
    if isinstance(message, m.User):
        assert encode_user_stream(message.payload) == data
        return shown | {"header": {"UserMsgLen": len(message.payload)}, "payload": blob(message.payload)}
    assert isinstance(message, m.PushPull)
    assert message.encode() == data
    header = {"Join": message.join, "Nodes": len(message.nodes), "UserStateLen": len(message.user_state)}
    nodes = [describe_fields(node) for node in message.nodes]
    serf = describe_serf(message.user_state) if message.user_state else None
    return shown | {"header": header, "nodes": nodes, "serf": serf}


# --- tests --------------------------------------------------------------------------------------------------------


def test_there_are_89_vectors() -> None:
    assert len(VECTORS) == 89


@pytest.mark.parametrize("vector", UDP, ids=by_name)
def test_datagram(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["hex"])
    security = security_of(vector)
    plain = p.open_packet(data, security)
    assert describe(plain, vector.get("opaque_user", False)) == vector["decoded"]["message"]

    again = plain
    layers = [layer["layer"] for layer in vector["decoded"]["layers"]]
    if "crc" in layers:
        again = p.add_crc(plain)
        assert vector["decoded"]["layers"][layers.index("crc")]["crc32"] == zlib.crc32(plain)
    if security.ring is not None:
        again = security.ring.encrypt(again, security.label, security.version, security.nonce)
    assert p.add_label(again, security.label) == data

    packet = p.decode_packet(data, security)
    assert packet.messages and not packet.errors
    rebuilt = p.encode_packet([message.encode() for message in packet.messages], security, "crc" in layers, True)
    assert p.decode_packet(rebuilt, security).messages == packet.messages


@pytest.mark.parametrize("vector", TCP, ids=by_name)
def test_stream(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["hex"])
    security = security_of(vector)
    initiator = vector["direction"] == "initiator"
    message = StreamDecoder(security, initiator).feed(data)
    assert message is not None

    body = p.strip_label(data, security.label) if initiator else data
    if security.ring is not None:
        assert vector["decoded"]["layers"][-1]["length"] == len(body) - 5
        body = security.ring.decrypt(body[5:], body[:5] + security.label)
    assert describe_stream(body, vector.get("opaque_user", False)) == vector["decoded"]["message"]

    plain = p.unfold(body[1:], p.Budget(10**7))
    assert encode_stream(plain, security, initiator, compression=True) == data
    assert StreamDecoder(security, initiator).feed(encode_stream(plain, security, initiator, False)) == message


@pytest.mark.parametrize("vector", TCP, ids=by_name)
def test_stream_byte_by_byte(vector: dict[str, Any]) -> None:
    data = bytes.fromhex(vector["hex"])[:2000]
    decoder = StreamDecoder(security_of(vector), vector["direction"] == "initiator")
    whole = StreamDecoder(security_of(vector), vector["direction"] == "initiator").feed(data)
    found = None
    for index in range(len(data)):
        assert found is None, "complete before its last byte"
        found = decoder.feed(data[index : index + 1])
    assert found == whole


@pytest.mark.parametrize("vector", [vector for vector in UDP if "key" in vector], ids=by_name)
def test_another_key_opens_nothing(vector: dict[str, Any]) -> None:
    security = p.Security(nonce=bytes, ring=Keyring([bytes(32)]), label=security_of(vector).label)
    with pytest.raises(DecodeError, match="No installed keys could decrypt"):
        p.decode_packet(bytes.fromhex(vector["hex"]), security)
