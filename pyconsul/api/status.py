"""``/v1/status/…`` and ``/v1/catalog/datacenters``: answered by the agent itself, also without a leader."""

from __future__ import annotations

from pyconsul.api.context import Api
from pyconsul.api.params import check_cache_control, consistency, read_options
from pyconsul.api.request import Request
from pyconsul.api.response import Response, json_response, text_response
from pyconsul.codec import json
from pyconsul.errors import CallerError


def leader(api: Api, request: Request) -> Response:
    options = read_options(request, api.settings.use_cache)
    api.check_datacenter(options.dc)
    return json_response(api.consensus.leader_address())


def peers(api: Api, request: Request) -> Response:
    options = read_options(request, api.settings.use_cache)
    api.check_datacenter(options.dc)
    return json_response(api.consensus.peer_addresses())


def datacenters(api: Api, request: Request) -> Response:
    """A bad consistency or Cache-Control is told in front of the list, as Consul does."""
    names = json.encode(api.backend.datacenters())
    try:
        consistency(request, api.settings.use_cache)
        check_cache_control(request.header(b"cache-control"))
    except CallerError as error:
        return text_response(error.status, str(error) + names.decode())
    return json_response(api.backend.datacenters())
