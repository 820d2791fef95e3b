"""The query, and the parameters that all reads look at. HTTP reference, "Query" and "Parameters of reads"."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

import msgspec

from pyconsul.codec import json, numbers
from pyconsul.codec.duration import parse_duration
from pyconsul.errors import CallerError, DecodeError
from pyconsul.server.backend import ReadMode

if TYPE_CHECKING:
    from pyconsul.api.request import Request

_escape = re.compile(rb"%([0-9A-Fa-f]{2})")
_is_bad = re.compile(rb";|%(?![0-9A-Fa-f]{2})").search
_is_whole = re.compile(r"[+-]?[0-9]+").fullmatch

NO_NAMESPACE_QUERY = 'Bad request: Invalid query parameter: "ns" - Namespaces are a Consul Enterprise feature'
NO_NAMESPACE_HEADER = 'Bad request: Invalid header: "X-Consul-Namespace" - Namespaces are a Consul Enterprise feature'
STALE_AND_CONSISTENT = "Cannot specify ?stale with ?consistent, conflicting semantics."
CACHED_AND_CONSISTENT = "Cannot specify ?cached with ?consistent, conflicting semantics."


class Query:
    """A decoded query. Of a repeated name the first value counts."""

    __slots__ = ("_first", "_pairs", "options", "pretty")

    def __init__(self, pairs: list[tuple[bytes, bytes]]) -> None:
        self._pairs = pairs
        self.options: ReadOptions | None = None
        """What ``read_options`` made of it, where nothing but the query counted."""
        self._first: dict[bytes, bytes] = {}
        for name, value in pairs:
            self._first.setdefault(name, value)
        self.pretty = b"pretty" in self._first

    @classmethod
    def parse(cls, raw: bytes) -> Query:
        """Raises DecodeError for a semicolon or a bad escape anywhere."""
        if _is_bad(raw):
            raise DecodeError("undecodable query")
        pairs = []
        for piece in raw.split(b"&"):
            name, _, value = piece.partition(b"=")
            if name:
                pairs.append((_decode(name), _decode(value)))
        return cls(pairs)

    def __contains__(self, name: str) -> bool:
        return name.encode() in self._first

    def __bool__(self) -> bool:
        return bool(self._pairs)

    def raw(self, name: str) -> bytes:
        """The value as bytes, b"" when there is none."""
        return self._first.get(name.encode(), b"")

    def get(self, name: str) -> str:
        """The value as text, "" when there is none."""
        return json.to_text(self.raw(name))

    def all(self, name: str) -> list[str]:
        """All values of a repeated name."""
        wanted = name.encode()
        return [json.to_text(value) for key, value in self._pairs if key == wanted]

    def encoded(self) -> str:
        """The whole query again: sorted by name, encoded as a form."""
        ordered = sorted(self._pairs, key=lambda pair: pair[0])
        return "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in ordered)


NO_QUERY = Query([])


class Flags:
    """Queries without values (``recurse``, ``raw&consistent``), decoded once: there are few, and nearly all reads that
    have a query at all have one of them."""

    KEPT_MAX = 64

    def __init__(self) -> None:
        self._kept: dict[bytes, Query] = {}
        self.find = self._kept.get
        """The query of these bytes, if it is kept."""

    def keep(self, raw: bytes, query: Query) -> None:
        if query and b"=" not in raw and len(self._kept) < self.KEPT_MAX:
            self._kept[raw] = query


class ReadOptions(msgspec.Struct, frozen=True, gc=False):
    """``index`` 0: do not block. ``wait_ns`` 0 or below: the default time. ``dc`` "": the own datacenter."""

    mode: ReadMode = ReadMode.DEFAULT
    index: int = 0
    wait_ns: int = 0
    dc: str = ""


DEFAULT_OPTIONS = ReadOptions()


def read_options(request: Request, use_cache: bool = True) -> ReadOptions:
    """Datacenter, consistency, ``index`` and ``wait``. Raises CallerError with the first complaint."""
    query = request.query
    cache_control = request.headers.get(b"cache-control")
    if cache_control is None:
        if not query:
            return DEFAULT_OPTIONS
        if query.options is not None:
            return query.options
    mode = consistency(request, use_cache)
    if cache_control is not None:
        check_cache_control(json.to_text(cache_control))
    index, wait_ns = blocking_options(query)
    options = ReadOptions(mode, index, wait_ns, query.get("dc"))
    if cache_control is None and "cached" not in query:
        query.options = options
    return options


def consistency(request: Request, use_cache: bool = True) -> ReadMode:
    """The mode that ``stale``, ``consistent`` and ``max_stale`` ask for. Raises CallerError."""
    query = request.query
    stale, consistent = "stale" in query, "consistent" in query
    max_stale = query.get("max_stale")
    if max_stale:
        try:
            stale = parse_duration(max_stale) > 0 or stale
        except DecodeError as error:
            raise CallerError(f"Invalid max_stale value {numbers.quote(max_stale)}") from error
    if stale and consistent:
        raise CallerError(STALE_AND_CONSISTENT)
    if consistent and use_cache and "cached" in query:
        raise CallerError(CACHED_AND_CONSISTENT)
    if stale:
        return ReadMode.STALE
    return ReadMode.CONSISTENT if consistent else ReadMode.DEFAULT


def blocking_options(query: Query) -> tuple[int, int]:
    """(index, wait in ns) of a query. Raises CallerError: ``wait`` is looked at before ``index``."""
    wait_ns, index = parse_wait(query), query.get("index")
    try:
        return (numbers.parse_uint(index) if index else 0), wait_ns
    except DecodeError as error:
        raise CallerError("Invalid index") from error


def parse_wait(query: Query) -> int:
    """``wait`` in nanoseconds, 0 when it is not given. Raises CallerError."""
    wait = query.get("wait")
    try:
        return parse_duration(wait) if wait else 0
    except DecodeError as error:
        raise CallerError("Invalid wait time") from error


def refuse_namespace(request: Request) -> None:
    """Raises CallerError when a namespace is named at all."""
    if request.headers.get(b"x-consul-namespace"):
        raise CallerError(NO_NAMESPACE_HEADER)
    if request.query and request.query.raw("ns"):
        raise CallerError(NO_NAMESPACE_QUERY)


def check_cache_control(value: str) -> None:
    """The header has no effect here, but its numbers must be numbers. Raises CallerError."""
    for directive in value.lower().split(","):
        name, has_value, number = directive.strip().partition("=")
        if has_value and name in ("max-age", "stale-if-error") and not _is_whole(number):
            raise CallerError("Invalid Cache-Control header.")


def _decode(data: bytes) -> bytes:
    data = data.replace(b"+", b" ")
    if b"%" not in data:
        return data
    return _escape.sub(lambda match: bytes((int(match[1], 16),)), data)
