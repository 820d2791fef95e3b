"""Nodes, services, checks and coordinates: the tables, their reads and the indexes that reads show.

Names and ids are found without regard to case and shown as they were last registered. Which change moves which index:
docs/reference/http-api.md, "Catalog". The writes with their rules are in registration.py.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable
from typing import TypeVar

import msgspec

from pyconsul.records.catalog import Check, Coordinate, Node, Service
from pyconsul.state.journal import Journal
from pyconsul.state.table import Marks, Table
from pyconsul.state.watch import Watches

NODES, SERVICES, CHECKS, COORDINATES = "nodes", "services", "checks", "coordinates"
_EXTINCTION = "services lost"
_SERVICE = "service/"
_ID_PREFIX = re.compile(r"[0-9a-f-]+")
CONNECT_PROXY = "connect-proxy"

Row = TypeVar("Row", Node, Service, Check)


def connect_name(service: Service) -> str | None:
    """The service that an instance serves by Connect, in lower case; None: it does not."""
    if service.kind == CONNECT_PROXY:
        return str((service.proxy or {}).get("DestinationServiceName", "")).lower()
    if (service.connect or {}).get("Native") is True:
        return service.service.lower()
    return None


def _connect_values(service: Service) -> Iterable[Hashable]:
    name = connect_name(service)
    return () if name is None else (name,)


def _id_digits(node_id: str) -> str:
    return node_id.lower().replace("-", "")


def same(old: Row, new: Row) -> bool:
    """Whether a registration changes nothing but, perhaps, the indexes in the record."""
    return old == msgspec.structs.replace(new, create_index=old.create_index, modify_index=old.modify_index)


class Catalog:
    """Keys of the tables are lower-case: node, (node, service id), (node, check id)."""

    def __init__(self, journal: Journal, watches: Watches, marks: Marks) -> None:
        self._watches = watches
        self._marks = marks
        self.node_table: Table[str, Node] = Table(
            journal,
            lambda node: node.node.lower(),
            id=lambda node: (node.id.lower(),) if node.id else (),
        )
        self.service_table: Table[tuple[str, str], Service] = Table(
            journal,
            lambda service: (service.node.lower(), service.id.lower()),
            name=lambda service: (service.service.lower(),),
            connect=_connect_values,
        )
        self.check_table: Table[tuple[str, str], Check] = Table(
            journal,
            lambda check: (check.node.lower(), check.check_id.lower()),
            service=lambda check: (check.service_name.lower(),) if check.service_id else (),
            instance=lambda check: ((check.node.lower(), check.service_id.lower()),),
            status=lambda check: (check.status.lower(),),
        )
        self.coordinate_table: Table[str, Coordinate] = Table(journal, lambda row: row.node.lower())

    # Nodes

    def nodes(self) -> list[Node]:
        """All, by name."""
        return self.node_table.values()

    def node(self, name: str) -> Node | None:
        return self.node_table.get(name.lower())

    def node_by_id(self, node_id: str) -> Node | None:
        found = self.node_table.find("id", node_id.lower())
        return found[0] if found else None

    def node_by_name_or_id(self, text: str) -> Node | None:
        """By name, by id, or by a prefix of an id that only one node has (an odd digit at its end is not looked at)."""
        node = self.node(text) or self.node_by_id(text)
        if node is not None:
            return node
        lower = text.lower()
        digits = _id_digits(lower)
        digits = digits[: len(digits) & ~1]
        if not digits or not _ID_PREFIX.fullmatch(lower):
            return None
        found = [node for node in self.node_table.values() if node.id and _id_digits(node.id).startswith(digits)]
        return found[0] if len(found) == 1 else None

    # Services

    def services(self) -> list[Service]:
        """All instances, by node and service id."""
        return self.service_table.values()

    def service(self, node: str, service_id: str) -> Service | None:
        return self.service_table.get((node.lower(), service_id.lower()))

    def services_of_node(self, node: str) -> list[Service]:
        """By service id."""
        lower = node.lower()
        return list(self.service_table.range((lower, ""), (lower + "\0", "")))

    def instances(self, name: str) -> list[Service]:
        """The instances of a service, by node and id."""
        return self.service_table.find("name", name.lower())

    def connect_instances(self, name: str) -> list[Service]:
        """Proxies whose destination is the service, and its own instances that speak Connect natively."""
        return self.service_table.find("connect", name.lower())

    # Checks

    def checks(self) -> list[Check]:
        """All, by node and check id."""
        return self.check_table.values()

    def check(self, node: str, check_id: str) -> Check | None:
        return self.check_table.get((node.lower(), check_id.lower()))

    def checks_of_node(self, node: str) -> list[Check]:
        """Those of the node and of its services, by check id."""
        lower = node.lower()
        return list(self.check_table.range((lower, ""), (lower + "\0", "")))

    def checks_of_service(self, name: str) -> list[Check]:
        """Those bound to instances of a service, by node and check id."""
        return self.check_table.find("service", name.lower())

    def checks_of_instance(self, node: str, service_id: str) -> list[Check]:
        """Those of the node itself, then those of the instance, each by check id."""
        lower = node.lower()
        checks = self.check_table.find("instance", (lower, ""))
        return checks + self.check_table.find("instance", (lower, service_id.lower())) if service_id else checks

    def checks_in_state(self, status: str) -> list[Check]:
        """By node and check id; "any": all."""
        lower = status.lower()
        return self.checks() if lower == "any" else self.check_table.find("status", lower)

    # Coordinates

    def coordinates(self) -> list[Coordinate]:
        """By node."""
        return self.coordinate_table.values()

    def coordinate(self, node: str) -> Coordinate | None:
        return self.coordinate_table.get(node.lower())

    # Indexes: all at least 1

    @property
    def nodes_index(self) -> int:
        return self._marks.get(NODES) or 1

    @property
    def services_index(self) -> int:
        return self._marks.get(SERVICES) or 1

    @property
    def checks_index(self) -> int:
        return self._marks.get(CHECKS) or 1

    @property
    def coordinates_index(self) -> int:
        return self._marks.get(COORDINATES) or 1

    @property
    def node_services_index(self) -> int:
        """Of the reads of one node that is there."""
        return max(self.nodes_index, self.services_index)

    def service_index(self, name: str) -> int:
        """Of the reads of one service: its instances, their checks and nodes. Without instances: ``lost_index``."""
        return self._marks.get(_SERVICE + name.lower()) or self.lost_index

    def connect_index(self, name: str) -> int:
        """Of the reads of a service's Connect instances: the largest of those of the services found."""
        names = {instance.service.lower() for instance in self.connect_instances(name)}
        return max((self.service_index(found) for found in names), default=self.lost_index)

    @property
    def lost_index(self) -> int:
        """When any service lost its last instance; if none ever did, the last change of the catalog."""
        return self._marks.get(_EXTINCTION) or max(self.nodes_index, self.services_index, self.checks_index)

    # For registration.py: moving the indexes

    def moved(self, table: str, index: int) -> None:
        """A row of the table changed."""
        self._marks.set(table, index)
        self._watches.touch("table", table)

    def service_moved(self, service: Service, index: int) -> None:
        """The reads that show this instance change."""
        name = service.service.lower()
        self._marks.set(_SERVICE + name, index)
        self._watches.touch("service", name)
        connect = connect_name(service)
        if connect is not None:
            self._watches.touch("connect", connect)

    def node_services_moved(self, node: str, index: int) -> None:
        """The reads that show any instance on the node change."""
        for service in self.services_of_node(node):
            self.service_moved(service, index)

    def service_lost(self, service: Service, index: int) -> None:
        """The instance has left the table, or serves another name now: the reads that showed it change.

        Where it was the last one, the index of those reads becomes that of the last such loss, of whatever service.
        """
        self.service_moved(service, index)
        name = service.service.lower()
        connect = connect_name(service)
        extinct = not self.service_table.has("name", name)
        if extinct:
            self._marks.drop(_SERVICE + name)
        if extinct or (connect is not None and not self.service_table.has("connect", connect)):
            self._marks.set(_EXTINCTION, index)
            for kind, column in (("service", "name"), ("connect", "connect")):
                for watched in self._watches.watched(kind):
                    if not self.service_table.has(column, watched):
                        self._watches.touch(kind, watched)
