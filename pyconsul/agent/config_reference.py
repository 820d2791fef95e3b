"""The reference of configuration keys and agent flags, made from their definitions."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from pyconsul.agent.config_keys import CONFIG
from pyconsul.agent.config_schema import OBJECT, OBJECTS, Key, go_text
from pyconsul.agent.config_unserved import is_unserved
from pyconsul.agent.flags import AGENT_FLAGS, key_of_flag

_INTRODUCTION = """\
# Configuration of the agent

Made from the program's own definitions; a test keeps it up to date.

Later wins: defaults, `-dev`, files in the order of the command line (those of a folder by name), flags, `-hcl` pieces.
Objects are merged key by key and maps are overlaid. Lists are appended, those of flags first. Names of keys do not
care about case. Unknown keys and values of another type are errors. Durations are texts such as `10s` or `1h30m`.

Keys marked *not served* belong to what pyconsul does not have yet, such as access control, TLS and DNS. They are
checked like the others and have no effect; an agent whose configuration sets one names it in a warning at its start.
"""


def reference() -> str:
    """The whole page, in Markdown."""
    lines = [_INTRODUCTION, "## Keys", "", "| key | type | default | meaning |", "| --- | --- | --- | --- |"]
    lines += [_key_row(path, key) for path, key in _keys(CONFIG.keys, "")]
    lines += ["", "## Flags", "", "| flag | type | key | meaning |", "| --- | --- | --- | --- |"]
    for flag in AGENT_FLAGS:
        path = key_of_flag(flag.name)
        lines.append(f"| `-{flag.name}` | {flag.type} | {f'`{path}`' if path else ''} | {flag.help} |")
    return "\n".join(lines) + "\n"


def _keys(keys: tuple[Key, ...], prefix: str) -> Iterator[tuple[str, Key]]:
    for key in sorted(keys, key=lambda key: key.name):
        path = f"{prefix}{key.name}"
        if key.kind == OBJECT:
            yield from _keys(key.keys, f"{path}.")
        else:
            yield path, key
            if key.kind == OBJECTS:
                yield from _keys(key.keys, f"{path}[].")


def _key_row(path: str, key: Key) -> str:
    default = "" if key.default is None else f"`{go_text(key.default)}`"
    also = f"Also: {', '.join(f'`{alias}`' for alias in key.aliases)}." if key.aliases else ""
    served = "*Not served.*" if is_unserved(path) else ""
    return f"| `{path}` | {key.kind} | {default} | {' '.join(filter(None, (served, key.help, also)))} |"


if __name__ == "__main__":
    sys.stdout.write(reference())
