"""The OpenAPI description says what the routes have, no less and no more."""

from __future__ import annotations

import json
import re
from typing import Any

from pyconsul.api.openapi import description
from pyconsul.api.openapi_endpoints import ENDPOINTS, PARAMETERS, SCHEMAS
from pyconsul.api.routes import ROUTES


def test_every_route_is_described_and_nothing_else() -> None:
    routed = {(method.decode(), route.path.decode()) for route in ROUTES for method in route.handlers}
    assert routed == set(ENDPOINTS)


def test_what_follows_a_path_has_a_name() -> None:
    for (_, path), endpoint in ENDPOINTS.items():
        assert bool(endpoint.argument) == path.endswith("/"), path


def test_every_parameter_and_schema_is_used_and_known() -> None:
    used = {name for endpoint in ENDPOINTS.values() for name in endpoint.query.split()}
    assert used == set(PARAMETERS)
    text = json.dumps(description())
    assert set(re.findall(r'"#/components/schemas/(\w+)"', text)) == set(SCHEMAS)


def test_ids_of_operations_are_unique() -> None:
    operations: list[dict[str, Any]] = [one for path in description()["paths"].values() for one in path.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(ids) == len(set(ids)) == len(ENDPOINTS)
    assert all(re.fullmatch(r"[a-z]+[A-Za-z.]*", each) for each in ids), ids
