"""What can be written in the log: one tagged msgpack array per command.

The integer tag selects the command and is never reused; new fields are added at the end with a default, so that an
old log still opens. ``encode`` and ``decode`` are the only ways in and out.
"""

from __future__ import annotations

from typing import Union

import msgspec

from pyconsul.errors import DecodeError
from pyconsul.records.catalog import Check, Node, Service
from pyconsul.records.session import Session
from pyconsul.records.txn import CheckOp as CheckOp
from pyconsul.records.txn import KVOp as KVOp
from pyconsul.records.txn import NodeOp as NodeOp
from pyconsul.records.txn import ServiceOp as ServiceOp
from pyconsul.records.txn import TxnOp as TxnOp


class Command(msgspec.Struct, array_like=True, frozen=True, gc=False, kw_only=False):
    """Base of all commands."""


class KVSet(Command, frozen=True, tag=1):
    """PUT of a key. Result: True."""

    key: bytes
    value: bytes
    flags: int = 0


class KVCas(Command, frozen=True, tag=2):
    """PUT with check-and-set; ``index`` 0: only if the key does not exist. Result: bool."""

    key: bytes
    value: bytes
    flags: int
    index: int


class KVLock(Command, frozen=True, tag=3):
    """Acquire. Result: bool. Refusals: missing session, invalid session, failed session lookup."""

    key: bytes
    value: bytes
    flags: int
    session: str


class KVUnlock(Command, frozen=True, tag=4):
    """Release. Result: bool. Refusal: missing session."""

    key: bytes
    value: bytes
    flags: int
    session: str


class KVDelete(Command, frozen=True, tag=5):
    """Result: True."""

    key: bytes


class KVDeleteCas(Command, frozen=True, tag=6):
    """Result: bool."""

    key: bytes
    index: int


class KVDeleteTree(Command, frozen=True, tag=7):
    """All keys that start with ``prefix``. Result: True."""

    prefix: bytes


class SessionCreate(Command, frozen=True, tag=16):
    """Result: the session's id. Refusals: Missing node registration, Missing check …, Check … critical."""

    session: Session


class SessionDestroy(Command, frozen=True, tag=17):
    """Destroyed by a client or by the end of its TTL. Result: True (also when there is none)."""

    id: str


class Register(Command, frozen=True, tag=32):
    """catalog/register after defaults and validation. Result: True.

    ``skip_node_update``: the node record is only written when it does not exist.
    """

    node: Node
    service: Service | None = None
    checks: list[Check] = []
    skip_node_update: bool = False


class Deregister(Command, frozen=True, tag=33):
    """Removes a service (``service_id``), a check (``check_id``), or the node with all it has. Result: True."""

    node: str
    service_id: str = ""
    check_id: str = ""


class Txn(Command, frozen=True, tag=48):
    """All or nothing. Result: a TxnResult (records.txn)."""

    ops: list[TxnOp]


class TombstoneReap(Command, frozen=True, tag=64):
    """Drops the traces of deletes up to and including ``index``. Result: True. Moves no index."""

    index: int


class AutopilotConfigSet(Command, frozen=True, tag=65):
    """Replaces the autopilot configuration (``config``: its JSON fields). Result: bool (False: ``cas_index`` stale).

    ``cas_index`` -1: unconditional; 0: only if there is none yet.
    """

    config: dict[str, bool | int | str]
    cas_index: int = -1


class CoordinateBatch(Command, frozen=True, tag=66):
    """Network coordinates by node: (node, vec, error, adjustment, height). Result: True. Moves no KV index."""

    updates: list[tuple[str, list[float], float, float, float]]


# fmt: off
AnyCommand = Union[  # noqa: UP007
    KVSet, KVCas, KVLock, KVUnlock, KVDelete, KVDeleteCas, KVDeleteTree, SessionCreate, SessionDestroy, Register,
    Deregister, Txn, TombstoneReap, AutopilotConfigSet, CoordinateBatch,
]
# fmt: on

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[AnyCommand] = msgspec.msgpack.Decoder(AnyCommand)

encode = _encoder.encode
"""encode(command) -> bytes"""


def decode(data: bytes) -> AnyCommand:
    """The command in a log entry. Raises DecodeError."""
    try:
        return _decoder.decode(data)
    except msgspec.MsgspecError as error:
        raise DecodeError(f"unreadable command in the log: {error}") from error
