"""``pyconsul reload``."""

from __future__ import annotations

from pyconsul_cli.command import Command, Context, failing


def run(context: Context) -> int:
    client = context.client()
    with failing("Error reloading"):
        client.put("/v1/agent/reload")
    context.out("Configuration reload triggered")
    return 0


COMMANDS = {
    "reload": Command(
        "reload",
        run,
        sets="C",
        about="Makes the agent read its configuration files again. When they are wrong it keeps what it has.",
        examples=("reload",),
    )
}
