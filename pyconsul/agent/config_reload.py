"""Reading the configuration again while the agent runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from pyconsul.agent.config import read
from pyconsul.agent.config_checks import LOG_LEVELS
from pyconsul.agent.runtime_config import DnsConfig, RuntimeConfig


@dataclass(frozen=True, slots=True)
class Reload:
    """What a reload found, by names of RuntimeConfig fields.

    ``applied``: changed, and taken over in ``config``, which is otherwise the running one. ``restart``: changed in a
    way that only a restart brings into effect.
    """

    config: RuntimeConfig
    applied: tuple[str, ...]
    restart: tuple[str, ...]


_TOLD = ("warnings", "without_effect", "files")
"""About the configuration; nothing is switched by them."""
_WHOLE = frozenset(("checks", "discard_check_output", "node_meta", "services", "watches"))
_PARTS = {
    "acl": ("default_token", "agent_token", "agent_recovery_token", "replication_token"),
    "dns": ("recursors",),
    "limits": ("http_max_conns_per_client", "rpc_rate", "rpc_max_burst", "rpc_max_conns_per_client"),
    "log": ("level",),
    "raft": ("snapshot_threshold", "snapshot_interval_seconds", "trailing_logs"),
    "telemetry": ("allowed_prefixes", "blocked_prefixes", "filter_default"),
    "http": (),
    "tls": ("ca_file", "ca_path", "cert_file", "key_file"),
}
"""Of these fields only the named parts can change while the agent runs."""


def reload(running: RuntimeConfig, argv: Sequence[str]) -> Reload:
    """Reads everything again. Raises ConfigError, and then the running configuration stays."""
    return changes(running, read(argv))


def changes(running: RuntimeConfig, wanted: RuntimeConfig) -> Reload:
    """What of ``wanted`` a running agent can take over. A bad log level keeps the old one."""
    applied: list[str] = []
    restart: list[str] = []
    taken: dict[str, object] = {}
    for field in dataclasses.fields(RuntimeConfig):
        name = field.name
        old, new = getattr(running, name), getattr(wanted, name)
        if old == new or name in _TOLD:
            continue
        if name not in _WHOLE and name not in _PARTS:
            restart.append(name)
            continue
        mixed = new
        if name in _PARTS:
            parts = _PARTS[name]
            if name == "dns":  # everything but the names that it answers for
                parts = tuple(part.name for part in dataclasses.fields(DnsConfig) if "domain" not in part.name)
            mixed = dataclasses.replace(old, **{part: getattr(new, part) for part in parts})
            if name == "log" and mixed.level.upper() not in LOG_LEVELS:
                mixed = old
            if mixed != new:
                restart.append(name)
        if mixed != old:
            applied.append(name)
            taken[name] = mixed
    config = dataclasses.replace(running, **taken, **{name: getattr(wanted, name) for name in _TOLD})  # type: ignore[arg-type]
    return Reload(config, tuple(applied), tuple(restart))
