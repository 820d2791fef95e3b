"""Health entries as Consul's own client prints them: its fields in its order, absent ones with their zero values."""

from __future__ import annotations

from pyconsul.codec.check_definition import NO_DEFINITION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Fields = dict[str, Any]

_CHECK = ("Node", "CheckID", "Name", "Status", "Notes", "Output", "ServiceID", "ServiceName")
_SERVICE = ("ID", "Service", "Tags", "Meta", "Port", "Address")
_SERVICE_IF_SET = ("SocketPath", "TaggedAddresses")
_INDEXES = ("CreateIndex", "ModifyIndex")


def check(found: Fields) -> Fields:
    definition = found.get("Definition") or {}
    return {
        **{name: found.get(name, "") for name in _CHECK},
        "ServiceTags": found.get("ServiceTags") or [],
        "Type": found.get("Type", ""),
        "Definition": {name: definition.get(name, default) for name, default in NO_DEFINITION.items()},
        **{name: found.get(name, 0) for name in _INDEXES},
    }


def service_entry(found: Fields) -> Fields:
    """``Node``, ``Service`` and ``Checks`` of one instance."""
    service = found.get("Service") or {}
    proxy = {name: value for name, value in (service.get("Proxy") or {}).items() if value != ""}
    shown = {
        **{name: service.get(name) for name in _SERVICE},
        **{name: service[name] for name in _SERVICE_IF_SET if service.get(name)},
        "Weights": service.get("Weights") or {"Passing": 1, "Warning": 1},
        "EnableTagOverride": service.get("EnableTagOverride", False),
        **{name: service.get(name, 0) for name in _INDEXES},
        "Proxy": proxy,
        "Connect": service.get("Connect") or {},
    }
    return {"Node": found.get("Node"), "Service": shown, "Checks": [check(one) for one in found.get("Checks") or []]}
