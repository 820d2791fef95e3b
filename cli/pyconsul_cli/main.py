"""The command line's entry: finds the command, reads its flags, runs it, turns errors into texts and exit codes.

The rules are in docs/reference/cli.md: the longest known sequence of leading words is the command; help is asked for
by ``-h`` anywhere before ``--``; without a known command the list of commands goes to stderr and the code is 127.
"""

from __future__ import annotations

import os
import sys

from pyconsul.codec.go_flags import FlagError, ParsedFlags
from pyconsul_cli.command import Command, CommandError, Context, Io, to_bytes
from pyconsul_cli.registry import COMMANDS, GROUPS, load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import BinaryIO

HELP_WORDS = ("-h", "-help", "--help")
VERSION_WORDS = ("-v", "-version", "--version")
COMPLETION_WORDS = ("autocomplete-install", "autocomplete-uninstall")

UNKNOWN_COMMAND = 127
INTERRUPTED = 130
BROKEN_PIPE = 141

NOBODY_LISTENS = (
    "No agent listens at this address. Start one (pyconsul agent -dev), or name another\n"
    "by -http-addr=HOST:PORT or the variable CONSUL_HTTP_ADDR."
)
"""On a terminal only: scripts get Consul's text."""

MISPLACED_FLAGS = (
    "Invalid flags before the subcommand. If these flags are for\n"
    "the subcommand, please put them after the subcommand.\n"
)


def main(argv: Sequence[str] | None = None, io: Io | None = None, environ: Mapping[str, str] | None = None) -> int:
    """Runs one command line (without the program's name) and returns the exit code."""
    io = io or Io.of_process()
    try:
        code = _dispatch(list(sys.argv[1:] if argv is None else argv), io, os.environ if environ is None else environ)
        io.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has gone (``pyconsul kv get -recurse | head``): end quietly, as by SIGPIPE.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return BROKEN_PIPE
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _dispatch(words: list[str], io: Io, environ: Mapping[str, str]) -> int:
    before: list[str] = []
    while words and words[0].startswith("-") and words[0] != "--":
        before.append(words.pop(0))
    name, rest = split_command(words)
    asked_help = any(word in HELP_WORDS for word in _until_dashes([*before, *words]))
    if any(word.lstrip("-") in COMPLETION_WORDS for word in before):
        from pyconsul_cli.completion import set_up

        return set_up(install="autocomplete-install" in {word.lstrip("-") for word in before}, io=io, environ=environ)
    if any(word in VERSION_WORDS for word in before) and not asked_help:
        return _run(load("version"), [], io, environ)
    if name is None:
        return _no_command(words, asked_help and not words, io)
    if asked_help:
        _write(io.stdout, _help(name))
        return 0
    if before:
        _write(io.stderr, f"{MISPLACED_FLAGS}\n{_help(name)}")
        return 1
    if name in GROUPS and name not in COMMANDS:
        _write(io.stderr, _suggested(rest[0], name) + _help(name) if rest else _help(name))
        return 1
    return _run(load(name), rest, io, environ)


def split_command(words: Sequence[str]) -> tuple[str | None, list[str]]:
    """The longest known command that the words begin with, and the rest."""
    known, at = None, 0
    prefix = ""
    for count, word in enumerate(words, 1):
        prefix = f"{prefix} {word}" if prefix else word
        if " " in word or not word:
            break
        if prefix in COMMANDS or prefix in GROUPS:
            known, at = prefix, count
        elif count == 1:
            break
    return known, list(words[at:])


def _until_dashes(words: list[str]) -> list[str]:
    return words[: words.index("--")] if "--" in words else words


def _no_command(words: list[str], asked_help: bool, io: Io) -> int:
    from pyconsul_cli.help import command_list

    if asked_help:
        _write(io.stdout, command_list())
        return 0
    _write(io.stderr, command_list() + (_suggested(words[0], "") if words else ""))
    return UNKNOWN_COMMAND


def _suggested(word: str, group: str) -> str:
    """``Did you mean …?`` for a mistyped word, or nothing; only on a terminal, where nobody compares texts."""
    if not sys.stderr.isatty():
        return ""
    from pyconsul_cli.suggest import suggestion

    return suggestion(word, group)


def _help(name: str) -> str:
    from pyconsul_cli.help import command_help, group_help

    return command_help(load(name)) if name in COMMANDS else group_help(name)


def _run(command: Command, words: list[str], io: Io, environ: Mapping[str, str]) -> int:
    try:
        flags = ParsedFlags({}, set(), words) if command.raw else command.flags.parse(words)
    except FlagError as error:
        return _flag_error(command, str(error), io)
    context = Context(command, flags, io, environ)
    try:
        return command.run(context)
    except CommandError as error:
        text = str(error)
        if error.with_help:
            text += f"\n\n{_help(command.name)}" if text else _help(command.name)
        if text:
            io.stdout.flush()
            context.err(text)
            if _is_refused(error) and io.stderr.isatty():
                context.err(NOBODY_LISTENS)
        return error.code
    finally:
        context.close()


def _is_refused(error: CommandError) -> bool:
    from pyconsul.client.errors import RequestError

    return isinstance(error.__cause__, RequestError) and error.__cause__.refused


def _flag_error(command: Command, message: str, io: Io) -> int:
    from pyconsul_cli.help import flag_list

    text = f"{message}\nUsage:"
    listed = flag_list(command)
    if listed:
        text += f"\n{listed}"
    if command.repeat:
        text += f"\n{command.repeat.format(message)}"
    _write(io.stderr, text)
    return 1


def _write(stream: BinaryIO, text: str) -> None:
    stream.write(to_bytes(text) + b"\n")
    stream.flush()
