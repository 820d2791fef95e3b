"""``/v1/agent/check…``: the checks of this agent. HTTP reference, "Checks of the agent"."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from pyconsul.agent.local_definitions import EMPTY_CHECK, CheckDefinition, check_rules, must_be_runnable
from pyconsul.agent.local_state import valid_status
from pyconsul.api import bodies
from pyconsul.api.catalog import body_fields
from pyconsul.api.catalog_json import check_fields
from pyconsul.api.context import Api
from pyconsul.api.request import Request
from pyconsul.api.response import Response, json_response
from pyconsul.codec.numbers import parse_bool
from pyconsul.errors import CallerError, DecodeError
from pyconsul.records.catalog import CRITICAL, PASSING, WARNING

EMPTY = Response(200)


def _header_lists(value: Any) -> dict[str, list[str]]:
    return {name: bodies.text_list(item or []) for name, item in bodies.an_object(value).items()}


_DEFINITION: bodies.Spec = {
    "name": ("name", bodies.text),
    "notes": ("notes", bodies.text),
    "status": ("status", bodies.text),
    "ttl": ("ttl_ns", bodies.duration),
    "interval": ("interval_ns", bodies.duration),
    "timeout": ("timeout_ns", bodies.duration),
    "http": ("http", bodies.text),
    "method": ("method", bodies.text),
    "header": ("header", _header_lists),
    "body": ("body", bodies.text),
    "tlsservername": ("tls_server_name", bodies.text),
    "tls_server_name": ("tls_server_name", bodies.text),
    "tlsskipverify": ("tls_skip_verify", bodies.boolean),
    "tls_skip_verify": ("tls_skip_verify", bodies.boolean),
    "tcp": ("tcp", bodies.text),
    "grpc": ("grpc", bodies.text),
    "grpcusetls": ("grpc_use_tls", bodies.boolean),
    "grpc_use_tls": ("grpc_use_tls", bodies.boolean),
    "h2ping": ("h2ping", bodies.text),
    "scriptargs": ("script_args", bodies.text_list),
    "script_args": ("script_args", bodies.text_list),
    "args": ("script_args", bodies.text_list),
    "dockercontainerid": ("docker_container_id", bodies.text),
    "docker_container_id": ("docker_container_id", bodies.text),
    "shell": ("shell", bodies.text),
    "aliasservice": ("alias_service", bodies.text),
    "aliasnode": ("alias_node", bodies.text),
    "successbeforepassing": ("success_before_passing", bodies.integer),
    "failuresbeforecritical": ("failures_before_critical", bodies.integer),
    "deregistercriticalserviceafter": ("deregister_after_ns", bodies.duration),
    "deregister_critical_service_after": ("deregister_after_ns", bodies.duration),
    "outputmaxsize": ("output_max_bytes", bodies.integer),
}

CHECK_OF_SERVICE_FIELDS: bodies.Spec = {**_DEFINITION, "checkid": ("check_id", bodies.text)}

CHECK_FIELDS: bodies.Spec = {
    **_DEFINITION,
    "id": ("check_id", bodies.text),
    "serviceid": ("service_id", bodies.text),
    "service_id": ("service_id", bodies.text),
    "token": ("token", bodies.ignored),
    "namespace": ("namespace", bodies.ignored),
}

UPDATE_FIELDS: bodies.Spec = {"status": ("Status", bodies.text), "output": ("Output", bodies.text)}


def check_of_service(value: Any) -> CheckDefinition:
    """A ``Check`` in the definition of a service; EMPTY_CHECK when nothing is in it."""
    return CheckDefinition(**bodies.object_fields(value, CHECK_OF_SERVICE_FIELDS))


def refuse_filter(request: Request) -> None:
    """Raises CallerError (500): a filter that is not applied must not look as if it was."""
    if request.query.get("filter"):
        raise CallerError("Failed to create boolean expression evaluator: filters are not supported here", 500)


async def register(api: Api, request: Request) -> Response:
    definition = check_definition(body_fields(api, request, CHECK_FIELDS), api.local.scripts_enabled)
    await api.local.register_check(definition)
    return EMPTY


def check_definition(fields: dict[str, Any], scripts_enabled: bool) -> CheckDefinition:
    """The check that fields of CHECK_FIELDS describe. Raises CallerError."""
    definition = CheckDefinition(**{name: item for name, item in fields.items() if name not in ("token", "namespace")})
    if not definition.name:
        raise CallerError("Missing check name")
    if definition.status and not valid_status(definition.status):
        raise CallerError("Bad check status")
    check_rules(definition)
    must_be_runnable(definition, scripts_enabled)
    return msgspec.structs.replace(definition, check_id=definition.check_id or definition.name, shows_times=True)


async def deregister(api: Api, request: Request) -> Response:
    if not request.argument:
        raise CallerError("CheckID missing", 500)
    await api.local.deregister_check(request.argument_text)
    return EMPTY


def list_all(api: Api, request: Request) -> Response:
    refuse_filter(request)
    return json_response({check_id: check_fields(check.record) for check_id, check in api.local.state.checks.items()})


def ttl_update(status: str) -> Callable[[Api, Request], Coroutine[Any, Any, Response]]:
    """The handler that sets a TTL check to ``status``."""

    async def update(api: Api, request: Request) -> Response:
        await api.local.update_ttl(request.argument_text, status, request.query.get("note"))
        return EMPTY

    return update


pass_ = ttl_update(PASSING)
warn = ttl_update(WARNING)
fail = ttl_update(CRITICAL)


async def update(api: Api, request: Request) -> Response:
    fields = body_fields(api, request, UPDATE_FIELDS)
    status = fields.get("Status", "")
    if not valid_status(status):
        raise CallerError(f"Invalid check status: '{status}'")
    await api.local.update_ttl(request.argument_text, status, fields.get("Output", ""))
    return EMPTY


async def node_maintenance(api: Api, request: Request) -> Response:
    await api.local.set_maintenance("", _enable(request), request.query.get("reason"))
    return EMPTY


async def service_maintenance(api: Api, request: Request) -> Response:
    service_id = request.argument_text
    if not service_id:
        raise CallerError("Missing service ID")
    enable = _enable(request)
    if service_id not in api.local.state.services:
        raise CallerError(f'No service registered with ID "{service_id}"', 404)
    await api.local.set_maintenance(service_id, enable, request.query.get("reason"))
    return EMPTY


def _enable(request: Request) -> bool:
    if "enable" not in request.query:
        raise CallerError("Missing value for enable")
    value = request.query.get("enable")
    try:
        return parse_bool(value)
    except DecodeError as error:
        raise CallerError(f'Invalid value for enable: "{value}"') from error


def is_empty(definition: CheckDefinition) -> bool:
    return definition == EMPTY_CHECK
