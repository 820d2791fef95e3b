"""How requests travel to the leader and errors come back: the words of the RPC between servers."""

from __future__ import annotations

from typing import Any

import msgspec

from pyconsul.errors import (
    ApplyError,
    CallerError,
    DecodeError,
    LeadershipLostError,
    NoLeaderError,
    NotLeaderError,
    OverloadedError,
    PyconsulError,
)
from pyconsul.fsm.commands import AnyCommand, Txn
from pyconsul.net.rpc import RpcClient, RpcFailure
from pyconsul.records.autopilot import AutopilotState
from pyconsul.records.session import Session
from pyconsul.records.txn import TxnResult

APPLY = "apply"
"""Argument: an encoded command. Result: its result, by ``encode_result``."""

RENEW_SESSION = "session.renew"
"""Argument: the session's id. Result: the session or nil."""

STATUS_PEERS = "status.peers"
"""Result: list of the RPC addresses of the server's Raft peers, [] before bootstrap."""

RAFT_CONFIGURATION = "operator.raft-configuration"
"""Result: [[peers], index] as ConsensusApi.raft_configuration returns it."""

AUTOPILOT_STATE = "operator.autopilot-state"
"""Result: an AutopilotState or nil."""

REMOVE_PEER = "operator.remove-peer"
"""Argument: a RemovePeerRequest. No result; answered when the change is committed."""

TRANSFER_LEADER = "operator.transfer-leader"
"""Argument: the id of the next leader, or nothing. No result; answered when this server leads no more."""

HAS_ROOM = "status.has-room"
"""Result: whether the server's disk takes writes."""

SESSION_TIMES = "session.times"
"""Result: {session id: seconds left} as ConsensusApi.session_times returns it."""

_KINDS: dict[str, type[PyconsulError]] = {
    "apply": ApplyError,
    "no-leader": NoLeaderError,
    "not-leader": NotLeaderError,
    "leadership-lost": LeadershipLostError,
    "overloaded": OverloadedError,
}
_KIND_OF = {error: kind for kind, error in _KINDS.items()}

_encode = msgspec.msgpack.Encoder().encode
_decode_any = msgspec.msgpack.Decoder().decode
_decode_txn = msgspec.msgpack.Decoder(TxnResult).decode
_decode_session = msgspec.msgpack.Decoder(Session | None).decode


def encode_result(result: object) -> bytes:
    """A command's result for the wire."""
    return _encode(result)


def decode_result(command: AnyCommand, data: bytes) -> object:
    """The result of this command. Raises DecodeError."""
    try:
        decoded: object = _decode_txn(data) if isinstance(command, Txn) else _decode_any(data)
    except msgspec.MsgspecError as error:
        raise DecodeError(f"unreadable result of {type(command).__name__}: {error}") from error
    return decoded


def decode_session(data: bytes) -> Session | None:
    """Raises DecodeError."""
    try:
        session: Session | None = _decode_session(data)
    except msgspec.MsgspecError as error:
        raise DecodeError(f"unreadable session: {error}") from error
    return session


def decode_autopilot_state(data: bytes) -> AutopilotState | None:
    """Raises DecodeError."""
    state: AutopilotState | None = decode_plain(data, AutopilotState | None)
    return state


def decode_plain(data: bytes, kind: Any) -> Any:
    """A value of the given type. Raises DecodeError."""
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise DecodeError(f"unreadable RPC result: {error}") from error


def failure_of(error: PyconsulError) -> RpcFailure:
    """What a server answers for this error."""
    return RpcFailure(_KIND_OF.get(type(error), "other"), str(error))


def error_of(failure: RpcFailure) -> PyconsulError:
    """The error behind a peer's answer, marked as forwarded."""
    kind = _KINDS.get(failure.kind)
    error = kind(failure.text) if kind is not None else CallerError(failure.text, 500)
    error.forwarded = True
    return error


class RpcPool:
    """One client per server address."""

    def __init__(self, source_host: str | None = None) -> None:
        self._source_host = source_host
        self._clients: dict[str, RpcClient] = {}

    def client(self, address: str) -> RpcClient:
        client = self._clients.get(address)
        if client is None:
            client = self._clients[address] = RpcClient(address, self._source_host)
        return client

    def keep_only(self, address: str) -> None:
        """Closes all other connections; requests in progress there fail with RpcError."""
        for other in [each for each in self._clients if each != address]:
            self._clients.pop(other).close()

    def drop(self, address: str) -> None:
        """Closes the connection to a server that is gone; requests in progress there fail with RpcError."""
        client = self._clients.pop(address, None)
        if client is not None:
            client.close()

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
        self._clients.clear()
