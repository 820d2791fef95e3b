"""``pyconsul kv get``."""

from __future__ import annotations

from base64 import b64decode

from pyconsul.client.errors import StatusError
from pyconsul.codec.go_flags import BOOL, STRING, Flag
from pyconsul_cli.command import FORMAT_FLAG, Command, CommandError, Context, failing, to_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyconsul.client.client import Answer, Client, Query

LABEL_WIDTH = 17


def one_key_argument(context: Context) -> str:
    """The argument without one leading slash, "" when there is none. Raises CommandError."""
    if len(context.args) > 1:
        raise CommandError(f"Too many arguments (expected 1, got {len(context.args)})")
    return context.args[0].removeprefix("/") if context.args else ""


def read_keys(client: Client, key: str, query: Query = ()) -> Answer | None:
    """None when there is no such key. Raises CommandError; of an HTTP error only the code is told, as Consul does."""
    with failing("Error querying Consul agent"):
        answer = client.request("GET", f"/v1/kv/{key}", query)
        if answer.status == 404:
            return None
        try:
            return answer.expect_ok()
        except StatusError as error:
            raise CommandError(f"Error querying Consul agent: Unexpected response code: {error.code}") from error


def value_of(entry: dict[str, Any]) -> bytes:
    return b64decode(entry.get("Value") or "")


def run(context: Context) -> int:
    flags = context.flags
    key = one_key_argument(context)
    keys, recurse = flags.boolean("keys"), flags.boolean("recurse")
    if not key and not keys and not recurse:
        raise CommandError("Error! Missing KEY argument")
    as_json = context.wants_json()
    client = context.client()
    if keys:
        return _print_keys(context, client, key, as_json)
    with failing("Error querying Consul agent"):
        answer = read_keys(client, key, [("recurse", "")] if recurse else [])
        entries = answer.json_objects() if answer is not None else []
    if not recurse and not entries:
        raise CommandError(f"Error! No key exists at: {key}")
    if as_json:
        from pyconsul_cli.output import to_json

        context.out(to_json(entries if recurse else entries[0]))
        return 0
    base64 = flags.boolean("base64")
    if flags.boolean("detailed"):
        context.io.stdout.write(b"\n".join(_detailed(entry, base64) for entry in entries))
    elif recurse:
        for entry in entries:
            context.io.stdout.write(to_bytes(f"{entry.get('Key', '')}:") + _shown(entry, base64) + b"\n")
    else:
        context.out(_shown(entries[0], base64))
    return 0


def _print_keys(context: Context, client: Client, prefix: str, as_json: bool) -> int:
    answer = read_keys(client, prefix, [("keys", ""), ("separator", context.flags.string("separator"))])
    with failing("Error querying Consul agent"):
        names = answer.json_strings() if answer is not None else []
    if as_json:
        from pyconsul_cli.output import to_json

        context.out(to_json(names))
        return 0
    context.io.stdout.write(to_bytes("".join(f"{name}\n" for name in names)))
    return 0


def _shown(entry: dict[str, Any], base64: bool) -> bytes:
    return to_bytes(entry.get("Value") or "") if base64 else value_of(entry)


def _detailed(entry: dict[str, Any], base64: bool) -> bytes:
    lines = [
        ("CreateIndex", entry.get("CreateIndex", 0)),
        ("Flags", entry.get("Flags", 0)),
        ("Key", entry.get("Key", "")),
        ("LockIndex", entry.get("LockIndex", 0)),
        ("ModifyIndex", entry.get("ModifyIndex", 0)),
        ("Session", entry.get("Session") or "-"),
    ]
    head = to_bytes("".join(f"{label:<{LABEL_WIDTH}}{value}\n" for label, value in lines))
    value = _shown(entry, base64)
    return head + (b"Value".ljust(LABEL_WIDTH) + value if value else b"Value") + b"\n"


COMMANDS = {
    "kv get": Command(
        "kv get",
        run,
        usage="[KEY or PREFIX]",
        sets="CSN",
        flags=(
            Flag("base64", BOOL, "Print values in base64."),
            Flag("detailed", BOOL, "Print indexes, flags and session too."),
            FORMAT_FLAG,
            Flag("keys", BOOL, "Print only the names of the keys that begin with PREFIX."),
            Flag("recurse", BOOL, "Print all keys that begin with PREFIX, as key:value."),
            Flag("separator", STRING, "With -keys: fold what follows this text after PREFIX.", "/"),
        ),
        about="Prints the value of a key, or of all keys that begin with a prefix. Flags stand before the key.",
        examples=("kv get docker/nodes/192.168.10.80:2375", "kv get -recurse docker/nodes/"),
    )
}
