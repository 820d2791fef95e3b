"""``/v1/agent/monitor``: the agent's log as it is written. docs/reference/cli.md, monitor."""

from __future__ import annotations

import asyncio

from pyconsul.agent.log_lines import parse_level
from pyconsul.agent.logging import AgentLog, Watcher
from pyconsul.api.context import Api
from pyconsul.api.request import Request
from pyconsul.api.response import Sink, Stream
from pyconsul.errors import CallerError

DEFAULT_LEVEL = "INFO"


class LogStream(Stream):
    """Lines of a level from the moment of the request on. A client that does not read misses the oldest lines."""

    __slots__ = ("_as_json", "_level", "_logs", "_loop", "_scheduled", "_sink", "_watcher")

    def __init__(self, logs: AgentLog, level: int, as_json: bool) -> None:
        super().__init__()
        self._logs = logs
        self._level = level
        self._as_json = as_json
        self._loop = asyncio.get_running_loop()
        self._scheduled = False
        self._sink: Sink | None = None
        self._watcher: Watcher | None = None

    def begin(self, sink: Sink) -> None:
        self._sink = sink
        self._watcher = self._logs.watch(self._level, self._wake, as_json=self._as_json)

    def resume(self) -> None:
        self._send()

    def cancel(self) -> None:
        super().cancel()
        watcher, self._watcher = self._watcher, None
        self._sink = None
        if watcher is not None:
            self._logs.unwatch(watcher)

    def hurry(self) -> None:
        sink = self._sink
        self._send()
        self.cancel()
        if sink is not None:
            sink.end_pieces()

    def _wake(self) -> None:
        """In the thread that logs."""
        if not self._scheduled and not self._loop.is_closed():
            self._scheduled = True
            self._loop.call_soon_threadsafe(self._send)

    def _send(self) -> None:
        self._scheduled = False
        if self._sink is None or self._watcher is None or self._sink.full:
            return
        lines = self._watcher.take()
        if lines:
            self._sink.write_piece("".join(f"{line}\n" for line in lines).encode("utf-8", "replace"))


def monitor(api: Api, request: Request) -> LogStream:
    """``loglevel`` (info), ``logjson``. Raises CallerError (400) for an unknown level."""
    text = request.query.get("loglevel") or DEFAULT_LEVEL
    level = parse_level(text)
    if level is None:
        raise CallerError(f"Bad request: Unknown log level: {text}", 400)
    if api.logs is None:
        raise CallerError("this agent keeps no log", 500)
    return LogStream(api.logs, level, "logjson" in request.query)
