"""``pyconsul operator autopilot …``."""

from __future__ import annotations

from pyconsul.codec.go_flags import BOOL, DURATION, STRING, UINT, Flag
from pyconsul_cli.command import FORMAT_FLAG, Command, CommandError, Context, failing, to_bytes
from pyconsul_cli.commands.operator_raft import CONNECT_ERROR, REPEAT
from pyconsul_cli.output import to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PATH = "/v1/operator/autopilot/configuration"

SETTINGS = (
    (
        Flag("cleanup-dead-servers", BOOL, "Remove dead servers when new ones come.", optional=True),
        "CleanupDeadServers",
    ),
    (
        Flag("last-contact-threshold", DURATION, "A server this long without the leader is unhealthy.", optional=True),
        "LastContactThreshold",
    ),
    (
        Flag("max-trailing-logs", UINT, "A server this many entries behind is unhealthy.", optional=True),
        "MaxTrailingLogs",
    ),
    (Flag("min-quorum", UINT, "Never fewer voters than this by removals.", optional=True), "MinQuorum"),
    (
        Flag("server-stabilization-time", DURATION, "Healthy this long before a new server votes.", optional=True),
        "ServerStabilizationTime",
    ),
    (Flag("redundancy-zone-tag", STRING, "Has no effect in this edition.", optional=True), "RedundancyZoneTag"),
    (
        Flag("disable-upgrade-migration", BOOL, "Has no effect in this edition.", optional=True),
        "DisableUpgradeMigration",
    ),
    (Flag("upgrade-version-tag", STRING, "Has no effect in this edition.", optional=True), "UpgradeVersionTag"),
)


def get_config(context: Context) -> int:
    client = context.client()
    with failing("Error querying Autopilot configuration"):
        config = client.get(PATH).json_object()
    lines = [
        f"CleanupDeadServers = {_bool(config.get('CleanupDeadServers'))}",
        f"LastContactThreshold = {config.get('LastContactThreshold', '')}",
        f"MaxTrailingLogs = {config.get('MaxTrailingLogs', 0)}",
        f"MinQuorum = {config.get('MinQuorum', 0)}",
        f"ServerStabilizationTime = {config.get('ServerStabilizationTime', '')}",
        f'RedundancyZoneTag = "{config.get("RedundancyZoneTag", "")}"',
        f"DisableUpgradeMigration = {_bool(config.get('DisableUpgradeMigration'))}",
        f'UpgradeVersionTag = "{config.get("UpgradeVersionTag", "")}"',
    ]
    context.out("\n".join(lines))
    return 0


def _bool(value: object) -> str:
    return "true" if value else "false"


def set_config(context: Context) -> int:
    client = context.client()
    with failing("Error querying Autopilot configuration"):
        config = client.get(PATH).json_object()
    for flag, field in SETTINGS:
        value = context.flags.optional(flag.name)
        if isinstance(value, int) and flag.type == DURATION:
            from pyconsul.codec.duration import format_duration

            value = format_duration(value)
        if value is not None:
            config[field] = value
    body = to_bytes(to_json(config, indent=None))
    with failing("Error setting Autopilot configuration"):
        written = client.put(PATH, [("cas", str(config.get("ModifyIndex", 0)))], body).body.strip() == b"true"
    if not written:
        raise CommandError("Configuration could not be atomically updated, please try again")
    context.out("Configuration updated!")
    return 0


def state(context: Context) -> int:
    as_json = context.wants_json()
    client = context.client()
    with failing("Error querying Autopilot state"):
        found = client.get("/v1/operator/autopilot/state").json_object()
    context.out(to_json(found) if as_json else _state_text(found))
    return 0


def _state_text(found: dict[str, Any]) -> str:
    lines = [
        f"{'Healthy:':<30}{_bool(found.get('Healthy'))}",
        f"{'Failure Tolerance:':<30}{found.get('FailureTolerance', 0)}",
        f"{'Optimistic Failure Tolerance:':<30}{found.get('OptimisticFailureTolerance', 0)}",
        f"{'Leader:':<30}{found.get('Leader', '')}",
        "Voters:",
        *(f"   {voter}" for voter in found.get("Voters") or []),
        "Servers:",
    ]
    for identity, server in sorted((found.get("Servers") or {}).items()):
        lines.append(f"   {identity}")
        fields = (
            ("Name:", server.get("Name", "")),
            ("Address:", server.get("Address", "")),
            ("Version:", server.get("Version", "")),
            ("Status:", server.get("Status", "")),
            ("Node Type:", server.get("NodeType", "")),
            ("Node Status:", server.get("NodeStatus", "")),
            ("Healthy:", _bool(server.get("Healthy"))),
            ("Last Contact:", server.get("LastContact", "")),
            ("Last Term:", server.get("LastTerm", 0)),
            ("Last Index:", server.get("LastIndex", 0)),
        )
        lines += [f"      {label:<17}{value}" for label, value in fields]
        meta = server.get("Meta") or {}
        if meta:
            lines.append("      Meta")
            lines += [f'         "{name}": "{value}"' for name, value in sorted(meta.items())]
    return "\n".join([*lines, ""])


COMMANDS = {
    "operator autopilot get-config": Command(
        "operator autopilot get-config",
        get_config,
        sets="CS",
        repeat=REPEAT,
        connect_error=CONNECT_ERROR,
        about="Shows the settings of autopilot.",
        examples=("operator autopilot get-config",),
    ),
    "operator autopilot set-config": Command(
        "operator autopilot set-config",
        set_config,
        sets="CS",
        flags=tuple(flag for flag, _ in SETTINGS),
        repeat=REPEAT,
        connect_error=CONNECT_ERROR,
        about="Changes the settings of autopilot that are given as flags; the others stay.",
        examples=("operator autopilot set-config -cleanup-dead-servers=false",),
    ),
    "operator autopilot state": Command(
        "operator autopilot state",
        state,
        sets="CS",
        flags=(FORMAT_FLAG,),
        repeat=REPEAT,
        connect_error=CONNECT_ERROR,
        about="Shows how healthy autopilot finds the servers, and how many may fail before the cluster stops.",
        examples=("operator autopilot state",),
    ),
}
