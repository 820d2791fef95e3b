"""The HTTP client against servers that say exactly what the test wants, whole and byte by byte."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyconsul.client.client import Client
from pyconsul.client.errors import RequestError, SettingsError, StatusError
from pyconsul.client.http1 import Failure, _parse_head
from pyconsul.client.settings import Settings, resolve
from pyconsul.client.urls import encode_query, escape_path
from pyconsul_cli.certificates import create_authority, create_certificate

Serve = Callable[..., str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """``serve(answers)``: one connection per list of answers; each answer follows a request. Returns host:port."""
    threads = []
    listeners = []

    def start(*connections: list[bytes], context: ssl.SSLContext | None = None, slowly: bool = False) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(10)
        listeners.append(listener)

        def run() -> None:
            for answers in connections:
                try:
                    plain, _ = listener.accept()
                    with context.wrap_socket(plain, server_side=True) if context else plain as connection:
                        connection.settimeout(10)
                        for answer in answers:
                            _read_request(connection)
                            pieces = [answer[at : at + 1] for at in range(len(answer))] if slowly else [answer]
                            for piece in pieces:
                                connection.sendall(piece)
                except OSError:
                    continue  # a handshake that the client gave up, an early end of it, or the end of the test

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        threads.append(thread)
        return f"127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for listener in listeners:
        listener.close()
    for thread in threads:
        thread.join(10)


def _read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return data
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    while len(body) < length:
        body += connection.recv(65536)
    return data


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Consul-Index: 12\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n1\r\n!\r\n0\r\nTrailer: 1\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\nok"
CONTINUED = b"HTTP/1.1 100 Continue\r\n\r\n" + OK


@pytest.mark.parametrize("answer", [OK, CHUNKED, UNTIL_CLOSE, CONTINUED])
@pytest.mark.parametrize("slowly", [False, True])
def test_every_kind_of_body(serve: Serve, answer: bytes, slowly: bool) -> None:
    expected = b"ok!" if answer == CHUNKED else b"ok"
    client = Client(Settings(serve([answer], slowly=slowly)))
    assert client.get("/").body == expected
    client.close()


def test_a_connection_is_kept_and_a_closed_one_is_made_anew(serve: Serve) -> None:
    client = Client(Settings(serve([OK, OK, OK], [OK])))
    for _ in range(4):
        answer = client.get("/v1/x")
        assert (answer.body, answer.index) == (b"ok", 12)
    client.close()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "EOF"),
        (b"HTTP/1.1 200 OK\r\n", "unexpected EOF"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", "unexpected EOF"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            'net/http: HTTP/1.x transport connection broken: bad Content-Length "x"',
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "invalid byte in chunk length"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", "malformed chunked encoding"),
        (b"SSH-2.0\r\n\r\n", 'net/http: HTTP/1.x transport connection broken: malformed HTTP response "SSH-2.0"'),
    ],
)
def test_broken_answers_have_a_reason(serve: Serve, answer: bytes, reason: str) -> None:
    address = serve([answer])
    client = Client(Settings(address))
    with pytest.raises(RequestError) as caught:
        client.get("/v1/kv/a b", [("recurse", "")])
    assert str(caught.value) == f'Get "http://{address}/v1/kv/a%20b?recurse=": {reason}'
    assert caught.value.sent
    client.close()


def test_endless_headers_and_chunk_lines_are_bounded(serve: Serve) -> None:
    client = Client(Settings(serve([b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000])))
    with pytest.raises(RequestError, match="headers exceeded"):
        client.get("/")
    client = Client(Settings(serve([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 1000])))
    with pytest.raises(RequestError, match="chunk length too large"):
        client.get("/")


def test_status_errors_carry_code_and_body(serve: Serve) -> None:
    client = Client(Settings(serve([b"HTTP/1.1 500 X\r\nContent-Length: 17\r\n\r\nNo cluster leader"])))
    with pytest.raises(StatusError) as caught:
        client.put("/v1/kv/x", (), b"v")
    assert (str(caught.value), caught.value.code) == ("Unexpected response code: 500 (No cluster leader)", 500)
    client.close()


def test_redirects_to_another_path_of_the_agent_are_followed(serve: Serve) -> None:
    moved = b"HTTP/1.1 301 X\r\nLocation: /v1/kv/a\r\nContent-Length: 0\r\n\r\n"
    elsewhere = b"HTTP/1.1 301 X\r\nLocation: //evil/\r\nContent-Length: 0\r\n\r\n"
    client = Client(Settings(serve([moved, OK, elsewhere], [moved] * 10)))
    assert client.get("/v1/kv//a").body == b"ok"
    assert client.request("GET", "/x").status == 301
    client.close()
    with pytest.raises(RequestError, match="stopped after 10 redirects"):
        client.get("/v1/kv//a")
    client.close()


def test_an_aborted_request_ends(serve: Serve) -> None:
    client = Client(Settings(serve([b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc"])))
    pieces = client.stream("GET", "/")
    assert (next(pieces), next(pieces)) == (b"", b"abc")
    client.abort()
    with pytest.raises(RequestError):
        next(pieces)


def test_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(RequestError) as caught:
        Client(Settings(address)).get("/")
    assert str(caught.value) == f'Get "http://{address}/": dial tcp {address}: connect: connection refused'
    assert caught.value.refused and not caught.value.sent


def test_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                _read_request(connection)
                connection.sendall(OK)

        thread = threading.Thread(target=answer)
        thread.start()
        client = Client(Settings(f"unix://{path}"))
        assert client.get("/").body == b"ok"
        client.close()
        thread.join(10)


def _files(folder: Path, names: list[str], addresses: list[str]) -> tuple[Path, Path, Path]:
    authority = create_authority(10, "consul", "", "", [])
    made = create_certificate(authority.certificate_pem, authority.key_pem, 10, names, addresses, authenticates=True)
    paths = folder / "ca.pem", folder / "cert.pem", folder / "key.pem"
    for path, data in zip(paths, (authority.certificate_pem, made.certificate_pem, made.key_pem), strict=True):
        path.write_bytes(data)
    return paths


def fetch(environ: dict[str, str], flags: dict[str, str]) -> bytes:
    with Client(resolve(environ, flags)) as client:
        return client.get("/").body


def test_https(serve: Serve, tmp_path: Path) -> None:
    authority, certificate, key = _files(tmp_path, ["s", "server.dc1.consul"], ["127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    address = serve([OK], [OK], [OK], [OK], [], [OK], context=context)
    here = {"http-addr": f"https://{address}"}
    flags = {**here, "ca-file": str(authority)}
    assert fetch({}, flags) == b"ok"
    assert fetch({}, {**flags, "tls-server-name": "server.dc1.consul:8300"}) == b"ok"
    assert fetch({"CONSUL_HTTP_SSL_VERIFY": "false"}, here) == b"ok"
    with pytest.raises(RequestError, match="x509: certificate signed by unknown authority"):
        fetch({}, here)
    with pytest.raises(RequestError, match=r"x509: certificate is valid for server\.dc1\.consul, not other"):
        fetch({}, {**flags, "tls-server-name": "other"})


def test_https_to_a_server_without_tls() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"

        def refuse() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=refuse)
        thread.start()
        with pytest.raises(RequestError) as caught:
            fetch({"CONSUL_HTTP_SSL": "1"}, {"http-addr": f"http://{address}"})
        thread.join(10)
    assert str(caught.value) == f'Get "https://{address}/": http: server gave HTTP response to HTTPS client'


def test_settings() -> None:
    settings = resolve({"CONSUL_HTTP_ADDR": "[::1]", "CONSUL_HTTP_SSL": "perhaps"}, {})
    assert (settings.host, settings.connect_port, settings.scheme) == ("::1", 80, "http")
    assert settings.warnings == [
        'consul-api: could not parse CONSUL_HTTP_SSL: error="strconv.ParseBool: parsing "perhaps": invalid syntax"'
    ]
    assert resolve({}, {"http-addr": "https://h"}).connect_port == 443
    assert resolve({"CONSUL_HTTP_ADDR": ""}, {}).authority == "127.0.0.1:8500"
    for flags, reason in (
        ({"http-addr": "ftp://x"}, "Unknown protocol scheme: ftp"),
        ({"client-cert": "x"}, "both client cert and client key must be provided"),
        ({"ca-file": "/nosuch/x"}, "Error loading CA File: open /nosuch/x: no such file or directory"),
        ({"ca-path": "/nosuch/x"}, "lstat /nosuch/x: no such file or directory"),
        ({"token-file": "/nosuch/x"}, "Error loading token file: open /nosuch/x: no such file or directory"),
    ):
        with pytest.raises(SettingsError) as caught:
            resolve({}, flags)
        assert str(caught.value) == reason


def test_urls_are_escaped_as_go_does() -> None:
    assert escape_path("/v1/kv/a b/é?&#%2F!'()*") == "/v1/kv/a%20b/%C3%A9%3F&%23%252F%21%27%28%29%2A"
    assert encode_query([("b", "x y"), ("a", "1&2")]) == "a=1%262&b=x+y"


@settings(max_examples=200)
@given(st.binary(max_size=80))
def test_any_head_is_read_or_refused(data: bytes) -> None:
    try:
        status, headers = _parse_head(data)
    except Failure:
        return
    assert 0 <= status <= 999
    assert all(name == name.lower() for name in headers)
