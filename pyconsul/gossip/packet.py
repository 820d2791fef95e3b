"""Datagrams: the wrappers around messages. Outermost first: label, encryption, CRC, compression, compound.

Receiving is total: any bytes are messages or a DecodeError. One budget per datagram bounds what compression may
unfold to; nesting is bounded too.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

import msgspec

from pyconsul.errors import DecodeError
from pyconsul.gossip.dialect import pack, unpack_map
from pyconsul.gossip.fields import BYTES, U8
from pyconsul.gossip.keyring import OVERHEAD, Keyring
from pyconsul.gossip.lzw import compress, decompress
from pyconsul.gossip.messages import COMPOUND, COMPRESS, HAS_CRC, HAS_LABEL, SimpleMessage, User, decode_simple

PACKET_BUDGET = 1400  # bytes of an outgoing datagram
COMPOUND_HEADER = 2
COMPOUND_ENTRY = 2
COMPOUND_PARTS_MAX = 255
UNFOLDED_MAX = 256 * 1024  # a datagram has at most 64 KiB; nobody sends more in it than fits without compression
NESTING_MAX = 8
_UNFOLDING = (COMPRESS, COMPOUND)
COMPRESS_SIZE_MIN = 64  # smaller messages never get shorter: the wrapper alone takes 16 bytes


class Security(msgspec.Struct):
    """What is configured about encryption and the label. ``ring`` may change its keys at any time.

    ``nonce(n)`` returns n unpredictable bytes. ``version``: of the encryption that is sent; both are understood.
    """

    nonce: Callable[[int], bytes]
    ring: Keyring | None = None
    label: bytes = b""
    verify_incoming: bool = True
    verify_outgoing: bool = True
    version: int = 1

    @property
    def enabled(self) -> bool:
        return self.ring is not None and bool(self.ring.keys)

    @property
    def overhead(self) -> int:
        """Bytes that label and encryption add to a datagram, at most."""
        sealed = OVERHEAD[self.version] if self.enabled and self.verify_outgoing else 0
        return sealed + (2 + len(self.label) if self.label else 0)


class Budget:
    """How many more bytes one datagram or stream may unfold to."""

    def __init__(self, size: int) -> None:
        self.left = size

    def take(self, size: int) -> None:
        if size > self.left:
            raise DecodeError("message unfolds to too many bytes")
        self.left -= size


def add_label(data: bytes, label: bytes) -> bytes:
    return bytes((HAS_LABEL, len(label))) + label + data if label else data


def strip_label(data: bytes, label: bytes) -> bytes:
    """What follows the label. Raises DecodeError unless the label is the expected one (empty: none)."""
    if not data:
        raise DecodeError("empty packet")
    found = b""
    if data[0] == HAS_LABEL:
        if len(data) < 2 or data[1] == 0 or len(data) < 2 + data[1]:
            raise DecodeError("bad label header")
        found = data[2 : 2 + data[1]]
        data = data[2 + data[1] :]
    if found != label:
        raise DecodeError("packet with another label, or without the configured one")
    return data


def add_crc(data: bytes) -> bytes:
    return bytes((HAS_CRC,)) + zlib.crc32(data).to_bytes(4, "big") + data


def strip_crc(data: bytes) -> bytes:
    if len(data) >= 5 and data[0] == HAS_CRC:
        if zlib.crc32(data[5:]) != int.from_bytes(data[1:5], "big"):
            raise DecodeError("wrong checksum of a packet")
        return data[5:]
    return data


def add_compression(data: bytes) -> bytes:
    return bytes((COMPRESS,)) + pack({"Algo": 0, "Buf": compress(data)})


def unfold(body: bytes, budget: Budget) -> bytes:
    """The message inside a compress message, whose bytes after the type byte are ``body``. Raises DecodeError."""
    return unfold_map(unpack_map(body), budget)


def unfold_map(fields: dict[bytes, object], budget: Budget) -> bytes:
    if U8.load(fields.get(b"Algo")) != 0:
        raise DecodeError("unknown compression algorithm")
    plain = decompress(BYTES.load(fields.get(b"Buf")), budget.left)
    budget.take(len(plain))
    return plain


def make_compound(messages: Sequence[bytes]) -> bytes:
    """At most 255 messages."""
    lengths = b"".join(len(message).to_bytes(2, "big") for message in messages)
    return b"".join((bytes((COMPOUND, len(messages))), lengths, *messages))


def split_compound(body: bytes) -> list[bytes]:
    """The complete parts; ``body`` begins after the type byte. Raises DecodeError when the table is cut short."""
    if not body or len(body) < 1 + 2 * body[0]:
        raise DecodeError("compound message cut short")
    position = 1 + 2 * body[0]
    parts: list[bytes] = []
    for index in range(body[0]):
        length = int.from_bytes(body[1 + 2 * index : 3 + 2 * index], "big")
        if position + length > len(body):
            break
        parts.append(body[position : position + length])
        position += length
    return parts


class Packet(msgspec.Struct, frozen=True):
    """What a datagram held: its messages in order, and what was wrong with parts of it."""

    messages: list[SimpleMessage | User]
    errors: list[DecodeError]


def open_packet(data: bytes, security: Security) -> bytes:
    """Label, encryption and CRC off. Raises DecodeError."""
    data = strip_label(data, security.label)
    if security.ring is not None and security.enabled:
        try:
            data = security.ring.decrypt(data, security.label)
        except DecodeError:
            if security.verify_incoming:
                raise
    return strip_crc(data)


def decode_packet(data: bytes, security: Security) -> Packet:
    """All messages of a datagram. Raises DecodeError when nothing can be read; bad parts of a compound are listed."""
    budget = Budget(UNFOLDED_MAX)
    packet = Packet([], [])
    _collect(open_packet(data, security), budget, 0, packet)
    if packet.errors and not packet.messages:
        raise packet.errors[0]
    return packet


def _collect(data: bytes, budget: Budget, depth: int, packet: Packet) -> None:
    if depth > NESTING_MAX:
        raise DecodeError("wrappers nested too deeply")
    if data and data[0] == COMPRESS:
        _collect(unfold(data[1:], budget), budget, depth + 1, packet)
    elif data and data[0] == COMPOUND:
        for part in split_compound(data[1:]):
            try:
                if part and part[0] not in _UNFOLDING and depth < NESTING_MAX:
                    packet.messages.append(decode_simple(part))
                else:
                    _collect(part, budget, depth + 1, packet)
            except DecodeError as error:
                packet.errors.append(error)
    else:
        packet.messages.append(decode_simple(data))


def encode_packet(messages: Sequence[bytes], security: Security, crc: bool, compression: bool) -> bytes:
    """One datagram. ``crc``: the destination is known to understand checksums (its protocol max is at least 5)."""
    data = messages[0] if len(messages) == 1 else make_compound(messages)
    if compression and len(data) >= COMPRESS_SIZE_MIN:
        shorter = add_compression(data)
        if len(shorter) < len(data):
            data = shorter
    if crc:
        data = add_crc(data)
    if security.ring is not None and security.enabled and security.verify_outgoing:
        data = security.ring.encrypt(data, security.label, security.version, security.nonce)
    return add_label(data, security.label)
