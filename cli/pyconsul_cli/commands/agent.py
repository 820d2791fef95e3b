"""``pyconsul agent``: everything about it is in ``pyconsul.agent``; here it is only called."""

from __future__ import annotations

from pyconsul_cli.command import Command, Context


def run(context: Context) -> int:
    from pyconsul.agent.main import run as run_agent

    return run_agent(list(context.args))


COMMANDS = {
    "agent": Command(
        "agent",
        run,
        raw=True,
        about="Runs an agent until it is told to stop: a server with -server, else a client of the servers.",
        examples=(
            "agent -server -bootstrap -data-dir ./data -ui",
            "agent -server -bootstrap-expect 2 -data-dir /var/lib/pyconsul -bind 192.168.10.80",
        ),
    )
}
