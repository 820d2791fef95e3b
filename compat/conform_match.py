"""How an answer is compared with a recorded one: variables, what is volatile, and the order of indexes.

The format of what is compared: recordings/FORMAT.md. Standard library only, as all that ``conform.py`` is made of.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import urllib.parse
import uuid
from collections.abc import Callable, Sequence
from typing import Any

Json = Any
"""A decoded JSON value, and the texts and numbers that stand for one in a recording."""
Scenario = dict[str, Any]
Step = dict[str, Any]

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
FIXED_UUID = re.compile("00000000-0000-0000-0000-0000000000|11111111-2222-3333-4444-555555555555")  # never masked
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
VOLATILE = {"<uuid>": UUID.pattern, "<time>": TIME.pattern, "<any>": ".*", "<int>": r"-?\d+"}
"""What stands for a text that differs from run to run, and what that text must look like."""
INDEX_KEYS = {"CreateIndex", "ModifyIndex", "RaftIndex", "Index"}
SHORT = 300
"""Characters of an answer that a difference shows."""
ALL_ORDERS = 8
"""Items of an unordered list up to which all ways to pair them up are tried."""

JSON_TYPES = {dict: "object", list: "list", str: "string", bool: "boolean", type(None): "null"}


class Mismatch(Exception):
    """An answer that differs from the recorded one."""


class Matcher:
    """What one scenario knows by now: its variables, and the indexes that it has seen."""

    def __init__(self, scenario: Scenario, nodes: Sequence[str]) -> None:
        self.scenario = scenario
        self.vars: dict[str, Any] = {"ns": "t" + secrets.token_hex(5)}
        """Texts, but for what a ``capture`` with a path took."""
        text = json.dumps(scenario)
        for n, node in enumerate(nodes):  # ${http0} is the host:port of the first server
            if f"${{http{n}}}" in text:
                self.vars[f"http{n}"] = urllib.parse.urlsplit(node).netloc
        for name in set(re.findall(r"\$\{(uuid\d)\}", text)):  # new in every run
            self.vars[name] = str(uuid.uuid4())
        self.answered: dict[str, str] = {}
        """The index that came with the answer to the step of that id."""
        self.indexes: dict[str, int] = {}
        """By their names in the recording."""

    # ---- filling in: from a recording to a request, or to what is wanted of an answer
    def fill(self, value: Json) -> Json:
        if isinstance(value, str):
            return self.fill_text(value)
        if isinstance(value, dict):
            return {self.fill_text(k): self.fill(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.fill(v) for v in value]
        return value

    def fill_text(self, text: str) -> str:
        def known(match: re.Match[str]) -> str:
            name: str | None = match.group(1)
            if name is None:
                return "${"
            if name.startswith("x:"):
                return "x" * int(name[2:])
            if name.endswith(".index"):
                return self.answered[name.removesuffix(".index")]
            return str(self.vars[name])

        return re.sub(r"\$\$\{|\$\{([^}]+)\}", known, text)

    def fill_known(self, text: str) -> str:
        """In what is wanted: variables may stand in it as they are or in base64; what is no variable stays."""
        text = re.sub(r"\$\{b64:([^}]+)\}", lambda found: in_base64(self.vars[found.group(1)]), text)
        return re.sub(r"\$\{([^}]+)\}", lambda found: str(self.vars.get(found.group(1), found.group(0))), text)

    # ---- masking: from an answer to a recording
    def mask(self, value: Json, key: str = "") -> Json:
        if key in self.scenario.get("ignore", []):
            return "<any>"
        if isinstance(value, dict):
            return {self.mask_text(k): self.mask(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [self.mask(v, key) for v in value]
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, int) and key in INDEX_KEYS and value > 0:
            return {"$index": value}
        if isinstance(value, str):
            return self.mask_text(value)
        return value

    def mask_text(self, text: str) -> str:
        for name, known in sorted(self.vars.items(), key=lambda item: -len(str(item[1]))):
            if len(str(known)) > 4:
                text = text.replace(str(known), f"${{{name}}}")
                text = text.replace(in_base64(known), f"${{b64:{name}}}")
        text = UUID.sub(lambda found: found[0] if FIXED_UUID.match(found[0]) else "<uuid>", text)
        for pattern in self.scenario.get("blur", []):
            text = re.sub(pattern, "<any>", text)
        return TIME.sub("<time>", text)

    # ---- matching; all of these raise Mismatch
    def match(self, want: Json, got: Json, where: str, key: str = "") -> None:
        """``where``: the path to it, for the reader; ``key``: the nearest name above it."""
        if want == "<any>" or key in self.scenario.get("ignore", []):
            return
        if isinstance(want, dict) and set(want) == {"$index"}:
            self.match_index(want["$index"], got, where)
        elif isinstance(want, dict):
            self.match_object(want, got, where)
        elif isinstance(want, list):
            self.match_list(want, got, where, key)
        elif isinstance(want, str):
            self.match_text(want, got, where)
        elif type(want) is not type(got) or want != got:
            raise Mismatch(f"{where}: want {want!r}, got {short(got)}")

    def match_object(self, want: dict[str, Json], got: Json, where: str) -> None:
        if not isinstance(got, dict):
            raise Mismatch(f"{where}: want an object, got {short(got)}")
        want = {self.fill_known(k): v for k, v in want.items()}
        spare = set(got) - set(want)
        if spare and not {where.split(".")[-1], "*"} & set(self.scenario.get("open", [])):
            raise Mismatch(f"{where}: fields that the reference does not send: {sorted(spare)}")
        for k, v in want.items():
            if k not in got:
                raise Mismatch(f"{where}: field {k!r} is missing")
            self.match(v, got[k], f"{where}.{k}", k)

    def match_list(self, want: list[Json], got: Json, where: str, key: str) -> None:
        if not isinstance(got, list):
            raise Mismatch(f"{where}: want a list, got {short(got)}")
        if len(want) != len(got):
            raise Mismatch(f"{where}: want {len(want)} items, got {len(got)}: {short(got)}")
        if {key, where} & set(self.scenario.get("unordered", [])):
            self.match_any_order(want, got, where, key)
            return
        for n, (wanted, found) in enumerate(zip(want, got, strict=True)):
            self.match(wanted, found, f"{where}[{n}]", key)

    def match_any_order(self, want: list[Json], got: list[Json], where: str, key: str) -> None:
        """Pairs the items up so that all match; what is said when they do not is about the first that has no pair."""
        if not want:
            return
        reasons = []
        for n, candidate in enumerate(got):
            before, rest = dict(self.indexes), got[:n] + got[n + 1 :]
            try:
                self.match(want[0], candidate, f"{where}[{n}]", key)
                if len(want) <= ALL_ORDERS:
                    self.match_any_order(want[1:], rest, where, key)
                    return
            except Mismatch as why:
                self.indexes = before
                reasons.append(str(why))
            else:  # too many to try all orders: the first that matches is taken
                self.match_any_order(want[1:], rest, where, key)
                return
        raise Mismatch(f"{where}: nothing matches {short(want[0])}: {reasons[0] if len(reasons) == 1 else short(got)}")

    def match_text(self, want: str, got: Json, where: str) -> None:
        if not isinstance(got, str):
            raise Mismatch(f"{where}: want {want!r}, got {short(got)}")
        pattern = re.escape(self.fill_known(want))
        for token, form in VOLATILE.items():
            pattern = pattern.replace(re.escape(token), form)
        if not re.fullmatch(pattern, got, re.DOTALL):
            raise Mismatch(f"{where}: want {want!r}, got {short(got)}")

    def match_index(self, symbol: str, got: Json, where: str) -> None:
        """Indexes differ between servers; which are equal and which is larger must not."""
        try:
            index = int(got)
        except (TypeError, ValueError):
            raise Mismatch(f"{where}: want an index, got {short(got)}") from None
        if symbol in self.indexes:
            if self.indexes[symbol] != index:
                raise Mismatch(f"{where}: index {symbol} was {self.indexes[symbol]} before and is {index} here")
            return
        number = int(symbol[1:])
        for other, value in self.indexes.items():
            if (int(other[1:]) < number) != (value < index) or value == index:
                raise Mismatch(f"{where}: index {symbol}={index} is out of order with {other}={value}")
        self.indexes[symbol] = index


def in_base64(value: object) -> str:
    return base64.b64encode(str(value).encode()).decode()


def short(value: Json) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) < SHORT else text[:SHORT] + "…"


def look_up(value: Json, path: Sequence[Json]) -> Json:
    """Follows the path of a ``view`` into a JSON value; ``"$missing"`` when it leads nowhere."""
    for n, part in enumerate(path):
        if part == "#":
            return len(value) if isinstance(value, (dict, list, str)) else "$missing"
        if part == "#keys":
            return sorted(value) if isinstance(value, dict) else "$missing"
        if part == "#type":
            return JSON_TYPES.get(type(value), "number")
        if part == "*":
            if isinstance(value, dict):
                return {k: look_up(v, path[n + 1 :]) for k, v in value.items()}
            return [look_up(v, path[n + 1 :]) for v in value] if isinstance(value, list) else "$missing"
        try:
            if isinstance(part, dict):
                value = [v for v in value if all(v.get(k) == w for k, w in part.items())]
            else:
                value = value[int(part)] if isinstance(value, list) else value[part]
        except (KeyError, IndexError, TypeError, ValueError, AttributeError):
            return "$missing"
    return value


def soften(value: Json, pattern: re.Pattern[str]) -> Json:
    """Writes <any> for what the groups of the pattern match in the texts that it matches as a whole."""
    if isinstance(value, dict):
        return {k: soften(v, pattern) for k, v in value.items()}
    if isinstance(value, list):
        return [soften(v, pattern) for v in value]
    if isinstance(value, str) and (found := pattern.fullmatch(value)):
        for n in range(pattern.groups, 0, -1):
            value = value[: found.start(n)] + "<any>" + value[found.end(n) :]
    return value


def name_indexes(scenario: Scenario) -> None:
    """Replaces recorded index numbers by names that keep only equality and order."""
    wants = [step["expect"] for step in scenario["steps"] if "expect" in step]
    seen: set[int] = set()
    visit_indexes(wants, lambda leaf: seen.add(leaf["$index"]))
    names = {number: f"i{rank}" for rank, number in enumerate(sorted(seen), 1)}
    visit_indexes(wants, lambda leaf: leaf.update({"$index": names[leaf["$index"]]}))


def visit_indexes(value: Json, found: Callable[[dict[str, Any]], None]) -> None:
    if isinstance(value, dict):
        if set(value) == {"$index"}:
            found(value)
        else:
            for item in value.values():
                visit_indexes(item, found)
    elif isinstance(value, list):
        for item in value:
            visit_indexes(item, found)
