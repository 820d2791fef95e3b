"""``pyconsul rtt``: the distance of two network coordinates."""

from __future__ import annotations

from pyconsul.codec.go_flags import BOOL, Flag
from pyconsul_cli.command import Command, CommandError, Context, failing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyconsul.client.client import Client


def run(context: Context) -> int:
    wan = context.flags.boolean("wan")
    if not 1 <= len(context.args) <= 2:
        raise CommandError("One or two node names must be specified", with_help=True)
    client = context.client()
    names = list(context.args)
    if wan and any(name.count(".") != 1 for name in names):
        raise CommandError("Node names must be specified as <node name>.<datacenter> with -wan")
    if len(names) == 1:
        names.append(_own_name(client, wan))
    coordinates = _wan_coordinates(client) if wan else _lan_coordinates(client)
    found = []
    for name in names:
        coordinate = coordinates.get(name.lower())
        if coordinate is None:
            raise CommandError(f'Could not find a coordinate for node "{name}"')
        found.append(coordinate)
    pool = "WAN" if wan else "LAN"
    rtt_ms = distance_s(found[0], found[1]) * 1000
    context.out(f"Estimated {names[0]} <-> {names[1]} rtt: {rtt_ms:.3f} ms (using {pool} coordinates)")
    return 0


def _own_name(client: Client, wan: bool) -> str:
    with failing("Unable to look up agent info"):
        config = client.get("/v1/agent/self").json_object().get("Config") or {}
    return f"{config.get('NodeName')}.{config.get('Datacenter')}" if wan else str(config.get("NodeName"))


def _lan_coordinates(client: Client) -> dict[str, dict[str, Any]]:
    with failing("Error getting coordinates"):
        entries = client.get("/v1/coordinate/nodes").json_objects()
    return {str(entry.get("Node", "")).lower(): entry.get("Coord") or {} for entry in entries}


def _wan_coordinates(client: Client) -> dict[str, dict[str, Any]]:
    with failing("Error getting coordinates"):
        datacenters = client.get("/v1/coordinate/datacenters").json_objects()
    found = {}
    for datacenter in datacenters:
        suffix = f".{datacenter.get('Datacenter', '')}".lower()
        for entry in datacenter.get("Coordinates") or []:
            found[str(entry.get("Node", "")).lower().removesuffix(suffix) + suffix] = entry.get("Coord") or {}
    return found


def distance_s(one: dict[str, Any], other: dict[str, Any]) -> float:
    """Serf's estimate of the round-trip time in seconds: Euclidean distance, heights, then the adjustments unless they
    would make it negative."""
    pairs = zip(one.get("Vec") or [], other.get("Vec") or [], strict=False)
    squares = sum((float(a) - float(b)) ** 2 for a, b in pairs)
    plain: float = squares**0.5 + float(one.get("Height", 0)) + float(other.get("Height", 0))
    adjusted = plain + float(one.get("Adjustment", 0)) + float(other.get("Adjustment", 0))
    return adjusted if adjusted > 0 else plain


COMMANDS = {
    "rtt": Command(
        "rtt",
        run,
        usage="NODE [NODE]",
        sets="C",
        flags=(Flag("wan", BOOL, "Use the coordinates between datacenters; names are NODE.DATACENTER."),),
        about="Estimates the round-trip time between two nodes, or between the agent and a node, from what gossip has "
        "measured. Nothing is sent to them.",
        examples=("rtt docker1 docker2",),
    )
}
