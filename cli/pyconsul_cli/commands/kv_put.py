"""``pyconsul kv put``."""

from __future__ import annotations

from pyconsul.codec.go_flags import BOOL, STRING, UINT, Flag
from pyconsul_cli.command import Command, CommandError, Context, failing
from pyconsul_cli.inputs import decode_base64, read_data


def run(context: Context) -> int:
    flags = context.flags
    key, data = _arguments(context)
    session = flags.string("session")
    acquire, release, cas = flags.boolean("acquire"), flags.boolean("release"), flags.boolean("cas")
    if (acquire or release) and not session:
        raise CommandError("Error! Missing -session (required with -acquire and -release)")
    if key.startswith("/"):
        reason = f"Invalid key. Key must not begin with a '/': {key}"
        raise CommandError(f"Error! Failed writing data: {reason}")
    query = [("flags", str(flags.integer("flags")))] if flags.integer("flags") else []
    index = flags.integer("modify-index")
    if cas:
        query.append(("cas", str(index)))
    elif acquire:
        query.append(("acquire", session))
    elif release:
        query.append(("release", session))
    client = context.client()
    with failing("Error! Failed writing data"):
        written = client.put(f"/v1/kv/{key}", query, data).body.strip() == b"true"
    if cas:
        if not written and index == 0:
            raise CommandError(f"Error! Did not write to {key}: CAS performed with index=0 and key already exists.")
        if not written:
            raise CommandError(f"Error! Did not write to {key}: CAS failed")
    elif not written and acquire:
        raise CommandError("Error! Did not acquire lock")
    elif not written and release:
        raise CommandError("Error! Did not release lock")
    if acquire and not cas:
        context.out(f"Success! Lock acquired on: {key}")
    elif release and not cas:
        context.out(f"Success! Lock released on: {key}")
    else:
        context.out(f"Success! Data written to: {key}")
    return 0


def _arguments(context: Context) -> tuple[str, bytes]:
    if not context.args:
        raise CommandError("Error! Missing KEY argument")
    if len(context.args) > 2:
        raise CommandError(f"Error! Too many arguments (expected 1 or 2, got {len(context.args)})")
    text = context.args[1] if len(context.args) == 2 else ""
    data = read_data(context, text, "Error! Failed to read file")
    if context.flags.boolean("base64"):
        data, mistake = decode_base64(data)
        if mistake:
            # Consul says so and goes on with what it could decode; so scripts see the same key afterwards.
            context.err(f"Error! Cannot base 64 decode data: {mistake}")
    return context.args[0], data


COMMANDS = {
    "kv put": Command(
        "kv put",
        run,
        usage="KEY [DATA]",
        sets="CSN",
        flags=(
            Flag("acquire", BOOL, "Take the lock on the key for -session."),
            Flag("base64", BOOL, "DATA is base64."),
            Flag("cas", BOOL, "Write only if the key's ModifyIndex is -modify-index; 0: only if there is no such key."),
            Flag("flags", UINT, "A number of 64 bits that is kept with the key."),
            Flag("modify-index", UINT, "The index for -cas."),
            Flag("release", BOOL, "Give back the lock on the key that -session holds."),
            Flag("session", STRING, "The session for -acquire and -release."),
        ),
        about="Writes a key. DATA is the value, @FILE for a file, - for the standard input; without it the value is "
        "empty. Flags stand before the key.",
        examples=("kv put app/limit 25", "kv put app/config @config.json", "kv put -cas -modify-index=42 app/limit 30"),
    )
}
