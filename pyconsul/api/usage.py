"""``/v1/operator/usage``: how much a datacenter holds, as Consul 1.16 has it."""

from __future__ import annotations

from collections import Counter

from pyconsul.api.context import Api
from pyconsul.api.params import read_options
from pyconsul.api.request import Request
from pyconsul.api.response import Response, json_response
from pyconsul.records.catalog import CONSUL_SERVICE, Service

MESH_KINDS = ("api-gateway", "connect-proxy", "ingress-gateway", "mesh-gateway", "terminating-gateway")
NATIVE = "connect-native"


async def usage(api: Api, request: Request) -> Response:
    """Nodes, services and instances; billable are those that are neither servers nor part of a mesh."""
    options = read_options(request, api.settings.use_cache)
    api.check_datacenter(options.dc)
    meta = await api.consensus.read(options.mode)
    catalog = api.consensus.store.catalog
    services = catalog.services()
    mesh: Counter[str] = Counter(dict.fromkeys((NATIVE, *MESH_KINDS), 0))
    for service in services:
        kind = _mesh_kind(service)
        if kind:
            mesh[kind] += 1
    billable = [each for each in services if each.service != CONSUL_SERVICE and each.kind not in MESH_KINDS]
    counts = {
        "Nodes": len(catalog.nodes()),
        "Services": len({service.service.lower() for service in services}),
        "ServiceInstances": len(services),
        "ConnectServiceInstances": dict(sorted(mesh.items())),
        "BillableServiceInstances": len(billable),
    }
    return json_response(
        {
            "Usage": {api.backend.datacenter: counts},
            "Index": max(catalog.nodes_index, catalog.services_index),
            "LastContact": meta.last_contact_ms * 1_000_000,
            "KnownLeader": meta.known_leader,
            "ConsistencyLevel": options.mode.value,
            "NotModified": False,
            "Backend": 0,
            "ResultsFilteredByACLs": False,
        }
    )


def _mesh_kind(service: Service) -> str:
    if service.kind in MESH_KINDS:
        return service.kind
    return NATIVE if (service.connect or {}).get("Native") is True else ""
