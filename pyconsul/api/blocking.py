"""Reads that may wait for news. HTTP reference, "Blocking reads".

A waiting read is one small object with a timer and a watch, no task: ten thousand of them cost nothing while nothing
happens. What it answers later is read from the state as it is then, which every consistency mode allows: the moment of
that state lies between the question and the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from pyconsul.api.context import Api
from pyconsul.api.errors import error_response
from pyconsul.api.limits import BLOCKING_JITTER_FRACTION, BLOCKING_WAIT_DEFAULT_NS, BLOCKING_WAIT_MAX_NS
from pyconsul.api.params import ReadOptions
from pyconsul.api.response import Answer, Deferred, Response
from pyconsul.codec.duration import SECOND
from pyconsul.errors import PyconsulError
from pyconsul.server.backend import ReadMeta, ReadMode
from pyconsul.state.store import Store

Wake = Callable[[], None]

FAILED_READ_HEAD = b"X-Consul-Index: 1\r\nX-Consul-Knownleader: false\r\nX-Consul-Lastcontact: 0\r\n"
"""Of reads other than keys that failed while they were executed."""


class Watched(Protocol):
    """A registration that can be taken back."""

    def cancel(self) -> None: ...


class Read(Protocol):
    """A question that can be asked again."""

    def index(self, store: Store) -> int:
        """What ``index`` is compared with. May raise ApplyError."""

    def watch(self, store: Store, wake: Wake) -> Watched:
        """Registers for the next change that may move the index."""

    def answer(self, store: Store, meta: ReadMeta) -> Response:
        """May raise ApplyError or CallerError."""


def read_head(index: int, meta: ReadMeta) -> bytes:
    """The headers of a read."""
    return (
        b"X-Consul-Index: %d\r\nX-Consul-Knownleader: %b\r\nX-Consul-Lastcontact: %d\r\n"
        b"X-Consul-Query-Backend: blocking-query\r\n"
        % (index, b"true" if meta.known_leader else b"false", meta.last_contact_ms)
    )


def serve_read(api: Api, options: ReadOptions, read: Read, error_head: bytes = b"") -> Answer:
    """The answer of a read, now if possible; ``error_head`` is added when its execution fails."""
    try:
        if options.dc:
            api.check_datacenter(options.dc)
        meta = api.consensus.read_now(options.mode)
    except PyconsulError as error:
        return error_response(error, head=error_head)
    if meta is None:
        return LaterRead(api, options, read, error_head)
    return _serve(api, options, read, error_head, meta)


class LaterRead(Deferred):
    """Waits until its consistency is established; then answers, or waits for news as a WaitingRead."""

    __slots__ = ("_api", "_cancelled", "_error_head", "_options", "_read", "_waiting")

    def __init__(self, api: Api, options: ReadOptions, read: Read, error_head: bytes = b"") -> None:
        super().__init__()
        self._cancelled = False
        self._api = api
        self._options = options
        self._read = read
        self._error_head = error_head
        self._waiting: Deferred | None = None
        api.consensus.read_then(options.mode, self._allowed)

    def cancel(self) -> None:
        self._cancelled = True
        if self._waiting is not None:
            self._waiting.cancel()
        super().cancel()

    def hurry(self) -> None:
        if self._waiting is not None:
            self._waiting.hurry()

    def _allowed(self, meta: ReadMeta | PyconsulError) -> None:
        if self._cancelled:
            return
        if isinstance(meta, PyconsulError):
            self.resolve(error_response(meta, head=self._error_head))
            return
        answer = _serve(self._api, self._options, self._read, self._error_head, meta)
        if isinstance(answer, Deferred):
            self._waiting = answer
            answer.then(self.resolve)
        else:
            self.resolve(answer)


def _serve(api: Api, options: ReadOptions, read: Read, error_head: bytes, meta: ReadMeta) -> Response | Deferred:
    store = api.consensus.store
    try:
        if options.index and read.index(store) <= options.index:
            return WaitingRead(api, options, read, error_head, meta)
        return read.answer(store, meta)
    except PyconsulError as error:
        error.forwarded = error.forwarded or meta.forwarded
        return error_response(error, head=error_head)


def wait_seconds(api: Api, wait_ns: int) -> float:
    """How long to wait, with the random addition that keeps readers apart."""
    if wait_ns <= 0:
        wait_ns = BLOCKING_WAIT_DEFAULT_NS
    seconds = min(wait_ns, BLOCKING_WAIT_MAX_NS) / SECOND
    return seconds + api.random.uniform(0, seconds / BLOCKING_JITTER_FRACTION)


class WaitingRead(Deferred):
    """Waits until the index of its read exceeds the one it was asked with, or the time is over.

    Until ``_finish`` or ``cancel`` it has a timer, and either a watch or a call of ``_look`` that is due.
    """

    __slots__ = ("_api", "_error_head", "_handle", "_loop", "_meta", "_options", "_over", "_read", "_timer")

    def __init__(self, api: Api, options: ReadOptions, read: Read, error_head: bytes, meta: ReadMeta) -> None:
        super().__init__()
        self._api = api
        self._options = options
        self._read = read
        self._error_head = error_head
        self._meta = meta
        self._over = False
        self._loop = asyncio.get_running_loop()
        self._handle = read.watch(api.consensus.store, self._woken)
        self._timer = self._loop.call_later(wait_seconds(api, options.wait_ns), self._finish)

    def cancel(self) -> None:
        self._over = True
        self._handle.cancel()
        self._timer.cancel()
        super().cancel()

    def hurry(self) -> None:
        if not self._over:
            self._finish()

    def _woken(self) -> None:
        # Called while the state machine fires its watches: the answer is made afterwards.
        self._loop.call_soon(self._look)

    def _look(self) -> None:
        if self._over:
            return
        store = self._api.consensus.store
        try:
            if self._read.index(store) <= self._options.index:
                self._handle = self._read.watch(store, self._woken)
                return
        except PyconsulError as error:
            self._end(error_response(error, head=self._error_head))
            return
        self._finish()

    def _finish(self) -> None:
        if self._over:
            return
        consensus = self._api.consensus
        meta = self._meta
        now = consensus.read_now(ReadMode.STALE)
        if now is not None:
            stale = self._options.mode is ReadMode.STALE
            meta = ReadMeta(now.known_leader, now.last_contact_ms if stale else 0, meta.forwarded)
        try:
            answer = self._read.answer(consensus.store, meta)
        except PyconsulError as error:
            error.forwarded = error.forwarded or meta.forwarded
            answer = error_response(error, head=self._error_head)
        self._end(answer)

    def _end(self, answer: Response) -> None:
        self._over = True
        self._handle.cancel()
        self._timer.cancel()
        self.resolve(answer)
