"""``pyconsul kv delete``."""

from __future__ import annotations

from pyconsul.codec.go_flags import BOOL, UINT, Flag
from pyconsul_cli.command import Command, CommandError, Context, failing
from pyconsul_cli.commands.kv_get import one_key_argument


def run(context: Context) -> int:
    flags = context.flags
    key = one_key_argument(context)
    cas, recurse, index = flags.boolean("cas"), flags.boolean("recurse"), flags.integer("modify-index")
    if not key and not recurse:
        raise CommandError("Error! Missing KEY argument")
    if not cas and index:
        raise CommandError("Cannot specify -modify-index without -cas!")
    if cas and recurse:
        raise CommandError("Cannot specify both -cas and -recurse!")
    if cas and not index:
        raise CommandError("Cannot delete a key that does not exist. Provide a -modify-index greater than than 0.")
    query = [("recurse", "")] if recurse else [("cas", str(index))] if cas else []
    client = context.client()
    with failing(f"Error! Did not delete prefix {key}" if recurse else f"Error deleting key {key}"):
        deleted = client.delete(f"/v1/kv/{key}", query).body.strip() == b"true"
    if cas and not deleted:
        raise CommandError(f"Error! Did not delete key {key}: CAS failed")
    context.out(f"Success! Deleted keys with prefix: {key}" if recurse else f"Success! Deleted key: {key}")
    return 0


COMMANDS = {
    "kv delete": Command(
        "kv delete",
        run,
        usage="KEY or PREFIX",
        sets="CSN",
        flags=(
            Flag("cas", BOOL, "Delete only if the key's ModifyIndex is -modify-index."),
            Flag("modify-index", UINT, "The index for -cas."),
            Flag("recurse", BOOL, "Delete all keys that begin with PREFIX; an empty PREFIX: every key there is."),
        ),
        about="Deletes a key, or all keys that begin with a prefix. Deleting what does not exist succeeds.",
        examples=("kv delete app/limit", "kv delete -recurse app/"),
    )
}
