"""One server ``s1`` as the recordings want it: the HTTP API over a store in memory, in a thread of this process."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager

from pyconsul.client.client import Client
from pyconsul.client.settings import Settings
from pyconsul.testing.local_backend import LocalBackend
from pyconsul.testing.local_thread import running_local_server

RECORDED_HOST = "127.0.0.41"
RECORDED_ADDRESS = f"{RECORDED_HOST}:8500"


def running_server() -> AbstractContextManager[str]:
    """``host:port`` of the server, which ends with the block."""
    return running_local_server(make=lambda: LocalBackend("s1", "dc1", RECORDED_HOST))


class Direct:
    """What setups ask for, done without the command line."""

    def __init__(self, address: str) -> None:
        self._client = Client(Settings(address))

    def new_session(self) -> str:
        return str(self._client.put("/v1/session/create", (), b"{}").json_object()["ID"])

    def end_session(self, session: str) -> None:
        self._client.put(f"/v1/session/destroy/{session}")

    def modify_index(self, key: str) -> int:
        return int(self._client.get(f"/v1/kv/{key}").json_objects()[0]["ModifyIndex"])

    def put(self, key: str, value: bytes) -> None:
        self._client.put(f"/v1/kv/{key}", (), value)

    def delete(self, prefix: str) -> None:
        self._client.delete(f"/v1/kv/{prefix}", [("recurse", "")])

    def fire(self, name: str, payload: bytes) -> None:
        self._client.put(f"/v1/event/fire/{name}", (), payload)

    def all_keys(self) -> list[str]:
        answer = self._client.request("GET", "/v1/kv/", [("keys", "")])
        return list(json.loads(answer.body)) if answer.status == 200 else []

    def close(self) -> None:
        self._client.close()
