"""Help texts, made of the same declarations that parse the flags. Imported only when help is asked for."""

from __future__ import annotations

from pyconsul.codec.go_flags import BOOL, Flag
from pyconsul_cli.command import CLIENT_FLAGS, NAMESPACE_FLAGS, SERVER_FLAGS, Command
from pyconsul_cli.registry import COMMANDS, GROUPS, synopsis

PROGRAM = "pyconsul"


def command_list() -> str:
    """What the program prints without a command."""
    names = sorted({name.split(" ")[0] for name in (*COMMANDS, *GROUPS)})
    return f"Usage: {PROGRAM} [--version] [--help] <command> [<args>]\n\nAvailable commands are:\n{_table(names, '')}"


def group_help(group: str) -> str:
    depth = group.count(" ") + 2
    names = sorted(
        name
        for name in {" ".join(name.split(" ")[:depth]) for name in (*COMMANDS, *GROUPS) if name.startswith(group + " ")}
    )
    text = f"Usage: {PROGRAM} {group} <subcommand> [options] [args]\n\n{_wrap(GROUPS[group][1], '  ')}\n"
    return f"{text}\nSubcommands:\n{_table(names, group + ' ')}".rstrip("\n")


def _table(names: list[str], prefix: str) -> str:
    shown = [name[len(prefix) :] for name in names]
    width = max(len(name) for name in shown)
    return "".join(f"    {text:<{width}}    {synopsis(name)}\n" for text, name in zip(shown, names, strict=True))


def command_help(command: Command) -> str:
    usage = f" {command.usage}" if command.usage else ""
    options = " [options]" if len(command.flags) else ""
    parts = [f"Usage: {PROGRAM} {command.name}{options}{usage}", _wrap(command.about, "  ")]
    if command.examples:
        label = "Example" if len(command.examples) == 1 else "Examples"
        parts.append("\n".join([f"  {label}:", *(f"    $ {PROGRAM} {example}" for example in command.examples)]))
    if command.own_flags:
        parts.append(f"Command options:\n{_flag_lines(command.own_flags)}")
    common: list[Flag] = [
        *(CLIENT_FLAGS if "C" in command.sets else ()),
        *(SERVER_FLAGS if "S" in command.sets else ()),
        *(NAMESPACE_FLAGS if "N" in command.sets else ()),
    ]
    if common:
        parts.append(f"Options of all commands that ask an agent:\n{_flag_lines(common)}")
    return "\n\n".join(parts)


def flag_list(command: Command) -> str:
    """What follows the line ``Usage:`` after a flag error; empty for a command without flags."""
    return _flag_lines(sorted(command.flags, key=lambda flag: flag.name)) if len(command.flags) else ""


def _flag_lines(flags: list[Flag] | tuple[Flag, ...]) -> str:
    names = [f"  -{flag.name}" + ("" if flag.type == BOOL else f"=<{flag.value_name}>") for flag in flags]
    width = min(max(len(name) for name in names), 30)
    lines = []
    for flag, name in zip(flags, names, strict=True):
        default = flag.default_text()
        text = flag.help + (f" (default {default})" if default else "")
        head = f"{name:<{width}}  " if len(name) <= width else f"{name}\n{'':{width}}  "
        lines.append(head + _wrap(text, " " * (width + 2)).lstrip())
    return "\n".join(lines)


def _wrap(text: str, indent: str, width: int = 100) -> str:
    """Paragraphs (separated by an empty line) broken at blanks."""
    paragraphs = []
    for paragraph in text.strip().split("\n\n"):
        lines = [indent.rstrip("\n")]
        for word in paragraph.split():
            if len(lines[-1]) + 1 + len(word) > width and lines[-1].strip():
                lines.append(indent)
            lines[-1] += word if not lines[-1].strip() else f" {word}"
        paragraphs.append("\n".join(lines))
    return "\n\n".join(paragraphs)
