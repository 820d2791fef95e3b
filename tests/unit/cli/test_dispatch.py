"""Which command a line means, help, and exit codes."""

from __future__ import annotations

import re
import shlex

import pytest
from canned_agent import Run

from pyconsul_cli.main import UNKNOWN_COMMAND, split_command
from pyconsul_cli.registry import COMMANDS, GROUPS, load
from pyconsul_cli.suggest import suggestion

CONSULS_COMMANDS = """
    acl agent catalog config connect debug event exec force-leave info intention join keygen keyring kv leave lock
    login logout maint members monitor operator reload rtt services snapshot tls validate version watch
"""


@pytest.mark.parametrize(
    ("line", "command", "rest"),
    [
        (["kv", "get", "x"], "kv get", ["x"]),
        (["kv", "nosuch"], "kv", ["nosuch"]),
        (["operator", "raft", "list-peers"], "operator raft list-peers", []),
        (["operator", "raft"], "operator raft", []),
        (["members", "kv", "get"], "members", ["kv", "get"]),
        (["debug", "foo"], "debug", ["foo"]),
        (["debug", "wal", "d"], "debug wal", ["d"]),
        (["kv get", "x"], None, ["kv get", "x"]),
        (["KV", "get"], None, ["KV", "get"]),
        ([], None, []),
    ],
)
def test_longest_known_sequence_of_words_is_the_command(line: list[str], command: str | None, rest: list[str]) -> None:
    assert split_command(line) == (command, rest)


def test_command_list(run: Run) -> None:
    code, stdout, stderr = run()
    assert (code, stdout) == (UNKNOWN_COMMAND, "")
    head, _, rows = stderr.partition("Available commands are:\n")
    assert head == "Usage: pyconsul [--version] [--help] <command> [<args>]\n\n"
    assert rows.endswith("\n\n")
    names = []
    for row in rows.splitlines()[:-1]:
        found = re.fullmatch(r" {4}(\S+) +(?=\S)(.*)", row)
        assert found is not None and row.index(found[2]) == 4 + len("force-leave") + 4, row
        names.append(found[1])
    assert names == sorted({*CONSULS_COMMANDS.split(), "cluster"})
    for line, expected in ((["-h"], 0), (["--help"], 0), (["nosuch"], 127), (["nosuch", "-h"], 127), (["-foo"], 127)):
        code, stdout, stderr_again = run(*line)
        assert (code, stdout or stderr_again) == (expected, stderr), line


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_that_fits_a_screen(run: Run, name: str) -> None:
    code, stdout, stderr = run(*name.split(), "-h")
    assert (code, stderr) == (0, "")
    assert stdout.startswith(f"Usage: pyconsul {name}")
    if name != "agent":  # which has more flags than a screen has lines
        assert len(stdout.splitlines()) <= 48
    assert max(len(line) for line in stdout.splitlines()) <= 110
    for flag in load(name).flags:
        assert f"  -{flag.name}" in stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_declares_itself_by_its_name_and_shows_an_example(name: str) -> None:
    command = load(name)
    assert command.name == name
    for example in command.examples:
        line = shlex.split(example.partition(" > ")[0].partition(" | ")[0])
        found, rest = split_command(line)
        assert found in COMMANDS
        if not load(found).raw:
            load(found).flags.parse(rest)


@pytest.mark.parametrize("name", [group for group in GROUPS if group not in COMMANDS])
def test_groups_list_their_subcommands(run: Run, name: str) -> None:
    code, stdout, stderr = run(*name.split(), "-h")
    assert (code, stderr) == (0, "")
    assert "\nSubcommands:\n    " in stdout
    assert run(*name.split()) == (1, "", stdout)
    assert run(*name.split(), "nosuch") == (1, "", stdout)


def test_help_wins_over_values_but_not_behind_two_dashes(run: Run) -> None:
    assert run("kv", "put", "-session", "-h", "x")[0] == 0
    code, stdout, stderr = run("kv", "get", "--", "-h", environ={"CONSUL_HTTP_ADDR": "ftp://x"})
    assert (code, stdout, stderr) == (1, "", "Error connecting to Consul agent: Unknown protocol scheme: ftp\n")


def test_flags_before_the_command_are_refused_with_its_help(run: Run) -> None:
    code, stdout, stderr = run("-http-addr=127.0.0.1:1", "members")
    assert (code, stdout) == (1, "")
    assert stderr.startswith("Invalid flags before the subcommand.")
    assert "\n\nUsage: pyconsul members" in stderr


def test_what_is_not_served_says_so_in_one_line(run: Run) -> None:
    for line in (["acl", "token", "list"], ["connect", "ca", "get-config"], ["intention", "list", "-x"], ["login"]):
        code, stdout, stderr = run(*line)
        assert (code, stdout) == (1, "")
        assert re.fullmatch(r"'pyconsul \w+' is not available: pyconsul does not serve [\w ]+\n", stderr)


def test_suggestions_for_mistyped_commands() -> None:
    assert suggestion("member", "") == "Did you mean: pyconsul members?\n"
    assert suggestion("gett", "kv") == "Did you mean: pyconsul kv get?\n"
    assert suggestion("list-peer", "operator raft") == "Did you mean: pyconsul operator raft list-peers?\n"
    assert suggestion("xyzzy", "") == ""
