"""``pyconsul maint``."""

from __future__ import annotations

from pyconsul.codec.go_flags import BOOL, STRING, Flag
from pyconsul_cli.command import Command, CommandError, Context, failing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyconsul.client.client import Client

NODE_CHECK = "_node_maintenance"
SERVICE_CHECK = "_service_maintenance:"


def run(context: Context) -> int:
    flags = context.flags
    enable, disable = flags.boolean("enable"), flags.boolean("disable")
    reason, service = flags.string("reason"), flags.string("service")
    if enable and disable:
        raise CommandError("Only one of -enable or -disable may be provided")
    if not enable and reason:
        raise CommandError("Reason may only be provided with -enable")
    if service and not enable and not disable:
        raise CommandError("Service requires either -enable or -disable")
    client = context.client()
    if not enable and not disable:
        return _show(context, client)
    query = [("enable", "true"), ("reason", reason)] if enable else [("enable", "false")]
    kind = "service" if service else "node"
    path = f"/v1/agent/service/maintenance/{service}" if service else "/v1/agent/maintenance"
    with failing(f"Error {'enabling' if enable else 'disabling'} {kind} maintenance"):
        client.put(path, query)
    state = "enabled" if enable else "disabled"
    if service:
        context.out(f'Service maintenance is now {state} for "{service}"')
    else:
        context.out(f"Node maintenance is now {state}")
    return 0


def _show(context: Context, client: Client) -> int:
    with failing("Error querying Consul agent"):
        config = client.get("/v1/agent/self").json_object().get("Config") or {}
    with failing("Error getting checks"):
        checks = client.get("/v1/agent/checks").json_object()
    for check in checks.values():
        identity, reason = str(check.get("CheckID", "")), check.get("Notes", "")
        if identity == NODE_CHECK:
            context.out(f"Node:\n  Name:   {config.get('NodeName', '')}\n  Reason: {reason}\n")
        elif identity.startswith(SERVICE_CHECK):
            context.out(f"Service:\n  ID:     {check.get('ServiceID', '')}\n  Reason: {reason}\n")
    return 0


COMMANDS = {
    "maint": Command(
        "maint",
        run,
        sets="C",
        flags=(
            Flag("enable", BOOL, "Switch maintenance on."),
            Flag("disable", BOOL, "Switch maintenance off."),
            Flag("reason", STRING, "With -enable: why, for those who look."),
            Flag(
                "service", STRING, "The id of a service of this agent; without it the node is meant.", value_name="id"
            ),
        ),
        about="Switches maintenance of the agent's node, or of one of its services, on and off. What is in maintenance "
        "counts as unhealthy. Without an action it shows what is in maintenance.",
        examples=("maint -enable -reason='new disk'", "maint -disable"),
    )
}
