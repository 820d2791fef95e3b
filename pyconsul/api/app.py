"""From a request to the bytes of its answer: the order of processing, redirects, methods, headers, compression.

HTTP reference, "Order of processing". Handlers get requests that passed all of it.
"""

from __future__ import annotations

import gzip
import html
import math
import posixpath
import re
from collections.abc import Iterable
from http import HTTPStatus
from urllib.parse import quote

from pyconsul.api.blocking import FAILED_READ_HEAD
from pyconsul.api.context import Api
from pyconsul.api.errors import error_response
from pyconsul.api.httpdate import DateLine
from pyconsul.api.limits import HEADER_SLACK_BYTES, HttpSettings, RateLimit, may_write, parse_networks
from pyconsul.api.params import NO_QUERY, Flags, Query
from pyconsul.api.request import Request, unescape
from pyconsul.api.response import HTML_HEAD, TEXT_HEAD, Answer, Response, text_response
from pyconsul.api.routes import ROUTES, Route, Router
from pyconsul.codec import json
from pyconsul.errors import DecodeError

GZIP_BODY_MIN = 1400
GZIP_LEVEL = 1
CODED = b"Content-Encoding:"
ROBOTS = b"User-agent: *\nDisallow: /\n"
READ_METHODS = (b"GET", b"HEAD", b"OPTIONS")
BLOCKED = "Endpoint is blocked by agent configuration"
RESTRICTED = "Access is restricted"
PATH_SAFE = "/$&+,:;=@~-._"
"""What Go leaves unescaped in a path."""

_is_odd = re.compile(rb"[^!-$&->@-~]|//|/\.").search
"""Whether a target needs more than the short way: escapes, spaces, bytes beyond ASCII, a query, slashes or dots."""

_COMMON_HEAD = b"Vary: Accept-Encoding\r\nX-Consul-Default-Acl-Policy: allow\r\n"
_REASONS = {status.value: status.phrase for status in HTTPStatus}


class App:
    """One per agent; all connections share it."""

    def __init__(self, api: Api, routes: Iterable[Route] = ROUTES) -> None:
        self.api = api
        self._router = Router(routes)
        self._flags = Flags()
        self.configure(api.settings)

    def configure(self, settings: HttpSettings) -> None:
        """Takes new settings for all requests from now on. Raises ValueError for what is no network."""
        self._networks = parse_networks(settings.allow_write_http_from)
        self._date = DateLine(self.api.clock)  # with a new one, nothing that was sent before is sent again
        self.api.settings = settings
        self._blocked = tuple(prefix.encode() for prefix in settings.block_endpoints)
        self._always_pretty = settings.dev_mode
        self._rate: RateLimit | None = None
        if not math.isinf(settings.rpc_rate):
            self._rate = RateLimit(settings.rpc_rate, settings.rpc_max_burst, self.api.clock.monotonic())
        self._short_way = not self._blocked and not self._networks and self._rate is None
        self.head_bytes_max = settings.max_header_bytes + HEADER_SLACK_BYTES
        added = b"".join(
            b"%b: %b\r\n" % (_header_name(name), _header_value(value))
            for name, value in settings.response_headers.items()
        )
        self._added_head = added
        self._known_head = added + _COMMON_HEAD
        self._starts: dict[int, bytes] = {}
        self._usual_heads: dict[int, bytes] = {}

    # From a request to an answer

    def handle(self, request: Request) -> Answer:
        """Never raises: what a handler raises becomes an answer (a coroutine's errors: ``failed``)."""
        try:
            target = request.target
            if _is_odd(target) is None or (target := self._without_flags(request)):
                request.path = target
                found = self._router.find(target)
                if found is not None:
                    request.known = True
                    route, size = found
                    handler = route.handlers.get(request.method)
                    if handler is not None and self._short_way:
                        request.argument = target[size:]
                        return handler(self.api, request)
            return self._handle_slowly(request)
        except Exception as error:
            return error_response(error)

    def _without_flags(self, request: Request) -> bytes:
        """The path of a target that is not odd but for a query that is known; b"" of others."""
        path, mark, raw_query = request.target.partition(b"?")
        if not mark or _is_odd(path) is not None:
            return b""
        query = self._flags.find(raw_query)
        if query is None:
            return b""
        request.query = query
        return path

    def failed(self, error: BaseException) -> Response:
        """The answer for what a handler's coroutine raised."""
        return error_response(error)

    def _handle_slowly(self, request: Request) -> Answer:
        raw_path, mark, raw_query = request.target.partition(b"?")
        if not raw_path.startswith(b"/"):
            raw_path = _path_of_absolute(raw_path)
        path = request.path = unescape(raw_path)
        if not self.api.settings.disable_http_unprintable_char_filter and not json.to_text(path).isprintable():
            return Response(400)
        if self._is_ui(path):  # before // is made one slash: keys may hold it, and the page's paths hold keys
            return self.api.ui_handler(request)  # type: ignore[misc]
        cleaned = _clean(path)
        if cleaned != path:
            if self._router.find(cleaned) is None and self._router.is_prefix(cleaned + b"/"):
                cleaned += b"/"
            return _redirect(request, cleaned, mark + raw_query)
        found = self._router.find(path)
        if found is None:
            return self._unknown(request, path, mark + raw_query)
        request.known = True
        route, size = found
        if raw_query:
            try:
                request.query = Query.parse(raw_query) or NO_QUERY
                self._flags.keep(raw_query, request.query)
            except DecodeError:
                return Response(500)
        request.argument = path[size:]
        return self._checked(request, route)

    def _checked(self, request: Request, route: Route) -> Answer:
        if self._blocked and request.path.startswith(self._blocked):
            return text_response(403, BLOCKED)
        handler = route.handlers.get(request.method)
        allow = b"" if handler is not None else b"Allow: %b\r\n" % route.allow
        if request.method == b"OPTIONS" and handler is None:
            return Response(200, b"", allow)
        if handler is None:
            return text_response(405, f"method {json.to_text(request.method)} not allowed", allow)
        if request.method not in READ_METHODS and not may_write(self._networks, request.peer):
            return text_response(403, RESTRICTED)
        if self._rate is not None and route.asks_cluster and not self._rate.take(self.api.clock.monotonic()):
            return Response(429, b"", FAILED_READ_HEAD if request.method == b"GET" and route.tells_index else b"")
        return handler(self.api, request)

    def _unknown(self, request: Request, path: bytes, query: bytes) -> Answer:
        if self._router.is_prefix(path + b"/"):
            return _redirect(request, path + b"/", query)
        if self._ui_enabled():
            ui_path = self.api.ui_path
            if path == b"/":
                return _redirect(request, ui_path, b"")
            if self.api.ui_handler is not None:
                if path == ui_path[:-1]:
                    return _redirect(request, ui_path, query)
                if path == b"/robots.txt":
                    return Response(200, ROBOTS, TEXT_HEAD)
        elif path == b"/":
            return text_response(200, "Consul Agent")
        return Response(404)

    def _ui_enabled(self) -> bool:
        return self.api.settings.ui_enabled or self.api.settings.dev_mode

    def _is_ui(self, path: bytes) -> bool:
        return (
            self.api.ui_handler is not None
            and path.startswith(self.api.ui_path)
            and not path.startswith(b"/v1/")  # the page may be at the root
            and self._ui_enabled()
        )

    # From an answer to bytes

    def wire(self, request: Request, response: Response, keep_alive: bool, http_1_0: bool = False) -> bytes:
        """The answer as it is sent."""
        body, status, coding = response.body, response.status, b""
        if (
            request.known
            and keep_alive
            and not http_1_0
            and len(body) < GZIP_BODY_MIN
            and not self._always_pretty
            and not request.query.pretty
            and request.method != b"HEAD"
        ):
            # The hot path: all that is to be decided is known.
            date, sent = self._date.line(), response.sent
            if sent is not None and sent[0] is date:
                return sent[1]
            head = self._usual_heads.get(status) or self._usual_head(status)
            data = b"".join((head, response.head, date, b"Content-Length: %d\r\n\r\n" % len(body), body))
            if response.repeats:
                response.sent = (date, data)
            return data
        if response.is_json and (self._always_pretty or request.query.pretty):
            body = json.pretty(body)
        if (
            len(body) >= GZIP_BODY_MIN
            and CODED not in response.head
            and _takes_gzip(request.headers.get(b"accept-encoding"))
        ):
            body = gzip.compress(body, GZIP_LEVEL, mtime=0)
            coding = b"Content-Encoding: gzip\r\n"
        start = self._start(status)
        connection = b""
        if http_1_0:
            start = start.replace(b"HTTP/1.1", b"HTTP/1.0", 1)
            connection = b"Connection: keep-alive\r\n" if keep_alive else b"Connection: close\r\n"
        elif not keep_alive:
            connection = b"Connection: close\r\n"
        if request.known:
            head = self._known_head
        else:
            head = b"" if status in (301, 400) else self._added_head
        return b"".join(
            (
                start,
                head,
                response.head,
                coding,
                connection,
                self._date.line(),
                b"Content-Length: %d\r\n\r\n" % len(body),
                b"" if request.method == b"HEAD" else body,
            )
        )

    def _start(self, status: int) -> bytes:
        start = self._starts.get(status)
        if start is None:
            start = self._starts[status] = b"HTTP/1.1 %d %b\r\n" % (status, _REASONS.get(status, "Unknown").encode())
        return start

    def _usual_head(self, status: int) -> bytes:
        head = self._usual_heads[status] = self._start(status) + self._known_head
        return head

    def stream_head(self, http_1_0: bool) -> bytes:
        """The head of an answer in pieces, after which the connection is closed."""
        start = b"HTTP/1.0 200 OK\r\n" if http_1_0 else b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
        return b"".join((start, self._known_head, b"Connection: close\r\n", self._date.line(), b"\r\n"))


def _path_of_absolute(target: bytes) -> bytes:
    """The path of ``http://host/path``; b"/*" for what is neither (nothing is there)."""
    scheme, mark, rest = target.partition(b"://")
    if mark and scheme.isalpha():
        _, slash, path = rest.partition(b"/")
        return slash + path or b"/"
    return b"/*"


def _clean(path: bytes) -> bytes:
    """Without ``//``, ``.`` and ``..``; a trailing slash stays."""
    if b"//" not in path and b"/." not in path:
        return path
    cleaned = posixpath.normpath(path)
    if cleaned.startswith(b"//"):  # POSIX keeps exactly two leading slashes
        cleaned = cleaned[1:]
    if path.endswith(b"/") and cleaned != b"/":
        cleaned += b"/"
    return cleaned


def _redirect(request: Request, path: bytes, query: bytes) -> Response:
    location = quote(path, safe=PATH_SAFE) + query.decode("latin-1")
    head = b"Location: %b\r\n" % location.encode("latin-1")
    if request.method == b"HEAD":
        return Response(301, b"", HTML_HEAD + head)
    if request.method != b"GET":
        return Response(301, b"", head)
    link = html.escape(location, quote=True)
    return Response(301, f'<a href="{link}">Moved Permanently</a>.\n\n'.encode(), HTML_HEAD + head)


def _takes_gzip(accept_encoding: bytes | None) -> bool:
    if accept_encoding is None or b"gzip" not in accept_encoding:
        return False
    for part in accept_encoding.split(b","):
        coding, _, parameter = part.partition(b";")
        if coding.strip().lower() != b"gzip":
            continue
        name, _, value = parameter.partition(b"=")
        if name.strip().lower() != b"q":
            return True
        try:
            return float(value) > 0
        except ValueError:
            return False
    return False


def _header_name(name: str) -> bytes:
    """``x-lower`` is written ``X-Lower``."""
    kept = "".join(letter for letter in name if letter.isascii() and letter.isprintable() and letter not in ' :"')
    return "-".join(part[:1].upper() + part[1:].lower() for part in kept.split("-")).encode()


def _header_value(value: str) -> bytes:
    return value.replace("\r", " ").replace("\n", " ").encode("utf-8", "replace")
