"""``pyconsul catalog …``."""

from __future__ import annotations

from pyconsul.codec.go_flags import BOOL, PAIRS, STRING, Flag
from pyconsul_cli.command import FORMAT_FLAG, Command, Context, failing, to_bytes
from pyconsul_cli.inputs import read_data
from pyconsul_cli.output import tabs, to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NO_MATCH = "No {} match the given query - try expanding your search."
META_FLAG = Flag("node-meta", PAIRS, "Only nodes with this key=value; may be repeated.", value_name="key=value")


def datacenters(context: Context) -> int:
    as_json = context.wants_json()
    context.no_arguments()
    client = context.client()
    with failing("Error listing datacenters"):
        names = client.get("/v1/catalog/datacenters").json_strings()
    context.out(to_json(names) if as_json else "\n".join(names))
    return 0


def nodes(context: Context) -> int:
    as_json = context.wants_json()
    context.no_arguments()
    query = _meta_query(context)
    if near := context.flags.string("near"):
        query.append(("near", near))
    if expression := context.flags.string("filter"):
        data = read_data(context, expression, "Error loading filter argument")
        query.append(("filter", data.decode("utf-8", "surrogateescape")))
    service = context.flags.string("service")
    client = context.client()
    with failing("Error listing nodes for service" if service else "Error listing nodes"):
        path = f"/v1/catalog/service/{service}" if service else "/v1/catalog/nodes"
        found = client.get(path, query).json_objects()
    if as_json:
        context.out(to_json(found))
    elif not found:
        context.err(NO_MATCH.format("nodes"))
    else:
        context.table(_node_rows(found, context.flags.boolean("detailed"), "NodeMeta" if service else "Meta"))
    return 0


def _node_rows(found: list[dict[str, Any]], detailed: bool, meta: str) -> list[list[str]]:
    header = ["Node", "ID", "Address", "DC", *(["TaggedAddresses", "Meta"] if detailed else [])]
    rows = [header]
    for node in found:
        identity = str(node.get("ID") or "")
        row = [str(node.get("Node", "")), identity if detailed else identity.partition("-")[0]]
        row += [str(node.get("Address", "")), str(node.get("Datacenter", ""))]
        if detailed:
            row += [_map_text(node.get("TaggedAddresses")), _map_text(node.get(meta))]
        rows.append(row)
    return rows


def _map_text(value: object) -> str:
    return ", ".join(f"{name}={text}" for name, text in sorted(value.items())) if isinstance(value, dict) else ""


def services(context: Context) -> int:
    as_json = context.wants_json()
    context.no_arguments()
    query = _meta_query(context)
    node = context.flags.string("node")
    client = context.client()
    found: dict[str, set[str]] = {}
    with failing("Error listing services for node" if node else "Error listing services"):
        if node:
            answer = client.get(f"/v1/catalog/node/{node}", query).json()
            of_node = (answer.get("Services") or {}) if isinstance(answer, dict) else {}
            for service in of_node.values():
                found.setdefault(str(service.get("Service", "")), set()).update(service.get("Tags") or [])
        else:
            named = client.get("/v1/catalog/services", query).json_object()
            found = {name: set(tags or []) for name, tags in named.items()}
    if as_json:
        context.out(to_json({name: sorted(tags) for name, tags in sorted(found.items())}))
    elif not found:
        context.err(NO_MATCH.format("services"))
    elif context.flags.boolean("tags"):
        table = tabs([(name, ",".join(sorted(tags))) for name, tags in sorted(found.items())])
        context.out(to_bytes(table).rstrip())
    else:
        context.out("\n".join(sorted(found)))
    return 0


def _meta_query(context: Context) -> list[tuple[str, str]]:
    return [("node-meta", f"{key}:{value}") for key, value in context.flags.pairs("node-meta").items()]


COMMANDS = {
    "catalog datacenters": Command(
        "catalog datacenters",
        datacenters,
        sets="CS",
        flags=(FORMAT_FLAG,),
        about="Lists the known datacenters, the nearest first.",
        examples=("catalog datacenters",),
    ),
    "catalog nodes": Command(
        "catalog nodes",
        nodes,
        sets="CS",
        flags=(
            Flag("detailed", BOOL, "Show whole ids, all addresses and the metadata."),
            Flag(
                "filter", STRING, "Expression, @FILE or - for one, of which nodes to show; pyconsul's agents show all."
            ),
            FORMAT_FLAG,
            Flag("near", STRING, "Sort by distance from this node; _agent is the agent's.", value_name="node"),
            META_FLAG,
            Flag("service", STRING, "Only nodes with this service, one line per instance.", value_name="name"),
        ),
        about="Lists the nodes that the servers know.",
        examples=("catalog nodes -service=consul",),
    ),
    "catalog services": Command(
        "catalog services",
        services,
        sets="CSN",
        flags=(
            FORMAT_FLAG,
            Flag("node", STRING, "Only services of this node.", value_name="node"),
            META_FLAG,
            Flag("tags", BOOL, "Show the tags too."),
        ),
        about="Lists the names of the services that the servers know.",
        examples=("catalog services -tags",),
    ),
}
