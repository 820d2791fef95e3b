"""``pyconsul watch``: one piece of the state, shown once, or given to a command at each change."""

from __future__ import annotations

import signal
import time

from pyconsul.client.client import Client
from pyconsul.client.errors import AnswerError, ClientError, StatusError
from pyconsul.client.settings import resolve
from pyconsul.codec.duration import format_duration
from pyconsul.codec.go_flags import BOOL, STRING, STRINGS, Flag
from pyconsul.codec.go_numbers import parse_bool
from pyconsul_cli.command import Command, CommandError, Context, failing, to_bytes
from pyconsul_cli.handlers import StartError, ending, start
from pyconsul_cli.output import to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from pyconsul.client.client import Answer, Query

RETRY_S = 5
RETRY_MAX_S = 180
SECOND_NS = 1_000_000_000

TAKES = {
    "key": ("key",),
    "keyprefix": ("prefix",),
    "services": (),
    "nodes": (),
    "service": ("service", "tag", "passingonly"),
    "checks": ("service", "state"),
    "event": ("name",),
}
"""Parameters that each type may have, beside datacenter and stale."""
NEEDS = {"key": "key", "keyprefix": "prefix", "service": "service"}
UNSUPPORTED = ("agent_service", "connect_leaf", "connect_proxy_config", "connect_roots")


class _Interrupted(Exception):
    """SIGINT or SIGTERM: the orderly end."""


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise _Interrupted


class Question:
    """What is watched: the request, and what is made of its answer."""

    def __init__(self, context: Context) -> None:
        """Raises CommandError."""
        flags = context.flags
        self.type = flags.string("type")
        given: dict[str, str | list[str]] = {}
        for name in ("key", "name", "prefix", "service", "state"):
            if flags.string(name):
                given[name] = flags.string(name)
        if flags.strings("tag"):
            given["tag"] = flags.strings("tag")
        passing = ""
        if flags.string("passingonly"):
            try:
                passing = "1" if parse_bool(flags.string("passingonly")) else ""
            except ValueError as error:
                raise CommandError(f"Failed to parse passingonly flag: {error}") from error
            given["passingonly"] = passing
        if self.type in UNSUPPORTED:
            raise CommandError(f"Type {self.type} is not supported in the CLI tool")
        if self.type not in TAKES:
            raise CommandError(f"Unsupported watch type: {self.type}")
        needed = NEEDS.get(self.type)
        if needed is not None and needed not in given:
            raise CommandError(f"Must specify a single {needed} to watch")
        if self.type == "checks" and "service" in given and "state" in given:
            raise CommandError("Cannot specify service and state")
        extra = sorted(set(given) - set(TAKES[self.type]))
        if extra:
            raise CommandError(f"Invalid parameters: [{' '.join(extra)}]")
        self.path, self.query = self._request(given, passing)
        self._last_event = ""

    def _request(self, given: dict[str, str | list[str]], passing: str) -> tuple[str, Query]:
        if self.type == "key":
            return f"/v1/kv/{given['key']}", ()
        if self.type == "keyprefix":
            return f"/v1/kv/{given['prefix']}", [("recurse", "")]
        if self.type == "service":
            tags = given.get("tag", [])
            query = [("tag", tag) for tag in tags] if isinstance(tags, list) else []
            return f"/v1/health/service/{given['service']}", [*query, *([("passing", "1")] if passing else [])]
        if self.type == "checks" and "service" in given:
            return f"/v1/health/checks/{given['service']}", ()
        if self.type == "checks":
            return f"/v1/health/state/{given.get('state', 'any')}", ()
        if self.type == "event":
            return "/v1/event/list", [("name", str(given["name"]))] if "name" in given else ()
        return f"/v1/catalog/{self.type}", ()

    def result(self, answer: Answer) -> Any:
        """What the answer means. Raises StatusError, AnswerError."""
        missing = answer.status == 404 and self.type in ("key", "keyprefix")
        if not missing and answer.status != 200:
            raise StatusError(answer.status, answer.body)
        if missing:
            return None
        if self.type == "key":
            pairs = answer.json_objects()
            return _pair(pairs[0]) if pairs else None
        if self.type == "keyprefix":
            return [_pair(pair) for pair in answer.json_objects()] or None
        if self.type in ("service", "checks"):
            from pyconsul_cli import watch_shapes

            shape = watch_shapes.service_entry if self.type == "service" else watch_shapes.check
            return [shape(entry) for entry in answer.json_objects()]
        value = answer.json()
        if not isinstance(value, list | dict):
            raise AnswerError("the answer is neither a list nor an object: is this an agent's HTTP address?")
        return value

    def news(self, result: Any) -> Any:
        """What a command gets: of events those that came after the last ones it got."""
        if self.type != "event" or not isinstance(result, list):
            return result
        ids = [event.get("ID") for event in result]
        new = result[ids.index(self._last_event) + 1 :] if self._last_event in ids else result
        if ids:
            self._last_event = ids[-1]
        return new


def _pair(pair: dict[str, Any]) -> dict[str, Any]:
    return {
        "Key": pair.get("Key", ""),
        "CreateIndex": pair.get("CreateIndex", 0),
        "ModifyIndex": pair.get("ModifyIndex", 0),
        "LockIndex": pair.get("LockIndex", 0),
        "Flags": pair.get("Flags", 0),
        "Value": pair.get("Value") or "",
        "Session": pair.get("Session") or "",
    }


def run(context: Context) -> int:
    if not context.flags.string("type"):
        raise CommandError("Watch type must be specified", with_help=True)
    question = Question(context)
    client = context.client()
    with failing("Error querying Consul agent"):
        client.get("/v1/status/leader")
    client.close()
    before = {number: signal.signal(number, _interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return _watch(context, question)
    except _Interrupted:
        return 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _watch_client(context: Context) -> Client:
    """Of the flags only address, token, datacenter and stale count here; the rest comes from the environment."""
    flags = {name: context.flags.string(name) for name in ("http-addr", "token")}
    query = [("dc", context.flags.string("datacenter"))] if context.flags.string("datacenter") else []
    read_query = [("stale", "")] if context.flags.boolean("stale") else []
    try:
        return Client(resolve(context.environ, flags), query, read_query)
    except ClientError as error:
        raise CommandError(f"Error connecting to Consul agent: {error}") from error


def _watch(context: Context, question: Question) -> int:
    client = _watch_client(context)
    index = failures = 0
    last: object = ...
    try:
        while True:
            try:
                answer = client.request("GET", question.path, [*question.query, *_index_query(index)])
                result = question.result(answer)
            except ClientError as error:
                failures += 1
                index = 0
                pause_s = min(RETRY_S * failures * failures, RETRY_MAX_S)
                retry = format_duration(pause_s * SECOND_NS)
                context.log("ERROR", f'watch.watch: Watch errored: type={question.type} error="{error}" retry={retry}')
                time.sleep(pause_s)
                continue
            failures = 0
            index = answer.index if answer.index >= index else 0
            if not context.args:
                context.out(to_json(result))
                return 0
            if result != last:
                last = result
                _run_handler(context, question.news(result), answer.index)
    finally:
        client.close()


def _index_query(index: int) -> Query:
    return [("index", str(index))] if index else []


def _run_handler(context: Context, result: Any, index: int) -> None:
    """Raises CommandError when the command fails: it ends the watch."""
    import subprocess

    environ = {**context.environ, "CONSUL_INDEX": str(index)}
    try:
        child = start(context.args, context.flags.boolean("shell"), context.io, environ, subprocess.PIPE)
    except StartError as error:
        raise CommandError(f"Error starting handler: {error}") from error
    child.communicate(to_bytes(to_json(result, indent=None) + "\n"))
    if child.returncode:
        raise CommandError(f"Error executing handler: {ending(child.returncode)}")


COMMANDS = {
    "watch": Command(
        "watch",
        run,
        usage="[COMMAND ...]",
        sets="CS",
        flags=(
            Flag("type", STRING, "What to watch; needed.", value_name="type", choices=tuple(TAKES)),
            Flag("key", STRING, "The key, for type key.", value_name="key"),
            Flag("prefix", STRING, "The prefix of keys, for type keyprefix.", value_name="prefix"),
            Flag("service", STRING, "The service, for types service and checks.", value_name="name"),
            Flag("tag", STRINGS, "For type service: only with this tag; may be repeated.", value_name="tag"),
            Flag("passingonly", STRING, "For type service: only healthy instances.", value_name="bool"),
            Flag("state", STRING, "For type checks: only in this state.", value_name="state"),
            Flag("name", STRING, "The event's name, for type event.", value_name="name"),
            Flag("shell", BOOL, "Run the command by a shell.", True),
        ),
        about="Shows a piece of the state as JSON. With a command it runs that at the start and at each change, with "
        "the JSON on its standard input, until Ctrl-C. Types: key, keyprefix, services, nodes, service, checks, event.",
        examples=("watch -type=keyprefix -prefix=docker/nodes/", "watch -type=key -key=app/config ./reload.sh"),
    )
}
