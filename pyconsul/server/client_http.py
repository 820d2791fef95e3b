"""HTTP requests of client agents over the server port: the words, and the side that answers.

A client agent has no copy of the state. It passes whole requests on, so that a server executes them as its own, waiting
reads included. Long answers travel in parts, so that one of them neither holds up the others on the connection nor
meets the limit of a frame.

| method | argument | result |
|---|---|---|
| ``http`` | HttpCall | HttpAnswer with the first part of the body |
| ``http.part`` | [id, offset] | the next part |
| ``http.end`` | [id, hurry] | nothing; a waiting read answers now (``hurry``) or is forgotten |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from pyconsul.errors import DecodeError, OverloadedError
from pyconsul.net.connection import FrameConnection
from pyconsul.net.rpc import Reply, RpcFailure, RpcServer
from pyconsul.server.forward import failure_of

HTTP = "http"
HTTP_PART = "http.part"
HTTP_END = "http.end"

PART_BYTES = 1024 * 1024
CALLS_MAX = 65_536
"""Requests of one client agent that are being answered at a time."""


class HttpCall(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """``id`` is new for each request of a client; ``node`` the client's node name; the rest as in api.request."""

    id: int
    node: str
    method: bytes
    target: bytes
    headers: dict[bytes, bytes]
    body: bytes | None
    announced: int | None


class HttpAnswer(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """``head``: header lines; ``size``: of the whole body, of which ``body`` is the beginning."""

    status: int
    head: bytes
    is_json: bool
    size: int
    body: bytes


encode = msgspec.msgpack.Encoder().encode


def decode(data: bytes, kind: Any) -> Any:
    """Raises DecodeError."""
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise DecodeError(f"unreadable request of a client agent: {error}") from error


class Answering(Protocol):
    """A request that is being answered."""

    def cancel(self) -> None:
        """Nobody waits any more; ``done`` is not called."""

    def hurry(self) -> None:
        """A waiting read answers as if its time were over."""


Done = Callable[[int, bytes, bool, bytes], None]
"""Status, header lines, whether it is JSON, body; called at most once, perhaps within ``serve``."""

Serve = Callable[[HttpCall, Done], Answering]


class HttpService:
    """Answers the requests of client agents by ``serve``.

    ``_answering`` holds what is being answered and ``_rest`` the bodies of which parts are still to be fetched, both
    by connection and id; nothing is kept of a connection that closed.
    """

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self._answering: dict[FrameConnection, dict[int, Answering]] = {}
        self._rest: dict[FrameConnection, dict[int, bytes]] = {}

    def register(self, rpc: RpcServer) -> None:
        rpc.register_connected(HTTP, self._on_http)
        rpc.register_connected(HTTP_PART, self._on_part)
        rpc.register_connected(HTTP_END, self._on_end)
        rpc.on_close(self._on_close)

    @property
    def in_progress(self) -> int:
        return sum(map(len, self._answering.values()))

    def _on_http(self, connection: FrameConnection, argument: bytes, reply: Reply) -> None:
        call: HttpCall = decode(argument, HttpCall)
        running = self._answering.setdefault(connection, {})
        if len(running) >= CALLS_MAX:
            reply(failure_of(OverloadedError("too many requests of this client agent in progress")), b"")
            return
        answered = False

        def done(status: int, head: bytes, is_json: bool, body: bytes) -> None:
            nonlocal answered
            answered = True
            running.pop(call.id, None)
            if connection.closed:
                return
            if len(body) > PART_BYTES:
                self._rest.setdefault(connection, {})[call.id] = body
            reply(None, encode(HttpAnswer(status, head, is_json, len(body), body[:PART_BYTES])))

        answering = self._serve(call, done)
        if not answered:
            running[call.id] = answering

    def _on_part(self, connection: FrameConnection, argument: bytes, reply: Reply) -> None:
        number, offset = decode(argument, tuple[int, int])
        rest = self._rest.get(connection, {})
        body = rest.get(number)
        if body is None or not 0 <= offset < len(body):
            reply(RpcFailure("other", "no such part of an answer"), b"")
            return
        end = offset + PART_BYTES
        if end >= len(body):
            del rest[number]
        reply(None, body[offset:end])

    def _on_end(self, connection: FrameConnection, argument: bytes, reply: Reply) -> None:
        number, hurry = decode(argument, tuple[int, bool])
        self._rest.get(connection, {}).pop(number, None)
        answering = self._answering.get(connection, {}).get(number)
        if answering is not None and hurry:
            answering.hurry()
        elif answering is not None:
            del self._answering[connection][number]
            answering.cancel()
        reply(None, b"")

    def _on_close(self, connection: FrameConnection) -> None:
        self._rest.pop(connection, None)
        for answering in self._answering.pop(connection, {}).values():
            answering.cancel()
