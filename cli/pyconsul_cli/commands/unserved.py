"""Commands of Consul whose server side pyconsul does not have: one line that says so."""

from __future__ import annotations

from pyconsul_cli.command import Command, CommandError, Context

_WHAT = {
    "acl": "access control lists",
    "config": "configuration entries",
    "connect": "a service mesh",
    "intention": "intentions of a service mesh",
    "login": "access control lists",
    "logout": "access control lists",
}


def run(context: Context) -> int:
    name = context.command.name
    raise CommandError(f"'pyconsul {name}' is not available: pyconsul does not serve {_WHAT[name]}")


COMMANDS = {
    name: Command(
        name,
        run,
        raw=True,
        about=f"Not available: pyconsul does not serve {what}. See docs/compatibility-cli.md for all that is missing.",
    )
    for name, what in _WHAT.items()
}
