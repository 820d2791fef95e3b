"""``pyconsul kv export`` and ``pyconsul kv import``."""

from __future__ import annotations

import sys

from pyconsul.codec.go_flags import STRING, Flag
from pyconsul_cli.command import Command, CommandError, Context, failing
from pyconsul_cli.commands.kv_get import one_key_argument, read_keys
from pyconsul_cli.inputs import decode_base64, read_data

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PROGRESS_EVERY = 100
UINT64_MAX = (1 << 64) - 1


def export(context: Context) -> int:
    from pyconsul_cli.output import to_json

    prefix = one_key_argument(context)
    client = context.client()
    answer = read_keys(client, prefix, [("recurse", "")])
    with failing("Error querying Consul agent"):
        entries = answer.json_objects() if answer is not None else []
    context.out(to_json([_exported(entry) for entry in entries], indent="\t"))
    return 0


def _exported(entry: dict[str, Any]) -> dict[str, Any]:
    fields = {"key": entry.get("Key", ""), "flags": entry.get("Flags", 0), "value": entry.get("Value") or ""}
    if entry.get("Namespace"):
        fields["namespace"] = entry["Namespace"]
    return fields


def import_(context: Context) -> int:
    if not context.args:
        raise CommandError("Error! Missing DATA argument")
    if len(context.args) > 1:
        raise CommandError(f"Error! Too many arguments (expected 1, got {len(context.args)})")
    if not context.args[0]:
        raise CommandError("Error! Empty DATA argument")
    data = read_data(context, context.args[0], "Error! Failed to read file")
    entries = _entries(data)
    client = context.client()
    prefix = context.flags.string("prefix")
    for done, (name, flags, value) in enumerate(entries, 1):
        content, mistake = decode_base64(value.encode("utf-8", "surrogateescape"))
        if mistake:
            raise CommandError(f"Error base 64 decoding value for key {name}: {mistake}")
        key = clean_path(f"{prefix}/{name}" if prefix else name)
        query = [("flags", str(flags))] if flags else []
        with failing(f"Error! Failed writing data for key {key}"):
            client.put(f"/v1/kv/{key}", query, content)
        context.out(f"Imported: {key}")
        _show_progress(context, done, len(entries))
    return 0


def _show_progress(context: Context, done: int, total: int) -> None:
    """On a terminal, when the list of keys itself goes somewhere else."""
    if total < PROGRESS_EVERY or (done % PROGRESS_EVERY and done < total):
        return
    if sys.stderr.isatty() and not sys.stdout.isatty():
        context.io.stderr.write(f"\r{done} of {total} keys{'' if done < total else chr(10)}".encode())
        context.io.stderr.flush()


def clean_path(path: str) -> str:
    """Go's path.Clean of what is no empty path: doubled and final slashes, ``.`` and ``..`` are taken out."""
    if not path:
        return ""
    rooted = path.startswith("/")
    parts: list[str] = []
    for part in path.split("/"):
        if part in ("", "."):
            continue
        if part != "..":
            parts.append(part)
        elif parts and parts[-1] != "..":
            parts.pop()
        elif not rooted:
            parts.append(part)
    return ("/" if rooted else "") + "/".join(parts) or "."


def _entries(data: bytes) -> list[tuple[str, int, str]]:
    """Key, flags and value (base64) of each. Raises CommandError with Go's words for data of another shape."""
    import json

    def refuse(reason: str) -> CommandError:
        return CommandError(f"Cannot unmarshal data: {reason}")

    try:
        found = json.loads(data)
    except ValueError as error:
        from pyconsul_cli.go_json import explain

        raise refuse(explain(data, error)) from error
    if found is None:
        return []
    if not isinstance(found, list):
        raise refuse(f"json: cannot unmarshal {_kind(found)} into Go value of type []*impexp.Entry")
    entries = []
    for item in found:
        if not isinstance(item, dict):
            raise refuse(f"json: cannot unmarshal {_kind(item)} into Go value of type impexp.Entry")
        fields = {name.lower(): value for name, value in item.items()}
        texts = []
        for name in ("key", "value"):
            text = fields.get(name)
            if text is not None and not isinstance(text, str):
                raise refuse(f"json: cannot unmarshal {_kind(text)} into Go struct field Entry.{name} of type string")
            texts.append(text or "")
        flags = fields.get("flags")
        if flags is not None and (
            isinstance(flags, bool) or not isinstance(flags, int) or not 0 <= flags <= UINT64_MAX
        ):
            shown = (
                f"number {flags}" if isinstance(flags, int | float) and not isinstance(flags, bool) else _kind(flags)
            )
            raise refuse(f"json: cannot unmarshal {shown} into Go struct field Entry.flags of type uint64")
        entries.append((texts[0], flags or 0, texts[1]))
    return entries


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"


COMMANDS = {
    "kv export": Command(
        "kv export",
        export,
        usage="[PREFIX]",
        sets="CSN",
        about="Prints all keys that begin with a prefix as JSON, values in base64, for 'kv import'.",
        examples=("kv export app/ > app.json",),
    ),
    "kv import": Command(
        "kv import",
        import_,
        usage="DATA",
        sets="CSN",
        flags=(Flag("prefix", STRING, "Put this and a slash before every key."),),
        about="Writes the keys of an export, one by one. DATA is the JSON itself, @FILE for a file, - for the standard "
        "input. It stops at the first error; what was written until then stays.",
        examples=("kv import @app.json", "kv export app/ | pyconsul kv import -prefix=copy -"),
    ),
}
