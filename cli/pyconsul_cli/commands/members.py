"""``pyconsul members``."""

from __future__ import annotations

from pyconsul.codec.go_flags import BOOL, STRING, Flag
from pyconsul_cli.command import FORMAT_FLAG, Command, Context, failing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

STATUS_WORDS = ("none", "alive", "leaving", "left", "failed")
ALL_SEGMENTS = "_all"
ANY_STATUS = ".*"
NOBODY = 2
"""Exit code when no member is left to be shown."""

HEADER = ("Node", "Address", "Status", "Type", "Build", "Protocol", "DC", "Partition", "Segment")
DETAILED_HEADER = ("Node", "Address", "Status", "Tags")


class Member:
    """A member as the table shows it."""

    __slots__ = ("address", "name", "partition", "segment", "server", "status", "tags")

    def __init__(self, fields: dict[str, Any], all_segments: bool) -> None:
        self.name = str(fields.get("Name", ""))
        self.address = _join(str(fields.get("Addr", "")), fields.get("Port", 0))
        status = fields.get("Status", 0)
        known = isinstance(status, int) and 0 <= status < len(STATUS_WORDS)
        self.status = STATUS_WORDS[status] if known else "none"
        tags = fields.get("Tags")
        self.tags = {str(name): str(value) for name, value in tags.items()} if isinstance(tags, dict) else {}
        self.server = self.tags.get("role") == "consul"
        self.partition = self.tags.get("ap") or "default"
        segment = self.tags.get("segment", "")
        self.segment = "<all>" if self.server and all_segments else segment or "<default>"

    def order(self) -> tuple[bool, bool, str, str, bytes]:
        """Servers, then the default partition, then by segment, partition and name."""
        others = self.partition != "default"
        servers_last = self.segment != "<all>"
        return servers_last, others, self.segment, self.partition, self.name.encode("utf-8", "surrogateescape")

    def row(self) -> tuple[str, ...]:
        role = self.tags.get("role")
        if role not in ("consul", "node"):
            return (self.name, self.address, self.status, "unknown", "", "", "", "", "")
        build = self.tags["build"].partition(":")[0] if "build" in self.tags else "< 0.3"
        kind = "server" if role == "consul" else "client"
        protocol, datacenter = self.tags.get("vsn", ""), self.tags.get("dc", "")
        return (
            self.name, self.address, self.status, kind, build, protocol, datacenter, self.partition, self.segment,
        )  # fmt: skip

    def detailed_row(self) -> tuple[str, ...]:
        tags = {**self.tags, "segment": self.segment, "ap": self.partition}
        text = ",".join(f"{name}={value}" for name, value in sorted(tags.items()))
        return (self.name, self.address, self.status, text)


def _join(host: str, port: object) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def run(context: Context) -> int:
    status = context.flags.string("status")
    matches = None
    if status != ANY_STATUS:
        from pyconsul_cli.regexps import compile_pattern

        matches = compile_pattern(status, "Failed to compile status regexp").search
    as_json = context.wants_json()
    segment = context.flags.string("segment")
    query = [("segment", segment)]
    if context.flags.boolean("wan"):
        query.append(("wan", "1"))
    if expression := context.flags.string("filter"):
        query.append(("filter", expression))
    client = context.client()
    with failing("Error retrieving members"):
        found = client.get("/v1/agent/members", query).json_objects()
    members = [(Member(fields, segment == ALL_SEGMENTS), fields) for fields in found]
    members.sort(key=lambda pair: pair[0].order())
    if matches is not None:
        members = [pair for pair in members if matches(pair[0].status)]
    if not members:
        return NOBODY
    if as_json:
        from pyconsul_cli.output import to_json

        context.out(to_json([fields for _, fields in members]))
    elif context.flags.boolean("detailed"):
        context.table([DETAILED_HEADER, *(member.detailed_row() for member, _ in members)])
    else:
        context.table([HEADER, *(member.row() for member, _ in members)])
    return 0


COMMANDS = {
    "members": Command(
        "members",
        run,
        sets="C",
        flags=(
            Flag("detailed", BOOL, "Show all tags of each member."),
            Flag(
                "filter",
                STRING,
                "Sent to the agent, to show members for which this is true; pyconsul's agents show all.",
            ),
            FORMAT_FLAG,
            Flag("segment", STRING, "Show members of this network segment.", ALL_SEGMENTS),
            Flag("status", STRING, "Show members whose status matches this regular expression.", ANY_STATUS),
            Flag("wan", BOOL, "Show the pool of servers of all datacenters."),
        ),
        about="Lists the members of the cluster as the agent sees them. Exits with 2 when there is none to show.",
        examples=("members", "members -status=failed -http-addr=192.168.10.81:8500"),
    )
}
