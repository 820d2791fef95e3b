"""One server ``s1`` as the recordings want it: the HTTP API over a store in memory, in a thread of this process."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pyconsul.client.client import Client
from pyconsul.client.settings import Settings
from pyconsul.testing.local_backend import LocalBackend, local_server

RECORDED_HOST = "127.0.0.41"
RECORDED_ADDRESS = f"{RECORDED_HOST}:8500"
START_S = 30


@contextmanager
def running_server() -> Iterator[str]:
    """``host:port`` of the server, which ends with the block."""
    loop = asyncio.new_event_loop()
    started: list[str] = []
    ready = threading.Event()
    stop = asyncio.Event()

    async def serve() -> None:
        server = await local_server(backend=LocalBackend("s1", "dc1", RECORDED_HOST))
        bound = await server.start(["127.0.0.1"], 0)
        started.append(f"{bound[0][0]}:{bound[0][1]}")
        ready.set()
        await stop.wait()
        await server.close(0)

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert ready.wait(START_S), "the server did not start"
    try:
        yield started[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(START_S)
        assert not thread.is_alive(), "the server did not stop"
        loop.close()


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
