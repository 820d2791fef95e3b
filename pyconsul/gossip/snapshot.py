"""What is remembered of the members across restarts: lines of text, only ever appended until the file is rewritten.

Here are the lines and their meaning; the file itself is pyconsul/storage/member_snapshot.py.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

import msgspec

from pyconsul.gossip.context import Context, Record

SIZE_MIN = 128 * 1024
SIZE_PER_NODE = 256


class Restored(msgspec.Struct):
    """``nodes``: name to ``ip:port`` of those that were alive. The clocks are the last ones written, 0 if none."""

    nodes: dict[str, str]
    clock: int = 0
    event_clock: int = 0
    query_clock: int = 0


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else 0


def _is_endpoint(text: str) -> bool:
    """Whether it is ``ip:port``, or ``[ip]:port``."""
    host, colon, port = text.rpartition(":")
    if not (colon and port.isascii() and port.isdigit() and len(port) <= 5):
        return False
    try:
        ipaddress.ip_address(host[1:-1] if host.startswith("[") and host.endswith("]") else host)
    except ValueError:
        return False
    return True


def replay(lines: Iterable[str], rejoin_after_leave: bool) -> Restored:
    """Folds the lines. Lines that mean nothing are skipped: comments, a torn last one, what a power cut left of lines
    that were not synced (taken for a host name, it would be looked up before anybody is asked)."""
    state = Restored({})
    for line in lines:
        kind, _, rest = line.partition(": ")
        if kind == "alive":
            name, _, address = rest.rpartition(" ")
            if name and _is_endpoint(address):
                state.nodes[name] = address
        elif kind == "not-alive":
            state.nodes.pop(rest, None)
        elif kind == "clock":
            state.clock = _number(rest)
        elif kind == "event-clock":
            state.event_clock = _number(rest)
        elif kind == "query-clock":
            state.query_clock = _number(rest)
        elif line == "leave" and not rejoin_after_leave:
            state = Restored({})
    return state


class Recorder:
    """Decides what is written when; emits Record effects."""

    def __init__(self, context: Context, restored: Restored, size: int) -> None:
        self._context = context
        self._nodes = dict(restored.nodes)
        self._clock = restored.clock
        self._event_clock = restored.event_clock
        self._query_clock = restored.query_clock
        self._size = size
        self._left = False

    def alive(self, name: str, endpoint: str) -> None:
        if not self._left and "\n" not in name:
            self._nodes[name] = endpoint
            self._write(f"alive: {name} {endpoint}")

    def not_alive(self, name: str) -> None:
        if not self._left and "\n" not in name:
            self._nodes.pop(name, None)
            self._write(f"not-alive: {name}")

    def clock(self, time: int) -> None:
        """``time``: of the member clock; the last one used is written."""
        if time - 1 > self._clock:
            self._clock = time - 1
            self._write(f"clock: {self._clock}")

    def event(self, ltime: int) -> None:
        if not self._left and ltime > self._event_clock:
            self._event_clock = ltime
            self._write(f"event-clock: {ltime}")

    def query(self, ltime: int) -> None:
        if not self._left and ltime > self._query_clock:
            self._query_clock = ltime
            self._write(f"query-clock: {ltime}")

    def leave(self) -> None:
        """After this only clocks are written."""
        self._left = True
        self._context.emit(Record(("leave",), sync=True))

    def _write(self, line: str) -> None:
        self._size += len(line) + 1
        if self._size > max(SIZE_MIN, SIZE_PER_NODE * len(self._nodes)) and not self._left:
            lines = [f"alive: {name} {endpoint}" for name, endpoint in self._nodes.items()]
            lines.append(f"clock: {self._clock}")
            lines.append(f"event-clock: {self._event_clock}")
            lines.append(f"query-clock: {self._query_clock}")
            self._size = sum(len(text) + 1 for text in lines)
            self._context.emit(Record(tuple(lines), rewrite=True))
        else:
            self._context.emit(Record((line,)))
