"""Nodes, services and checks as JSON shows them, and as bodies give them. HTTP reference, "Data of the catalog"."""

from __future__ import annotations

from typing import Any

import msgspec

from pyconsul.api import bodies
from pyconsul.codec.duration import format_duration
from pyconsul.records.catalog import CRITICAL, Check, Node, Service

NO_PROXY: dict[str, Any] = {"Mode": "", "MeshGateway": {}, "Expose": {}}
WEIGHT_MAX = 65535

# What is shown


def node_fields(node: Node) -> dict[str, Any]:
    return {
        "ID": node.id,
        "Node": node.node,
        "Address": node.address,
        "Datacenter": node.datacenter,
        "TaggedAddresses": node.tagged_addresses,
        "Meta": node.meta,
        "CreateIndex": node.create_index,
        "ModifyIndex": node.modify_index,
    }


def service_fields(service: Service, null_tags: bool = False) -> dict[str, Any]:
    """A service of a node. ``null_tags``: tags that were not given are null (transactions), not []."""
    tags = service.tags
    fields: dict[str, Any] = {}
    if service.kind:
        fields["Kind"] = service.kind
    fields["ID"] = service.id
    fields["Service"] = service.service
    fields["Tags"] = tags if tags is not None or null_tags else []
    fields["Address"] = service.address
    if service.tagged_addresses:
        fields["TaggedAddresses"] = service.tagged_addresses
    fields["Meta"] = service.meta
    if service.port:
        fields["Port"] = service.port
    if service.socket_path:
        fields["SocketPath"] = service.socket_path
    fields["Weights"] = _weights(service)
    fields["EnableTagOverride"] = service.enable_tag_override
    fields["Proxy"] = service.proxy or NO_PROXY
    fields["Connect"] = service.connect or {}
    fields["CreateIndex"] = service.create_index
    fields["ModifyIndex"] = service.modify_index
    return fields


def instance_fields(node: Node, service: Service) -> dict[str, Any]:
    """An instance with its node, as ``catalog/service`` lists it."""
    fields: dict[str, Any] = {
        "ID": node.id,
        "Node": node.node,
        "Address": node.address,
        "Datacenter": node.datacenter,
        "TaggedAddresses": node.tagged_addresses,
        "NodeMeta": node.meta,
        "ServiceKind": service.kind,
        "ServiceID": service.id,
        "ServiceName": service.service,
        "ServiceTags": service.tags or [],
        "ServiceAddress": service.address,
    }
    if service.tagged_addresses:
        fields["ServiceTaggedAddresses"] = service.tagged_addresses
    fields |= {
        "ServiceWeights": _weights(service),
        "ServiceMeta": service.meta or {},
        "ServicePort": service.port,
        "ServiceSocketPath": service.socket_path,
        "ServiceEnableTagOverride": service.enable_tag_override,
        "ServiceProxy": service.proxy or NO_PROXY,
        "ServiceConnect": service.connect or {},
        "CreateIndex": service.create_index,
        "ModifyIndex": service.modify_index,
    }
    return fields


def check_fields(check: Check, null_tags: bool = False) -> dict[str, Any]:
    tags = check.service_tags
    return {
        "Node": check.node,
        "CheckID": check.check_id,
        "Name": check.name,
        "Status": check.status,
        "Notes": check.notes,
        "Output": check.output,
        "ServiceID": check.service_id,
        "ServiceName": check.service_name,
        "ServiceTags": tags if tags is not None or null_tags else [],
        "Type": check.type,
        "Interval": check.interval,
        "Timeout": check.timeout,
        "ExposedPort": 0,
        "Definition": check.definition,
        "CreateIndex": check.create_index,
        "ModifyIndex": check.modify_index,
    }


def _weights(service: Service) -> dict[str, int]:
    return {"Passing": service.weights_passing, "Warning": service.weights_warning}


# What is given


def _definition(value: Any) -> dict[str, Any]:
    """What of a check's definition is shown: unknown fields are ignored, empty ones left out."""
    found = bodies.object_fields(value, DEFINITION_FIELDS, strict=False)
    return {name: found[name] for name, _ in DEFINITION_FIELDS.values() if found.get(name)}


def _shown_duration(value: Any) -> str:
    duration_ns = bodies.duration(value)
    return format_duration(duration_ns) if duration_ns else ""


def _header_lists(value: Any) -> dict[str, list[str]]:
    return {name: bodies.text_list(item or []) for name, item in bodies.an_object(value).items()}


DEFINITION_FIELDS: bodies.Spec = {
    "http": ("HTTP", bodies.text),
    "header": ("Header", _header_lists),
    "method": ("Method", bodies.text),
    "body": ("Body", bodies.text),
    "tlsservername": ("TLSServerName", bodies.text),
    "tlsskipverify": ("TLSSkipVerify", bodies.boolean),
    "tcp": ("TCP", bodies.text),
    "h2ping": ("H2PING", bodies.text),
    "grpc": ("GRPC", bodies.text),
    "grpcusetls": ("GRPCUseTLS", bodies.boolean),
    "aliasnode": ("AliasNode", bodies.text),
    "aliasservice": ("AliasService", bodies.text),
    "scriptargs": ("ScriptArgs", bodies.text_list),
    "dockercontainerid": ("DockerContainerID", bodies.text),
    "shell": ("Shell", bodies.text),
    "outputmaxsize": ("OutputMaxSize", bodies.integer),
    "interval": ("Interval", _shown_duration),
    "timeout": ("Timeout", _shown_duration),
    "deregistercriticalserviceafter": ("DeregisterCriticalServiceAfter", _shown_duration),
    "ttl": ("TTL", bodies.duration),
}

_INDEXES: bodies.Spec = {
    "createindex": ("CreateIndex", bodies.unsigned),
    "modifyindex": ("ModifyIndex", bodies.unsigned),
}

NODE_FIELDS: bodies.Spec = {
    "id": ("ID", bodies.text),
    "node": ("Node", bodies.text),
    "address": ("Address", bodies.text),
    "datacenter": ("Datacenter", bodies.text),
    "taggedaddresses": ("TaggedAddresses", bodies.text_map),
    "meta": ("Meta", bodies.text_map),
    **_INDEXES,
}


def weight_fields(value: Any) -> dict[str, int]:
    return bodies.object_fields(value, {"passing": ("Passing", bodies.integer), "warning": ("Warning", bodies.integer)})


def tagged_service_addresses(value: Any) -> dict[str, dict[str, Any]]:
    spec: bodies.Spec = {"address": ("Address", bodies.text), "port": ("Port", bodies.integer)}
    return {
        name: {"Address": "", "Port": 0} | bodies.object_fields(item, spec)
        for name, item in bodies.an_object(value).items()
    }


def _connect(value: Any) -> dict[str, Any]:
    fields = bodies.object_fields(
        value, {"native": ("Native", bodies.boolean), "sidecarservice": ("SidecarService", bodies.ignored)}
    )
    return {"Native": True} if fields.get("Native") else {}


SERVICE_FIELDS: bodies.Spec = {
    "kind": ("Kind", bodies.text),
    "id": ("ID", bodies.text),
    "service": ("Service", bodies.text),
    "tags": ("Tags", bodies.text_list),
    "address": ("Address", bodies.text),
    "taggedaddresses": ("TaggedAddresses", tagged_service_addresses),
    "meta": ("Meta", bodies.text_map),
    "port": ("Port", bodies.integer),
    "socketpath": ("SocketPath", bodies.text),
    "weights": ("Weights", weight_fields),
    "enabletagoverride": ("EnableTagOverride", bodies.boolean),
    "proxy": ("Proxy", bodies.any_object),
    "connect": ("Connect", _connect),
    "locallyregisteredassidecar": ("LocallyRegisteredAsSidecar", bodies.ignored),
    "namespace": ("Namespace", bodies.ignored),
    **_INDEXES,
}

CHECK_FIELDS: bodies.Spec = {
    "node": ("Node", bodies.text),
    "checkid": ("CheckID", bodies.text),
    "name": ("Name", bodies.text),
    "status": ("Status", bodies.text),
    "notes": ("Notes", bodies.text),
    "output": ("Output", bodies.text),
    "serviceid": ("ServiceID", bodies.text),
    "servicename": ("ServiceName", bodies.text),
    "servicetags": ("ServiceTags", bodies.text_list),
    "type": ("Type", bodies.text),
    "interval": ("Interval", bodies.text),
    "timeout": ("Timeout", bodies.text),
    "exposedport": ("ExposedPort", bodies.integer),
    "definition": ("Definition", _definition),
    "namespace": ("Namespace", bodies.ignored),
    **_INDEXES,
}


def node_of(fields: dict[str, Any], datacenter: str) -> Node:
    """A node of converted fields (NODE_FIELDS)."""
    return Node(
        id=fields.get("ID", ""),
        node=fields.get("Node", ""),
        address=fields.get("Address", ""),
        datacenter=fields.get("Datacenter") or datacenter,
        tagged_addresses=fields.get("TaggedAddresses"),
        meta=fields.get("Meta"),
        modify_index=fields.get("ModifyIndex", 0),
    )


def service_of(fields: dict[str, Any], node: str) -> Service:
    """A service of converted fields (SERVICE_FIELDS); the ID defaults to the name."""
    weights = fields.get("Weights")
    passing, warning = (1, 1) if weights is None else (weights.get("Passing", 0), weights.get("Warning", 0))
    if not (1 <= passing <= WEIGHT_MAX and 0 <= warning <= WEIGHT_MAX):
        passing, warning = 1, 1
    name = fields.get("Service", "")
    proxy = fields.get("Proxy")
    return Service(
        node=node,
        id=fields.get("ID") or name,
        service=name,
        tags=fields.get("Tags"),
        address=fields.get("Address", ""),
        meta=fields.get("Meta"),
        port=fields.get("Port", 0),
        weights_passing=passing,
        weights_warning=warning,
        enable_tag_override=fields.get("EnableTagOverride", False),
        kind=fields.get("Kind", ""),
        socket_path=fields.get("SocketPath", ""),
        tagged_addresses=fields.get("TaggedAddresses"),
        proxy=NO_PROXY | proxy if proxy else None,
        connect=fields.get("Connect") or None,
        modify_index=fields.get("ModifyIndex", 0),
    )


def check_of(fields: dict[str, Any]) -> Check:
    """A check of converted fields (CHECK_FIELDS); the ID defaults to the name, the status to critical."""
    definition = fields.get("Definition", {})
    return Check(
        node=fields.get("Node", ""),
        check_id=fields.get("CheckID") or fields.get("Name", ""),
        name=fields.get("Name", ""),
        status=fields.get("Status") or CRITICAL,
        notes=fields.get("Notes", ""),
        output=fields.get("Output", ""),
        service_id=fields.get("ServiceID", ""),
        service_name=fields.get("ServiceName", ""),
        service_tags=fields.get("ServiceTags"),
        type=fields.get("Type", ""),
        interval=fields.get("Interval", ""),
        timeout=fields.get("Timeout", ""),
        definition=definition,
        modify_index=fields.get("ModifyIndex", 0),
    )


def with_type(check: Check) -> Check:
    """With the kind that follows from the definition, unless one was given (registrations only, not transactions).

    All kinds but ttl, alias and script need an interval for it.
    """
    if check.type:
        return check
    has = check.definition.get
    timed = bool(has("Interval"))
    kinds = (
        ("grpc", has("GRPC") and timed),
        ("http", has("HTTP") and timed),
        ("ttl", has("TTL")),
        ("tcp", has("TCP") and timed),
        ("alias", has("AliasNode") or has("AliasService")),
        ("docker", has("ScriptArgs") and has("DockerContainerID") and timed),
        ("script", has("ScriptArgs")),
        ("h2ping", has("H2PING") and timed),
    )
    return msgspec.structs.replace(check, type=next((kind for kind, fits in kinds if fits), ""))
