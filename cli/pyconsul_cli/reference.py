"""``docs/reference/cli.md``, made of the declarations: ``python -m pyconsul_cli.reference > docs/reference/cli.md``."""

from __future__ import annotations

import sys

from pyconsul_cli.help import command_help, command_list
from pyconsul_cli.registry import COMMANDS, load

INTRODUCTION = """\
# The command line

Made from the declarations of the commands by `python -m pyconsul_cli.reference`; a test keeps it so.

## Rules

- A command is one to three words; the longest known sequence of leading words counts.
- `-flag`, `--flag`, `-flag=value` and `-flag value` are equal; a truth value takes its value only after `=`. Flags
  stand before the arguments: reading them ends at the first word without a dash, at a lone `-` and after `--`. A
  repeated flag: the last value counts; lists and maps collect.
- `-h`, `-help` or `--help` anywhere before `--` prints help and exits with 0.
- Flags win over environment variables, and an empty variable counts as not set. Beside those in the help texts there
  are `CONSUL_HTTP_SSL` (use HTTPS), `CONSUL_HTTP_SSL_VERIFY` (`false`: check no certificates) and `CONSUL_HTTP_AUTH`
  (`user:password`).
- Exit codes: 0 success; 1 any error; 2 `members` without a member to show, `lock -child-exit-code` when the command
  failed, `exec` when a node failed; 127 no or an unknown command.
- Results go to stdout, errors to stderr. The agent's errors read `Unexpected response code: CODE (TEXT)`.
- `pyconsul -autocomplete-install` sets up completion for the shell that `SHELL` names: bash, zsh or fish.
"""


def markdown() -> str:
    parts = [INTRODUCTION, f"## Commands\n\n```\n{command_list().rstrip()}\n```\n"]
    parts += [f"## {name}\n\n```\n{command_help(load(name))}\n```\n" for name in COMMANDS]
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(markdown())
