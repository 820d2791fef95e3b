"""``/v1/health/…``. HTTP reference, "Health"."""

from __future__ import annotations

from collections.abc import Callable

from pyconsul.api.blocking import Wake, Watched, serve_read
from pyconsul.api.catalog_json import check_fields, node_fields, service_fields
from pyconsul.api.catalog_reads import CatalogRead, has_meta, has_tags, node_meta_filter, watch_tables
from pyconsul.api.context import Api
from pyconsul.api.params import read_options
from pyconsul.api.request import Request
from pyconsul.api.response import Answer
from pyconsul.codec import json
from pyconsul.codec.numbers import parse_bool
from pyconsul.errors import CallerError, DecodeError
from pyconsul.records.catalog import PASSING, Check
from pyconsul.state.store import Store


def node(api: Api, request: Request) -> Answer:
    name = request.argument_text
    return _checks(api, request, "Missing node name", lambda store: store.catalog.checks_of_node(name))


def checks(api: Api, request: Request) -> Answer:
    name = request.argument_text
    return _checks(api, request, "Missing service name", lambda store: store.catalog.checks_of_service(name))


def state(api: Api, request: Request) -> Answer:
    status = request.argument_text
    return _checks(api, request, "Missing check state", lambda store: store.catalog.checks_in_state(status))


def service(api: Api, request: Request) -> Answer:
    options = read_options(request, api.settings.use_cache)
    name = request.argument_text
    if not name:
        raise CallerError("Missing service name")
    wanted, tags, passing = node_meta_filter(request), request.query.all("tag"), _passing(request)

    def body(store: Store) -> bytes:
        catalog, found = store.catalog, []
        for instance in catalog.instances(name):
            its_node = catalog.node(instance.node)
            if its_node is None or not has_meta(its_node, wanted) or not has_tags(instance, tags):
                continue
            its_checks = catalog.checks_of_instance(instance.node, instance.id)
            if passing and any(check.status != PASSING for check in its_checks):
                continue
            found.append(
                {
                    "Node": node_fields(its_node),
                    "Service": service_fields(instance),
                    "Checks": [check_fields(check) for check in its_checks],
                }
            )
        return json.encode(found)

    def watch(store: Store, wake: Wake) -> Watched:
        return store.watches.service(name, wake)

    read = CatalogRead(options.mode, lambda store: store.catalog.service_index(name), watch, body)
    return serve_read(api, options, read)


def _checks(api: Api, request: Request, missing: str, select: Callable[[Store], list[Check]]) -> Answer:
    options = read_options(request, api.settings.use_cache)
    if not request.argument:
        raise CallerError(missing)
    wanted = node_meta_filter(request)

    def body(store: Store) -> bytes:
        found = []
        for check in select(store):
            its_node = store.catalog.node(check.node)
            if not wanted or (its_node is not None and has_meta(its_node, wanted)):
                found.append(check_fields(check))
        return json.encode(found)

    read = CatalogRead(options.mode, lambda store: store.catalog.checks_index, watch_tables("checks"), body)
    return serve_read(api, options, read, CatalogRead.ERROR_HEAD)


def _passing(request: Request) -> bool:
    """Present without a value counts as true."""
    if "passing" not in request.query:
        return False
    value = request.query.get("passing")
    try:
        return parse_bool(value) if value else True
    except DecodeError as error:
        raise CallerError("Invalid value for ?passing") from error
