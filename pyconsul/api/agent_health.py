"""``/v1/agent/health/service/…``: how the services of this agent are, as a status code. HTTP reference, same name."""

from __future__ import annotations

from typing import Any

from pyconsul.agent.local_definitions import LocalCheck
from pyconsul.api.agent_services import service_fields
from pyconsul.api.catalog_json import check_fields
from pyconsul.api.context import Api
from pyconsul.api.request import Request
from pyconsul.api.response import Response, json_response
from pyconsul.codec.check_definition import NO_DEFINITION
from pyconsul.errors import CallerError
from pyconsul.records.catalog import CRITICAL, PASSING, WARNING, Service

PLAIN_HEAD = b"Content-Type: text/plain\r\n"
MAINTENANCE = "maintenance"
STATUS_CODES = {PASSING: 200, WARNING: 429, CRITICAL: 503, MAINTENANCE: 503}
WORST_LAST = (PASSING, WARNING, CRITICAL, MAINTENANCE)


def by_id(api: Api, request: Request) -> Response:
    service_id = request.argument_text
    if not service_id:
        raise CallerError("Bad request: Missing serviceID", 500)
    service = api.local.state.services.get(service_id)
    if service is None:
        reason = f"ServiceId {service_id} not found"
        if _as_text(request):
            return json_response(reason, 404, _reason(reason))
        missing = {"AggregatedStatus": CRITICAL, "Service": None, "Checks": None}
        return json_response(missing, 404, _reason(reason))
    health = _health(api, service)
    return _answer(request, health["AggregatedStatus"], health)


def by_name(api: Api, request: Request) -> Response:
    name = request.argument_text
    if not name:
        raise CallerError("Bad request: Missing service Name", 500)
    found = [_health(api, service) for service in api.local.state.services.values() if service.service == name]
    if not found:
        reason = f"ServiceName {name} Not Found"
        if _as_text(request):
            return _text(404, reason)
        return json_response([], 404, _reason(reason))
    return _answer(request, _worst([health["AggregatedStatus"] for health in found]), found)


def _health(api: Api, service: Service) -> dict[str, Any]:
    state = api.local.state
    checks = state.checks_of("") + state.checks_of(service.id)
    status = _worst([MAINTENANCE if check.record.type == MAINTENANCE else check.record.status for check in checks])
    return {
        "AggregatedStatus": status,
        "Service": service_fields(api, service),
        "Checks": [_check(check) for check in checks],
    }


def _check(check: LocalCheck) -> dict[str, Any]:
    fields = check_fields(check.record) | {"Type": "", "Definition": NO_DEFINITION}
    for name in ("Interval", "Timeout", "ExposedPort"):
        del fields[name]
    return fields


def _worst(statuses: list[str]) -> str:
    return max(statuses, key=WORST_LAST.index, default=PASSING)


def _answer(request: Request, status: str, body: Any) -> Response:
    code, head = STATUS_CODES[status], _reason(status)
    return _text(code, status) if _as_text(request) else json_response(body, code, head)


def _text(code: int, text: str) -> Response:
    return Response(code, text.encode(), PLAIN_HEAD + _reason(text))


def _as_text(request: Request) -> bool:
    return request.query.get("format") == "text" or request.header(b"accept").startswith("text/plain")


def _reason(text: str) -> bytes:
    return b"X-Consul-Reason: %b\r\n" % text.replace("\r", " ").replace("\n", " ").encode("utf-8", "replace")
