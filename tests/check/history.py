"""Histories of real clients: recorded from several threads, saved as lines of JSON, and judged afterwards."""

from __future__ import annotations

import base64
import json
import random
import threading
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

from linear import Operation, explained

from pyconsul.clock import SystemClock

CLOCK = SystemClock()


class Violated(AssertionError):
    """A promise was not kept; the text shows the operations."""


class Book:
    """What clients did. A call without an answer stays one for ever: it may or may not have had its effect."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: list[dict[str, Any]] = []
        self._used: Counter[str] = Counter()
        self._round = 0

    def now(self) -> float:
        return CLOCK.monotonic()

    def key(self, chance: random.Random, operations_max: int) -> str:
        """One of three keys; after so many operations on it a key gives way to a new one."""
        with self._lock:
            key = f"k{self._round}-{chance.randrange(3)}"
            self._used[key] += 1
            if self._used[key] >= operations_max:
                self._round += 1
            return key

    @property
    def keys(self) -> list[str]:
        return sorted(self._used)

    def call(self, client: int, kind: str, key: str, argument: Any, mode: str) -> dict[str, Any]:
        line = {"client": client, "kind": kind, "key": key, "argument": argument, "mode": mode, "called": self.now()}
        with self._lock:
            self._lines.append(line)
        return line

    def answered(self, line: dict[str, Any], result: Any) -> None:
        line["result"] = result
        line["returned"] = self.now()

    def unanswered(self, line: dict[str, Any]) -> None:
        line["failed"] = self.now()

    def held(self, client: int, since: float, until: float) -> None:
        """A lock was taken before ``since`` and given back after ``until``, and the server agreed to both."""
        with self._lock:
            self._lines.append({"client": client, "kind": "held", "key": "lock", "since": since, "until": until})

    def save(self, path: Path) -> None:
        path.write_text("".join(json.dumps(line) + "\n" for line in self._lines))


def load(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def decoded(value: str | None) -> str:
    """A value as the KV interface shows it."""
    return base64.b64decode(value or "").decode()


def judge(lines: list[dict[str, Any]]) -> dict[str, int]:
    """Raises Violated. Returns how much was judged."""
    counts: Counter[str] = Counter()
    by_key: dict[str, list[Operation]] = {}
    held: list[tuple[float, float, int]] = []
    for line in lines:
        if line["kind"] == "held":
            held.append((line["since"], line["until"], line["client"]))
            continue
        known = "returned" in line
        counts["answered" if known else "without answer"] += 1
        counts[f"{line['mode'] or 'default'} reads" if line["kind"] == "read" else line["kind"]] += 1
        if not known and line["kind"] == "read":
            continue
        argument = line["argument"]
        by_key.setdefault(line["key"], []).append(
            Operation(
                line["client"],
                line["kind"],
                tuple(argument) if isinstance(argument, list) else argument,
                line.get("result"),
                line["called"],
                line.get("returned", float("inf")),
            )
        )
    for key, operations in by_key.items():
        if not explained(operations):
            shown = "\n".join(str(each) for each in sorted(operations, key=lambda each: each.called))
            raise Violated(f"the history of {key} has no explanation:\n{shown}")
    counts["keys"] = len(by_key)
    counts["locks held"] = len(held)
    held.sort()
    for (since, until, client), (next_since, _, other) in pairwise(held):
        if next_since < until:
            raise Violated(f"lock held twice: by {client} from {since} to {until}, by {other} from {next_since}")
    return dict(counts)
