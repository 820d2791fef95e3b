"""``/v1/agent/service…``: the services of this agent. HTTP reference, "Services of the agent"."""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
from typing import Any

import msgspec

from pyconsul.agent.local_definitions import CheckDefinition, check_rules, must_be_runnable
from pyconsul.agent.local_state import valid_status
from pyconsul.api import bodies
from pyconsul.api.agent_checks import EMPTY, check_of_service, is_empty, refuse_filter
from pyconsul.api.blocking import wait_seconds
from pyconsul.api.catalog import body_fields
from pyconsul.api.catalog_json import NO_PROXY, WEIGHT_MAX, tagged_service_addresses, weight_fields
from pyconsul.api.context import Api
from pyconsul.api.params import parse_wait
from pyconsul.api.request import Request
from pyconsul.api.response import JSON_HEAD, Answer, Deferred, Response, json_response, text_response
from pyconsul.api.service_kinds import kind_errors
from pyconsul.codec import json
from pyconsul.errors import CallerError
from pyconsul.records.catalog import Service
from pyconsul.state.metadata import service_meta_error

NO_ADDRESS = ("0.0.0.0", "::", "[::]")
FAMILY_OF_TAG = {"lan_ipv4": 4, "wan_ipv4": 4, "lan_ipv6": 6, "wan_ipv6": 6}

_CONNECT: bodies.Spec = {
    "native": ("Native", bodies.boolean),
    "sidecarservice": ("SidecarService", bodies.any_object),
    "sidecar_service": ("SidecarService", bodies.any_object),
}


def _connect(value: Any) -> dict[str, Any]:
    return bodies.object_fields(value, _CONNECT)


SERVICE_FIELDS: bodies.Spec = {
    "id": ("ID", bodies.text),
    "name": ("Name", bodies.text),
    "tags": ("Tags", bodies.text_list),
    "meta": ("Meta", bodies.text_map),
    "address": ("Address", bodies.text),
    "port": ("Port", bodies.integer),
    "socketpath": ("SocketPath", bodies.text),
    "taggedaddresses": ("TaggedAddresses", tagged_service_addresses),
    "tagged_addresses": ("TaggedAddresses", tagged_service_addresses),
    "enabletagoverride": ("EnableTagOverride", bodies.boolean),
    "enable_tag_override": ("EnableTagOverride", bodies.boolean),
    "weights": ("Weights", weight_fields),
    "kind": ("Kind", bodies.text),
    "proxy": ("Proxy", bodies.any_object),
    "connect": ("Connect", _connect),
    "check": ("Check", check_of_service),
    "checks": ("Checks", lambda value: [check_of_service(item) for item in bodies.a_list(value)]),
    "token": ("Token", bodies.ignored),
    "namespace": ("Namespace", bodies.ignored),
}


async def register(api: Api, request: Request) -> Response:
    fields = body_fields(api, request, SERVICE_FIELDS)
    service, checks = service_definition(api.backend.node_name, fields, api.local.scripts_enabled)
    replace = request.query.get("replace-existing-checks") if "replace-existing-checks" in request.query else "no"
    await api.local.register_service(service, checks, replace in ("", "true"))
    return EMPTY


def service_definition(
    node: str, fields: dict[str, Any], scripts_enabled: bool
) -> tuple[Service, list[CheckDefinition]]:
    """The service of ``node`` and its checks that fields of SERVICE_FIELDS describe. Raises CallerError."""
    service = _service_of(node, fields)
    checks = _checks_of(fields, service)
    for check in checks:
        check_rules(check)
        if check.status and not valid_status(check.status):
            raise CallerError("Status for checks must 'passing', 'warning', 'critical'")
    _check_tagged_addresses(service)
    for check in checks:
        must_be_runnable(check, scripts_enabled)
    if fields.get("Connect", {}).get("SidecarService") is not None:
        raise CallerError("This agent does not register sidecar services: register the proxy by itself", 500)
    return service, checks


def _service_of(node: str, fields: dict[str, Any]) -> Service:
    name = fields.get("Name", "")
    if not name:
        raise CallerError("Missing service name")
    address, port = fields.get("Address", ""), fields.get("Port", 0)
    if address in NO_ADDRESS:
        raise CallerError("Invalid service address")
    weights = fields.get("Weights")
    passing, warning = (1, 1) if weights is None else (weights.get("Passing", 0), weights.get("Warning", 0))
    _check_weights(passing, warning)
    proxy = fields.get("Proxy")
    service = Service(
        node=node,
        id=fields.get("ID") or name,
        service=name,
        tags=fields.get("Tags") or [],
        address=address,
        meta=fields.get("Meta") or {},
        port=port,
        weights_passing=passing,
        weights_warning=warning,
        enable_tag_override=fields.get("EnableTagOverride", False),
        kind=fields.get("Kind", ""),
        socket_path=fields.get("SocketPath", ""),
        tagged_addresses=_with_own_address(fields.get("TaggedAddresses"), address, port),
        proxy=NO_PROXY | proxy if proxy else None,
        connect={"Native": True} if fields.get("Connect", {}).get("Native") else None,
    )
    why = service_meta_error(service)
    if why is not None:
        raise CallerError(f"Invalid Service Meta: {why}")
    errors = kind_errors(service)
    if errors:
        raise CallerError(errors)
    return service


def _check_weights(passing: int, warning: int) -> None:
    if passing < 1:
        raise CallerError("Invalid Weights: Passing must be greater than 0")
    if warning < 0:
        raise CallerError("Invalid Weights: Warning must be greater or equal than 0")
    if passing > WEIGHT_MAX or warning > WEIGHT_MAX:
        raise CallerError("Invalid Weights: DNS Weight must be between 0 and 65535")


def _with_own_address(
    given: dict[str, dict[str, Any]] | None, address: str, port: int
) -> dict[str, dict[str, Any]] | None:
    """An IP address gives the tagged addresses of its family that were not given."""
    tagged = dict(given or {})
    try:
        family = f"ipv{ipaddress.ip_address(address).version}"
    except ValueError:
        return tagged or None  # a host name, or none
    for tag in (f"lan_{family}", f"wan_{family}"):
        tagged.setdefault(tag, {"Address": address, "Port": port})
    return tagged


def _check_tagged_addresses(service: Service) -> None:
    for tag, entry in (service.tagged_addresses or {}).items():
        family = FAMILY_OF_TAG.get(tag)
        if family is None:
            continue
        try:
            fits = ipaddress.ip_address(entry["Address"]).version == family
        except ValueError:
            fits = False
        if not fits:
            raise CallerError(f'Service tagged address "{tag}" must be a valid ipv{family} address', 500)


def _checks_of(fields: dict[str, Any], service: Service) -> list[CheckDefinition]:
    """With their ids, names and the id of the service."""
    given = [check for check in [fields.get("Check"), *fields.get("Checks", [])] if check and not is_empty(check)]
    found = []
    for number, check in enumerate(given, 1):
        own = f"service:{service.id}" if len(given) == 1 else f"service:{service.id}:{number}"
        found.append(
            msgspec.structs.replace(
                check,
                check_id=check.check_id or own,
                name=check.name or f"Service '{service.service}' check",
                service_id=service.id,
            )
        )
    return found


async def deregister(api: Api, request: Request) -> Response:
    if not request.argument:
        raise CallerError("ServiceID missing", 500)
    await api.local.deregister_service(request.argument_text)
    return EMPTY


def list_all(api: Api, request: Request) -> Response:
    refuse_filter(request)
    services = api.local.state.services
    return json_response({id_: service_fields(api, service) for id_, service in services.items()})


def service_fields(api: Api, service: Service, content_hash: str = "") -> dict[str, Any]:
    """A service of this agent as JSON shows it."""
    fields: dict[str, Any] = {}
    if service.kind:
        fields["Kind"] = service.kind
    fields |= {
        "ID": service.id,
        "Service": service.service,
        "Tags": service.tags,
        "Meta": service.meta,
        "Port": service.port,
        "Address": service.address,
    }
    if service.socket_path:
        fields["SocketPath"] = service.socket_path
    if service.tagged_addresses:
        fields["TaggedAddresses"] = service.tagged_addresses
    fields["Weights"] = {"Passing": service.weights_passing, "Warning": service.weights_warning}
    fields["EnableTagOverride"] = service.enable_tag_override
    if service.kind:
        proxy = dict(service.proxy or NO_PROXY)
        if not proxy.get("Mode"):
            proxy.pop("Mode", None)
        fields["Proxy"] = proxy
    if service.connect:
        fields["Connect"] = service.connect
    if content_hash:
        fields["ContentHash"] = content_hash
    fields["Datacenter"] = api.backend.datacenter
    return fields


def content_hash(service: Service) -> str:
    """16 hexadecimal digits that depend on every field; the order of maps does not count."""
    data = msgspec.json.encode(service, order="sorted")
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def one(api: Api, request: Request) -> Answer:
    """The service; with ``hash`` waits until its content has another one."""
    wait_ns = parse_wait(request.query)
    service_id, known = request.argument_text, request.query.get("hash")
    service = api.local.state.services.get(service_id)
    if service is not None and known and content_hash(service) == known:
        return WaitingService(api, service_id, known, wait_ns)
    return _shown(api, service_id)


def _shown(api: Api, service_id: str) -> Response:
    service = api.local.state.services.get(service_id)
    if service is None:
        return text_response(404, f"unknown service ID: {service_id}")
    digest = content_hash(service)
    head = JSON_HEAD + b"X-Consul-Contenthash: %b\r\n" % digest.encode()
    return Response(200, json.encode(service_fields(api, service, digest)), head, True)


class WaitingService(Deferred):
    """Waits until the service has another hash or is gone, or the time is over."""

    __slots__ = ("_api", "_hash", "_loop", "_over", "_service_id", "_timer")

    def __init__(self, api: Api, service_id: str, known: str, wait_ns: int) -> None:
        super().__init__()
        self._api = api
        self._service_id = service_id
        self._hash = known
        self._over = False
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(wait_seconds(api, wait_ns), self._finish)
        api.local.state.wait(self, self._woken)

    def cancel(self) -> None:
        self._stop()
        super().cancel()

    def hurry(self) -> None:
        self._finish()

    def _woken(self) -> None:
        service = self._api.local.state.services.get(self._service_id)
        if service is not None and content_hash(service) == self._hash:
            # Again from the next turn on: this one walks through those who wait.
            self._loop.call_soon(self._wait_again)
        else:
            self._loop.call_soon(self._finish)

    def _wait_again(self) -> None:
        if not self._over:
            self._api.local.state.wait(self, self._woken)

    def _finish(self) -> None:
        if not self._over:
            self._stop()
            self.resolve(_shown(self._api, self._service_id))

    def _stop(self) -> None:
        self._over = True
        self._timer.cancel()
        self._api.local.state.forget(self)
