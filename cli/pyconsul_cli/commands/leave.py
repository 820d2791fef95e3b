"""``pyconsul leave`` and ``pyconsul force-leave``."""

from __future__ import annotations

from pyconsul.codec.go_flags import BOOL, Flag
from pyconsul_cli.command import Command, CommandError, Context, failing


def leave(context: Context) -> int:
    if context.args:
        from pyconsul_cli.help import command_help

        # Consul prints the error on one stream and the help on the other.
        context.err(f"Error found unexpected args: [{' '.join(context.args)}]")
        context.out(command_help(context.command))
        return 1
    client = context.client()
    with failing("Error leaving"):
        client.put("/v1/agent/leave")
    context.out("Graceful leave complete")
    return 0


def force_leave(context: Context) -> int:
    if len(context.args) != 1:
        raise CommandError("A single node name must be specified to force leave.", with_help=True)
    client = context.client()
    prune = [("prune", "1")] if context.flags.boolean("prune") else []
    with failing("Error force leaving"):
        client.put(f"/v1/agent/force-leave/{context.args[0]}", prune)
    return 0


COMMANDS = {
    "leave": Command(
        "leave",
        leave,
        sets="C",
        about="Makes the agent leave its cluster in good order and then stop. A server also leaves the set of servers "
        "that replicate the state.",
        examples=("leave -http-addr=192.168.10.82:8500",),
    ),
    "force-leave": Command(
        "force-leave",
        force_leave,
        usage="NODE",
        sets="C",
        flags=(Flag("prune", BOOL, "Take the node out of the list of members altogether."),),
        about="Tells the cluster that a node that failed will not come back. A node that is alive refutes it.",
        examples=("force-leave docker3",),
    ),
}
