"""One HTTP connection: bytes to requests, answers to bytes, in order.

At most one request of a connection is being answered; what is sent behind it waits in ``_backlog``, so that pipelined
requests see each other's effects as if they had been sent one by one. Answers that are ready while bytes are parsed go
out in one write. llhttp does the parsing; what it cannot parse and Consul can (unknown methods, raw bytes beyond ASCII
in the request line) is mended before it sees it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections import deque
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, cast

import httptools

from pyconsul.api.limits import HEADER_LINES_MAX
from pyconsul.api.repeated import RepeatedHead, learn
from pyconsul.api.request import Request, is_malformed, without_token
from pyconsul.api.response import Answer, Deferred, Response, Stream
from pyconsul.codec.duration import SECOND, format_duration
from pyconsul.codec.json import to_text

if TYPE_CHECKING:
    from pyconsul.api.server import HttpServer

log = logging.getLogger("agent.http")

KNOWN_STARTS = (b"GET /", b"PUT /", b"DELETE /", b"POST /", b"HEAD /", b"OPTIONS /")
MENDED_METHOD = b"POST"
METHOD_BYTES_MAX = 64
OUT_BYTES_MAX = 262_144
"""Answers that are ready while bytes are parsed go out together, up to this size."""
LINGER_SECONDS = 0.5
"""How long a closing connection still takes in what the client sends, so that it reads the answer first."""

_is_token = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
_beyond_ascii = re.compile(rb"[\x80-\xff]")

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_REASONS = {
    400: b"Bad Request",
    417: b"Expectation Failed",
    431: b"Request Header Fields Too Large",
    505: b"HTTP Version Not Supported",
}


def refusal(status: int, text: bytes = b"") -> bytes:
    """The answer to what is no request; the connection is closed after it."""
    body = b"%d %b%b" % (status, _REASONS[status], text)
    return (
        b"HTTP/1.1 %d %b\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (status, _REASONS[status], len(body), body)
    )


class HttpProtocol(asyncio.Protocol):
    """States: ``_in_message`` from the first byte of a request to its last, ``_head_done`` when its headers are read;
    ``_current`` the request that is being answered; ``_closing`` when nothing more is read; ``_refused`` what is
    to be sent after everything before it was answered; ``_behind`` when the transport may hold what the socket did not
    take."""

    __slots__ = (
        "_answer", "_app", "_backlog", "_began_s", "_behind", "_body", "_chunked", "_closing", "_current", "_discard",
        "_feeding", "_file", "_from", "_head_bytes", "_head_done", "_head_size", "_headers", "_held", "_http_1_0",
        "_in_message", "_keep_alive", "_loop", "_method", "_out", "_out_bytes", "_parser", "_paused", "_peer",
        "_reading", "_refused", "_repeated", "_server", "_target", "_task", "_transport", "_wants_continue", "counted",
        "message_began_s", "progress_s", "stuck_bytes", "stuck_since_s",
    )  # fmt: skip

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._app = server.app
        self._loop = server.loop
        self._transport: asyncio.Transport | None = None
        self._file = -1
        self._peer = ""
        self._parser = httptools.HttpRequestParser(self)
        self._headers: dict[bytes, bytes] = {}
        self._target = b""
        self._method: bytes | None = None
        self._body: list[bytes] = []
        self._out: list[bytes] = []
        self._out_bytes = 0
        self._began_s = 0.0
        self._from = ""
        self._backlog: deque[tuple[Request, bool, bool]] = deque()
        self._current: Request | None = None
        self._answer: Deferred | None = None
        self._task: asyncio.Task[None] | None = None
        self._refused: bytes | None = None
        self._held = b""
        self._head_bytes = self._head_size = 0
        self._chunked = 0
        self._in_message = self._head_done = self._discard = self._wants_continue = False
        self._feeding = self._closing = self._paused = False
        self._keep_alive = self._reading = True
        self._http_1_0 = self._behind = False
        self._repeated: RepeatedHead | None = None
        self.counted = False
        self.message_began_s = self.progress_s = self.stuck_since_s = 0.0
        self.stuck_bytes = 0

    # The transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)
        self._transport = transport
        sock = transport.get_extra_info("socket")
        self._file = sock.fileno() if sock is not None else -1
        name = transport.get_extra_info("peername")
        if isinstance(name, tuple):
            self._peer = name[0]
            self._from = f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"
        self._server.opened(self, self._peer, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        self._transport = None
        self._server.closed(self, self._peer)
        self._backlog.clear()
        self._out.clear()
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.cancel()
        if self._task is not None:
            self._task.cancel()
        self._current = None

    def eof_received(self) -> bool:
        """A client that has gone must not keep a waiting read alive; anything else is still answered."""
        self.write_out()
        if self._current is None or (self._answer is not None and type(self._answer).hurry is not Deferred.hurry):
            return False
        self._closing = True
        self._keep_alive = False
        return True

    def pause_writing(self) -> None:
        self._paused = True
        self._server.stuck.add(self)
        self.stuck_since_s = self._loop.time()

    def resume_writing(self) -> None:
        self._paused = False
        self._server.stuck.discard(self)
        if isinstance(self._answer, Stream):
            self._answer.resume()
        self._go_on()

    @property
    def unsent_bytes(self) -> int:
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    @property
    def in_head(self) -> bool:
        return not self._head_done

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        fresh = not self._in_message
        if fresh and self._repeated is not None and self._current is None:
            request = self._repeated.request(data, self._peer)
            if request is not None and not self._held and not self._backlog and not self._paused:
                self._begin(request, True, False)
                self._flush()
                return
        if fresh and (self._held or not (data.startswith(KNOWN_STARTS) and data.isascii() and b"\n" in data)):
            mended = self._mend(data)
            if mended is None:
                return
            data = mended
        self._feeding = True
        try:
            self._feed(data)
        finally:
            self._feeding = False
        self._flush()
        if self._in_message:
            self._still_in_message(len(data))
        elif fresh and not self._closing and not self._http_1_0:
            self._repeated = learn(data, self._headers)

    def _feed(self, data: bytes) -> None:
        while data:
            try:
                self._parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                # No other protocol is spoken here: the request was answered like any other.
                data = data[upgrade.args[0] :]
                self._parser = httptools.HttpRequestParser(self)
            except (httptools.HttpParserError, httptools.HttpParserCallbackError):
                if not self._closing:
                    self._refuse(refusal(400))
                return
            if self._closing:
                return

    def _mend(self, data: bytes) -> bytes | None:
        """The start of a request with its line complete and fit for llhttp, or None until there is more of it."""
        data = self._held + data
        self._held = b""
        begin = 0
        while data[begin : begin + 1] in (b"\r", b"\n") and begin < len(data):
            begin += 1
        data = data[begin:] if begin else data
        end = data.find(b"\n")
        if end < 0:
            if len(data) > self._app.head_bytes_max:
                self._refuse(refusal(431))
                self._flush()
            elif data:
                if not self._held and not self.message_began_s:
                    self._begin_timing()
                self._held = data
            return None
        line = data[:end]
        method, space, _ = line.partition(b" ")
        if space and len(method) <= METHOD_BYTES_MAX and _is_token(method) and not data.startswith(KNOWN_STARTS):
            self._method = method
            line = MENDED_METHOD + line[len(method) :]
        line = _beyond_ascii.sub(lambda match: b"%%%02X" % match[0][0], line)
        return line + data[end:]

    def _still_in_message(self, size: int) -> None:
        now = self._loop.time()
        self.progress_s = now
        if not self.message_began_s:
            self._begin_timing()
        if not self._head_done:
            self._head_bytes += size
            if self._head_bytes > 2 * self._app.head_bytes_max:
                self._refuse(refusal(431))
                self._flush()

    def _begin_timing(self) -> None:
        self.message_began_s = self.progress_s = self._loop.time()
        self._server.reading.add(self)

    def _end_timing(self) -> None:
        if self.message_began_s:
            self.message_began_s = 0.0
            self._server.reading.discard(self)

    # The parser

    def on_message_begin(self) -> None:
        self._in_message = True
        self._head_done = self._discard = False
        self._headers = {}
        self._target = b""
        self._head_bytes = self._head_size = 0

    def on_url(self, part: bytes) -> None:
        self._target = self._target + part if self._target else part
        self._head_size += len(part)
        if self._head_size > self._app.head_bytes_max:
            self._target = b""
            self._refuse(refusal(431))

    def on_header(self, name: bytes, value: bytes | None) -> None:
        value = value or b""
        self._headers.setdefault(name.lower(), value)
        self._head_size += len(name) + len(value) + 4
        if self._head_size > self._app.head_bytes_max or len(self._headers) > HEADER_LINES_MAX:
            self._headers.clear()
            self._refuse(refusal(431))

    def on_headers_complete(self) -> None:
        self._head_done = True
        if self._closing:
            return
        headers = self._headers
        version = self._parser.get_http_version()
        if version != "1.1" and version != "1.0":
            self._refuse(refusal(400 if version == "0.9" else 505))
            return
        self._http_1_0 = version == "1.0"
        if is_malformed(self._target.partition(b"?")[0]):
            self._refuse(refusal(400))
            return
        if b"host" not in headers and not self._http_1_0:
            self._refuse(refusal(400, b": missing required Host header"))
            return
        if len(headers) > 1:
            self._look_at_body_headers(headers)

    def _look_at_body_headers(self, headers: dict[bytes, bytes]) -> None:
        settings = self._app.api.settings
        length = headers.get(b"content-length")
        if length is not None and int(length) > settings.announced_body_max:
            # Not read at all: answered now, and the connection is closed.
            self._discard = True
            self._complete(None, False)
            return
        expectation = headers.get(b"expect")
        if expectation is not None and not self._http_1_0:
            if expectation.lower() != b"100-continue":
                self._refuse(refusal(417))
            elif self._current is None and not self._backlog:
                self._out.append(CONTINUE)
            else:
                self._wants_continue = True

    def on_body(self, part: bytes) -> None:
        if self._discard or self._closing:
            return
        self._wants_continue = False
        self._body.append(part)
        if b"content-length" not in self._headers:
            self._chunked += len(part)
            if self._chunked > self._app.api.settings.chunked_body_max:
                self._discard = True
                self._complete(None, False)

    def on_message_complete(self) -> None:
        self._in_message = self._head_done = False
        self._end_timing()
        if self._discard or self._closing:
            return
        body = self._body
        self._complete(b"".join(body) if body else b"", self._parser.should_keep_alive())

    def _complete(self, body: bytes | None, keep_alive: bool) -> None:
        """A request is there (``body`` None: its body is not read)."""
        length = self._headers.get(b"content-length")
        method, self._method = self._method, None
        request = Request(
            method or self._parser.get_method(),
            self._target,
            self._headers,
            body,
            int(length) if length is not None else (0 if b"transfer-encoding" not in self._headers else None),
            self._peer,
        )
        if self._body:
            self._body = []
        self._chunked = 0
        if not keep_alive:
            self._closing = True
        if self._current is None and not self._backlog and not self._paused:
            self._begin(request, keep_alive, self._http_1_0)
            return
        self._backlog.append((request, keep_alive, self._http_1_0))
        if self._reading and len(self._backlog) >= self._app.api.settings.pipelined_max:
            self._reading = False
            if self._transport is not None:
                self._transport.pause_reading()

    # Answers

    def _begin(self, request: Request, keep_alive: bool, http_1_0: bool) -> None:
        self._keep_alive = keep_alive
        self._http_1_0 = http_1_0
        logged = log.isEnabledFor(logging.DEBUG)
        if logged:
            self._began_s = self._loop.time()
        answer: Answer = self._app.handle(request)
        if type(answer) is Response:
            data = self._app.wire(request, answer, keep_alive, http_1_0)
            if logged:
                self._log(request)
            self._put(data)
            if not keep_alive:
                self._finish_closing()
            return
        self._current = request
        if isinstance(answer, Deferred):
            if isinstance(answer, Stream):
                self._begin_stream(request, answer)
            else:
                self._answer = answer
                answer.then(self._answered)
        elif isinstance(answer, Response):
            self._answered(answer)
        else:
            self._task = self._loop.create_task(self._run(answer))

    async def _run(self, coroutine: Coroutine[Any, Any, Response | Deferred]) -> None:
        try:
            answer = await coroutine
        except Exception as error:
            answer = self._app.failed(error)
        self._task = None
        if isinstance(answer, Deferred):
            self._answer = answer
            answer.then(self._answered)
        else:
            self._answered(answer)

    # An answer in pieces

    def _begin_stream(self, request: Request, stream: Stream) -> None:
        if request.method == b"HEAD" or self._transport is None:
            stream.cancel()
            self._answered(Response(200))
            return
        self._answer = stream
        self._keep_alive = False
        self._out.append(self._app.stream_head(self._http_1_0))
        self.write_out()
        stream.begin(self)

    @property
    def full(self) -> bool:
        return self._paused

    def write_piece(self, piece: bytes) -> None:
        if self._transport is not None and piece:
            self._transport.write(piece if self._http_1_0 else b"%x\r\n%b\r\n" % (len(piece), piece))

    def end_pieces(self) -> None:
        if self._transport is None or self._current is None:
            return
        self._current = self._answer = None
        if not self._http_1_0:
            self._transport.write(b"0\r\n\r\n")
        self._finish_closing()
        self._flush()

    def _answered(self, response: Response) -> None:
        """The answer to the current request is there."""
        request = self._current
        if request is None or self._transport is None:
            return
        self._current = self._answer = None
        self._put(self._app.wire(request, response, self._keep_alive, self._http_1_0))
        if log.isEnabledFor(logging.DEBUG):
            self._log(request)
        if not self._keep_alive:
            self._finish_closing()
        if self._feeding:
            return
        if self._backlog or self._wants_continue or not self._reading:
            self._go_on()
        else:
            self._flush()

    def _log(self, request: Request) -> None:
        latency_ns = int((self._loop.time() - self._began_s) * SECOND)
        log.debug(
            "Request finished: method=%s url=%s from=%s latency=%s",
            to_text(request.method),
            without_token(request.target),
            self._from,
            format_duration(latency_ns),
        )

    def _go_on(self) -> None:
        """Takes requests from the backlog while nothing is being answered and the client reads."""
        while self._backlog and self._current is None and not self._paused:
            self._begin(*self._backlog.popleft())
            self._flush()
        if self._wants_continue and self._current is None and not self._backlog:
            self._wants_continue = False
            self._out.append(CONTINUE)
        self._flush()
        if not self._reading and not self._backlog and self._transport is not None:
            self._reading = True
            self._transport.resume_reading()

    def _put(self, data: bytes) -> None:
        """Keeps an answer until the end of the turn."""
        self._out.append(data)
        self._out_bytes += len(data)
        if self._out_bytes > OUT_BYTES_MAX:
            self.write_out()  # where the client does not read, this stops the taking of further requests

    def write_out(self) -> None:
        """Writes the answers that are there."""
        out = self._out
        if self._transport is not None and out:
            data = out[0] if len(out) == 1 else b"".join(out)
            out.clear()
            self._out_bytes = 0
            self._send(data)

    def _send(self, data: bytes) -> None:
        """Writes what the socket takes; only the rest is the transport's, whose queue costs more than the write. (The
        socket must be plain: what encrypts would be passed by.)"""
        transport = self._transport
        if transport is None:
            return
        if self._behind:
            self._behind = transport.get_write_buffer_size() > 0
        if not self._behind and self._file >= 0 and not transport.is_closing():
            try:
                sent = os.write(self._file, data)
            except OSError:
                sent = 0  # full, or broken: the transport finds out which
            if sent == len(data):
                return
            data = data[sent:]
            self._behind = True
        transport.write(data)

    def _flush(self) -> None:
        if not self._closing:  # as nearly always
            if self._out:
                self._server.outbox.add(self)
            return
        self.write_out()
        if self._refused is not None and self._current is None and not self._backlog and self._transport is not None:
            data, self._refused = self._refused, None
            self._transport.write(data)
            self._linger()
        elif self._current is None and not self._backlog and self._transport is not None:
            self._linger()

    def _refuse(self, answer: bytes) -> None:
        """What came is no request: an answer after those that are due, and the end."""
        if self._refused is None:
            self._refused = answer
        self._closing = True
        self._keep_alive = False

    def _finish_closing(self) -> None:
        self._closing = True
        self._backlog.clear()

    def _linger(self) -> None:
        """Closes: at once when nothing is left to be read, else after what the client is still sending was dropped."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self._end_timing()
        if not self._in_message:
            transport.close()
            return
        if transport.can_write_eof():
            transport.write_eof()
        self._server.close_later(transport, LINGER_SECONDS)

    # The server

    def finish(self) -> None:
        """Ends the connection as soon as what is under way was answered; waiting reads are answered now."""
        self._keep_alive = False
        if self._current is None and not self._backlog:
            self._closing = True
            self.write_out()
            if self._transport is not None:
                self._transport.close()
            return
        self._closing = True
        if self._answer is not None:
            self._answer.hurry()

    def turn_away(self, answer: bytes) -> None:
        """Sends this and closes, whatever the client asks."""
        self._closing = True
        if self._transport is not None:
            self._transport.write(answer)
            if self._transport.can_write_eof():
                self._transport.write_eof()
            self._server.close_later(self._transport, LINGER_SECONDS)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
