"""One HTTP request, as handlers see it."""

from __future__ import annotations

import re

from pyconsul.api.params import NO_QUERY, Query
from pyconsul.codec import json

_escape = re.compile(rb"%([0-9A-Fa-f]{2})")
_token = re.compile(rb"([?&]token=)[^&]*")
_is_bad_escape = re.compile(rb"%(?![0-9A-Fa-f]{2})").search


class Request:
    """``path`` is decoded once and may hold any bytes; ``argument`` is what follows the route's prefix.

    ``headers``: names in lower case, of a repeated one the first value. ``announced``: the Content-Length, None when
    there was none. ``body`` is None when it was too long to be read.
    """

    __slots__ = ("announced", "argument", "body", "headers", "known", "method", "path", "peer", "query", "target")

    def __init__(
        self,
        method: bytes,
        target: bytes,
        headers: dict[bytes, bytes] | None = None,
        body: bytes | None = b"",
        announced: int | None = None,
        peer: str = "",
    ) -> None:
        self.method = method
        self.target = target
        self.headers = headers if headers is not None else {}
        self.body = body
        self.announced = announced
        self.peer = peer
        self.path = b""
        self.argument = b""
        self.query: Query = NO_QUERY
        self.known = False

    def header(self, name: bytes) -> str:
        """The value of a header (its name in lower case), "" when it is not there."""
        value = self.headers.get(name)
        return json.to_text(value) if value is not None else ""

    @property
    def argument_text(self) -> str:
        return json.to_text(self.argument)

    @property
    def token(self) -> str:
        """The ACL token: of the query, else of X-Consul-Token, else of a bearer authorization."""
        token = self.query.get("token")
        if token:
            return token
        token = self.header(b"x-consul-token")
        if token:
            return token
        scheme, _, credentials = self.header(b"authorization").partition(" ")
        return credentials.strip() if scheme.lower() == "bearer" else ""


def without_token(target: bytes) -> str:
    """The target as a log may show it: tokens are secrets."""
    return json.to_text(_token.sub(rb"\1<hidden>", target))


def unescape(data: bytes) -> bytes:
    """Percent-decoded once. The escapes must be well-formed (``is_malformed``)."""
    if b"%" not in data:
        return data
    return _escape.sub(lambda match: bytes((int(match[1], 16),)), data)


def is_malformed(data: bytes) -> bool:
    """Whether a ``%`` is not followed by two hexadecimal digits."""
    return b"%" in data and _is_bad_escape(data) is not None
