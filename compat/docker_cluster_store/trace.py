"""Reads a recorded conversation of three dockerd with their stores, and works out which requests depended on which.

A scenario is a folder of ``traces/``: ``hostN.jsonl.xz`` (one exchange per line, see README.md) and ``steps.jsonl.xz``
(what was done to the engines and stores, and when). ``load`` returns it with three additions:

- the order of effect of requests that overlapped and concern the same key (``Exchange.after``);
- the moments at which a session ended by itself, and not because a store had failed (``Scenario.session_ends``);
- for every watch, what it was woken by or that it was not (``Exchange.expired``).
"""

from __future__ import annotations

import base64
import gzip
import json
import lzma
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

TRACES = Path(__file__).parent / "traces"
SCENARIOS = sorted(path.name for path in TRACES.iterdir() if path.is_dir())
KV = "/v1/kv/"
DEFAULT_WAIT_S = 300.0
REFUSED = "connection refused"
SERVER_CLOSED = "server closed connection without response"
CLIENT_CLOSED = "client closed connection"
RECORDING_ENDED = "recording ended"


@dataclass(eq=False)
class Exchange:
    """One request and what came of it. ``t`` and ``t_done`` are seconds since the scenario's start."""

    number: int
    t: float
    t_done: float
    host: int
    conn: int
    error: str
    method: str = ""
    path: str = ""
    query: dict[str, str] = field(default_factory=dict)
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    status: int = 0
    answer_headers: dict[str, str] = field(default_factory=dict)
    answer: bytes = b""
    after: set[int] = field(default_factory=set)
    """Numbers of exchanges that must be over before this one is sent although they overlapped in the original."""

    @property
    def key(self) -> str | None:
        """The key of a KV request."""
        return self.path.removeprefix(KV) if self.path.startswith(KV) else None

    @property
    def is_list(self) -> bool:
        return "recurse" in self.query

    @property
    def watched_index(self) -> int:
        """The index a blocking read waits for; 0 for all other requests."""
        return int(self.query.get("index", "0")) if self.method == "GET" else 0

    @property
    def wait_s(self) -> float:
        wait = self.query.get("wait", "")
        return float(wait.removesuffix("ms")) / 1000 if wait else DEFAULT_WAIT_S

    @property
    def index(self) -> int:
        """``X-Consul-Index`` of the recorded answer, 0 without."""
        return int(self.answer_headers.get("x-consul-index", "0"))

    @property
    def succeeded(self) -> bool:
        """A write that took effect."""
        return self.status == 200 and b"true" in self.answer

    @property
    def expired(self) -> bool:
        """A watch that was answered because its time was over, nothing having changed."""
        return (
            self.watched_index > 0
            and self.status in (200, 404)
            and self.index == self.watched_index
            and self.t_done - self.t >= self.wait_s
        )

    def items(self) -> list[dict[str, Any]]:
        """The entries of a read's recorded answer."""
        if self.status != 200 or not self.answer:
            return []
        entries: list[dict[str, Any]] = json.loads(self.answer)
        return entries

    def reads(self, key: str) -> bool:
        """Whether this is a read that would show ``key``."""
        if self.method != "GET" or self.key is None:
            return False
        return key.startswith(self.key) if self.is_list else key == self.key

    def target(self) -> str:
        return self.path + "?" + "&".join(f"{name}={value}" for name, value in self.query.items())

    def __str__(self) -> str:
        return f"#{self.number} t={self.t:.4f} host {self.host} {self.method} {self.target()}"


@dataclass(frozen=True)
class Step:
    """Something that was done, ``t`` seconds after the scenario's start."""

    t: float
    host: int | None
    text: str
    nodes: list[str] | None


@dataclass(frozen=True)
class SessionEnd:
    """A session (by its recorded id) that ran out: noticed at ``t``, last renewed at ``renewed``."""

    t: float
    session: str
    key: str
    renewed: float


@dataclass(frozen=True)
class Scenario:
    name: str
    exchanges: list[Exchange]
    steps: list[Step]
    session_ends: list[SessionEnd]


def read_lines(path: Path) -> list[dict[str, Any]]:
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def parse(number: int, line: dict[str, Any]) -> Exchange:
    """One line of ``hostN.jsonl`` as an exchange, the answer's body decoded."""
    response = line.get("response") or {}
    request = line["request"]
    done = response.get("t_done", line.get("t_done", line["t"]))
    exchange = Exchange(number, line["t"], done, line["host"], line["conn"], line.get("error") or "")
    if request is None:
        return exchange
    exchange.method = request["method"]
    exchange.path = request["path"]
    pairs = [piece.partition("=") for piece in (request["query"] or "").split("&") if piece]
    exchange.query = {name: value for name, _, value in pairs}
    exchange.headers = [(name, value) for name, value in request["headers"]]
    exchange.body = base64.b64decode(request["body_b64"])
    if response:
        exchange.status = response["status"]
        exchange.answer_headers = {name.lower(): value for name, value in response["headers"]}
        body = base64.b64decode(response["body_b64"])
        exchange.answer = gzip.decompress(body) if exchange.answer_headers.get("content-encoding") == "gzip" else body
    return exchange


@cache
def load(name: str) -> Scenario:
    """The scenario of that name. The same object for every caller: nobody changes it."""
    folder = TRACES / name
    lines = [line for host in (1, 2, 3) for line in read_lines(folder / f"host{host}.jsonl.xz")]
    lines.sort(key=lambda line: line["t"])
    exchanges = [parse(number, line) for number, line in enumerate(lines)]
    steps = [
        Step(line["t"], line.get("host"), line["step"], line.get("nodes"))
        for line in read_lines(folder / "steps.jsonl.xz")
    ]
    add_order_of_effect(exchanges)
    stores_failed = any(step.text.startswith("PHASE") for step in steps)
    return Scenario(name, exchanges, steps, [] if stores_failed else find_session_ends(exchanges))


def shows(read: Exchange, write: Exchange, existed: bool) -> bool | None:
    """Whether the answer of ``read`` contains the effect of ``write``; None when that cannot be told, or makes no
    visible difference. ``existed``: the key was there before the write."""
    assert write.key is not None
    entry = next((item for item in read.items() if item["Key"] == write.key), None)
    if "cas" in write.query:
        expected = int(write.query["cas"])
        if write.method == "PUT" and expected == 0:
            return entry is not None
        return entry is None or entry["ModifyIndex"] > expected
    if "acquire" in write.query:
        return entry is not None and entry.get("Session") == write.query["acquire"]
    if entry is None:
        return None if existed else False  # it may be gone again
    same = base64.b64decode(entry["Value"] or "") == write.body
    return None if same and existed and not write.body else same


def first_of(one: Exchange, other: Exchange) -> Exchange | None:
    """Of two overlapping check-and-set writes of a key the one that took effect first; None when that does not show."""
    if "cas" not in one.query or "cas" not in other.query:
        return None
    for winner, loser in ((one, other), (other, one)):
        if not winner.succeeded:
            continue
        before, seen = int(winner.query["cas"]), int(loser.query["cas"])
        created_anew = winner.method == "DELETE" and loser.method == "PUT" and seen == 0 and loser.succeeded
        if created_anew or seen > before or (seen == before and not loser.succeeded):
            return winner
    return None


def add_order_of_effect(exchanges: list[Exchange]) -> None:
    """Fills ``after``. Only answered requests count; a watch that waited for the write waits anyway."""
    seen_first: dict[str, float] = {}
    made: set[tuple[str, int]] = set()
    for exchange in exchanges:
        for item in exchange.items() if exchange.method == "GET" else []:
            seen_first[item["Key"]] = min(exchange.t_done, seen_first.get(item["Key"], exchange.t_done))
    for write in exchanges:
        key = write.key
        if key is None or write.method == "GET" or write.status != 200:
            continue
        for other in exchanges:
            if other.t >= write.t_done:
                break
            if other is write or other.t_done <= write.t or other.status not in (200, 404):
                continue
            if other.method == "GET":
                if write.succeeded and other.reads(key):
                    existed = seen_first.get(key, write.t) < write.t or (key, other.number) in made
                    order_read(other, write, existed)
                    if write.number in other.after:
                        made.add((key, other.number))  # of several that make a key at once the first is the maker
            elif other.key == key and other.number > write.number:
                winner = first_of(write, other)
                if winner is not None:
                    loser = other if winner is write else write
                    loser.after.add(winner.number)


def order_read(read: Exchange, write: Exchange, existed: bool) -> None:
    seen = shows(read, write, existed)
    if seen is False:
        write.after.add(read.number)
    elif seen and not (read.watched_index and write.t >= read.t):
        read.after.add(write.number)


def find_session_ends(exchanges: list[Exchange]) -> list[SessionEnd]:
    """Held keys that were there in one answer and missing in a later one, though nobody deleted them."""
    held: dict[str, tuple[str, int]] = {}
    renewed: dict[str, float] = {}
    ends = []
    for exchange in sorted(exchanges, key=lambda each: each.t_done):
        if exchange.path.startswith("/v1/session/renew/") and exchange.status == 200:
            renewed[exchange.path.rpartition("/")[2]] = exchange.t_done
        if exchange.method != "GET" or exchange.status not in (200, 404):
            continue
        items = {item["Key"]: item for item in exchange.items()}
        for key in [key for key in held if exchange.reads(key) and key not in items]:
            if exchange.index <= held[key][1]:
                continue  # the state before the key was made: the two reads overlapped
            session, _ = held.pop(key)
            ends.append(SessionEnd(exchange.t_done, session, key, renewed[session]))
        held.update({key: (item["Session"], item["ModifyIndex"]) for key, item in items.items() if "Session" in item})
    return ends
