"""``/v1/openapi.json``: an OpenAPI 3.1 description of this API. An addition of pyconsul; Consul has none."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pyconsul.api.context import Api
from pyconsul.api.openapi_endpoints import ENDPOINTS, PARAMETERS, SCHEMAS, Endpoint, Schema
from pyconsul.api.request import Request
from pyconsul.api.response import Response, json_bytes
from pyconsul.codec import json
from pyconsul.version import VERSION

ERRORS = {
    400: "A parameter or the body is wrong; the text tells what",
    403: "The configuration blocks the path, or writing from this address",
    413: "The body is too large",
    429: "Too many requests, or too many connections, from one client",
    500: "The request was refused, or could not be carried out now; the text tells why. After a text that begins with "
    "`rpc error`, or that names the leader, it may be tried again",
    503: "There is no room left on a disk that has to take the write; nothing was changed",
}


def openapi(api: Api, request: Request) -> Response:
    return json_bytes(_encoded())


@lru_cache(maxsize=1)
def _encoded() -> bytes:
    return json.encode(description())


def description() -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    for (method, path), endpoint in ENDPOINTS.items():
        shown = path + (f"{{{endpoint.argument}}}" if endpoint.argument else "")
        paths.setdefault(shown, {})[method.lower()] = _operation(method, path, endpoint)
    tags = dict.fromkeys(endpoint.tag for endpoint in ENDPOINTS.values())
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "pyconsul",
            "version": VERSION,
            "license": {"name": "MIT", "identifier": "MIT"},
            "description": "Consul's HTTP API, as far as pyconsul has it. More in docs/reference/http-api.md.",
        },
        "tags": [{"name": tag} for tag in tags],
        "paths": paths,
        "components": {"schemas": SCHEMAS},
    }


def _operation(method: str, path: str, endpoint: Endpoint) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = []
    if endpoint.argument:
        parameters.append(
            {
                "name": endpoint.argument,
                "in": "path",
                "required": True,
                "description": "All of the rest of the path, slashes included",
                "schema": {"type": "string"},
            }
        )
    for name in endpoint.query.split():
        schema, text = PARAMETERS[name]
        parameters.append({"name": name, "in": "query", "description": text, "schema": schema})
    operation: dict[str, Any] = {
        "tags": [endpoint.tag],
        "summary": endpoint.summary,
        "operationId": method.lower() + "".join(part.title() for part in path[4:].replace("-", "/").split("/")),
        "parameters": parameters,
        "responses": _responses(endpoint),
    }
    if endpoint.body is not None:
        operation["requestBody"] = _request_body(endpoint.body)
    return operation


def _responses(endpoint: Endpoint) -> dict[str, Any]:
    """Texts of errors are plain; what is no error of the caller has the type of the answer."""
    responses: dict[str, Any] = {"200": {"description": "Done"}}
    if endpoint.answer is not None:
        responses["200"]["content"] = {"application/json": {"schema": endpoint.answer}}
    if endpoint.text:
        responses["200"]["content"]["text/plain"] = {"schema": {}}
    for status, text in (endpoint.others or {}).items():
        responses[str(status)] = {"description": text}
    for status, text in ERRORS.items():
        responses.setdefault(str(status), {"description": text})
    return dict(sorted(responses.items()))


def _request_body(body: Schema | str) -> dict[str, Any]:
    if isinstance(body, str):
        return {"content": {"application/octet-stream": {"schema": {}}}}
    return {"content": {"application/json": {"schema": body}}}
