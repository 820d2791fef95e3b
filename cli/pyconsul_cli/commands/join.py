"""``pyconsul join``."""

from __future__ import annotations

from pyconsul.client.errors import ClientError
from pyconsul.codec.go_flags import BOOL, Flag
from pyconsul_cli.command import Command, CommandError, Context


def run(context: Context) -> int:
    if not context.args:
        raise CommandError("At least one address to join must be specified.", with_help=True)
    client = context.client()
    wan = [("wan", "1")] if context.flags.boolean("wan") else []
    joined = 0
    for address in context.args:
        try:
            client.put(f"/v1/agent/join/{address}", wan)
        except ClientError as error:
            context.err(f"Error joining address '{address}': {error}")
        else:
            joined += 1
    if not joined:
        raise CommandError("Failed to join any nodes.")
    context.out(f"Successfully joined cluster by contacting {joined} nodes.")
    return 0


COMMANDS = {
    "join": Command(
        "join",
        run,
        usage="ADDRESS ...",
        sets="C",
        flags=(Flag("wan", BOOL, "Join the pool of servers of all datacenters."),),
        about="Makes the agent join the cluster of one or more other agents. One address that answers is enough.",
        examples=("join 192.168.10.80", "join -http-addr=192.168.10.81:8500 192.168.10.80 192.168.10.82:8301"),
    )
}
