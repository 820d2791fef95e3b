"""One recorded scenario in progress: its requests are sent, and their answers compared or, in a recording, kept."""

from __future__ import annotations

import base64
import concurrent.futures
import contextlib
import gzip
import http.client
import json
import re
import socket
import time
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from conform_match import (
    UUID,
    Json,
    Matcher,
    Mismatch,
    Scenario,
    Step,
    in_base64,
    look_up,
    name_indexes,
    short,
    soften,
)

INDEX_HEADER = "X-Consul-Index"
KEPT_HEADERS = (
    "Content-Type",
    INDEX_HEADER,
    "X-Consul-Knownleader",
    "X-Consul-Lastcontact",
    "X-Consul-Effective-Consistency",
    "Allow",
    "Location",
    "X-Consul-Default-Acl-Policy",
)

FUNCTIONS: dict[str, Callable[[Json], Json]] = {  # what "capture" can make of a value: {"name": "body.0.ID|upper"}
    "": lambda value: value,
    "uuid_index": lambda value: uuid_index(uuid.UUID(value)),
    "base64": in_base64,
    "upper": lambda value: str(value).upper(),
}

REQUEST_TIMEOUT_S = 60
AT_ONCE = 16
"""Requests of one scenario that may wait for their answers."""
UNDER_WAY_S = 0.3
"""After which a request in the background has reached the server."""
ASK_AGAIN_S = 0.2


def uuid_index(value: uuid.UUID) -> int:
    """The index of an event is the exclusive or of the halves of its ID."""
    return (value.int >> 64) ^ (value.int & (1 << 64) - 1)


@dataclass(frozen=True)
class Response:
    """``open``: whether a kept-alive connection still is; None where that was not asked."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float
    open: bool | None = None

    @property
    def text(self) -> str:
        return self.body.decode(errors="backslashreplace")

    @property
    def parsed(self) -> Json:
        """JSON where it is some, else text, else ``{"$b64": …}``."""
        kind = self.headers.get("Content-Type", "")
        if "json" in kind or self.body[:1] in (b"{", b"["):
            with contextlib.suppress(ValueError):
                return json.loads(self.body)
        try:
            return self.body.decode()
        except UnicodeDecodeError:
            return {"$b64": base64.b64encode(self.body).decode()}


class Run:
    """``nodes``: base URLs, the leader's first. ``recording``: the steps get an ``expect`` instead of being checked.

    To be closed in the end.
    """

    def __init__(self, scenario: Scenario, nodes: Sequence[str], recording: bool = False) -> None:
        self.scenario, self.nodes, self.recording = scenario, nodes, recording
        self.matcher = Matcher(scenario, nodes)
        self.pending: dict[str, tuple[Step, concurrent.futures.Future[Response]]] = {}
        """Steps in the background by their id."""
        self.kept: dict[str, http.client.HTTPConnection] = {}
        """Connections that "keep_alive" steps share, by server."""
        self.pool = concurrent.futures.ThreadPoolExecutor(AT_ONCE)

    def close(self) -> None:
        self.pool.shutdown()
        for connection in self.kept.values():
            connection.close()

    def play(self) -> None:
        """Raises Mismatch for the first answer that differs, or that did not come."""
        for n, step in enumerate(self.scenario["steps"], 1):
            try:
                self.take(step)
            except Mismatch as why:
                raise Mismatch(f"step {n} ({step.get('method', '')} {step.get('path', '')}): {why}") from None
            except (OSError, http.client.HTTPException) as why:
                raise Mismatch(
                    f"step {n} ({step.get('method', '')} {step.get('path', '')}): no answer: {why!r}"
                ) from None
        if self.recording:
            name_indexes(self.scenario)

    def take(self, step: Step) -> None:
        if "sleep" in step:
            time.sleep(step["sleep"])
        elif "await" in step:
            waited, answer = self.pending.pop(step["await"])
            self.settle(waited, answer.result())
        elif step.get("async"):
            self.pending[step["id"]] = (step, self.pool.submit(self.send, dict(step)))
            time.sleep(UNDER_WAY_S)
        elif "retry_s" in step and not self.recording:
            self.ask_until_it_holds(step)
        else:
            time.sleep(step.get("retry_s", 0))  # recording: let the reference settle
            for _ in range(step.get("times", 1) - 1):
                self.send(step)
            self.settle(step, self.send(step))

    def ask_until_it_holds(self, step: Step) -> None:
        last = time.monotonic() + step["retry_s"]
        while True:
            answer, before = self.send(step), dict(self.matcher.indexes)
            try:
                self.settle(step, answer)
                return
            except Mismatch:
                self.matcher.indexes = before
                if time.monotonic() > last:
                    raise
                time.sleep(ASK_AGAIN_S)

    # ---- requests
    def send(self, step: Step) -> Response:
        fill = self.matcher.fill
        url = urllib.parse.urlsplit(self.nodes[self.node_number(step.get("node", 0))])
        made = http.client.HTTPConnection(
            url.hostname or "", url.port, timeout=step.get("timeout_s", REQUEST_TIMEOUT_S)
        )
        if step.get("keep_alive"):
            made = self.kept.setdefault(url.netloc, made)
        body, headers = self.body_of(step), fill(step.get("headers", {}))
        began, still_open = time.monotonic(), None
        try:
            # It need not read all of a request that it refuses.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                made.request(step["method"], fill(step["path"]), body=body, headers=headers)
            wire = made.sock
            got = made.getresponse()
            data = read_some(wire, got, step["read_s"]) if "read_s" in step else got.read()
            if step.get("keep_alive"):
                still_open = made.sock is not None
        finally:
            if not step.get("keep_alive"):
                made.close()
        seconds = time.monotonic() - began
        names = {name.title(): value for name, value in got.getheaders()}
        if names.get("Content-Encoding") == "gzip" and data:
            data = gzip.decompress(data)
        return Response(got.status, names, data, seconds, still_open)

    def body_of(self, step: Step) -> bytes | None:
        if "json" in step:
            return json.dumps(self.matcher.fill(step["json"])).encode()
        if "body_b64" in step:
            return base64.b64decode(step["body_b64"])
        if "body" in step:
            return self.matcher.fill_text(step["body"]).encode()
        return b"x" * step["body_size"] if "body_size" in step else None

    def node_number(self, wanted: int | str) -> int:
        """The server that a step asks: a number, or a role, which is looked up."""
        if isinstance(wanted, int):
            return wanted % len(self.nodes)
        peers = ask(self.nodes[0], "/v1/operator/raft/configuration")["Servers"]
        leaders = [peer["Node"] for peer in peers if peer["Leader"]]
        names = [ask(base, "/v1/agent/self")["Config"]["NodeName"] for base in self.nodes]
        if wanted == "leader":
            return names.index(leaders[0])
        followers = [n for n, name in enumerate(names) if name not in leaders]
        return followers[int(wanted.removeprefix("follower") or 1) - 1]

    # ---- answers
    def settle(self, step: Step, got: Response) -> None:
        if "id" in step:
            self.matcher.answered[step["id"]] = got.headers.get(INDEX_HEADER, "0")
        self.capture(step, got)
        text = got.body.decode(errors="replace")
        for part in self.matcher.fill(step.get("has", [])):
            if part not in text:
                raise Mismatch(f"{part!r} is not in the answer ({got.status}: {short(text)})")
        if self.recording:
            known = self.matcher.vars
            fresh = {name: known.pop(name) for name in step.get("capture", {}) if UUID.fullmatch(str(known[name]))}
            step["expect"] = self.expectation(step, got)  # an ID that is new here is any UUID, later it is this one
            known.update(fresh)
        else:
            self.check(step, got)

    def capture(self, step: Step, got: Response) -> None:
        for name, path in step.get("capture", {}).items():
            if isinstance(path, list):  # as in a "view"
                taken = look_up(got.parsed, self.matcher.fill(path))
                if taken == "$missing":
                    raise Mismatch(f"{path} is not there ({got.status}: {short(got.parsed)})")
                self.matcher.vars[name] = taken
                continue
            place, _, function = self.matcher.fill_text(path).partition("|")
            value: Json = got.headers if place.startswith("header.") else got.parsed
            try:
                for part in place.split(".")[1:] if place != "body" else []:
                    value = value[int(part)] if isinstance(value, list) else value[part]
            except (KeyError, IndexError, TypeError, ValueError):
                raise Mismatch(f"{place} is not there ({got.status}: {short(got.parsed)})") from None
            self.matcher.vars[name] = FUNCTIONS[function](value)

    def check(self, step: Step, got: Response) -> None:
        want = step["expect"]
        if got.status != want["status"]:
            raise Mismatch(f"status: want {want['status']}, got {got.status} ({short(got.parsed)})")
        for name, value in want.get("headers", {}).items():
            if name not in self.scenario.get("ignore", []):
                self.check_header(name, value, got.headers.get(name))
        if "body" in want:
            self.matcher.match(want["body"], self.part(step, got), "body")
        if "open" in want and want["open"] != got.open:
            raise Mismatch(f"the connection {'was closed' if want['open'] else 'stayed open'} after the answer")
        low, high = want.get("seconds", [0, float("inf")])
        if not low <= got.seconds <= high:
            raise Mismatch(f"took {got.seconds:.2f} s, want {low} to {high}")

    def check_header(self, name: str, want: Json, got: str | None) -> None:
        if want is None:
            if got is not None:
                raise Mismatch(f"header {name} is sent, and the reference does not send it")
            return
        if got is None:
            raise Mismatch(f"header {name} is missing")
        if name == "Content-Type":
            want, got = (text.lower().replace(" ", "") for text in (want, got))
        self.matcher.match(want, got, f"header {name}", name)

    def part(self, step: Step, got: Response) -> Json:
        """The parts of the body that a step with a "view" is about."""
        body = got.text if step.get("text") else got.parsed
        if "view" not in step:
            return body
        return {label: look_up(body, self.matcher.fill(path)) for label, path in step["view"].items()}

    def expectation(self, step: Step, got: Response) -> dict[str, Any]:
        headers: dict[str, Json] = {
            name: self.masked_header(name, got.headers[name]) for name in KEPT_HEADERS if name in got.headers
        }
        for name in map(str.title, step.get("keep", [])):
            headers[name] = self.matcher.mask_text(got.headers[name]) if name in got.headers else None
        want: dict[str, Any] = {"status": got.status, "headers": headers}
        if not step.get("unchecked"):
            want["body"] = self.matcher.mask(self.part(step, got))
        if got.open is not None:
            want["open"] = got.open
        for pattern in step.pop("soften", []):  # only in scripts: what its groups match may be anything
            want["body"] = soften(want["body"], re.compile(pattern, re.DOTALL))
        if step.get("timed"):
            want["seconds"] = [round(got.seconds * 0.8, 2), round(got.seconds * 1.2 + 1.5, 2)]
        return want

    def masked_header(self, name: str, value: str) -> Json:
        if name == INDEX_HEADER and value.isdigit() and int(value) > 0:
            return {"$index": int(value)}
        return "<int>" if name == "X-Consul-Lastcontact" else self.matcher.mask_text(value)


def ask(base: str, path: str) -> Json:
    with urllib.request.urlopen(base + path, timeout=20) as got:
        return json.load(got)


def read_some(wire: socket.socket, got: http.client.HTTPResponse, seconds: float) -> bytes:
    """What of an endless answer arrives in that time."""
    data, until = b"", time.monotonic() + seconds
    with contextlib.suppress(OSError):  # time is up
        while (left := until - time.monotonic()) > 0:
            wire.settimeout(left)
            chunk = got.read1(65536)
            if not chunk:
                break
            data += chunk
    return data
