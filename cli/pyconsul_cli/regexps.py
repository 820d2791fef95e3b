"""Regular expressions given as flags, with Go's words for what is wrong with one."""

from __future__ import annotations

import re

from pyconsul_cli.command import CommandError


def compile_pattern(pattern: str, prefix: str) -> re.Pattern[str]:
    """Raises CommandError: ``PREFIX: error parsing regexp: REASON: `PART` ``."""
    try:
        return re.compile(pattern)
    except re.error as error:
        raise CommandError(f"{prefix}: error parsing regexp: {_reason(pattern, error)}") from error
    except (OverflowError, RecursionError) as error:
        raise CommandError(f"{prefix}: error parsing regexp: expression too large") from error


def _reason(pattern: str, error: re.error) -> str:
    at = error.pos or 0
    if error.msg.startswith("missing ), unterminated subpattern"):
        return f"missing closing ): `{pattern}`"
    if error.msg.startswith("unbalanced parenthesis"):
        return f"unexpected ): `{pattern}`"
    if error.msg.startswith("unterminated character set"):
        return f"missing closing ]: `{pattern[at:]}`"
    if error.msg.startswith("nothing to repeat"):
        return f"missing argument to repetition operator: `{pattern[at : at + 1]}`"
    if error.msg.startswith("bad character range"):
        return f"invalid character class range: `{error.msg.rpartition(' ')[2]}`"
    if error.msg.startswith("bad escape (end of pattern)"):
        return "trailing backslash at end of expression: ``"
    if error.msg.startswith("bad escape"):
        return f"invalid escape sequence: `{pattern[at : at + 2]}`"
    return f"{error.msg}: `{pattern}`"
