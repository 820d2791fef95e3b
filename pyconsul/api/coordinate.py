"""``/v1/coordinate/…``: where nodes are in the space of round-trip times."""

from __future__ import annotations

import math
from typing import Any

from pyconsul.api import bodies
from pyconsul.api.blocking import FAILED_READ_HEAD, Wake, Watched, read_head, serve_read
from pyconsul.api.catalog import body_fields
from pyconsul.api.context import Api
from pyconsul.api.params import read_options
from pyconsul.api.request import Request
from pyconsul.api.response import JSON_HEAD, Answer, Response, json_response
from pyconsul.codec import json
from pyconsul.errors import CallerError
from pyconsul.records.catalog import Coordinate
from pyconsul.server.backend import ReadMeta
from pyconsul.state.store import Store

DIMENSIONS = 8
EMPTY = Response(200)

COORD_FIELDS: bodies.Spec = {
    "vec": ("Vec", lambda value: [bodies.number(item) for item in bodies.a_list(value)]),
    "error": ("Error", bodies.number),
    "adjustment": ("Adjustment", bodies.number),
    "height": ("Height", bodies.number),
}

UPDATE_FIELDS: bodies.Spec = {
    "datacenter": ("Datacenter", bodies.text),
    "node": ("Node", bodies.text),
    "segment": ("Segment", bodies.text),
    "coord": ("Coord", lambda value: bodies.object_fields(value, COORD_FIELDS)),
    "writerequest": ("WriteRequest", bodies.ignored),
}


def node_fields(coordinate: Coordinate, name: str = "") -> dict[str, Any]:
    """A node's coordinate as JSON shows it; ``name``: how the node was asked for."""
    return {
        "Node": name or coordinate.node,
        "Segment": "",
        "Coord": {
            "Vec": [_plain(one) for one in coordinate.vec],
            "Error": _plain(coordinate.error),
            "Adjustment": _plain(coordinate.adjustment),
            "Height": _plain(coordinate.height),
        },
    }


def _plain(number: float) -> float | int:
    """Whole numbers without a point, as Go writes them."""
    return int(number) if number.is_integer() else number


class NodesRead:
    """The coordinates of all nodes; ``segment``: of the default one there is, all nodes are in it."""

    __slots__ = ("segment",)

    def __init__(self, segment: str) -> None:
        self.segment = segment

    def index(self, store: Store) -> int:
        return store.catalog.coordinates_index

    def watch(self, store: Store, wake: Wake) -> Watched:
        return store.watches.table("coordinates", wake)

    def answer(self, store: Store, meta: ReadMeta) -> Response:
        found = [] if self.segment else [node_fields(one) for one in store.catalog.coordinates()]
        return Response(200, json.encode(found), JSON_HEAD + read_head(self.index(store), meta), True)


class NodeRead(NodesRead):
    """The coordinate of one node."""

    __slots__ = ("node",)

    def __init__(self, node: str, segment: str) -> None:
        super().__init__(segment)
        self.node = node

    def answer(self, store: Store, meta: ReadMeta) -> Response:
        head = read_head(self.index(store), meta)
        found = store.catalog.coordinate(self.node)
        if found is None or self.segment:
            return Response(404, b"", head)
        return Response(200, json.encode([node_fields(found, self.node)]), JSON_HEAD + head, True)


def nodes(api: Api, request: Request) -> Answer:
    options = read_options(request, api.settings.use_cache)
    return serve_read(api, options, NodesRead(request.query.get("segment")), FAILED_READ_HEAD)


def node(api: Api, request: Request) -> Answer:
    options = read_options(request, api.settings.use_cache)
    return serve_read(api, options, NodeRead(request.argument_text, request.query.get("segment")), FAILED_READ_HEAD)


def datacenters(api: Api, request: Request) -> Response:
    found = api.backend.agent.wan_coordinates()
    if not found:
        return json_response([])
    servers = [node_fields(one) for one in found]
    return json_response([{"Datacenter": api.backend.datacenter, "AreaID": "wan", "Coordinates": servers}])


def update(api: Api, request: Request) -> Response:
    """Takes a coordinate. It is written with others later; one of a node that is not there is dropped then."""
    fields = body_fields(api, request, UPDATE_FIELDS)
    api.check_datacenter(request.query.get("dc") or fields.get("Datacenter", ""))
    coord = fields.get("Coord", {})
    vec = coord.get("Vec", [])
    numbers = [coord.get("Error", 0.0), coord.get("Adjustment", 0.0), coord.get("Height", 0.0)]
    if len(vec) != DIMENSIONS:
        raise CallerError("incompatible coordinate", 500)
    if not all(map(math.isfinite, [*vec, *numbers])):
        raise CallerError("invalid coordinate", 500)
    api.backend.agent.update_coordinate(Coordinate(fields.get("Node", ""), vec, *numbers))
    return EMPTY
