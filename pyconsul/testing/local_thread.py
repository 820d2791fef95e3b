"""The server in memory in a thread of its own, for tests and clients that block."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager

import uvloop

from pyconsul.api.limits import HttpSettings
from pyconsul.testing.local_backend import LocalBackend, local_server

DEADLINE_S = 30.0


@contextmanager
def running_local_server(
    settings: HttpSettings | None = None, make: Callable[[], LocalBackend] = LocalBackend
) -> Iterator[str]:
    """``host:port`` of the server, which ends with the block. ``make`` is called on the server's event loop.

    Raises what kept it from starting, and TimeoutError when that takes too long.
    """
    started: Future[tuple[str, Callable[[], object]]] = Future()

    async def serve() -> None:
        backend = make()
        server = await local_server(settings, backend)
        backend.local.start()
        [(host, port)] = await server.start(["127.0.0.1"], 0)
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        started.set_result((f"{host}:{port}", lambda: loop.call_soon_threadsafe(stop.set)))
        await stop.wait()
        await server.close(grace_s=0)
        await backend.local.stop()

    def run() -> None:
        try:
            uvloop.run(serve())
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    address, stop = started.result(DEADLINE_S)
    try:
        yield address
    finally:
        stop()
        thread.join(DEADLINE_S)
        assert not thread.is_alive(), "the server did not stop"
