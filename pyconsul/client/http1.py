"""HTTP/1.1 on a blocking socket: one request at a time, no time-out unless asked for, errors in Go's words.

Written by hand because ``http.client`` takes longer to import than a whole command may run
(docs/decisions/0008-command-line-client.md). Bounds: a header block of 64 KiB, a chunk size line of 256 bytes.
"""

from __future__ import annotations

import socket

from pyconsul.client.errors import RequestError
from pyconsul.client.oserrors import errno_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyconsul.client.settings import Settings

HEAD_SIZE_MAX = 65536
CHUNK_LINE_SIZE_MAX = 256
READ_SIZE = 65536

BROKEN = "net/http: HTTP/1.x transport connection broken"


class Failure(Exception):
    """Why there is no answer: the reason alone; the caller puts method and URL before it."""

    def __init__(self, reason: str, refused: bool = False, sent: bool = False) -> None:
        super().__init__(reason)
        self.refused = refused
        self.sent = sent


class Connection:
    """A connection to an agent that can be used for one request after the other."""

    def __init__(self, settings: Settings, timeout_s: float | None = None) -> None:
        """``timeout_s``: how long the other side may be silent. Raises Failure when it cannot be made."""
        self._socket = _connect(settings, timeout_s)
        self._rest = b""
        self.reusable = False

    def close(self) -> None:
        self.reusable = False
        self._socket.close()

    def abort(self) -> None:
        """From another thread: a read in progress ends."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # closed already, or the other side has gone

    def idle(self) -> bool:
        """True when the next request may go here: whole answers were read and the agent has not hung up."""
        if not self.reusable or self._rest:
            return False
        from select import select

        return not select([self._socket], [], [], 0)[0]

    def send(self, head: bytes, body: bytes) -> None:
        """Raises Failure."""
        self.reusable = False
        try:
            # An agent that refuses a large body answers before it has read it all and hangs up: the answer counts.
            self._socket.sendall(head + body)
        except (BrokenPipeError, ConnectionResetError):
            return
        except OSError as error:
            raise Failure(self._describe("write", error), sent=True) from error

    def head(self) -> tuple[int, dict[str, str]]:
        """Status and headers (names in lower case) of the next final answer. Raises Failure."""
        while True:
            while (end := self._rest.find(b"\r\n\r\n")) < 0:
                if len(self._rest) > HEAD_SIZE_MAX:
                    raise Failure("net/http: server response headers exceeded 65536 bytes; aborted", sent=True)
                if not self._fill():
                    raise Failure("unexpected EOF" if self._rest else "EOF", sent=True)
            block, self._rest = self._rest[:end], self._rest[end + 4 :]
            status, headers = _parse_head(block)
            if status >= 200:
                return status, headers

    def body(self, method: str, status: int, headers: dict[str, str]) -> Iterator[bytes]:
        """Pieces of the body as they arrive; to be read to its end before the next request. Raises Failure."""
        keep = headers.get("connection", "").lower() != "close"
        if method == "HEAD" or status in (204, 304):
            pass
        elif headers.get("transfer-encoding", "").lower() == "chunked":
            yield from self._chunks()
        elif "content-length" in headers:
            length = headers["content-length"]
            if not (length.isascii() and length.isdigit()):
                raise Failure(f'{BROKEN}: bad Content-Length "{length}"', sent=True)
            yield from self._exactly(int(length))
        else:
            keep = False
            yield self._rest
            self._rest = b""
            while self._fill():
                yield self._rest
                self._rest = b""
        self.reusable = keep

    def _chunks(self) -> Iterator[bytes]:
        while True:
            size_text = self._line().partition(b";")[0].strip()
            try:
                size = int(size_text, 16)
            except ValueError:
                raise Failure("invalid byte in chunk length", sent=True) from None
            if size < 0:
                raise Failure("invalid byte in chunk length", sent=True)
            if size == 0:
                while self._line():
                    pass  # trailers are of no use here
                return
            yield from self._exactly(size)
            if self._line():
                raise Failure("malformed chunked encoding", sent=True)

    def _line(self) -> bytes:
        while (end := self._rest.find(b"\n")) < 0:
            if len(self._rest) > CHUNK_LINE_SIZE_MAX:
                raise Failure("http chunk length too large", sent=True)
            if not self._fill():
                raise Failure("unexpected EOF", sent=True)
        line, self._rest = self._rest[:end], self._rest[end + 1 :]
        return line.rstrip(b"\r")

    def _exactly(self, size: int) -> Iterator[bytes]:
        while size:
            if not self._rest and not self._fill():
                raise Failure("unexpected EOF", sent=True)
            piece, self._rest = self._rest[:size], self._rest[size:]
            size -= len(piece)
            yield piece

    def _fill(self) -> bool:
        try:
            data = self._socket.recv(READ_SIZE)
        except OSError as error:
            raise Failure(self._describe("read", error), sent=True) from error
        self._rest += data
        return bool(data)

    def _describe(self, operation: str, error: OSError) -> str:
        if isinstance(error, TimeoutError) and error.errno is None:
            return f"{operation}: i/o timeout"
        alert = _tls_alert(error)
        if alert:
            return alert
        try:
            local, remote = self._socket.getsockname(), self._socket.getpeername()
        except OSError:
            local = remote = ""
        if isinstance(local, tuple) and isinstance(remote, tuple):
            ends = f"tcp {_join(local[0], local[1])}->{_join(remote[0], remote[1])}"
        else:
            ends = f"unix @->{remote}"
        return f"{operation} {ends}: {operation}: {errno_text(error)}"


def _join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _parse_head(block: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = block.decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/1.") or not (words[1].isdigit() and len(words[1]) == 3):
        shown = first[:60].encode("unicode_escape").decode("ascii")
        raise Failure(f'{BROKEN}: malformed HTTP response "{shown}"', sent=True)
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return int(words[1]), headers


def _connect(settings: Settings, timeout_s: float | None) -> socket.socket:
    if settings.socket_path:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(timeout_s)
        try:
            connection.connect(settings.socket_path)
        except OSError as error:
            connection.close()
            raise Failure(f"dial unix {settings.socket_path}: connect: {errno_text(error)}", refused=True) from error
    else:
        connection = connect_tcp(settings.host, settings.connect_port, timeout_s)
    if settings.scheme == "https":
        from pyconsul.client.tls import wrap

        return wrap(connection, settings)
    return connection


def connect_tcp(host: str, port: int, timeout_s: float | None = None) -> socket.socket:
    try:
        if "/" in host:
            raise socket.gaierror(socket.EAI_NONAME, "")
        # As bytes a plain name is not run through the idna codec, which takes long to import.
        name: str | bytes = host.encode("ascii") if host.isascii() else host
        found = socket.getaddrinfo(name or b"localhost", port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        raise Failure(f"dial tcp: lookup {host}: no such host") from None
    except OverflowError:
        raise Failure(f"dial tcp: address {port}: invalid port") from None
    failure = Failure(f"dial tcp: lookup {host}: no such host")
    for family, kind, protocol, _, address in found:
        try:
            connection = socket.socket(family, kind, protocol)
        except OSError as error:
            failure = Failure(f"dial tcp {_join(str(address[0]), port)}: socket: {errno_text(error)}")
            continue
        connection.settimeout(timeout_s)
        try:
            connection.connect(address)
        except OSError as error:
            connection.close()
            refused = isinstance(error, ConnectionRefusedError)
            failure = Failure(f"dial tcp {_join(str(address[0]), port)}: connect: {errno_text(error)}", refused=refused)
            continue
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection
    raise failure


def _tls_alert(error: OSError) -> str:
    """Go's words for an alert that the other side sent; empty when the error is none of TLS."""
    if not hasattr(error, "reason"):
        return ""
    from pyconsul.client.tls import describe

    return describe(error)


def request_error(method: str, url: str, failure: Failure) -> RequestError:
    return RequestError(f'{method.title()} "{url}": {failure}', refused=failure.refused, sent=failure.sent)
