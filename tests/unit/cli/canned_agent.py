"""An agent that gives canned answers, and the shape of a command line run in this process."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol


class Run(Protocol):
    """``run("kv", "get", "x", stdin=b"", environ={})``: exit code, stdout, stderr."""

    def __call__(
        self, *argv: str, stdin: bytes = b"", environ: Mapping[str, str] | None = None
    ) -> tuple[int, str, str]: ...


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
