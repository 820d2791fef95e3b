"""Writes of the catalog: register, deregister, and the single steps that transactions are made of.

All functions change the tables at once and raise ApplyError half way through: the caller has a journal open.
Rules: docs/reference/http-api.md, "Catalog".
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pyconsul.codec.quote import quote
from pyconsul.errors import ApplyError
from pyconsul.records.catalog import CRITICAL, SERF_CHECK_ID, Check, Coordinate, Node, Service
from pyconsul.records.session import Session
from pyconsul.state.catalog import CHECKS, COORDINATES, NODES, SERVICES, Catalog, connect_name, same
from pyconsul.state.metadata import service_meta_error
from pyconsul.state.sessions import SessionTable, checks_of

MISSING_NODE = "Missing node registration"
MISSING_SERVICE = "Missing service registration"


class Registration:
    """The only writer of the catalog's tables, and the door for sessions, which depend on them.

    ``index`` is everywhere that of the log entry.
    """

    def __init__(self, catalog: Catalog, sessions: SessionTable) -> None:
        self._catalog = catalog
        self._sessions = sessions

    # Whole requests

    def register(
        self, index: int, node: Node, service: Service | None, checks: Sequence[Check], skip_node_update: bool
    ) -> None:
        """The parts in the order node, service, checks; each is written only if it differs from what is there."""
        name = node.node
        if not skip_node_update or self._catalog.node(name) is None:
            try:
                self.put_node(index, node)
            except ApplyError as error:
                raise ApplyError(f"failed inserting node: {error}") from error
        if service is not None:
            try:
                self.put_service(index, msgspec.structs.replace(service, node=name))
            except ApplyError as error:
                raise ApplyError(f"failed inserting service: {error}") from error
        for check in checks:
            if check.node and check.node.lower() != name.lower():
                raise ApplyError(f"check node {quote(check.node)} does not match node {quote(name)}")
            try:
                self.put_check(index, msgspec.structs.replace(check, node=name))
            except ApplyError as error:
                raise ApplyError(f"failed inserting check: {error} on node {quote(name)}") from error

    def deregister(self, index: int, node: str, service_id: str, check_id: str) -> None:
        """A service with its checks, or a check, or the node with all it has. Nothing there: no error, no change."""
        if service_id:
            self.delete_service(index, node, service_id)
        elif check_id:
            self.delete_check(index, node, check_id)
        else:
            self.delete_node(index, node)

    # Nodes

    def put_node(self, index: int, node: Node) -> None:
        """Inserts, changes or (by its id) renames a node. Raises ApplyError when the name is taken."""
        catalog = self._catalog
        old = catalog.node_by_id(node.id) if node.id else None
        if old is not None and old.node != node.node:
            self._refuse_reserved_name(node, f" ({node.address})", spare_unnamed=False)
            self.delete_node(index, old.node)
        elif old is None:
            if node.id:
                self._refuse_reserved_name(node, "", spare_unnamed=True)
            old = catalog.node(node.node)
        create_index = index if old is None else old.create_index
        if old is not None and same(old, node):
            return
        catalog.node_table.put(msgspec.structs.replace(node, create_index=create_index, modify_index=index))
        catalog.moved(NODES, index)
        catalog.node_services_moved(node.node, index)

    def _refuse_reserved_name(self, node: Node, address: str, spare_unnamed: bool) -> None:
        """A name belongs to the id that has it as long as its serfHealth is there and not critical."""
        holder = self._catalog.node(node.node)
        if holder is None or holder.id.lower() == node.id.lower() or (spare_unnamed and not holder.id):
            return
        check = self._catalog.check(holder.node, SERF_CHECK_ID)
        if check is None or check.status == CRITICAL:
            return
        raise ApplyError(
            f'Error while renaming Node ID: "{node.id}"{address}: Node name {node.node} is reserved by node '
            f"{holder.id} with name {holder.node} ({holder.address})"
        )

    def delete_node(self, index: int, name: str) -> bool:
        """Removes a node with its services, checks, coordinate and sessions; False: there is none."""
        catalog = self._catalog
        node = catalog.node(name)
        if node is None:
            return False
        for service in catalog.services_of_node(name):
            self.delete_service(index, name, service.id)
        for check in catalog.checks_of_node(name):
            self.delete_check(index, name, check.check_id)
        if catalog.coordinate_table.delete(name.lower()) is not None:
            catalog.moved(COORDINATES, index)
        catalog.node_table.delete(name.lower())
        catalog.moved(NODES, index)
        self._sessions.end_of_node(index, name)
        return True

    # Services

    def put_service(self, index: int, service: Service) -> None:
        """Inserts or replaces an instance. Raises ApplyError: bad metadata, no such node."""
        catalog = self._catalog
        old = catalog.service(service.node, service.id)
        if old is not None and same(old, service):
            return
        why = service_meta_error(service)
        if why is not None:
            raise ApplyError(f"Invalid Service Meta for node {service.node} and serviceID {service.id}: {why}")
        if catalog.node(service.node) is None:
            raise ApplyError(MISSING_NODE)
        create_index = index if old is None else old.create_index
        catalog.service_table.put(msgspec.structs.replace(service, create_index=create_index, modify_index=index))
        catalog.moved(SERVICES, index)
        if old is not None and (old.service.lower(), connect_name(old)) != (
            service.service.lower(),
            connect_name(service),
        ):
            catalog.service_lost(old, index)
        catalog.service_moved(service, index)

    def delete_service(self, index: int, node: str, service_id: str) -> bool:
        """Removes an instance with its checks; False: there is none."""
        catalog = self._catalog
        service = catalog.service(node, service_id)
        if service is None:
            return False
        if service_id:
            for check in catalog.check_table.find("instance", (node.lower(), service_id.lower())):
                self.delete_check(index, node, check.check_id)
        catalog.service_table.delete((node.lower(), service_id.lower()))
        catalog.moved(SERVICES, index)
        catalog.service_lost(service, index)
        return True

    # Checks

    def put_check(self, index: int, check: Check) -> None:
        """Inserts or replaces a check; a critical one ends the sessions that depend on it.

        Raises ApplyError: no id, no such node, no such service on it.
        """
        catalog = self._catalog
        if not check.check_id:
            raise ApplyError("failed health check lookup: index error: object is missing a value for this index")
        if catalog.node(check.node) is None:
            raise ApplyError(MISSING_NODE)
        status = check.status or CRITICAL
        if check.service_id:
            service = catalog.service(check.node, check.service_id)
            if service is None:
                raise ApplyError(MISSING_SERVICE)
            check = msgspec.structs.replace(
                check, status=status, service_name=service.service, service_tags=service.tags
            )
        else:
            check = msgspec.structs.replace(check, status=status)
        if status == CRITICAL:
            self._sessions.end_of_check(index, check.node, check.check_id)
        old = catalog.check(check.node, check.check_id)
        if old is not None and same(old, check):
            return
        create_index = index if old is None else old.create_index
        catalog.check_table.put(msgspec.structs.replace(check, create_index=create_index, modify_index=index))
        catalog.moved(CHECKS, index)
        if old is not None and old.service_id.lower() != check.service_id.lower():
            self._services_of_check_moved(index, old)
        self._services_of_check_moved(index, check)

    def delete_check(self, index: int, node: str, check_id: str) -> bool:
        """Removes a check and ends the sessions that depend on it; False: there is none."""
        catalog = self._catalog
        check = catalog.check(node, check_id)
        if check is None:
            return False
        catalog.check_table.delete((node.lower(), check_id.lower()))
        catalog.moved(CHECKS, index)
        self._services_of_check_moved(index, check)
        if catalog.services_of_node(node):
            catalog.moved(SERVICES, index)
        self._sessions.end_of_check(index, node, check_id)
        return True

    def _services_of_check_moved(self, index: int, check: Check) -> None:
        """A check of a node concerns all services on it, one of a service only that."""
        if not check.service_id:
            self._catalog.node_services_moved(check.node, index)
            return
        service = self._catalog.service(check.node, check.service_id)
        if service is not None:
            self._catalog.service_moved(service, index)

    # Sessions and coordinates

    def create_session(self, index: int, session: Session) -> Session:
        """Raises ApplyError: no such node, a check that is missing or critical, a bad id."""
        if self._catalog.node(session.node) is None:
            raise ApplyError(MISSING_NODE)
        for check_id in checks_of(session):
            check = self._catalog.check(session.node, check_id)
            if check is None:
                raise ApplyError(f"Missing check '{check_id}' registration")
            if check.status == CRITICAL:
                raise ApplyError(f"Check '{check_id}' is in critical state")
        return self._sessions.create(index, session)

    def put_coordinates(self, index: int, coordinates: Sequence[Coordinate]) -> None:
        """A batch; those of unknown nodes are dropped."""
        for coordinate in coordinates:
            if self._catalog.node(coordinate.node) is not None:
                self._catalog.coordinate_table.put(coordinate)
        self._catalog.moved(COORDINATES, index)
