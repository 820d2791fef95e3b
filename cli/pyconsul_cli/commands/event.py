"""``pyconsul event``."""

from __future__ import annotations

from pyconsul.codec.go_flags import STRING, Flag
from pyconsul_cli.command import Command, CommandError, Context, failing, to_bytes

FILTER_FLAGS = (
    Flag("node", STRING, "Only nodes whose name matches this regular expression.", value_name="regexp"),
    Flag("service", STRING, "Only nodes with a service that matches this regular expression.", value_name="regexp"),
    Flag("tag", STRING, "With -service: only with a tag that matches this regular expression.", value_name="regexp"),
)


def read_filters(context: Context) -> list[tuple[str, str]]:
    """The three filters that are not empty, checked. Raises CommandError."""
    filters = [(name, context.flags.string(name)) for name in ("node", "service", "tag")]
    for name, pattern in filters:
        if name == "tag" and pattern and not filters[1][1]:
            raise CommandError("Cannot provide tag filter without service filter.")
        if pattern:
            from pyconsul_cli.regexps import compile_pattern

            compile_pattern(pattern, f"Failed to compile {name} filter regexp")
    return [(name, pattern) for name, pattern in filters if pattern]


def run(context: Context) -> int:
    name = context.flags.string("name")
    if len(context.args) > 1:
        raise CommandError("Too many command line arguments.", with_help=True)
    if not name:
        raise CommandError("Event name must be specified", with_help=True)
    filters = read_filters(context)
    payload = to_bytes(context.args[0]) if context.args else None
    client = context.client()
    with failing("Error querying Consul agent"):
        client.get("/v1/agent/self")
    with failing("Error firing event"):
        event = client.put(f"/v1/event/fire/{name}", filters, payload).json_object()
    context.out(f"Event ID: {event.get('ID', '')}")
    return 0


COMMANDS = {
    "event": Command(
        "event",
        run,
        usage="[PAYLOAD]",
        sets="C",
        flags=(Flag("name", STRING, "The event's name; needed."), *FILTER_FLAGS),
        about="Sends an event with an optional payload to all agents, or to those that the filters name.",
        examples=("event -name=deploy 1.2.3", "event -name=restart -service=web"),
    )
}
