"""Requests and answers between servers: many in flight on one connection, answered in any order.

A request is the msgpack array [number, method, argument], an answer [number, error, result], where argument and result
are byte strings that only the two ends understand, and error is null or [kind, text].
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from pyconsul.errors import DecodeError, RpcError
from pyconsul.net.connection import FrameConnection
from pyconsul.net.dial import dial
from pyconsul.net.frames import RPC_PROTOCOL


class RpcRequest(msgspec.Struct, array_like=True, gc=False):
    number: int
    method: str
    argument: bytes


class RpcFailure(msgspec.Struct, array_like=True, gc=False):
    """``kind`` names an exception class of errors.py in the words of server/forward.py."""

    kind: str
    text: str


class RpcAnswer(msgspec.Struct, array_like=True, gc=False):
    number: int
    failure: RpcFailure | None
    result: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode_request = msgspec.msgpack.Decoder(RpcRequest).decode
_decode_answer = msgspec.msgpack.Decoder(RpcAnswer).decode

Reply = Callable[[RpcFailure | None, bytes], None]
Handler = Callable[[bytes, Reply], None]
"""Gets the argument and answers by calling reply once, now or later."""

ConnectedHandler = Callable[[FrameConnection, bytes, Reply], None]
"""A Handler that keeps something per connection."""


class RpcServer:
    """Answers requests of accepted connections by the registered handlers."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}
        self._connected: dict[str, ConnectedHandler] = {}
        self._closed: list[Callable[[FrameConnection], None]] = []

    def register(self, method: str, handler: Handler) -> None:
        self._handlers[method] = handler

    def register_connected(self, method: str, handler: ConnectedHandler) -> None:
        self._connected[method] = handler

    def on_close(self, callback: Callable[[FrameConnection], None]) -> None:
        """``callback`` is called for each connection that closed: nobody waits for its answers any more."""
        self._closed.append(callback)

    def accept(self) -> FrameConnection:
        """The protocol object for one accepted connection (a Listener's Acceptor)."""
        return FrameConnection(self._on_frames, self._on_close)

    def _on_frames(self, connection: FrameConnection, payloads: list[bytes]) -> None:
        for payload in payloads:
            try:
                request = _decode_request(payload)
            except msgspec.MsgspecError as error:
                raise DecodeError(f"unreadable RPC request: {error}") from error
            handler = self._handlers.get(request.method)
            reply = _reply_on(connection, request.number)
            if handler is not None:
                handler(request.argument, reply)
            elif request.method in self._connected:
                self._connected[request.method](connection, request.argument, reply)
            else:
                reply(RpcFailure("unknown-method", f"rpc: can't find method {request.method}"), b"")

    def _on_close(self, connection: FrameConnection, reason: str) -> None:
        for callback in self._closed:
            callback(connection)


def _reply_on(connection: FrameConnection, number: int) -> Reply:
    def reply(failure: RpcFailure | None, result: bytes) -> None:
        if not connection.closed and not connection.send(_encode(RpcAnswer(number, failure, result))):
            # The peer asks and does not read: it learns by the closed connection that its requests have no answer.
            connection.close("answers not read")

    return reply


Done = Callable[[RpcFailure | RpcError | None, bytes], None]


class RpcClient:
    """The requests of this server to one other; dials when needed, one connection."""

    def __init__(self, address: str, source_host: str | None = None) -> None:
        self.address = address
        self._source_host = source_host
        self._connection: FrameConnection | None = None
        self._dialling: asyncio.Task[None] | None = None
        self._queued: list[RpcRequest] = []  # until the connection is there
        self._waiting: dict[int, Done] = {}
        self._number = 0

    def call(self, method: str, argument: bytes, done: Done) -> None:
        """``done`` is called once from the loop: with (None, result), with the peer's failure, or with an RpcError."""
        self._number += 1
        request = RpcRequest(self._number, method, argument)
        self._waiting[request.number] = done
        if self._connection is not None and not self._connection.closed:
            self._send(self._connection, request)
            return
        self._queued.append(request)
        if self._dialling is None:
            self._dialling = asyncio.get_running_loop().create_task(self._dial())

    async def ask(self, method: str, argument: bytes = b"", seconds_max: float = 5.0) -> bytes:
        """As ``call``. Raises RpcError (also for the peer's failure and after the time)."""
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def done(failure: RpcFailure | RpcError | None, result: bytes) -> None:
            if future.done():
                return
            if failure is None:
                future.set_result(result)
            elif isinstance(failure, RpcError):
                future.set_exception(failure)
            else:
                future.set_exception(RpcError(failure.text, sent=True))

        self.call(method, argument, done)
        try:
            return await asyncio.wait_for(future, seconds_max)
        except TimeoutError as error:
            raise RpcError(f"rpc {method} to {self.address}: i/o timeout", sent=True) from error

    async def _dial(self) -> None:
        try:
            connection = await dial(self.address, RPC_PROTOCOL, self._on_frames, self._on_close, self._source_host)
        except RpcError as error:
            self._dialling = None
            queued, self._queued = self._queued, []
            for request in queued:
                self._waiting.pop(request.number)(error, b"")
            return
        self._dialling = None
        self._connection = connection
        queued, self._queued = self._queued, []
        for request in queued:
            self._send(connection, request)

    def _send(self, connection: FrameConnection, request: RpcRequest) -> None:
        if not connection.send(_encode(request)):
            done = self._waiting.pop(request.number)
            error = RpcError(f"{self.address} does not keep up", sent=False)
            asyncio.get_running_loop().call_soon(done, error, b"")

    def _on_frames(self, connection: FrameConnection, payloads: list[bytes]) -> None:
        for payload in payloads:
            try:
                answer = _decode_answer(payload)
            except msgspec.MsgspecError as error:
                raise DecodeError(f"unreadable RPC answer: {error}") from error
            done = self._waiting.pop(answer.number, None)
            if done is not None:
                done(answer.failure, answer.result)

    def _on_close(self, connection: FrameConnection, reason: str) -> None:
        if connection is not self._connection:
            return  # closed while dialling or replaced: its requests are queued for the next one
        self._connection = None
        waiting, self._waiting = self._waiting, {}
        for request in self._queued:
            waiting.pop(request.number, None)
        error = RpcError("EOF" if reason == "EOF" else reason, sent=True)
        for done in waiting.values():
            done(error, b"")

    def close(self) -> None:
        """Closes; requests in progress fail."""
        if self._dialling is not None:
            self._dialling.cancel()
            self._dialling = None
        queued, self._queued = self._queued, []
        for request in queued:
            self._waiting.pop(request.number)(RpcError("closed", sent=False), b"")
        if self._connection is not None:
            self._connection.close("closed")
