"""What a handler gives back: an answer now, an answer later (Deferred), or a coroutine that ends in one of them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol, Union

from pyconsul.codec import json

JSON_HEAD = b"Content-Type: application/json\r\n"
TEXT_HEAD = b"Content-Type: text/plain; charset=utf-8\r\n"
HTML_HEAD = b"Content-Type: text/html; charset=utf-8\r\n"
RAW_HEAD = b"Content-Type: text/plain\r\nX-Content-Type-Options: nosniff\r\nContent-Security-Policy: sandbox\r\n"


class Response:
    """A complete answer. ``head``: its own header lines, each ended by CR LF. ``is_json``: ``?pretty`` applies.

    ``repeats``: the same object will be given again; ``sent`` keeps what was sent then, with the date line of then.
    """

    __slots__ = ("body", "close", "head", "is_json", "repeats", "sent", "status")

    def __init__(self, status: int, body: bytes = b"", head: bytes = b"", is_json: bool = False) -> None:
        self.status = status
        self.body = body
        self.head = head
        self.is_json = is_json
        self.close = self.repeats = False
        self.sent: tuple[bytes, bytes] | None = None

    def __repr__(self) -> str:
        return f"Response({self.status}, {self.body[:80]!r}, {self.head!r})"


class Deferred:
    """An answer that comes later, without a task or a future. Resolved once; of no use to more than one reader."""

    __slots__ = ("_answer", "_done")

    def __init__(self) -> None:
        self._answer: Response | None = None
        self._done: Callable[[Response], None] | None = None

    def resolve(self, answer: Response) -> None:
        """The answer is there."""
        done, self._done = self._done, None
        if done is not None:
            done(answer)
        else:
            self._answer = answer

    def then(self, done: Callable[[Response], None]) -> None:
        """``done`` is called with the answer, at once if it is there already."""
        answer, self._answer = self._answer, None
        if answer is not None:
            done(answer)
        else:
            self._done = done

    def cancel(self) -> None:
        """Nobody waits any more."""
        self._done = None

    def hurry(self) -> None:
        """The server is stopping: what waits only for news answers as if its time were over."""


class Sink(Protocol):
    """Where a stream goes: one connection."""

    @property
    def full(self) -> bool:
        """The client does not read: nothing should be written until ``Stream.resume``."""

    def write_piece(self, piece: bytes) -> None: ...

    def end_pieces(self) -> None:
        """No more pieces."""


class Stream(Deferred):
    """An answer in pieces, without a known end; the connection is closed after it. ``cancel``: the client has gone."""

    __slots__ = ()

    def begin(self, sink: Sink) -> None:
        """The head was sent; pieces may follow from now on."""
        raise NotImplementedError

    def resume(self) -> None:
        """The client reads again."""

    def hurry(self) -> None:
        """The server is stopping: the stream ends now."""
        raise NotImplementedError


Answer = Union[Response, Deferred, Coroutine[Any, Any, "Response | Deferred"]]  # noqa: UP007
"""What handlers return."""


def json_response(value: object, status: int = 200, head: bytes = b"") -> Response:
    """JSON of dicts and lists."""
    return Response(status, json.encode(value), JSON_HEAD + head, True)


def json_bytes(body: bytes, head: bytes = b"") -> Response:
    """JSON that is encoded already."""
    return Response(200, body, JSON_HEAD + head, True)


def text_response(status: int, text: str, head: bytes = b"") -> Response:
    """An error text; without text the answer has no content type."""
    if not text:
        return Response(status, b"", head)
    return Response(status, text.encode("utf-8", "replace"), TEXT_HEAD + head)
