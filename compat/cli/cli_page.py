#!/usr/bin/env python3
"""Writes docs/compatibility-cli.md from what the recordings' tests leave out or except; a test checks it."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import test_cli_agent
import test_cli_keyring
import test_cli_one_agent
import test_cli_three_servers
import test_cli_with_server
from cli_exceptions import GROUPS_NOT_PLAYED
from cli_recordings import load

PAGE = Path(__file__).parents[2] / "docs" / "compatibility-cli.md"

HEAD = """# Compatibility of the command line

<!-- Written by compat/cli/cli_page.py; do not edit. -->

pyconsul's commands are compared with {count} recordings of Consul 1.10.7's: exit code, stdout whole, the first line of
stderr. What varies from run to run is masked; where 1.16, the release whose form we print, shows more (the column
Partition of `members`, two columns of `operator raft list-peers`), that is taken out before.

| played by | what |
| --- | --- |
| `test_cli_recordings.py` | all that needs no agent: arguments, flags, help, files, certificates, unreachable agents |
| `test_cli_with_server.py` | keys, locks, watches, events against the HTTP API over a store in memory |
| `test_cli_one_agent.py` | services, catalog, maintenance, reload, remote execution, the log, against a real server |
| `test_cli_keyring.py` | gossip encryption and debug captures, against real agents |
| `test_cli_agent.py` | agents that get as far as the banner: signals, exit codes, files, the log (mostly slow) |
| `test_cli_three_servers.py` | members, joins, leaves, Raft, autopilot, deaths; three servers and a client (slow) |

Each test prints how many hold. Command lines and files that `agent` refuses before the banner are played by
`tests/unit/agent/test_config_recordings.py`, which compares stderr whole; of an agent's log, only messages that scripts
wait for are compared.

## Commands that are not served

`acl`, `login`, `logout`, `config`, `connect` and `intention` say so in one line and exit with 1. `snapshot save`,
`inspect` and `restore` check their arguments and refuse: the format of the files is not written or read yet. `debug`
captures no profiles. `catalog nodes -filter` sends the expression, which agents do not evaluate yet.

## Beyond Consul's

`-format=json` for every listing, colours on a terminal (not with `NO_COLOR`), suggestions for mistyped commands,
completion for bash, zsh and fish, `cluster up`, `debug wal`; `operator raft transfer-leader` and `operator usage
instances` of later releases.
The child of `lock` is killed when `lock` itself is killed, and ended once the session could not be renewed for its TTL.

"""


def page() -> str:
    recordings = load()
    groups = Counter(recording.group for recording in recordings)
    lines = [HEAD.format(count=len(recordings)), "## Recordings that are not played\n\n| group | count | why |\n"]
    lines.append("| --- | --- | --- |\n")
    lines += [
        f"| {group} | {groups[group]} | {why} |\n" for group, why in GROUPS_NOT_PLAYED.items() if group != "agent"
    ]
    two = sum(1 for recording in recordings if recording.setup.startswith("server w1 of dc1"))
    lines.append(f"| two datacenters | {two} | an agent serves its own datacenter only |\n")
    tls = sum(1 for recording in recordings if recording.setup.startswith("server tls1"))
    lines.append(f"| HTTPS | {tls} | agents serve no HTTPS yet; the client's side has unit tests |\n")
    company = sum(
        1
        for recording in recordings
        if recording.setup.startswith(test_cli_with_server.ONE_SERVER)
        and recording.group in test_cli_with_server.PLAYED
        and test_cli_with_server.NOT_ALONE.search(recording.setup)
    )
    lines.append(
        f"| lock, watch with company | {company} | signals and other holders: tests/unit/cli plays those situations |\n"
    )
    refused = sum(1 for recording in recordings if recording.group == "agent" and recording.stderr.strip())
    lines.append(f"| agent, refused | {refused} | played by tests/unit/agent/test_config_recordings.py |\n")
    for why, count in Counter(test_cli_agent.NOT_PLAYED.values()).items():
        lines.append(f"| agent | {count} | {why} |\n")
    lines.append("\n## Recordings that need not hold\n\n| recording | why |\n| --- | --- |\n")
    excepted = {
        **test_cli_with_server.EXCEPTIONS,
        **test_cli_agent.EXCEPTIONS,
        **test_cli_one_agent.EXCEPTIONS,
        **test_cli_keyring.PLAIN_EXCEPTIONS,
        **test_cli_three_servers.EXCEPTIONS,
    }
    lines += [f"| `{title}` | {why} |\n" for title, why in sorted(excepted.items())]
    snapshots = groups["snapshot"]
    lines.append(f"| those of `snapshot` ({snapshots}) | where a file is read or written: not served yet |\n")
    lines.append("| those that show the command list | ours has other rows |\n")
    return "".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
