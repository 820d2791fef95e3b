"""Completion in bash, zsh and fish: ``pyconsul -autocomplete-install`` and ``-autocomplete-uninstall``.

The words of commands are fixed when the script is written; no program runs while somebody types.
"""

from __future__ import annotations

import os

from pyconsul_cli.command import to_bytes
from pyconsul_cli.registry import COMMANDS, GROUPS, load, synopsis

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyconsul_cli.command import Io

MARK = "# completion of pyconsul"


def set_up(install: bool, io: Io, environ: Mapping[str, str]) -> int:
    """Writes the script and a line in the shell's start-up file, or takes both away. Returns the exit code."""
    shell = os.path.basename(environ.get("SHELL", ""))
    home = environ.get("HOME", "")
    if shell not in ("bash", "zsh", "fish") or not home:
        io.stderr.write(to_bytes("Completion exists for bash, zsh and fish; SHELL and HOME must name one.\n"))
        return 1
    script = _script_path(shell, home, environ)
    try:
        if install:
            os.makedirs(os.path.dirname(script), exist_ok=True)
            with open(script, "w", encoding="utf-8") as file:
                file.write({"bash": bash_script, "zsh": zsh_script, "fish": fish_script}[shell]())
        elif os.path.exists(script):
            os.remove(script)
        if shell != "fish":
            _edit_start_up(os.path.join(home, f".{shell}rc"), f'source "{script}" {MARK}', install)
    except OSError as error:
        io.stderr.write(to_bytes(f"Error setting up completion: {error}\n"))
        return 1
    io.stdout.write(to_bytes(f"{'Written' if install else 'Removed'}: {script}\n"))
    return 0


def _script_path(shell: str, home: str, environ: Mapping[str, str]) -> str:
    if shell == "fish":
        return os.path.join(environ.get("XDG_CONFIG_HOME") or f"{home}/.config", "fish/completions/pyconsul.fish")
    return os.path.join(environ.get("XDG_DATA_HOME") or f"{home}/.local/share", f"pyconsul/completion.{shell}")


def _edit_start_up(path: str, line: str, install: bool) -> None:
    lines = []
    if os.path.exists(path):
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    kept = [found for found in lines if MARK not in found]
    if install:
        kept.append(line)
    if kept != lines:
        with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write("\n".join(kept) + "\n")


def _next_words() -> dict[str, list[str]]:
    """Per known prefix (the empty one too) the words that may follow."""
    following: dict[str, set[str]] = {}
    for name in (*COMMANDS, *GROUPS):
        words = name.split(" ")
        for at, word in enumerate(words):
            following.setdefault(" ".join(words[:at]), set()).add(word)
    return {prefix: sorted(words) for prefix, words in sorted(following.items())}


def _flags(name: str) -> list[str]:
    return sorted(f"-{flag.name}" for flag in load(name).flags)


def bash_script() -> str:
    cases = [f'        "{prefix}") words="{" ".join(words)}" ;;' for prefix, words in _next_words().items()]
    flags = [f'        "{name}") flags="{" ".join(_flags(name))}" ;;' for name in COMMANDS if _flags(name)]
    return "\n".join(
        [
            MARK,
            "_pyconsul() {",
            '    local current="${COMP_WORDS[COMP_CWORD]}" prefix="" words="" flags="" at',
            "    for ((at = 1; at < COMP_CWORD; at++)); do",
            '        [[ "${COMP_WORDS[at]}" == -* ]] && break',
            '        prefix="${prefix:+$prefix }${COMP_WORDS[at]}"',
            "    done",
            '    case "$prefix" in',
            *cases,
            "    esac",
            '    case "$prefix" in',
            *flags,
            "    esac",
            '    if [[ "$current" == -* ]]; then words="$flags"; fi',
            '    COMPREPLY=($(compgen -W "$words" -- "$current"))',
            "}",
            "complete -o default -F _pyconsul pyconsul",
            "",
        ]
    )


def zsh_script() -> str:
    return f"autoload -U +X bashcompinit && bashcompinit {MARK}\n{bash_script()}"


def fish_script() -> str:
    lines = [MARK, "complete -c pyconsul -f"]
    for prefix, words in _next_words().items():
        seen = " ".join(f"__fish_seen_subcommand_from {word};" for word in prefix.split()).replace("; ", "; and ")
        none = " ".join(words)
        condition = f"{seen} and not __fish_seen_subcommand_from {none}" if prefix else "__fish_use_subcommand"
        for word in words:
            name = f"{prefix} {word}".strip()
            lines.append(f"complete -c pyconsul -n '{condition}' -a {word} -d '{_quoted(synopsis(name))}'")
    for name in COMMANDS:
        seen = "; and ".join(f"__fish_seen_subcommand_from {word}" for word in name.split())
        for flag in load(name).flags:
            value = "" if flag.type == "bool" else " -r"
            lines.append(f"complete -c pyconsul -n '{seen}' -o {flag.name}{value} -d '{_quoted(flag.help)}'")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")
