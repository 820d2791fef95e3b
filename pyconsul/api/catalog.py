"""``/v1/catalog/…``. HTTP reference, "Catalog"."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyconsul.api import bodies
from pyconsul.api.blocking import Wake, Watched, serve_read
from pyconsul.api.catalog_json import (
    CHECK_FIELDS,
    NODE_FIELDS,
    SERVICE_FIELDS,
    check_of,
    instance_fields,
    node_fields,
    node_of,
    service_fields,
    service_of,
    with_type,
)
from pyconsul.api.catalog_reads import CatalogRead, has_meta, has_tags, node_meta_filter, watch_tables
from pyconsul.api.context import Api
from pyconsul.api.errors import error_response
from pyconsul.api.params import ReadOptions, read_options
from pyconsul.api.request import Request
from pyconsul.api.response import Answer, Response, json_bytes
from pyconsul.api.service_kinds import kind_errors
from pyconsul.codec import json
from pyconsul.errors import CallerError, DecodeError, PyconsulError
from pyconsul.fsm.commands import AnyCommand, Deregister, Register
from pyconsul.records.catalog import Check, Node
from pyconsul.state.store import Store
from pyconsul.state.txn import node_error, service_error

TRUE = json_bytes(b"true")

REGISTER_FIELDS: bodies.Spec = {
    **{name: entry for name, entry in NODE_FIELDS.items() if name not in ("meta", "createindex", "modifyindex")},
    "nodemeta": ("Meta", bodies.text_map),
    "service": ("Service", lambda value: bodies.object_fields(value, SERVICE_FIELDS)),
    "check": ("Check", lambda value: bodies.object_fields(value, CHECK_FIELDS)),
    "checks": (
        "Checks",
        lambda value: [bodies.object_fields(item, CHECK_FIELDS) for item in bodies.a_list(value)],
    ),
    "skipnodeupdate": ("SkipNodeUpdate", bodies.boolean),
    "writerequest": ("WriteRequest", bodies.ignored),
}

DEREGISTER_FIELDS: bodies.Spec = {
    "datacenter": ("Datacenter", bodies.text),
    "node": ("Node", bodies.text),
    "address": ("Address", bodies.text),
    "serviceid": ("ServiceID", bodies.text),
    "checkid": ("CheckID", bodies.text),
    "namespace": ("Namespace", bodies.ignored),
    "writerequest": ("WriteRequest", bodies.ignored),
}


async def register(api: Api, request: Request) -> Response:
    fields = body_fields(api, request, REGISTER_FIELDS)
    api.check_datacenter(fields.get("Datacenter", ""))
    return await write(api, _registration(api, fields))


async def deregister(api: Api, request: Request) -> Response:
    fields = body_fields(api, request, DEREGISTER_FIELDS)
    api.check_datacenter(fields.get("Datacenter", ""))
    if not fields.get("Node"):
        raise CallerError("Must provide node", 500)
    return await write(api, Deregister(fields["Node"], fields.get("ServiceID", ""), fields.get("CheckID", "")))


async def write(api: Api, command: AnyCommand) -> Response:
    """``true``, or the error."""
    try:
        await api.consensus.write(command)
    except PyconsulError as error:
        return error_response(error)
    return TRUE


def body_fields(api: Api, request: Request, spec: bodies.Spec) -> dict[str, Any]:
    """The converted fields of a JSON body. Raises CallerError (400)."""
    try:
        return bodies.object_fields(json.decode(bodies.read_body(request, api.settings)), spec)
    except DecodeError as error:
        raise CallerError(f"Request decode failed: {error}") from error


def _registration(api: Api, fields: dict[str, Any]) -> Register:
    """The command; raises CallerError (500) for what can be seen to be wrong without the state."""
    node = node_of(fields, api.backend.datacenter)
    skip = fields.get("SkipNodeUpdate", False)
    error = node_error(node)
    if error:
        raise CallerError(error, 500)
    if not node.address and not skip:
        raise CallerError("Must provide address if SkipNodeUpdate is not set", 500)
    service = None
    if "Service" in fields:
        service = service_of(fields["Service"], node.node)
        error = service_error(service)
        error = error or kind_errors(service)
        if error:
            raise CallerError(error, 500)
    checks: list[Check] = [with_type(check_of(item)) for item in fields.get("Checks", [])]
    if "Check" in fields:
        checks.append(with_type(check_of(fields["Check"])))
    return Register(node, service, checks, skip)


# Reads


def nodes(api: Api, request: Request) -> Answer:
    options = read_options(request, api.settings.use_cache)
    wanted = node_meta_filter(request)

    def answer(store: Store) -> bytes:
        return json.encode([node_fields(node) for node in store.catalog.nodes() if has_meta(node, wanted)])

    return _serve(api, options, lambda store: store.catalog.nodes_index, watch_tables("nodes"), answer)


def services(api: Api, request: Request) -> Answer:
    options = read_options(request, api.settings.use_cache)
    wanted = node_meta_filter(request)

    def index(store: Store) -> int:
        return store.catalog.node_services_index if wanted else store.catalog.services_index

    def answer(store: Store) -> bytes:
        tags: dict[str, dict[str, None]] = {}
        for service in store.catalog.services():
            node = store.catalog.node(service.node)
            if node is not None and has_meta(node, wanted):
                tags.setdefault(service.service, {}).update(dict.fromkeys(service.tags or ()))
        return json.encode({name: list(found) for name, found in tags.items()})

    tables = ("services", "nodes") if wanted else ("services",)
    return _serve(api, options, index, watch_tables(*tables), answer)


def service(api: Api, request: Request) -> Answer:
    options = read_options(request, api.settings.use_cache)
    name = request.argument_text
    if not name:
        raise CallerError("Missing service name")
    wanted, tags = node_meta_filter(request), request.query.all("tag")

    def answer(store: Store) -> bytes:
        found = []
        for instance in store.catalog.instances(name):
            node = store.catalog.node(instance.node)
            if node is not None and has_meta(node, wanted) and has_tags(instance, tags):
                found.append(instance_fields(node, instance))
        return json.encode(found)

    def watch(store: Store, wake: Wake) -> Watched:
        return store.watches.service(name, wake)

    return _serve(api, options, lambda store: store.catalog.service_index(name), watch, answer)


def node(api: Api, request: Request) -> Answer:
    options = read_options(request, api.settings.use_cache)
    name = request.argument_text
    if not name:
        raise CallerError("Missing node name")

    def found(store: Store) -> Node | None:
        return store.catalog.node_by_name_or_id(name)

    def index(store: Store) -> int:
        return store.catalog.node_services_index if found(store) is not None else 1

    def answer(store: Store) -> bytes:
        node = found(store)
        if node is None:
            return b"null"
        instances = store.catalog.services_of_node(node.node)
        return json.encode({"Node": node_fields(node), "Services": {one.id: service_fields(one) for one in instances}})

    return _serve(api, options, index, watch_tables("nodes", "services"), answer)


def _serve(
    api: Api,
    options: ReadOptions,
    index: Callable[[Store], int],
    watch: Callable[[Store, Wake], Watched],
    answer: Callable[[Store], bytes],
) -> Answer:
    return serve_read(api, options, CatalogRead(options.mode, index, watch, answer), CatalogRead.ERROR_HEAD)
