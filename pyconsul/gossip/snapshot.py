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
    """``nodes``: name to ``ip:port`` of those that were alive; ``failed``: of those that had failed and not left. The
    clocks are the last ones written, 0 if none."""

    nodes: dict[str, str]
    clock: int = 0
    event_clock: int = 0
    query_clock: int = 0
    failed: dict[str, str] = msgspec.field(default_factory=dict)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else 0


def parse_endpoint(text: str) -> tuple[bytes, int] | None:
    """The address, 4 or 16 bytes, and the port of ``ip:port`` or ``[ip]:port``; None: it is neither."""
    host, colon, port = text.rpartition(":")
    if not (colon and port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536):
        return None
    try:
        address = ipaddress.ip_address(host[1:-1] if host.startswith("[") and host.endswith("]") else host)
    except ValueError:
        return None
    return address.packed, int(port)


def replay(lines: Iterable[str], rejoin_after_leave: bool) -> Restored:
    """Folds the lines. Lines that mean nothing are skipped: comments, a torn last one, what a power cut left of lines
    that were not synced (taken for a host name, it would be looked up before anybody is asked)."""
    state = Restored({})
    for line in lines:
        kind, _, rest = line.partition(": ")
        if kind in ("alive", "failed"):
            name, _, address = rest.rpartition(" ")
            if name and parse_endpoint(address) is not None:
                state.nodes.pop(name, None)
                state.failed.pop(name, None)
                (state.nodes if kind == "alive" else state.failed)[name] = address
        elif kind == "not-alive":
            state.nodes.pop(rest, None)
            state.failed.pop(rest, None)
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
    """Decides what is written when; emits Record effects.

    Who is there is synced: after a power cut nobody else may know it. Clocks are learned from the first that answers.
    """

    def __init__(self, context: Context, restored: Restored, size: int) -> None:
        self._context = context
        self._nodes = dict(restored.nodes)
        self._failed = dict(restored.failed)
        self._clock = restored.clock
        self._event_clock = restored.event_clock
        self._query_clock = restored.query_clock
        self._size = size
        self._left = False

    def alive(self, name: str, endpoint: str) -> None:
        if not self._left and "\n" not in name:
            self._failed.pop(name, None)
            self._nodes[name] = endpoint
            self._write(f"alive: {name} {endpoint}", sync=True)

    def failed(self, name: str, endpoint: str) -> None:
        """It may come back. The first line is for readers that do not know the second one, Serf's among them."""
        if not self._left and "\n" not in name:
            self._nodes.pop(name, None)
            self._failed[name] = endpoint
            self._write(f"not-alive: {name}", f"failed: {name} {endpoint}", sync=True)

    def gone(self, name: str) -> None:
        """It left, or was forgotten."""
        if not self._left and (name in self._nodes or name in self._failed):
            self._nodes.pop(name, None)
            self._failed.pop(name, None)
            self._write(f"not-alive: {name}", sync=True)

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

    def _write(self, *lines: str, sync: bool = False) -> None:
        self._size += _size(lines)
        members = len(self._nodes) + len(self._failed)
        if self._size > max(SIZE_MIN, SIZE_PER_NODE * members) and not self._left:
            lines = (
                *(f"alive: {name} {endpoint}" for name, endpoint in self._nodes.items()),
                *(f"failed: {name} {endpoint}" for name, endpoint in self._failed.items()),
                f"clock: {self._clock}",
                f"event-clock: {self._event_clock}",
                f"query-clock: {self._query_clock}",
            )
            self._size = _size(lines)
            self._context.emit(Record(lines, rewrite=True))
        else:
            self._context.emit(Record(lines, sync))


def _size(lines: Iterable[str]) -> int:
    return sum(len(line) + 1 for line in lines)
