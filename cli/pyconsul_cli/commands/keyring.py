"""``pyconsul keyring``."""

from __future__ import annotations

from pyconsul.codec.go_flags import BOOL, INT, STRING, Flag
from pyconsul_cli.command import FORMAT_FLAG, Command, CommandError, Context, failing, to_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RELAY_MAX = 5
PATH = "/v1/operator/keyring"

_CHANGES = {
    "install": ("POST", "Installing new gossip encryption key..."),
    "use": ("PUT", "Changing primary gossip encryption key..."),
    "remove": ("DELETE", "Removing gossip encryption key..."),
}
_LISTS = {
    "list": ("Keys", "Gathering installed encryption keys..."),
    "list-primary": ("PrimaryKeys", "Gathering installed primary encryption keys..."),
}


def run(context: Context) -> int:
    flags = context.flags
    changes = [name for name in _CHANGES if flags.string(name)]
    lists = [name for name in _LISTS if flags.boolean(name)]
    if not changes and not lists:
        raise CommandError("", with_help=True)
    if len(changes) + len(lists) > 1:
        raise CommandError("Only a single action is allowed")
    relay = flags.integer("relay-factor")
    if not 0 <= relay <= RELAY_MAX:
        raise CommandError(f"Error parsing relay factor: Relay factor must be in range: [0, {RELAY_MAX}]")
    if flags.boolean("local-only") and not lists:
        raise CommandError("Error validating local-only: local-only can only be set for list requests")
    query = [("relay-factor", str(relay))] if relay else []
    if flags.boolean("local-only"):
        query.append(("local-only", "true"))
    as_json = context.wants_json()
    client = context.client()
    if changes:
        from pyconsul_cli.output import to_json

        method, progress = _CHANGES[changes[0]]
        body = to_bytes(to_json({"Key": flags.string(changes[0])}, indent=None))
        context.out(f"==> {progress}")
        with failing("error"):
            client.request(method, PATH, query, body).expect_ok()
        return 0
    field, progress = _LISTS[lists[0]]
    if not as_json:
        context.out(f"==> {progress}")
    with failing("error"):
        pools = client.get(PATH, query).json_objects()
    if as_json:
        from pyconsul_cli.output import to_json

        context.out(to_json(pools))
        return 0
    for pool in pools:
        context.out(_pool_lines(pool, field))
    return 0


def _pool_lines(pool: dict[str, Any], field: str) -> str:
    name = "WAN" if pool.get("WAN") else f"{pool.get('Datacenter', '')} (LAN)"
    if pool.get("Segment"):
        name += f" [{pool['Segment']}]"
    keys = pool.get(field) or {}
    lines = [f"  {key} [{count}/{pool.get('NumNodes', 0)}]" for key, count in keys.items()]
    return "\n".join(["", f"{name}:", *lines])


COMMANDS = {
    "keyring": Command(
        "keyring",
        run,
        sets="C",
        flags=(
            FORMAT_FLAG,
            Flag("list", BOOL, "List all keys, and how many nodes have each."),
            Flag("list-primary", BOOL, "List the keys that messages are encrypted with."),
            Flag("install", STRING, "Give all nodes a new key, which is not used yet.", value_name="key"),
            Flag("use", STRING, "Encrypt with this key, which all nodes must have.", value_name="key"),
            Flag("remove", STRING, "Take a key from all nodes that is not the one in use.", value_name="key"),
            Flag("relay-factor", INT, "Send answers over this many other nodes too, 0 to 5.", value_name="count"),
            Flag("local-only", BOOL, "With a list: ask the local datacenter only."),
        ),
        about="Lists and changes the keys of gossip encryption on all nodes. A key is changed by -install, then "
        "-use, then -remove of the old one.",
        examples=("keyring -list", "keyring -install=$(pyconsul keygen)"),
    )
}
