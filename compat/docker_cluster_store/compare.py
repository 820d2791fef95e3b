"""Judges an answer of the store under test by the recorded one. The rules, in words, with their numbers: RULES.md."""

from __future__ import annotations

import base64
import json
import re
from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from docker_cluster_store.trace import Exchange
from docker_cluster_store.wire import Answer

SESSION_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
ENTRY_TYPES = {"LockIndex": int, "Key": str, "Flags": int, "CreateIndex": int, "ModifyIndex": int}
SESSION_TYPES = {
    "ID": str,
    "Name": str,
    "Node": str,
    "LockDelay": int,
    "Behavior": str,
    "TTL": str,
    "CreateIndex": int,
    "ModifyIndex": int,
}


@dataclass(frozen=True)
class Difference:
    """What dockerd, or its user, would notice. ``rule`` is a heading of RULES.md."""

    exchange: str
    rule: str
    text: str

    def __str__(self) -> str:
        return f"{self.exchange}\n    {self.rule}: {self.text}"


class IndexMap:
    """Recorded numbers of one resource and their counterparts: equal ones equal, larger ones larger."""

    def __init__(self) -> None:
        self._pairs: list[tuple[int, int]] = []
        self._known: dict[int, int] = {}

    def complaint(self, recorded: int, got: int) -> str | None:
        known = self._known.get(recorded)
        if known is not None:
            return None if known == got else f"recorded {recorded} was {known} before and is {got} now"
        place = bisect_left(self._pairs, (recorded, got))
        before = self._pairs[place - 1] if place else None
        behind = self._pairs[place] if place < len(self._pairs) else None
        if before is not None and got <= before[1]:
            return f"recorded {before[0]} then {recorded}, here {before[1]} then {got}: does not grow"
        if behind is not None and got >= behind[1]:
            return f"recorded {recorded} then {behind[0]}, here {got} then {behind[1]}: does not grow"
        return None

    def learn(self, recorded: int, got: int) -> None:
        if recorded not in self._known:
            self._known[recorded] = got
            insort(self._pairs, (recorded, got))

    def counterpart(self, recorded: int) -> int | None:
        return self._known.get(recorded)


Pair = tuple[str, int, int]


class Comparer:
    """Compares and remembers. ``check`` changes nothing; ``learn`` takes an answer's numbers and ids into the maps."""

    def __init__(self) -> None:
        self._indexes: dict[str, IndexMap] = {}
        self._absent: dict[tuple[str, int], int] = {}
        self._sessions: dict[str, str] = {}

    def session(self, recorded: str) -> str:
        """The id that the store under test gave; the recorded one when it gave none."""
        return self._sessions.get(recorded, recorded)

    def index_for(self, exchange: Exchange, name: str) -> int | None:
        """The number to send for ``cas=`` or ``index=``; None when no earlier answer showed the recorded one."""
        recorded = int(exchange.query[name])
        if recorded == 0:
            return 0
        resource = self._resource(exchange)
        indexes = self._indexes.get(resource)
        found = indexes.counterpart(recorded) if indexes else None
        if found is None and name == "index":
            found = self._absent.get((resource, recorded))
        return found

    @staticmethod
    def _resource(exchange: Exchange) -> str:
        return f"prefix {exchange.key}" if exchange.is_list else f"key {exchange.key}"

    def check(self, exchange: Exchange, answer: Answer) -> list[Difference]:
        """All differences between the recorded answer and this one."""
        return [Difference(str(exchange), rule, text) for rule, text in self._check(exchange, answer)]

    def _check(self, exchange: Exchange, answer: Answer) -> Iterable[tuple[str, str]]:
        if answer.headers.get("connection", "").lower() == "close":
            yield "connections", "the store closes a connection that dockerd keeps"
        if answer.status != exchange.status:
            yield "status", f"recorded {exchange.status}, got {answer.status} {answer.body[:120]!r}"
            return
        if exchange.status == 500:
            if not answer.body:
                yield "status", "a 500 without a text"
        elif exchange.path.startswith("/v1/session/create"):
            yield from self._check_created(answer)
        elif exchange.path.startswith("/v1/session/renew/"):
            yield from self._check_renewed(exchange, answer)
        elif exchange.method == "GET":
            yield from self._check_read(exchange, answer)
        elif (b"true" in exchange.answer) != (b"true" in answer.body):
            yield "writes", f"recorded {exchange.answer!r}, got {answer.body!r}"

    def _check_created(self, answer: Answer) -> Iterable[tuple[str, str]]:
        got = parse_json(answer.body)
        if not isinstance(got, dict) or not SESSION_ID.fullmatch(str(got.get("ID"))):
            yield "sessions", f"no ID in {answer.body!r}"

    def _check_renewed(self, exchange: Exchange, answer: Answer) -> Iterable[tuple[str, str]]:
        recorded, got = json.loads(exchange.answer), parse_json(answer.body)
        if not isinstance(got, list) or len(got) != len(recorded) or not isinstance(got[0], dict):
            yield "sessions", f"a list of {len(recorded)} sessions expected, got {answer.body[:200]!r}"
            return
        yield from wrong_types(got[0], SESSION_TYPES, "sessions")
        checks = got[0].get("Checks")
        if checks is not None and not (isinstance(checks, list) and all(isinstance(each, str) for each in checks)):
            yield "sessions", f"Checks is {checks!r}"
        for name in ("Name", "Node", "LockDelay", "Behavior", "TTL", "NodeChecks"):
            if got[0].get(name) != recorded[0][name]:
                yield "sessions", f"{name}: recorded {recorded[0][name]!r}, got {got[0].get(name)!r}"
        if got[0].get("ID") != self._sessions.get(recorded[0]["ID"]):
            yield "sessions", f"another session: {got[0].get('ID')!r}"
        yield from self._check_numbers(renewed_numbers(recorded[0], got[0]), "sessions")

    def _check_read(self, exchange: Exchange, answer: Answer) -> Iterable[tuple[str, str]]:
        if not answer.index:
            yield "index header", f"X-Consul-Index is {answer.headers.get('x-consul-index')!r}"
            return
        if answer.headers.get("x-consul-knownleader") != exchange.answer_headers["x-consul-knownleader"]:
            yield "headers", f"X-Consul-KnownLeader is {answer.headers.get('x-consul-knownleader')!r}"
        if not answer.headers.get("x-consul-lastcontact", "").isdigit():
            yield "headers", f"X-Consul-LastContact is {answer.headers.get('x-consul-lastcontact')!r}"
        if exchange.status == 404:
            return
        if answer.headers.get("content-type") != exchange.answer_headers["content-type"]:
            yield "headers", f"Content-Type is {answer.headers.get('content-type')!r}"
        recorded, got = exchange.items(), parse_json(answer.body)
        if not isinstance(got, list) or not all(isinstance(each, dict) for each in got):
            yield "entries", f"not a list of objects: {answer.body[:200]!r}"
            return
        names, got_names = [entry["Key"] for entry in recorded], [entry.get("Key") for entry in got]
        if names != got_names:
            rule = "order of lists" if sorted(names) == sorted(map(str, got_names)) else "entries"
            yield rule, f"keys: recorded {names}, got {got_names}"
            return
        for entry, got_entry in zip(recorded, got, strict=True):
            yield from self._check_entry(entry, got_entry)
        if not all(isinstance(entry.get("ModifyIndex"), int) for entry in got):
            return
        newest = max(entry["ModifyIndex"] for entry in got)
        if exchange.is_list:
            if answer.index < newest:
                yield "index header", f"of a list is {answer.index}, smaller than a ModifyIndex in it ({newest})"
        elif answer.index != newest:
            yield "index header", f"of one key is {answer.index}, not its ModifyIndex {newest}"
        yield from self._check_numbers(read_numbers(exchange, recorded, got, answer), "index relations")

    def _check_entry(self, recorded: dict[str, Any], got: dict[str, Any]) -> Iterable[tuple[str, str]]:
        key = recorded["Key"]
        yield from wrong_types(got, ENTRY_TYPES, "entries")
        for name in ("Flags", "LockIndex"):
            if recorded[name] != got.get(name):
                yield "entries", f"{name} of {key}: recorded {recorded[name]!r}, got {got.get(name)!r}"
        if decoded(recorded["Value"]) != decoded(got.get("Value", "")):
            yield "values", f"of {key}: recorded {decoded(recorded['Value'])!r}, got {decoded(got.get('Value', ''))!r}"
        session = recorded.get("Session")
        expected = self._sessions.get(session) if session else None
        if expected != got.get("Session"):
            yield "locks", f"Session of {key}: expected {expected!r} (recorded {session!r}), got {got.get('Session')!r}"

    def _check_numbers(self, pairs: Iterable[Pair], rule: str) -> Iterable[tuple[str, str]]:
        for resource, recorded, got in pairs:
            complaint = self._indexes.setdefault(resource, IndexMap()).complaint(recorded, got)
            if complaint:
                yield rule, f"{resource}: {complaint}"

    def learn(self, exchange: Exchange, answer: Answer) -> None:
        """Takes over the ids and numbers of an answer that ``check`` found nothing against, or as far as they fit."""
        if answer.status != exchange.status:
            return
        got = parse_json(answer.body)
        if exchange.path.startswith("/v1/session/create"):
            if exchange.status == 200 and isinstance(got, dict):
                self._sessions[json.loads(exchange.answer)["ID"]] = str(got.get("ID"))
        elif exchange.path.startswith("/v1/session/renew/"):
            if exchange.status == 200 and isinstance(got, list) and got and isinstance(got[0], dict):
                self._learn_numbers(renewed_numbers(json.loads(exchange.answer)[0], got[0]))
        elif exchange.method == "GET" and answer.index:
            if exchange.status == 404:
                self._absent[(self._resource(exchange), exchange.index)] = answer.index
            elif isinstance(got, list) and all(isinstance(each, dict) for each in got):
                self._learn_numbers(read_numbers(exchange, exchange.items(), got, answer))

    def _learn_numbers(self, pairs: Iterable[Pair]) -> None:
        for resource, recorded, got in pairs:
            self._indexes.setdefault(resource, IndexMap()).learn(recorded, got)


def parse_json(body: bytes) -> Any:
    """None for what is not JSON."""
    try:
        return json.loads(body)
    except ValueError:
        return None


def decoded(value: Any) -> bytes | str:
    """The bytes of a ``Value``; for what is neither null nor base64 a text that equals no bytes."""
    if value is None:
        return b""
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, ValueError):
        return f"not base64: {value!r}"


def wrong_types(got: dict[str, Any], types: dict[str, type], rule: str) -> Iterable[tuple[str, str]]:
    for name, expected in types.items():
        if type(got.get(name)) is not expected:
            yield rule, f"{name} must be {expected.__name__}, got {got.get(name)!r}"


def read_numbers(
    exchange: Exchange, recorded: list[dict[str, Any]], got: list[dict[str, Any]], answer: Answer
) -> list[Pair]:
    """Pairs of recorded and new numbers by resource: all writes of a key share one order, each prefix has its own."""
    pairs: list[Pair] = []
    by_key = {entry.get("Key"): entry for entry in got}
    for entry in recorded:
        other = by_key.get(entry["Key"], {})
        for name in ("CreateIndex", "ModifyIndex"):
            if type(other.get(name)) is int:
                pairs.append((f"key {entry['Key']}", entry[name], other[name]))
    if answer.index:
        resource = f"prefix {exchange.key}" if exchange.is_list else f"key {exchange.key}"
        pairs.append((resource, exchange.index, answer.index))
    return pairs


def renewed_numbers(recorded: dict[str, Any], got: dict[str, Any]) -> list[Pair]:
    return [
        (f"session {recorded['ID']}", recorded[name], got[name])
        for name in ("CreateIndex", "ModifyIndex")
        if type(got.get(name)) is int
    ]
