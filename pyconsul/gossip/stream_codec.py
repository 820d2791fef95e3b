"""Streams: one message each way over TCP. Layers, outermost first: label, encryption, compression.

Nobody half-closes, so the end of a message is known from its structure alone: ``StreamDecoder`` takes the bytes as they
come and says when the message is complete.
"""

from __future__ import annotations

from pyconsul.errors import DecodeError
from pyconsul.gossip.dialect import Incremental
from pyconsul.gossip.messages import ACK as ACK_TYPE
from pyconsul.gossip.messages import (
    COMPRESS,
    ENCRYPT,
    ERR,
    HAS_LABEL,
    PING,
    PUSH_PULL,
    USER,
    Ack,
    Err,
    NodeState,
    Ping,
    PushPull,
    PushPullHeader,
    User,
    UserHeader,
)
from pyconsul.gossip.packet import Budget, Security, add_compression, add_label, unfold_map

MESSAGE_MAX = 20 * 1024 * 1024  # encrypted body, user state, user message
UNFOLDED_MAX = 40 * 1024 * 1024
NODES_MAX = 1024 * 1024
BUFFER_MAX = MESSAGE_MAX + 64 * 1024
RECEIVED_MAX = 64 * 1024 * 1024
NESTING_MAX = 4

NOT_ENCRYPTED = "Encryption is configured but remote state is not encrypted"
NOT_CONFIGURED = "Remote state is encrypted and encryption is not configured"

StreamMessage = Ping | Ack | Err | User | PushPull


class StreamError(DecodeError):
    """A stream that a server answers with ``err`` before it closes, unless ``silent``."""

    def __init__(self, text: str, silent: bool = False) -> None:
        super().__init__(text)
        self.silent = silent


def encode_stream(message: bytes, security: Security, initiator: bool, compression: bool) -> bytes:
    """All bytes of one direction. Only the initiator sends the label; both authenticate it."""
    data = add_compression(message) if compression else message
    if security.ring is not None and security.enabled and security.verify_outgoing:
        # The overhead of version 1 is fixed; that of version 0 depends on the padding.
        padding = 16 - len(data) % 16 if security.version == 0 else 0
        framing = bytes((ENCRYPT,)) + (len(data) + padding + 29).to_bytes(4, "big")
        data = framing + security.ring.encrypt(data, framing + security.label, security.version, security.nonce)
    return add_label(data, security.label) if initiator else data


class StreamDecoder:
    """Feed it what arrives; ``feed`` returns the message once it is complete. Raises StreamError.

    ``initiator``: the bytes come from the side that opened the connection, so they begin with the label, if any.
    """

    def __init__(self, security: Security, initiator: bool) -> None:
        self._security = security
        self._buffer = bytearray()
        self._label_expected = initiator
        self._body: _Body | None = None
        self._received = 0

    @property
    def started(self) -> bool:
        """True when at least one byte came."""
        return self._received > 0

    def feed(self, data: bytes) -> StreamMessage | None:
        self._received += len(data)
        if self._received > RECEIVED_MAX:
            raise StreamError("stream too long", silent=True)
        try:
            if self._body is not None:
                return self._body.feed(data)
            self._buffer += data
            return self._begin()
        except StreamError:
            raise
        except DecodeError as error:
            raise StreamError(str(error)) from None

    def _begin(self) -> StreamMessage | None:
        buffer = self._buffer
        label = self._security.label
        if self._label_expected:
            if not buffer:
                return None
            found = b""
            if buffer[0] == HAS_LABEL:
                if len(buffer) < 2 or len(buffer) < 2 + buffer[1]:
                    return None
                found = bytes(buffer[2 : 2 + buffer[1]])
                del buffer[: 2 + buffer[1]]
            if found != label:
                raise StreamError("stream with another label, or without the configured one", silent=True)
            self._label_expected = False
        if not buffer:
            return None
        if buffer[0] == HAS_LABEL:
            raise StreamError("unexpected label", silent=True)
        enabled = self._security.enabled
        if buffer[0] == ENCRYPT:
            if not enabled:
                raise StreamError(NOT_CONFIGURED)
            if len(buffer) < 5:
                return None
            length = int.from_bytes(buffer[1:5], "big")
            if length > MESSAGE_MAX:
                raise StreamError(f"Remote node state is larger than limit ({length})")
            if len(buffer) < 5 + length:
                return None
            ring = self._security.ring
            if ring is None:
                raise StreamError(NOT_CONFIGURED)
            framing = bytes(buffer[:5])
            plain = ring.decrypt(bytes(buffer[5 : 5 + length]), framing + label)
            return self._inside(plain)
        if enabled and self._security.verify_incoming:
            raise StreamError(NOT_ENCRYPTED)
        self._body = _Body(buffer[0], Budget(UNFOLDED_MAX), 0)
        rest = bytes(buffer[1:])
        self._buffer = bytearray()
        return self._body.feed(rest)

    def _inside(self, plain: bytes) -> StreamMessage | None:
        return _whole(plain, Budget(UNFOLDED_MAX), 0)


def _whole(data: bytes, budget: Budget, depth: int) -> StreamMessage:
    """A message that must be complete, since its wrapper was."""
    if not data:
        raise StreamError("empty stream message")
    if depth > NESTING_MAX:
        raise StreamError("wrappers nested too deeply")
    message = _Body(data[0], budget, depth).feed(data[1:])
    if message is None:
        raise StreamError("stream message cut short")
    return message


class _Body:
    """The message after its type byte."""

    def __init__(self, kind: int, budget: Budget, depth: int) -> None:
        if kind not in (PING, ACK_TYPE, PUSH_PULL, USER, COMPRESS, ERR):
            raise StreamError(f"unexpected message type {kind} on a stream", silent=True)
        self._kind = kind
        self._budget = budget
        self._depth = depth
        self._input = Incremental(UNFOLDED_MAX + 64 * 1024 if depth else BUFFER_MAX)
        self._header: PushPullHeader | None = None
        self._length: int | None = None
        self._nodes: list[NodeState] = []

    def feed(self, data: bytes) -> StreamMessage | None:
        self._input.feed(data)
        if self._kind == PUSH_PULL:
            return self._push_pull()
        if self._kind == USER:
            return self._user()
        fields = self._input.next_map()
        if fields is None:
            return None
        if self._kind == COMPRESS:
            return _whole(unfold_map(fields, self._budget), self._budget, self._depth + 1)
        if self._kind == PING:
            return Ping.from_map(fields)
        if self._kind == ACK_TYPE:
            return Ack.from_map(fields)
        return Err.from_map(fields)

    def _push_pull(self) -> PushPull | None:
        if self._header is None:
            fields = self._input.next_map()
            if fields is None:
                return None
            header = PushPullHeader.from_map(fields)
            if not 0 <= header.nodes <= NODES_MAX or not 0 <= header.user_state_length <= MESSAGE_MAX:
                raise StreamError("push/pull over the limits", silent=True)
            self._header = header
        while len(self._nodes) < self._header.nodes:
            fields = self._input.next_map()
            if fields is None:
                return None
            self._nodes.append(NodeState.from_map(fields))
        state = self._input.read_bytes(self._header.user_state_length)
        if state is None:
            return None
        return PushPull(self._header.join, tuple(self._nodes), state)

    def _user(self) -> User | None:
        if self._length is None:
            fields = self._input.next_map()
            if fields is None:
                return None
            self._length = UserHeader.from_map(fields).length
            if not 0 <= self._length <= MESSAGE_MAX:
                raise StreamError("user message over the limit", silent=True)
        payload = self._input.read_bytes(self._length)
        return None if payload is None else User(payload)


def encode_user_stream(payload: bytes) -> bytes:
    return bytes((USER,)) + UserHeader(len(payload)).body() + payload
