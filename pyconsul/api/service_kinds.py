"""What the kinds of services ask of their definitions. HTTP reference, "Kinds of services"."""

from __future__ import annotations

from pyconsul.records.catalog import Service
from pyconsul.state.catalog import CONNECT_PROXY

GATEWAYS = ("mesh-gateway", "terminating-gateway", "ingress-gateway")
NOT_FOR_GATEWAYS = (
    "DestinationServiceName",
    "DestinationServiceID",
    "LocalServiceAddress",
    "LocalServicePort",
    "LocalServiceSocketPath",
    "Upstreams",
)


def kind_errors(service: Service) -> str:
    """All that is wrong as one text, as Go's multierror writes it; "" when nothing is."""
    proxy = service.proxy or {}
    errors = []
    if service.kind == CONNECT_PROXY:
        destination = proxy.get("DestinationServiceName", "")
        if not destination:
            errors.append("Proxy.DestinationServiceName must be non-empty for Connect proxy services")
        if destination == "*":
            errors.append("Proxy.DestinationServiceName must not be a wildcard for Connect proxy services")
        if not service.port and not service.socket_path:
            errors.append("Port or SocketPath must be set for a Connect proxy")
    elif service.kind in GATEWAYS:
        if not service.port and service.kind != "ingress-gateway":
            errors.append(f"Port must be non-zero for a {service.kind}")
        errors += [
            f"The Proxy.{name} configuration is invalid for a {service.kind}"
            for name in NOT_FOR_GATEWAYS
            if proxy.get(name)
        ]
    return error_list(errors)


def error_list(errors: list[str]) -> str:
    """``2 errors occurred:`` and a line for each; "" for none."""
    if not errors:
        return ""
    count = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
    return f"{count} occurred:\n" + "".join(f"\t* {error}\n" for error in errors) + "\n"
