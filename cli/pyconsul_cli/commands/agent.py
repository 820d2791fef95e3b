"""``pyconsul agent``: everything about it is in ``pyconsul.process``; here it is only called."""

from __future__ import annotations

from pyconsul.agent.flags import AGENT_FLAGS
from pyconsul.codec.go_flags import FlagError
from pyconsul_cli.command import Command, Context

REPEAT = "==> error parsing flags: {}"


def run(context: Context) -> int:
    from pyconsul.process.main import run as run_agent

    try:
        return run_agent(list(context.args))
    except FlagError as error:
        from pyconsul_cli.help import flag_list

        context.err(f"{error}\nUsage:\n{flag_list(context.command)}\n{REPEAT.format(error)}")
        return 1


COMMANDS = {
    "agent": Command(
        "agent",
        run,
        raw=True,
        flags=tuple(AGENT_FLAGS),
        about="Runs an agent until it is told to stop: a server with -server, else a client of the servers.",
        examples=(
            "agent -server -bootstrap -data-dir ./data -ui",
            "agent -server -bootstrap-expect 2 -data-dir /var/lib/pyconsul -bind 192.168.10.80",
        ),
    )
}
