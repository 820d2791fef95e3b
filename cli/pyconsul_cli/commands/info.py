"""``pyconsul info``."""

from __future__ import annotations

from pyconsul_cli.command import Command, Context, failing


def run(context: Context) -> int:
    client = context.client()
    with failing("Error querying agent"):
        stats = client.get("/v1/agent/self").json_object().get("Stats")
    lines = []
    for section, facts in sorted(stats.items()) if isinstance(stats, dict) else ():
        lines.append(f"{section}:")
        lines += [f"\t{name} = {value}" for name, value in sorted(facts.items())] if isinstance(facts, dict) else []
    if lines:
        context.out("\n".join(lines))
    return 0


COMMANDS = {
    "info": Command(
        "info",
        run,
        sets="C",
        about="Prints the figures that the agent keeps about itself, in sections.",
        examples=("info -http-addr=192.168.10.80:8500",),
    )
}
