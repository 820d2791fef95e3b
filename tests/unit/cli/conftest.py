"""A command line run in this process, and an agent that gives canned answers."""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from pyconsul_cli.command import Io
from pyconsul_cli.main import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run() -> Run:
    """``run("kv", "get", "x", stdin=b"", environ={})``: exit code, stdout, stderr."""

    def run_line(*argv: str, stdin: bytes = b"", environ: Mapping[str, str] | None = None) -> tuple[int, str, str]:
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            given.write(stdin)
            given.seek(0)
            code = main(list(argv), Io(given, out, err), {"PATH": "/usr/bin:/bin", **(environ or {})})
            texts = []
            for stream in (out, err):
                stream.seek(0)
                texts.append(stream.read().decode("utf-8", "backslashreplace"))
        return code, texts[0], texts[1]

    return run_line


class CannedAgent:
    """Answers by method and path without query. ``requests``: what was asked, as ``METHOD target``."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        agent = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                agent.requests.append(f"{self.command} {self.path}")
                agent.headers.append({name.lower(): value for name, value in self.headers.items()})
                agent.bodies.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
                key = f"{self.command} {self.path.partition('?')[0]}"
                status, body = agent.answers.get(key, (404, b""))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("X-Consul-Index", "7")
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_PUT = do_POST = do_DELETE = answer

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"
        self._thread = threading.Thread(target=lambda: self.server.serve_forever(0.01), daemon=True)
        self._thread.start()

    def says(self, request: str, value: Any, status: int = 200) -> None:
        """``says("GET /v1/agent/self", {...})``; bytes are sent as they are."""
        self.answers[request] = status, value if isinstance(value, bytes) else json.dumps(value).encode()

    @property
    def environ(self) -> dict[str, str]:
        return {"CONSUL_HTTP_ADDR": self.address}

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join(5)


@pytest.fixture
def agent() -> Iterator[CannedAgent]:
    canned = CannedAgent()
    yield canned
    canned.close()
