"""What a mistyped command may have meant."""

from __future__ import annotations

from pyconsul_cli.registry import COMMANDS, GROUPS


def suggestion(word: str, group: str) -> str:
    """A line that ends in a newline, or nothing when no command looks like the word."""
    from difflib import get_close_matches

    depth = group.count(" ") + 1 if group else 0
    prefix = f"{group} " if group else ""
    names = {name.split(" ")[depth] for name in (*COMMANDS, *GROUPS) if name.startswith(prefix) and name != group}
    found = get_close_matches(word.lower(), sorted(names), n=1)
    return f"Did you mean: pyconsul {prefix}{found[0]}?\n" if found else ""
