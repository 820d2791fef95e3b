"""The client: requests to one agent, answers as bytes or JSON, a kept connection between requests."""

from __future__ import annotations

from pyconsul.client.errors import AnswerError, StatusError
from pyconsul.client.http1 import Connection, Failure, request_error
from pyconsul.client.urls import encode_query, escape_host, escape_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType
    from typing import Any

    from pyconsul.client.settings import Settings

    Query = Sequence[tuple[str, str]]


REDIRECTS_MAX = 10
_REDIRECTS = (301, 302, 303, 307, 308)
_REDIRECTS_AS_THEY_ARE = (307, 308)


class Answer:
    """What an agent said. ``headers``: names in lower case."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def index(self) -> int:
        """``X-Consul-Index``, 0 when it is missing."""
        text = self.headers.get("x-consul-index", "")
        return int(text) if text.isascii() and text.isdigit() else 0

    def json(self) -> Any:
        """Raises AnswerError for a body that is not JSON."""
        import json

        try:
            return json.loads(self.body)
        except ValueError as error:
            raise AnswerError(f"the answer is not JSON ({error}): is this an agent's HTTP address?") from error

    def json_object(self) -> dict[str, Any]:
        """Raises AnswerError unless the body is an object."""
        value = self.json()
        if not isinstance(value, dict):
            raise AnswerError("the answer is not a JSON object: is this an agent's HTTP address?")
        return value

    def json_objects(self) -> list[dict[str, Any]]:
        """``null`` counts as an empty list. Raises AnswerError unless the body is a list of objects."""
        value = self.json()
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise AnswerError("the answer is not a list of JSON objects: is this an agent's HTTP address?")
        return value

    def json_strings(self) -> list[str]:
        """``null`` counts as an empty list. Raises AnswerError unless the body is a list of texts."""
        value = self.json()
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise AnswerError("the answer is not a list of texts: is this an agent's HTTP address?")
        return value

    def expect_ok(self) -> Answer:
        """Raises StatusError unless the status is 200."""
        if self.status != 200:
            raise StatusError(self.status, self.body)
        return self


class Client:
    """Requests to one agent, one at a time; not to be shared between threads.

    ``timeout_s``: how long the agent may be silent; None: for ever, as blocking queries want it.
    ``query``: parameters that go with every request (``dc``, ``ns``); ``read_query`` with every GET (``stale``).
    """

    def __init__(self, settings: Settings, query: Query = (), read_query: Query = ()) -> None:
        self.settings = settings
        self.timeout_s: float | None = None
        self.query = tuple(query)
        self.read_query = tuple(read_query)
        self._connection: Connection | None = None
        self._aborted = False

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def abort(self) -> None:
        """From another thread or a signal handler: the request in progress and all later ones end with RequestError."""
        self._aborted = True
        connection = self._connection
        if connection is not None:
            connection.abort()

    def url(self, path: str, query: Query = ()) -> str:
        """As error messages show it."""
        return f"{self.settings.scheme}://{escape_host(self.settings.authority)}{_target(path, query)}"

    def request(self, method: str, path: str, query: Query = (), body: bytes | None = None) -> Answer:
        """Any status is an answer. ``path`` begins with a slash and is not escaped. Raises RequestError.

        A redirect to another path of the same agent is followed, as Consul's client does: an agent answers a path with
        doubled slashes so.
        """
        query = self._whole_query(method, query)
        target = _target(path, query)
        for _ in range(REDIRECTS_MAX):
            try:
                connection, status, headers = self._start(method, target, body)
                content = b"".join(connection.body(method, status, headers))
            except Failure as failure:
                self.close()
                raise request_error(method, self.url(path, query), failure) from failure
            location = headers.get("location", "")
            if status not in _REDIRECTS or not location.startswith("/") or location.startswith("//"):
                return Answer(status, headers, content)
            target = location
            if status not in _REDIRECTS_AS_THEY_ARE and method != "HEAD":
                method, body = "GET", None
        raise request_error(
            method, self.url(path, query), Failure(f"stopped after {REDIRECTS_MAX} redirects", sent=True)
        )

    def get(self, path: str, query: Query = ()) -> Answer:
        """Raises RequestError, and StatusError unless the status is 200."""
        return self.request("GET", path, query).expect_ok()

    def put(self, path: str, query: Query = (), body: bytes | None = None) -> Answer:
        """As ``get``."""
        return self.request("PUT", path, query, body).expect_ok()

    def delete(self, path: str, query: Query = (), body: bytes | None = None) -> Answer:
        """As ``get``."""
        return self.request("DELETE", path, query, body).expect_ok()

    def stream(self, method: str, path: str, query: Query = ()) -> Iterator[bytes]:
        """Pieces of an answer as they come, first an empty one when the agent has agreed to answer.

        Raises RequestError, StatusError; the latter before the first piece.
        """
        query = self._whole_query(method, query)
        try:
            connection, status, headers = self._start(method, _target(path, query), None)
            if status != 200:
                raise StatusError(status, b"".join(connection.body(method, status, headers)))
            yield b""
            yield from connection.body(method, status, headers)
        except Failure as failure:
            raise request_error(method, self.url(path, query), failure) from failure
        finally:
            self.close()

    def _whole_query(self, method: str, query: Query) -> Query:
        return [*query, *self.query, *(self.read_query if method == "GET" else ())]

    def _start(self, method: str, target: str, body: bytes | None) -> tuple[Connection, int, dict[str, str]]:
        connection = self._connection
        if connection is None or not connection.idle():
            self.close()
            connection = self._connection = Connection(self.settings, self.timeout_s)
        if self._aborted:
            raise Failure("request canceled")
        connection.send(self._head(method, target, body), body or b"")
        status, headers = connection.head()
        return connection, status, headers

    def _head(self, method: str, target: str, body: bytes | None) -> bytes:
        settings = self.settings
        host = "localhost" if settings.socket_path else escape_host(settings.authority)
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", "User-Agent: pyconsul"]
        if settings.token:
            lines.append(f"X-Consul-Token: {settings.token}")
        if settings.auth:
            from base64 import b64encode

            pair = settings.auth if ":" in settings.auth else settings.auth + ":"
            lines.append(f"Authorization: Basic {b64encode(pair.encode()).decode('ascii')}")
        if body is not None or method in ("PUT", "POST"):
            lines.append(f"Content-Length: {len(body or b'')}")
        head = "\r\n".join(lines)
        if head.count("\n") != len(lines) - 1:
            # A token or an address with a line break in it would add headers of somebody else's choice.
            raise Failure("net/http: invalid header field value")
        return head.encode("utf-8", "surrogateescape") + b"\r\n\r\n"


def _target(path: str, query: Query) -> str:
    escaped = escape_path(path)
    return f"{escaped}?{encode_query(query)}" if query else escaped
