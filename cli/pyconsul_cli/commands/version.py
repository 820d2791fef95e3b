"""``pyconsul version``: the Consul release whose interfaces are served, and our own version as its revision."""

from __future__ import annotations

from pyconsul.version import CONSUL_API_VERSION, VERSION
from pyconsul_cli.command import FORMAT_FLAG, Command, Context

REVISION = f"pyconsul-{VERSION}"
PROTOCOL_DEFAULT, PROTOCOL_MIN, PROTOCOL_MAX = 2, 2, 3


def run(context: Context) -> int:
    if context.wants_json():
        from pyconsul_cli.output import to_json

        protocols = {"Default": PROTOCOL_DEFAULT, "Min": PROTOCOL_MIN, "Max": PROTOCOL_MAX}
        facts = {"Version": CONSUL_API_VERSION, "Revision": REVISION, "Prerelease": "", "RPC": protocols}
        context.out(to_json(facts, indent=3))
        return 0
    context.out(
        f"Consul v{CONSUL_API_VERSION}\nRevision {REVISION}\n"
        f"Protocol {PROTOCOL_DEFAULT} spoken by default, understands {PROTOCOL_MIN} to {PROTOCOL_MAX} "
        f"(agent will automatically use protocol >{PROTOCOL_DEFAULT} when speaking to compatible agents)\n"
    )
    return 0


COMMANDS = {
    "version": Command(
        "version",
        run,
        flags=(FORMAT_FLAG,),
        about="Prints the Consul release whose interfaces are served, and pyconsul's own version as the revision.",
        examples=("version -format=json",),
    )
}
