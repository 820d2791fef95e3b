"""``pyconsul snapshot …``: arguments are checked as ever, but no release of pyconsul writes or reads the format yet."""

from __future__ import annotations

from pyconsul.client.oserrors import go_error
from pyconsul.codec.go_flags import BOOL, INT, STRING, Flag
from pyconsul_cli.command import FORMAT_FLAG, Command, CommandError, Context


def _one_file(context: Context) -> str:
    if not context.args:
        raise CommandError("Missing FILE argument")
    if len(context.args) > 1:
        raise CommandError(f"Too many arguments (expected 1, got {len(context.args)})")
    return context.args[0]


def _refuse(context: Context) -> CommandError:
    return CommandError(f"'pyconsul {context.command.name}' is not available in this release")


def save(context: Context) -> int:
    _one_file(context)
    raise _refuse(context)


def read(context: Context) -> int:
    path = _one_file(context)
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise CommandError(f"Error opening snapshot file: {go_error('open', path, error)}") from error
    raise _refuse(context)


COMMANDS = {
    "snapshot save": Command(
        "snapshot save",
        save,
        usage="FILE",
        sets="CS",
        about="Not available in this release: saves the servers' state to a file.",
        examples=("snapshot save backup.snap",),
    ),
    "snapshot restore": Command(
        "snapshot restore",
        read,
        usage="FILE",
        sets="CS",
        about="Not available in this release: replaces the servers' state by that of a file.",
        examples=("snapshot restore backup.snap",),
    ),
    "snapshot inspect": Command(
        "snapshot inspect",
        read,
        usage="FILE",
        flags=(
            FORMAT_FLAG,
            Flag("kvdepth", INT, "With -kvdetails: parts of keys to keep apart.", 2, value_name="count"),
            Flag("kvdetails", BOOL, "Show sizes of keys too."),
            Flag("kvfilter", STRING, "With -kvdetails: only keys that begin with this.", value_name="prefix"),
        ),
        repeat="{}",
        about="Not available in this release: shows what a snapshot file holds.",
        examples=("snapshot inspect backup.snap",),
    ),
}
