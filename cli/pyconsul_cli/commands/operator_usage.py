"""``pyconsul operator usage instances``."""

from __future__ import annotations

from pyconsul_cli.command import FORMAT_FLAG, Command, Context, failing
from pyconsul_cli.commands.operator_raft import CONNECT_ERROR, REPEAT
from pyconsul_cli.output import to_json

HEADER = ("Datacenter", "Nodes", "Services", "Service Instances", "Billable Instances")
FIELDS = ("Nodes", "Services", "ServiceInstances", "BillableServiceInstances")


def run(context: Context) -> int:
    as_json = context.wants_json()
    client = context.client()
    with failing("Error fetching usage information"):
        usage = client.get("/v1/operator/usage").json_object().get("Usage") or {}
    if as_json:
        context.out(to_json(usage))
        return 0
    rows = [(name, *(str(counts.get(field, 0)) for field in FIELDS)) for name, counts in sorted(usage.items())]
    context.table([HEADER, *rows])
    return 0


COMMANDS = {
    "operator usage instances": Command(
        "operator usage instances",
        run,
        sets="CS",
        flags=(FORMAT_FLAG,),
        repeat=REPEAT,
        connect_error=CONNECT_ERROR,
        about="Counts nodes, services and their instances in each datacenter.",
        examples=("operator usage instances",),
    )
}
